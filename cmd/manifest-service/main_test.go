package main

import (
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	const needed = "-trusted-keys=keys.pem -blob-cache-dir=cache -registry=registry.example.com"
	for name, test := range map[string]struct{ arguments, want string }{
		"what is needed":           {arguments: needed},
		"all about TLS":            {arguments: needed + " -tls-cert=a -tls-key=b"},
		"no keys":                  {arguments: "-blob-cache-dir=cache -registry=r", want: "-trusted-keys, -blob-cache-dir and -registry are needed"},
		"a certificate alone":      {arguments: needed + " -tls-cert=a", want: "-tls-cert and -tls-key go together"},
		"a key alone":              {arguments: needed + " -tls-key=b", want: "-tls-cert and -tls-key go together"},
		"a folder":                 {arguments: needed + " -from=published"},
		"a folder and a cluster":   {arguments: needed + " -from=published -kubeconfig=k", want: "-from is for serving without a cluster: -kubeconfig and -explain do not go with it"},
		"a folder that explains":   {arguments: needed + " -from=published -explain", want: "-from is for serving without a cluster: -kubeconfig and -explain do not go with it"},
		"proxies":                  {arguments: needed + " -trusted-proxies=10.0.0.0/8,2001:db8::1 -proxy-header=Forwarded"},
		"a proxy by name":          {arguments: needed + " -trusted-proxies=ingress", want: `-trusted-proxies: "ingress" is neither an address nor a network such as 10.0.0.0/8`},
		"no streams":               {arguments: needed + " -max-streams=0", want: "-max-streams and -max-streams-per-address are at least 1"},
		"no connections":           {arguments: needed + " -max-connections-per-address=0", want: "-max-connections and -max-connections-per-address are at least 1"},
		"a limit":                  {arguments: needed + " -address-limits=resolve=0"},
		"an unknown limit":         {arguments: needed + " -address-limits=blobs=1", want: `invalid value "blobs=1" for flag -address-limits: there is no limit "blobs": there are resolve, explain, reports and events`},
		"something that is a word": {arguments: needed + " serve", want: `"serve" is no flag`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(strings.Fields(test.arguments))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("error is %q, want %q", got, test.want)
			}
		})
	}
}

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

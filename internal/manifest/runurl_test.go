package manifest

import (
	"strings"
	"testing"
)

func TestTheRunHostHasANameOfItsOwn(t *testing.T) {
	const public = "https://mini.example.com"
	shape := func(url string) string {
		return `the run host's URL "` + url + `" must be like https://run.example.com, without a path`
	}
	for name, test := range map[string]struct {
		run, public string
		url, host   string
		want        string // of the error
	}{
		"another domain":             {run: "https://run.example.net", public: public, url: "https://run.example.net", host: "run.example.net"},
		"with a port and a slash":    {run: "https://RUN.example.net:8443/", public: public, url: "https://run.example.net:8443", host: "run.example.net"},
		"the API's name is not said": {run: "https://run.example.net", url: "https://run.example.net", host: "run.example.net"},
		"on this machine":            {run: "http://run.localhost:8080", public: "http://127.0.0.1:8080", url: "http://run.localhost:8080", host: "run.localhost"},
		"by the one address":         {run: "http://127.0.0.1:8080", public: "http://localhost:8080", url: "http://127.0.0.1:8080", host: "127.0.0.1"},
		"the API's name": {run: "https://mini.example.com", public: public,
			want: `the run host's URL "https://mini.example.com" must have another host name than the public URL "https://mini.example.com": pages of mini programs would share cookies with the API`},
		"the API's name, and another port": {run: "https://Mini.example.com:8443", public: public,
			want: `the run host's URL "https://Mini.example.com:8443" must have another host name than the public URL "https://mini.example.com": pages of mini programs would share cookies with the API`},
		"the API's name, which has the port": {run: "https://mini.example.com", public: public + ":8443",
			want: `the run host's URL "https://mini.example.com" must have another host name than the public URL "https://mini.example.com:8443": pages of mini programs would share cookies with the API`},
		"over http": {run: "http://run.example.net", public: public,
			want: `the run host's URL "http://run.example.net" must be https: over http, whoever is on the way writes the pages`},
		"an address": {run: "https://10.0.0.7", public: public,
			want: `the run host's URL "https://10.0.0.7" must have a plain host name: a policy of browsers matches no other, and no address`},
		"an address of IPv6": {run: "https://[2001:db8::1]:8443", public: public,
			want: `the run host's URL "https://[2001:db8::1]:8443" must have a plain host name: a policy of browsers matches no other, and no address`},
		"with a path":               {run: "https://run.example.net/r", want: shape("https://run.example.net/r")},
		"with a query":              {run: "https://run.example.net?a", want: shape("https://run.example.net?a")},
		"with a user":               {run: "https://a@run.example.net", want: shape("https://a@run.example.net")},
		"another scheme":            {run: "ftp://run.example.net", want: shape("ftp://run.example.net")},
		"a name alone":              {run: "run.example.net", want: shape("run.example.net")},
		"what is no URL":            {run: "https://run.example.net:port", want: shape("https://run.example.net:port")},
		"a dot at the end":          {run: "https://run.example.net.", want: `the run host's URL "https://run.example.net." must have a plain host name: a policy of browsers matches no other, and no address`},
		"a letter that is no ASCII": {run: "https://läuft.example", want: `the run host's URL "https://läuft.example" must have a plain host name: a policy of browsers matches no other, and no address`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseRunURL(test.run, test.public)
			if test.want != "" {
				if err == nil || err.Error() != test.want || got != nil {
					t.Errorf("got %v, %v, want %s", got, err, test.want)
				}
				return
			}
			if err != nil || got.url != test.url || got.name != test.host {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestAServiceDoesNotStartWithARunHostThatIsItsOwn(t *testing.T) {
	f := newFixture(t)
	f.options.RunURL = f.options.PublicURL
	if _, err := New(f.options); err == nil || !strings.Contains(err.Error(), "must have another host name") {
		t.Errorf("got %v", err)
	}
}

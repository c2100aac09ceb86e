package sandbox

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

const base = "https://run.example.com/r/com.example.shop/0123abcd/"

func page(change ...func(*Page)) Page {
	p := Page{Base: base}
	for _, c := range change {
		c(&p)
	}
	return p
}

// everything declares every kind of domain, one of them in two.
func everything(p *Page) {
	p.Ancestors = []string{"https://wallet.example.com:8443", "https://portal.example.com"}
	p.Domains = document.Domains{
		Request: []string{"https://b.example.com", "https://a.example.com"}, Upload: []string{"https://a.example.com"},
		Socket: []string{"wss://live.example.com"}, Download: []string{"https://img.example.com"}, WebView: []string{"https://pay.example.com:8443"},
	}
}

// golden is the headers in the form of a response.
func golden(t *testing.T, p Page) string {
	t.Helper()
	headers, err := Headers(p)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, h := range headers {
		out.WriteString(h.Name + ": " + strings.ReplaceAll(h.Value, "; ", ";\n  ") + "\n")
	}
	return out.String()
}

const same = "Permissions-Policy: " + nothingOfTheDevice + `
Referrer-Policy: no-referrer
Access-Control-Allow-Origin: *
Cross-Origin-Resource-Policy: cross-origin
X-Content-Type-Options: nosniff
`

func TestTheHeadersOfAPage(t *testing.T) {
	for name, test := range map[string]struct {
		page Page
		want string
	}{
		"nothing is declared": {page(), `Content-Security-Policy: sandbox allow-scripts allow-forms;
  default-src 'none';
  script-src https://run.example.com/r/com.example.shop/0123abcd/ 'unsafe-inline' blob:;
  style-src https://run.example.com/r/com.example.shop/0123abcd/ 'unsafe-inline';
  img-src https://run.example.com/r/com.example.shop/0123abcd/ data: blob:;
  font-src https://run.example.com/r/com.example.shop/0123abcd/ data:;
  media-src https://run.example.com/r/com.example.shop/0123abcd/ blob:;
  connect-src https://run.example.com/r/com.example.shop/0123abcd/;
  worker-src blob:;
  frame-src 'none';
  form-action 'none';
  base-uri 'none';
  frame-ancestors 'none'
Connection-Allowlist: ("https://run.example.com/r/com.example.shop/0123abcd/*")
` + same},
		"everything is declared": {page(everything), `Content-Security-Policy: sandbox allow-scripts allow-forms;
  default-src 'none';
  script-src https://run.example.com/r/com.example.shop/0123abcd/ 'unsafe-inline' blob:;
  style-src https://run.example.com/r/com.example.shop/0123abcd/ 'unsafe-inline';
  img-src https://run.example.com/r/com.example.shop/0123abcd/ data: blob: https://img.example.com;
  font-src https://run.example.com/r/com.example.shop/0123abcd/ data:;
  media-src https://run.example.com/r/com.example.shop/0123abcd/ blob: https://img.example.com;
  connect-src https://run.example.com/r/com.example.shop/0123abcd/ https://a.example.com https://b.example.com wss://live.example.com;
  worker-src blob:;
  frame-src https://pay.example.com:8443;
  form-action 'none';
  base-uri 'none';
  frame-ancestors https://portal.example.com https://wallet.example.com:8443
Connection-Allowlist: ("https://run.example.com/r/com.example.shop/0123abcd/*" "https://a.example.com/*" "https://b.example.com/*" "https://img.example.com/*" "https://pay.example.com:8443/*" "wss://live.example.com/*")
` + same},
		"on this machine": {page(func(p *Page) { p.Base = "http://run.localhost:8080/r/a.b/c/" }), `Content-Security-Policy: sandbox allow-scripts allow-forms;
  default-src 'none';
  script-src http://run.localhost:8080/r/a.b/c/ 'unsafe-inline' blob:;
  style-src http://run.localhost:8080/r/a.b/c/ 'unsafe-inline';
  img-src http://run.localhost:8080/r/a.b/c/ data: blob:;
  font-src http://run.localhost:8080/r/a.b/c/ data:;
  media-src http://run.localhost:8080/r/a.b/c/ blob:;
  connect-src http://run.localhost:8080/r/a.b/c/;
  worker-src blob:;
  frame-src 'none';
  form-action 'none';
  base-uri 'none';
  frame-ancestors 'none'
Connection-Allowlist: ("http://run.localhost:8080/r/a.b/c/*")
` + same},
	} {
		t.Run(name, func(t *testing.T) {
			if got := golden(t, test.page); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// A connection that only one of the two headers allows would be lost in browsers that
// know both, or be open in those that know one.
func TestBothPoliciesComeFromOneListOfSources(t *testing.T) {
	headers, err := Headers(page(everything))
	if err != nil {
		t.Fatal(err)
	}
	urls := regexp.MustCompile(`(https|wss)://[^ ;"*]+`)
	policy, _, _ := strings.Cut(headers[0].Value, "; frame-ancestors") // they are no sources
	var got [2][]string
	for i, text := range []string{policy, headers[1].Value} {
		for _, url := range urls.FindAllString(text, -1) {
			got[i] = append(got[i], strings.TrimSuffix(url, "/"))
		}
		slices.Sort(got[i])
		got[i] = slices.Compact(got[i])
	}
	if !slices.Equal(got[0], got[1]) || len(got[0]) != 6 {
		t.Errorf("%s names\n%v\n%s names\n%v", headers[0].Name, got[0], headers[1].Name, got[1])
	}
}

// What ends a directive, a source or a string would let a declaration write the policy.
func TestWhatIsNoOriginMakesNoPolicy(t *testing.T) {
	origin := func(text string) func(*Page) {
		return func(p *Page) { p.Domains.Request = []string{text} }
	}
	const no = " is no origin: it must be like https://api.example.com, without a path and without a wildcard"
	const noBase = " is no base: it must be like https://run.example.com/r/com.example.shop/digest/"
	for name, test := range map[string]struct {
		change func(*Page)
		want   string
	}{
		"a wildcard":              {origin("https://*.example.com"), `"https://*.example.com"` + no},
		"every origin":            {origin("*"), `"*"` + no},
		"a keyword":               {origin("'unsafe-eval'"), `"'unsafe-eval'"` + no},
		"another directive":       {origin("https://a.example; script-src *"), `"https://a.example; script-src *"` + no},
		"another source":          {origin("https://a.example *"), `"https://a.example *"` + no},
		"another pattern":         {origin(`https://a.example/*" "*`), `"https://a.example/*\" \"*"` + no},
		"another header":          {origin("https://a.example\r\nSet-Cookie: a=b"), `"https://a.example\r\nSet-Cookie: a=b"` + no},
		"a path":                  {origin("https://a.example/x"), `"https://a.example/x"` + no},
		"a scheme alone":          {origin("https:"), `"https:"` + no},
		"a script":                {origin("javascript://a.example"), `"javascript://a.example"` + no},
		"a data URL to frame":     {func(p *Page) { p.Domains.WebView = []string{"data:text/html,"} }, `"data:text/html,"` + no},
		"resources from anywhere": {func(p *Page) { p.Domains.Download = []string{"*"} }, `"*"` + no},
		"framed by everybody":     {func(p *Page) { p.Ancestors = []string{"*"} }, `"*"` + no},
		"a base without an end":   {func(p *Page) { p.Base = strings.TrimSuffix(base, "/") }, `"` + strings.TrimSuffix(base, "/") + `"` + noBase},
		"a base of a whole host":  {func(p *Page) { p.Base = "https://run.example.com/" }, `"https://run.example.com/"` + noBase},
		"a base with a query":     {func(p *Page) { p.Base = base + "?/" }, `"` + base + `?/"` + noBase},
		"a base with a group":     {func(p *Page) { p.Base = "https://run.example.com/r/sha256:abc/" }, `"https://run.example.com/r/sha256:abc/"` + noBase},
		"no base":                 {func(p *Page) { p.Base = "" }, `""` + noBase},
	} {
		t.Run(name, func(t *testing.T) {
			headers, err := Headers(page(test.change))
			if err == nil || err.Error() != test.want || headers != nil {
				t.Errorf("got %v, %v, want %s", headers, err, test.want)
			}
		})
	}
}

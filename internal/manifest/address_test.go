package manifest

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func proxies(t testing.TB, list string) []netip.Prefix {
	t.Helper()
	all, err := ParseProxies(list)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheClientIsWhomTheLastProxyThatIsTrustedNames(t *testing.T) {
	const trusted = "10.0.0.0/8, 2001:db8:ffff::/48, 192.0.2.1"
	for name, test := range map[string]struct {
		peer, header string
		values       []string
		want         string // empty: not known
	}{
		"nobody between":                           {peer: "203.0.113.9:4711", want: "203.0.113.9/32"},
		"what a client says of itself":             {peer: "203.0.113.9:4711", values: []string{"198.51.100.1"}, want: "203.0.113.9/32"},
		"a household":                              {peer: "[2001:db8:1:2:3:4:5:6]:1", want: "2001:db8:1:2::/64"},
		"IPv4 in the clothes of IPv6":              {peer: "[::ffff:203.0.113.9]:1", want: "203.0.113.9/32"},
		"a zone":                                   {peer: "[fe80::1%eth0]:1", want: "fe80::/64"},
		"one proxy":                                {peer: "10.1.2.3:1", values: []string{"203.0.113.9"}, want: "203.0.113.9/32"},
		"a proxy in the clothes of IPv6":           {peer: "[::ffff:10.1.2.3]:1", values: []string{"203.0.113.9"}, want: "203.0.113.9/32"},
		"a single address as proxy":                {peer: "192.0.2.1:1", values: []string{"203.0.113.9"}, want: "203.0.113.9/32"},
		"its neighbour":                            {peer: "192.0.2.2:1", values: []string{"203.0.113.9"}, want: "192.0.2.2/32"},
		"two proxies":                              {peer: "10.1.2.3:1", values: []string{"203.0.113.9, 10.7.7.7"}, want: "203.0.113.9/32"},
		"what the client put to the left":          {peer: "10.1.2.3:1", values: []string{"198.51.100.1, 10.9.9.9, 203.0.113.9, 10.7.7.7"}, want: "203.0.113.9/32"},
		"in several lines":                         {peer: "10.1.2.3:1", values: []string{"198.51.100.1", "203.0.113.9", "10.7.7.7,10.7.7.8"}, want: "203.0.113.9/32"},
		"with a port":                              {peer: "10.1.2.3:1", values: []string{"203.0.113.9:55"}, want: "203.0.113.9/32"},
		"IPv6 with a port":                         {peer: "10.1.2.3:1", values: []string{"[2001:db8:1:2::9]:55"}, want: "2001:db8:1:2::/64"},
		"IPv6 alone":                               {peer: "10.1.2.3:1", values: []string{" 2001:db8:1:2::9 "}, want: "2001:db8:1:2::/64"},
		"a balancer that says nothing":             {peer: "10.1.2.3:1"},
		"proxies as far as is told":                {peer: "10.1.2.3:1", values: []string{"10.4.4.4, 2001:db8:ffff::1"}},
		"a proxy that writes a word":               {peer: "10.1.2.3:1", values: []string{"203.0.113.9, unknown"}, want: "10.1.2.3/32"},
		"a word behind a proxy":                    {peer: "10.1.2.3:1", values: []string{"x, 10.7.7.7"}, want: "10.7.7.7/32"},
		"an empty place":                           {peer: "10.1.2.3:1", values: []string{""}, want: "10.1.2.3/32"},
		"a bracket that does not end":              {peer: "10.1.2.3:1", values: []string{"[2001:db8::1"}, want: "10.1.2.3/32"},
		"more proxies than there are":              {peer: "10.1.2.3:1", values: []string{strings.Repeat("10.7.7.7, ", 50) + "10.7.7.7"}, want: "10.7.7.7/32"},
		"not over TCP":                             {peer: "@"},
		"Forwarded where the proxies write it":     {peer: "10.1.2.3:1", header: "Forwarded", values: []string{`for=198.51.100.1, For="203.0.113.9:55";proto=https;by=10.1.2.3`}, want: "203.0.113.9/32"},
		"Forwarded of IPv6":                        {peer: "10.1.2.3:1", header: "Forwarded", values: []string{`host=x ; for="[2001:db8:1:2::9]:55"`}, want: "2001:db8:1:2::/64"},
		"a quote that the client leaves open":      {peer: "10.1.2.3:1", header: "Forwarded", values: []string{`for=", for=203.0.113.9`}, want: "203.0.113.9/32"},
		"a second one in what another quotes":      {peer: "10.1.2.3:1", header: "Forwarded", values: []string{`host="x;for=198.51.100.1";for=203.0.113.9`}, want: "10.1.2.3/32"},
		"Forwarded that hides the client":          {peer: "10.1.2.3:1", header: "Forwarded", values: []string{`for=_hidden`}, want: "10.1.2.3/32"},
		"Forwarded without the client":             {peer: "10.1.2.3:1", header: "Forwarded", values: []string{`proto=https`}, want: "10.1.2.3/32"},
		"a Forwarded that the proxy does not know": {peer: "10.1.2.3:1", values: []string{"203.0.113.9"}, want: "203.0.113.9/32"},
	} {
		t.Run(name, func(t *testing.T) {
			header, err := checkHeader(test.header)
			if err != nil {
				t.Fatal(err)
			}
			a := addresses{proxies: proxies(t, trusted), header: header}
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = test.peer
			r.Header["Forwarded"] = []string{"for=198.51.100.77"}
			r.Header["X-Forwarded-For"] = []string{"198.51.100.77"}
			r.Header[header] = test.values
			got := ""
			if network, known := a.of(r); known {
				got = network.String()
			}
			if got != test.want {
				t.Errorf("the client is %q, want %q", got, test.want)
			}
		})
	}
}

func TestProxiesAreNetworksOrAddresses(t *testing.T) {
	got := proxies(t, " 10.9.9.9/8 ,, 2001:db8::1")
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, bad := range []string{"ingress", "10.0.0.0/33", "10.0.0"} {
		if _, err := ParseProxies(bad); err == nil {
			t.Errorf("%s is no error", bad)
		}
	}
	const want2 = "proxies tell the client's address in X-Forwarded-For or Forwarded, not in X-Real-Ip"
	if _, err := checkHeader("x-real-ip"); err == nil || err.Error() != want2 {
		t.Errorf("error is %v, want %s", err, want2)
	}
}

// Whatever stands to the left of what the nearest proxy wrote changes nothing.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{"", "198.51.100.1", `for="`, `for=1.2.3.4;host="a,b"`, "10.0.0.1, 10.0.0.2", "[::1]:80", "\"", ";;;", "for=[", "fe80::1%en0"} {
		f.Add(seed)
	}
	trusted := proxies(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, claim string) {
		for header, written := range map[string]string{headerXForwardedFor: "203.0.113.9", headerForwarded: "for=203.0.113.9;proto=https"} {
			a := addresses{proxies: trusted, header: header}
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = "10.1.1.1:1"
			r.Header[header] = []string{claim + ", " + written}
			if network, known := a.of(r); !known || network.String() != "203.0.113.9/32" {
				t.Errorf("%s %q: the client is %v (%t)", header, claim, network, known)
			}
			r.Header[header] = []string{claim}
			if network, known := a.of(r); known && network.Bits() != 32 && network.Bits() != 64 {
				t.Errorf("%s %q: the client is %v", header, claim, network)
			}
			r.RemoteAddr = "203.0.113.10:1"
			if network, known := a.of(r); !known || network.String() != "203.0.113.10/32" {
				t.Errorf("%s %q: somebody who is no proxy is %v (%t)", header, claim, network, known)
			}
		}
	})
}

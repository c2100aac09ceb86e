package manifest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// limitedRequests has one for each limit.
var limitedRequests = map[limited]struct{ method, path, body string }{
	limitResolve: {"POST", "/v1/hosts/wallet/resolve", resolveBody},
	limitExplain: {"POST", "/v1/hosts/wallet/explain", resolveBody},
	limitReports: {"POST", reportsPath, `{"reports":[{"appID":"a","digest":"d","event":"launch"}]}`},
	limitEvents:  {"HEAD", "/v1/hosts/wallet/events", ""},
}

func TestAnAddressThatAsksTooOftenIsToldWhenToComeBack(t *testing.T) {
	const body = `{"title":"Too many requests","status":429,"detail":"too many requests come from this address: wait for as many seconds as Retry-After says","code":"TooManyRequests"}`
	for what, q := range limitedRequests {
		t.Run(string(what), func(t *testing.T) {
			f := newFixture(t, func(o *Options) {
				*o.Limits.of(what) = 1
				o.TrustedProxies = proxies(t, "127.0.0.0/8")
			})
			f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Origins = []string{"https://wallet.example.com"} }))
			f.publish(shop())
			ask := func(from string) answer {
				return f.do(q.method, q.path, q.body, "X-Forwarded-For", from, "Origin", "https://wallet.example.com")
			}
			for i := range burstSeconds {
				if got := ask("203.0.113.9"); got.Status == 429 {
					t.Fatalf("request %d is refused", i)
				}
			}
			got := ask("203.0.113.9")
			want := answer{Status: 429, Body: body, Header: problemHeader(body, "Retry-After", "1",
				"Access-Control-Allow-Origin", "https://wallet.example.com", "Access-Control-Expose-Headers", corsExposed[0])}
			if q.method == "HEAD" {
				want.Body = ""
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			for _, other := range []string{"203.0.113.10", "2001:db8:1:2::1"} {
				if got := ask(other); got.Status == 429 {
					t.Errorf("%s is refused, too", other)
				}
			}
			for other, q := range limitedRequests {
				if got := f.do(q.method, q.path, q.body, "X-Forwarded-For", "203.0.113.9"); (got.Status == 429) != (other == what) {
					t.Errorf("after too many of %s, %s is answered %d", what, other, got.Status)
				}
			}
			if n := testutil.ToFloat64(f.service.metrics.limited.WithLabelValues(string(what))); n != 2 {
				t.Errorf("%v refusals in the metric, want 2", n)
			}
		})
	}
}

func TestDocumentsAndBlobsAreNotLimited(t *testing.T) {
	f := newBlobFixture(t)
	f.service.clients = newClients(Limits{Resolve: 1, Explain: 1, Reports: 1, Events: 1})
	for range 3 * burstSeconds {
		for _, path := range []string{shopPath, "/v1/hosts/wallet/programs", "/v1/keys", archivePath()} {
			if got := f.get(path); got.Status != 200 {
				t.Fatalf("%s: %d", path, got.Status)
			}
		}
	}
}

func TestAProxyThatHidesTheClientsIsNotLimited(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Limits = Limits{Resolve: 1}
		o.TrustedProxies = proxies(t, "127.0.0.0/8")
	})
	f.hostApp(wallet())
	for range 3 * burstSeconds {
		if got := f.do("POST", "/v1/hosts/wallet/resolve", resolveBody); got.Status != 200 {
			t.Fatalf("status %d", got.Status)
		}
	}
}

func TestAHouseholdIsOneClient(t *testing.T) {
	c := newClients(Limits{Resolve: 1})
	at := time.Unix(0, 0)
	for i := range burstSeconds + 1 {
		wait := c.allow(network(netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2::%d", i+1))), limitResolve, at)
		if (wait != 0) != (i == burstSeconds) {
			t.Errorf("request %d waits for %s", i, wait)
		}
	}
	if wait := c.allow(network(netip.MustParseAddr("2001:db8:1:2::1")), limitResolve, at.Add(time.Second)); wait != 0 {
		t.Errorf("a second later it waits for %s", wait)
	}
	if wait := c.allow(network(netip.MustParseAddr("2001:db8:1:3::1")), limitResolve, at); wait != 0 {
		t.Errorf("the neighbours wait for %s", wait)
	}
}

func TestOnlySoManyAddressesAreRemembered(t *testing.T) {
	c := newClients(Limits{Resolve: 1})
	c.max = 3
	at := time.Unix(0, 0)
	address := func(i int) netip.Prefix { return network(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})) }
	for range burstSeconds {
		c.allow(address(0), limitResolve, at)
	}
	for i := 1; i < 1000; i++ {
		c.allow(address(i), limitResolve, at)
		if i%2 == 0 { // who asks often is remembered
			if wait := c.allow(address(0), limitResolve, at); wait == 0 {
				t.Fatalf("after %d others the first address is forgotten", i)
			}
		}
		if len(c.byNet) > c.max || c.latest.Len() != len(c.byNet) {
			t.Fatalf("%d addresses and %d in order are remembered", len(c.byNet), c.latest.Len())
		}
	}
}

func TestLimitsAsText(t *testing.T) {
	for text, want := range map[string]string{
		"resolve=1,explain=2,reports=3,events=4": "resolve=1,explain=2,reports=3,events=4",
		"reports=0":                              "resolve=500,explain=5,reports=0,events=50",
		" events=7 , resolve=8":                  "resolve=8,explain=5,reports=200,events=7",
		"":                                       `there is no limit "": there are resolve, explain, reports and events`,
		"blobs=1":                                `there is no limit "blobs": there are resolve, explain, reports and events`,
		"resolve":                                "resolve must be a whole number of requests a second from 0 (no limit) to 1000000",
		"resolve=-1":                             "resolve must be a whole number of requests a second from 0 (no limit) to 1000000",
		"resolve=1000001":                        "resolve must be a whole number of requests a second from 0 (no limit) to 1000000",
	} {
		l := DefaultLimits()
		got := ""
		if err := l.UnmarshalText([]byte(text)); err != nil {
			got = err.Error()
		} else if out, err := l.MarshalText(); err != nil {
			t.Fatal(err)
		} else {
			got = string(out)
		}
		if got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}

func TestAProxyThatNobodyTrustsIsToldOfOnce(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	for range 3 {
		f.do("POST", "/v1/hosts/wallet/resolve", resolveBody, "X-Forwarded-For", "203.0.113.9")
	}
	if log := f.logs.text(); strings.Count(log, "-trusted-proxies names none") != 1 || strings.Contains(log, "203.0.113.9") {
		t.Errorf("the log is %s, want it once and without the address", log)
	}
}

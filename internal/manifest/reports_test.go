package manifest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

const reportsPath = "/v1/hosts/wallet/reports"

// reportOf is one entry of a batch.
func reportOf(v *document.Variant, event, more string) string {
	return fmt.Sprintf(`{"appID":"com.example.shop","digest":%q,"event":%q%s}`, v.Digest, event, more)
}

func batch(reports ...string) string { return `{"reports":[` + strings.Join(reports, ",") + `]}` }

// counted reads what the manager is handed.
func (f *fixture) counted() guardrail.Replica {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.service.PrivateHandler().ServeHTTP(w, httptest.NewRequest("GET", "/internal/counts", nil))
	var got guardrail.Replica
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		f.t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
	}
	return got
}

func shopCount(v *document.Variant, cohort, access string, events map[string]int64) guardrail.Count {
	return guardrail.Count{Namespace: "shop-team", Rollout: "shop", AppID: "com.example.shop",
		Digest: v.Digest, Version: v.Version, Cohort: cohort, Access: access, Events: events}
}

func TestReportsAreCountedByVersionAndByWhoProvedWhoHeIs(t *testing.T) {
	f := newFixture(t)
	doc := shop(withTarget(500), func(r *document.Release) { r.HostApps = []string{"chat", "wallet"} })
	f.hostApp(wallet(withTokens(newToken)))
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Name = "chat" }))
	f.publish(doc)
	post := func(host, body, want string, header ...string) {
		t.Helper()
		got := f.do("POST", "/v1/hosts/"+host+"/reports", body, header...)
		header2 := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"private, no-store"},
			"X-Content-Type-Options": {"nosniff"}, "Content-Length": lengthOf([]byte(want))}
		got.Header.Del("Vary")
		if diff := cmp.Diff(answer{Status: 202, Header: header2, Body: want}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	stable, target := doc.Stable, doc.Target
	post("wallet", batch(
		reportOf(target, "launch", `,"launchID":"a","cohort":"stable","user":"dana","unknown":{"x":[1]}`),
		reportOf(target, "white_screen", `,"launchID":"a"`),
		reportOf(target, "white_screen", `,"launchID":"a"`), // the same, sent twice
		reportOf(target, "launch", `,"launchID":"b"`),
		reportOf(stable, "launch", ``), reportOf(stable, "launch", ``),
		reportOf(stable, "dance", ``),
		reportOf(variant("9.9.9", 999), "launch", ``),
		`{"appID":"com.example.other","digest":"`+target.Digest+`","event":"launch"}`,
	), `{"counted":5,"ignored":4}`, "Authorization", "Bearer "+newToken)
	post("chat", batch(reportOf(target, "launch", ""), reportOf(target, "js_error", "")), `{"counted":2,"ignored":0}`)

	want := guardrail.Replica{Instance: f.service.instance, Start: now.Format(time.RFC3339), Counts: []guardrail.Count{
		shopCount(stable, "stable", "Token", map[string]int64{"launch": 2}),
		shopCount(target, "target", "Public", map[string]int64{"launch": 1, "js_error": 1}),
		shopCount(target, "target", "Token", map[string]int64{"launch": 2, "white_screen": 1}),
	}}
	if stable.Digest > target.Digest {
		want.Counts = append(want.Counts[1:], want.Counts[0])
	}
	if diff := cmp.Diff(want, f.counted()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for reason, n := range map[string]float64{ignoredEvent: 1, ignoredVersion: 2, ignoredRepeated: 1} {
		if got := testutil.ToFloat64(f.service.metrics.ignored.WithLabelValues(reason)); got != n {
			t.Errorf("ignored for %s: %v, want %v", reason, got, n)
		}
	}
	if got := testutil.ToFloat64(f.service.metrics.reports.WithLabelValues("launch")); got != 5 {
		t.Errorf("%v launches in the metric, want 5", got)
	}
	if strings.Contains(f.logs.text(), "dana") {
		t.Errorf("a user is in the log: %s", f.logs.text())
	}
}

func TestReportsThatAreNone(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Name = "off"; c.Availability = "Disabled" }))
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Name = "closed" }, withTokens(newToken)))
	f.publish(shop())
	good := reportOf(shop().Stable, "launch", "")
	many := make([]string, maxReports+1)
	for i := range many {
		many[i] = `{}`
	}
	for name, test := range map[string]struct {
		path, body string
		header     []string
		status     int
		code       string
		detail     string
	}{
		"no JSON":           {body: `{"reports":[`, status: 400, code: "InvalidRequest", detail: "the body is no JSON from byte 12 on"},
		"another type":      {body: `{"reports":{}}`, status: 400, code: "InvalidRequest", detail: "reports must be an array"},
		"an array":          {body: `[` + good + `]`, status: 400, code: "InvalidRequest", detail: "the body must be an object"},
		"an empty batch":    {body: batch(), status: 400, code: "InvalidRequest", detail: "reports must have 1 to 100 entries, it has 0"},
		"too many":          {body: batch(many...), status: 400, code: "InvalidRequest", detail: "reports must have 1 to 100 entries, it has 101"},
		"no app ID":         {body: batch(good, `{"digest":"x","event":"launch"}`), status: 400, code: "InvalidRequest", detail: "reports[1].appID is missing"},
		"no digest":         {body: batch(`{"appID":"x","event":"launch"}`), status: 400, code: "InvalidRequest", detail: "reports[0].digest is missing"},
		"no event":          {body: batch(`{"appID":"x","digest":"y"}`), status: 400, code: "InvalidRequest", detail: "reports[0].event is missing"},
		"a number":          {body: batch(`{"appID":7}`), status: 400, code: "InvalidRequest", detail: "reports.appID must be a string"},
		"too large":         {body: batch(`{"appID":"` + strings.Repeat("x", maxRequestBytes) + `"}`), status: 413, code: "BodyTooLarge", detail: "65536 bytes are allowed"},
		"a form":            {body: "a=b", header: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415, code: "UnsupportedMedia", detail: "Content-Type must be application/json"},
		"an unknown host":   {path: "/v1/hosts/nobody/reports", body: batch(good), status: 404, code: "UnknownHost", detail: "no host app has this name"},
		"a disabled one":    {path: "/v1/hosts/off/reports", body: batch(good), status: 403, code: "HostAppDisabled", detail: "host app off is disabled: nothing is served to it, and nothing changes on its devices"},
		"one without token": {path: "/v1/hosts/closed/reports", body: batch(good), status: 401, code: "Unauthorized", detail: "a request in the name of host app closed needs the header Authorization: Bearer with one of its access tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			path := test.path
			if path == "" {
				path = reportsPath
			}
			got := f.do("POST", path, test.body, test.header...)
			var p Problem
			if err := json.Unmarshal([]byte(got.Body), &p); err != nil {
				t.Fatalf("%v: %s", err, got.Body)
			}
			if got.Status != test.status || p.Code != test.code || p.Detail != test.detail {
				t.Errorf("status %d, %s: %s", got.Status, p.Code, p.Detail)
			}
		})
	}
	if got := f.do("GET", reportsPath, ""); got.Status != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "POST" {
		t.Errorf("reading is answered %d, allowed is %q", got.Status, got.Header.Get("Allow"))
	}
	if got := f.counted().Counts; len(got) > 0 {
		t.Errorf("counted: %v", got)
	}
}

func TestWhatADocumentDropsIsCountedNoLonger(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	doc := shop(withTarget(500))
	f.publish(doc)
	both := batch(reportOf(doc.Stable, "launch", ""), reportOf(doc.Target, "launch", ""))
	f.do("POST", reportsPath, both)
	f.publish(shop(sequence(1001))) // the target is taken back
	want := []guardrail.Count{shopCount(doc.Stable, "stable", "Public", map[string]int64{"launch": 1})}
	if diff := cmp.Diff(want, f.counted().Counts); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := f.do("POST", reportsPath, both).Body; got != `{"counted":1,"ignored":1}` {
		t.Errorf("answered %s", got)
	}
	f.hostApp(wallet(func(c *delivery.HostAppConfig) {
		c.Blocks = []delivery.Block{{AppID: "com.example.shop", Reason: "r"}}
	}))
	if got := f.do("POST", reportsPath, both).Body; got != `{"counted":0,"ignored":2}` {
		t.Errorf("of a blocked program: answered %s", got)
	}
}

func TestEachStartHasAnInstanceOfItsOwn(t *testing.T) {
	f := newFixture(t)
	first := f.counted()
	f.start()
	if again := f.counted(); again.Instance == first.Instance || len(again.Instance) != 32 {
		t.Errorf("instances %s and %s", first.Instance, again.Instance)
	}
}

func TestHowLongAReplicaHasCountedIsByItsOwnClock(t *testing.T) {
	at := now
	f := newFixture(t, func(o *Options) { o.Now = func() time.Time { return at } })
	at = at.Add(90 * time.Second)
	if got := f.counted(); got.UptimeSeconds != 90 || got.Start != "2026-11-22T09:00:00Z" {
		t.Errorf("up for %d s since %s", got.UptimeSeconds, got.Start)
	}
}

func FuzzReports(f *testing.F) {
	x := newFixture(f)
	x.hostApp(wallet())
	doc := shop(withTarget(500))
	x.publish(doc)
	for _, seed := range []string{
		batch(reportOf(doc.Target, "launch", `,"launchID":"a"`)), `{"reports":null}`, `{"reports":[null]}`, `[]`, `{"reports":[{"appID":{}}]}`, "",
		`{"reports":[{"appID":"com.example.shop","digest":"` + doc.Stable.Digest + `","event":"\ud800"}]}`,
	} {
		f.Add(seed)
	}
	handler := x.service.Handler()
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", reportsPath, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusAccepted && w.Code != http.StatusBadRequest && w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if got := x.service.counts.list(); len(got) > 2 {
			t.Errorf("%d versions are counted, and 2 are served", len(got))
		}
	})
}

// Versions come and go for ever. What is kept of them does not grow with their number,
// also where nobody reads it.
func TestCountsOfWhatIsGoneDoNotPileUp(t *testing.T) {
	var present *snapshot
	c := newCounts(func() *snapshot { return present })
	for n := range 10 * keptAnyway {
		v := &document.Variant{Digest: fmt.Sprintf("sha256:%064d", n)}
		h := newHost(&delivery.HostAppConfig{}, map[slot]*program{
			{"com.example.shop", document.ChannelRelease}: {entry: &entry{doc: &document.Release{AppID: "com.example.shop", Stable: v}}},
		}, mark{})
		present = &snapshot{hosts: map[string]*host{"wallet": h}}
		if why := c.add(h, &report{AppID: "com.example.shop", Digest: v.Digest, Event: "launch"}); why != "" {
			t.Fatalf("version %d is not counted: %s", n, why)
		}
		if len(c.byKey) > keptAnyway {
			t.Fatalf("after %d versions %d are kept", n+1, len(c.byKey))
		}
	}
	if got := c.list(); len(got) != 1 || got[0].Events["launch"] != 1 {
		t.Errorf("listed are %+v", got)
	}
}

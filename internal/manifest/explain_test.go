package manifest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

const explainPath = "/v1/hosts/wallet/explain"

func TestAnInstallationThatExplainsNothingSaysSo(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	got := f.do("POST", explainPath, `{}`, "Authorization", "Bearer secret-token")
	want := `{"title":"Explanations are not enabled","status":501,"detail":"start the manifest service with -explain, and let it create tokenreviews and subjectaccessreviews (config/components/explain)","code":"ExplainDisabled"}`
	if got.Status != http.StatusNotImplemented || got.Body != want {
		t.Errorf("got %d %s, want %s", got.Status, got.Body, want)
	}
	if got := f.get(explainPath); got.Status != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "POST" {
		t.Errorf("GET is answered %d, Allow: %s", got.Status, got.Header.Get("Allow"))
	}
}

func TestNothingIsExplainedWhileNobodyCanSayWhoAsks(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Explain = true })
	f.hostApp(wallet())
	for range explainersAtOnce + 1 {
		got := f.do("POST", explainPath, `{}`, "Authorization", "Bearer secret-token")
		if got.Status != http.StatusServiceUnavailable || !strings.Contains(got.Body, `"code":"ReviewUnavailable"`) {
			t.Fatalf("while the Kubernetes API is away the answer is %d %s", got.Status, got.Body)
		}
	}
	for range explainersAtOnce {
		f.service.explainers <- struct{}{}
	}
	got := f.do("POST", explainPath, `{}`, "Authorization", "Bearer secret-token")
	if got.Status != http.StatusServiceUnavailable || !strings.Contains(got.Body, `"code":"Busy"`) {
		t.Errorf("one too many is answered %d %s", got.Status, got.Body)
	}
	if log := f.logs.text(); strings.Contains(log, "secret-token") {
		t.Errorf("the log has the token: %s", log)
	}
}

func TestWhatIsNotAppliedIsExplainedToo(t *testing.T) {
	expired := shop(func(r *document.Release) {
		r.IssuedAt, r.ExpiresAt = document.At(now.Add(-1)), document.At(now)
	})
	lists := shop(func(r *document.Release) {
		r.AppID, r.Rollout.Name, r.Decide = "com.example.list", "list", document.DecideService
	})
	f := newFixture(t)
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Dialects = nil }))
	f.publish(expired, lists)
	h := f.service.store.current.Load().hosts["wallet"]
	last := func(p resolveProgram) (string, decide.Tried) {
		a := f.service.explain(h, &resolveRequest{User: "u"}, &p, "")
		return a.Reason, a.Tried[len(a.Tried)-1]
	}
	for name, test := range map[string]struct {
		ask    resolveProgram
		reason string
		want   decide.Tried
	}{
		"an unknown program": {resolveProgram{AppID: "com.example.none"}, ReasonUnknownProgram,
			decide.Tried{Rule: rulePublished, Outcome: decide.OutcomeDecided, Why: "nothing is published under this app ID for the host app: nothing changes on the device"}},
		"the trial channel": {resolveProgram{AppID: "com.example.shop", Channel: "trial"}, ReasonChannelNotEnabled,
			decide.Tried{Rule: rulePublished, Outcome: decide.OutcomeDecided, Why: "the host app has not opted into the channel trial: nothing changes on the device"}},
		"an expired document": {resolveProgram{AppID: "com.example.shop"}, ReasonExpired,
			decide.Tried{Rule: ruleExpiry, Outcome: decide.OutcomeDecided, Why: "the document has expired at 2026-11-22T09:00:00Z and nothing changes on the device: see that the manager runs"}},
		"lists that the service lacks": {resolveProgram{AppID: "com.example.list"}, ReasonServiceDecides,
			decide.Tried{Rule: ruleLists, Outcome: decide.OutcomeDecided, Why: "the document needs lists that the service does not have: nothing changes on the device"}},
	} {
		t.Run(name, func(t *testing.T) {
			if reason, got := last(test.ask); reason != test.reason || got != test.want {
				t.Errorf("got %s, %+v, want %s, %+v", reason, got, test.reason, test.want)
			}
		})
	}
}

package controller_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/analysis"
)

const privateService = "miniprogram-manifest-service-private"

// watcher measures for the tests' manager. EndpointSlices may not name loopback
// addresses, so each that a test makes up is dialled where its service listens.
func (w *world) watcher(t testing.TB, direct client.Reader) *analysis.Watcher {
	t.Helper()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		to, ok := w.replicas.Load(address)
		if !ok {
			return nil, fmt.Errorf("no replica is at %s", address)
		}
		return new(net.Dialer).DialContext(ctx, network, fmt.Sprint(to))
	}
	replicas := &analysis.Replicas{
		Client: direct, Namespace: systemNamespace, Service: privateService, Now: time.Now,
		HTTP: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}},
	}
	file, err := os.CreateTemp("", "templates-*.yaml")
	w.must(t, err)
	_, err = file.WriteString("templates:\n- name: errors\n  query: share{namespace=$(namespace),cohort=$(cohort)}\n  samples: count{namespace=$(namespace),cohort=$(cohort)}\n")
	w.must(t, err)
	w.must(t, file.Close())
	prometheus, err := analysis.NewPrometheus(analysis.PrometheusOptions{URL: w.prometheus().URL, Templates: file.Name()}, time.Now)
	w.must(t, err)
	return analysis.NewWatcher(replicas, prometheus, time.Now)
}

var asked = regexp.MustCompile(`^(share|count)\{namespace="([^"]+)",cohort="(target|stable)"\}$`)

// prometheus speaks Prometheus' API: the share of a group's target is what the test
// stored, with a thousand samples.
func (w *world) prometheus() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		q := asked.FindStringSubmatch(r.FormValue("query"))
		if r.URL.Path != "/api/v1/query" || q == nil {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		value := "1000"
		if q[1] == "share" {
			stored, ok := w.numbers.Load(q[2])
			if !ok || q[3] != "target" {
				fmt.Fprint(rw, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
				return
			}
			value = fmt.Sprint(stored)
		}
		fmt.Fprintf(rw, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,%q]}]}}`, value)
	}))
}

// reporting is a manifest service whose counts the manager reads.
func (g *group) reporting(t testing.TB) *httptest.Server {
	t.Helper()
	service := g.service(t)
	public, private := httptest.NewServer(service.Handler()), httptest.NewServer(service.PrivateHandler())
	t.Cleanup(public.Close)
	t.Cleanup(private.Close)
	address, port, name := fmt.Sprintf("192.0.2.%d", g.addresses.Add(1)), int32(8081), "private"
	g.replicas.Store(fmt.Sprintf("%s:%d", address, port), strings.TrimPrefix(private.URL, "http://"))
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: systemNamespace, Name: "replica-" + g.ns, Labels: map[string]string{discoveryv1.LabelServiceName: privateService}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address}}},
		Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
	}
	g.must(t, g.admin.Create(ctx(t), slice))
	t.Cleanup(func() { g.must(t, g.admin.Delete(context.Background(), slice)) })
	return public
}

const hostToken = "host-token-0123456789abcdef0123456789"

// authenticates has the group's host app ask for a token.
func (g *group) authenticates(t testing.TB) {
	t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "tokens-" + g.ns, Labels: map[string]string{v1alpha1.AccessTokensLabel: "true"}},
		Data:       map[string][]byte{"a": []byte(hostToken)},
	}
	g.must(t, g.admin.Create(ctx(t), secret))
	g.letRead(t, "access-tokens-"+g.host, secret.Name)
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Spec.Access = &v1alpha1.HostAccess{Type: v1alpha1.AccessToken, SecretRef: &v1alpha1.AccessSecretReference{Name: secret.Name}}
	})
}

// guarded plays a program up to 5 % of 1.1.0, with guardrails and steps after that
// share, and a manifest service to report to.
func (g *group) guarded(t testing.TB, guardrails []v1alpha1.Guardrail, steps ...v1alpha1.RolloutStep) (*v1alpha1.Rollout, *httptest.Server) {
	t.Helper()
	g.stableAt(t, "1.0.0")
	server := g.reporting(t)
	g.release(t, "app", "1.1.0")
	g.approve(t, "app-1.1.0")
	approvedMessage(t, g, "app-1.1.0")
	change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) {
		ro.Spec.VersionRef.Name, ro.Spec.Guardrails = "app-1.1.0", guardrails
		ro.Spec.Steps = append([]v1alpha1.RolloutStep{percent(5)}, steps...)
	})
	return g.awaitRollout(t, "app", "5 %", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "5%" && isOut(ro) }), server
}

// report posts a hundred launches of a version, of which some are white.
func (g *group) report(t testing.TB, server *httptest.Server, digest string, white int) {
	t.Helper()
	var reports []string
	one := func(event string) {
		reports = append(reports, fmt.Sprintf(`{"appID":%q,"digest":%q,"event":%q}`, g.ns+".app", digest, event))
	}
	for range 100 - white {
		one("launch")
	}
	for range white {
		one("white_screen")
	}
	g.post(t, server, hostToken, reports)
}

// post reports in the name of the group's host app.
func (g *group) post(t testing.TB, server *httptest.Server, token string, reports []string) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx(t), http.MethodPost, server.URL+"/v1/hosts/"+g.host+"/reports", strings.NewReader(`{"reports":[`+strings.Join(reports, ",")+`]}`))
	g.must(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := server.Client().Do(request)
	g.must(t, err)
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusAccepted {
		t.Fatalf("reports are answered %d: %s", response.StatusCode, text)
	}
}

func whiteScreens(change ...func(*v1alpha1.Guardrail)) []v1alpha1.Guardrail {
	g := v1alpha1.Guardrail{
		Name: "white", FailureAbove: "2%", IntervalSeconds: 10, MinSamples: 20, OnFailure: v1alpha1.OnFailureAbort,
		HostReports: &v1alpha1.HostReportsMeasure{Outcome: v1alpha1.OutcomeWhiteScreen},
	}
	for _, c := range change {
		c(&g)
	}
	return []v1alpha1.Guardrail{g}
}

// awaitEvent waits for an event about the Rollout.
func (g *group) awaitEvent(t testing.TB, reason string, note *regexp.Regexp) {
	t.Helper()
	eventually(t, "event "+reason, func() string {
		var all eventsv1.EventList
		g.must(t, g.admin.List(ctx(t), &all, client.InNamespace(g.ns)))
		var notes []string
		for _, e := range all.Items {
			if e.Regarding.Kind == "Rollout" && e.Reason == reason && note.MatchString(e.Note) {
				return ""
			}
			notes = append(notes, e.Reason+": "+e.Note)
		}
		return show(notes)
	})
}

func TestATargetThatWhiteScreensIsAborted(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.authenticates(t)
	ro, server := g.guarded(t, whiteScreens(func(g *v1alpha1.Guardrail) { g.Compare = v1alpha1.CompareToStable }), pauseForPerson())
	why := regexp.MustCompile(`^guardrail white failed: white screens 33[.]33 % of [0-9,]+ launches, stable 0 % of [0-9,]+: more than 2 % above$`)
	g.awaitRollout(t, "app", "the abort", func(now *v1alpha1.Rollout) bool {
		if now.Status.Target != nil {
			g.report(t, server, ro.Status.Target.Digest, 25) // of 75 launches, each third
			g.report(t, server, ro.Status.Stable.Digest, 0)
		}
		return now.Status.Outcome == v1alpha1.OutcomeAborted && now.Status.Refused != nil && why.MatchString(now.Status.Refused.Reason) && isOut(now)
	})
	g.awaitAbort(t)
	g.awaitEvent(t, "Aborted", why)
}

func TestReportsOfAPublicHostAppAtMostPause(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	ro, server := g.guarded(t, whiteScreens(), v1alpha1.RolloutStep{Analysis: &v1alpha1.AnalysisStep{Guardrails: []string{"white"}, Seconds: 10}}, percent(25), pauseForPerson())
	white, figures := 25, regexp.MustCompile(`^1[.]1[.]0 stays at its present share: guardrail white failed: white screens 33[.]33 % of [0-9,]+ launches: above 2 % `+
		`\(with reports of host apps without tokens, which can at most pause\); annotate miniprogram[.]dev/action=resume@2 to go on, or abort@2$`)
	g.awaitRollout(t, "app", "the pause", func(now *v1alpha1.Rollout) bool {
		g.report(t, server, ro.Status.Target.Digest, white)
		return now.Status.PausedReason == "Guardrail" && figures.MatchString(now.Status.Summary) &&
			strings.HasPrefix(condition(now.Status.Conditions, v1alpha1.ConditionGuardrailsHealthy), "False Failed: white: white screens 33.33 % of ") &&
			strings.HasPrefix(condition(now.Status.Conditions, v1alpha1.ConditionPaused), "True Paused: ")
	})
	g.awaitEvent(t, "GuardrailFailed", regexp.MustCompile(`^guardrail white: white screens 33[.]33 % of `))
	g.act(t, "app", "resume@2")
	// The analysis passes when what is measured from now on does.
	white = 0
	deadline := time.Now().Add(50 * time.Second)
	for at := ""; at != "25%"; {
		if time.Now().After(deadline) {
			t.Fatalf("it does not go on: %s", show(ro.Status))
		}
		g.report(t, server, ro.Status.Target.Digest, white)
		<-time.After(100 * time.Millisecond)
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app"), ro))
		if at = ro.Status.Percent; ro.Status.Target == nil {
			t.Fatalf("the target is gone: %s", show(ro.Status))
		}
	}
	if got := condition(ro.Status.Conditions, v1alpha1.ConditionGuardrailsHealthy); got != "True Passed: every guardrail passed when it was measured last" {
		t.Errorf("condition %s", got)
	}
}

func TestATargetOfWhichNobodyReportsDoesNotGrow(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	// One of a policy watches beside, also where the rollout has none.
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) {
		s.Rollout = &v1alpha1.RolloutRules{Guardrails: whiteScreens(func(g *v1alpha1.Guardrail) { g.OnFailure = "" })}
	})
	second := v1alpha1.RolloutStep{Pause: &v1alpha1.PauseStep{Seconds: 1}}
	g.guarded(t, nil, second, percent(25))
	name := g.ns + "/white"
	ro := g.awaitRollout(t, "app", "it holds", func(ro *v1alpha1.Rollout) bool {
		return len(ro.Status.Guardrails) == 1 && ro.Status.Guardrails[0].Message == "white screens: no launches of the target in 10 s" &&
			strings.HasPrefix(ro.Status.Summary, "1.1.0 stays at its present share: guardrail "+name+" has not passed: white screens: no launches of the target in 10 s.")
	})
	if ro.Status.Percent != "5%" || ro.Status.Guardrails[0].Name != name || ro.Status.Guardrails[0].Outcome != v1alpha1.GuardrailInconclusive ||
		condition(ro.Status.Conditions, v1alpha1.ConditionGuardrailsHealthy) != "Unknown Inconclusive: "+name+": white screens: no launches of the target in 10 s" {
		t.Errorf("status is %s", show(ro.Status))
	}
	written := ro.ResourceVersion
	<-time.After(12 * time.Second)
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "app"), ro))
	if ro.ResourceVersion != written {
		t.Errorf("a measurement that says the same was written: %s", show(ro.Status))
	}
	// Who knows better promotes in full.
	g.act(t, "app", "promote-full@2")
	g.awaitStable(t, v1alpha1.OutcomeFastPromoted)
}

func TestAGuardrailOfPrometheusPausesAndCanBeResumed(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.numbers.Store(g.ns, "0.5")
	g.guarded(t, []v1alpha1.Guardrail{{
		Name: "errors", FailureAbove: "10%", IntervalSeconds: 10, Prometheus: &v1alpha1.PrometheusMeasure{Template: "errors"},
	}}, v1alpha1.RolloutStep{Pause: &v1alpha1.PauseStep{Seconds: 1}}, percent(25), pauseForPerson())
	g.awaitRollout(t, "app", "the pause", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.PausedReason == "Guardrail" && strings.Contains(ro.Status.Summary, "guardrail errors failed: errors 50 % of 1,000 samples: above 10 %")
	})
	g.numbers.Store(g.ns, "0.05")
	g.act(t, "app", "resume@2")
	g.awaitRollout(t, "app", "25 %", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Percent == "25%" && ro.Status.PausedReason == "" && isOut(ro)
	})
	g.numbers.Store(g.ns, "0.2")
	g.awaitRollout(t, "app", "it pauses anew", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.PausedReason == "Guardrail" && strings.Contains(ro.Status.Summary, "guardrail errors failed: errors 20 % of 1,000 samples: above 10 %")
	})
}

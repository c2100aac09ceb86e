package controller_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// at lets a process have a clock that runs ahead of ours.
func (p *played) at(ahead time.Duration, line *lifeline) *rolloutProcess {
	process := p.process(line)
	process.reconciler.Now = func() time.Time { return time.Now().Add(ahead) }
	return process
}

// timed lets the plan of the Rollout have pauses of a minute, and 1.1.0 as its target.
func (p *played) timed(t *testing.T) {
	t.Helper()
	minute := v1alpha1.RolloutStep{Pause: &v1alpha1.PauseStep{Seconds: 60}}
	change(t, p.group, p.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) {
		ro.Spec.Steps = []v1alpha1.RolloutStep{percent(5), minute, percent(25), minute, percent(50), minute}
	})
	p.process(&lifeline{}).live(t)
}

// changing are the calls of a process that change something.
func (l *lifeline) changing() (out []string) {
	for _, call := range l.all() {
		method, path, _ := strings.Cut(call, " ")
		if method != http.MethodGet && method != "event" {
			out = append(out, method+" "+path[strings.LastIndex(path, "/")+1:])
		}
	}
	return out
}

func TestAStepIsTwoWrites(t *testing.T) {
	p := newPlayed(t)
	p.timed(t)
	document := rolloutMap(p.group, "app").Name
	want := []string{"PUT status", "PATCH " + document}
	p.names("1.1.0")(t)
	for ahead, share := range []string{"5%", "25%", "50%", "100%"} {
		line, before := &lifeline{}, p.rolloutNow(t)
		p.at(time.Duration(ahead)*65*time.Second, line).live(t)
		// The ledger learns of a new delivery number, and of a new stable version.
		wrote := slices.DeleteFunc(line.changing(), func(w string) bool { return strings.HasSuffix(w, ".ledger") })
		if diff := cmp.Diff(want, wrote); diff != "" {
			t.Errorf("%s (-want +got):\n%s", share, diff)
		}
		ro, doc := p.rolloutNow(t), p.published(t, "app")
		if ro.Status.Percent != share || ro.Status.Sequence == before.Status.Sequence || !isOut(ro) || doc.Sequence != ro.Status.Sequence {
			t.Errorf("%s: sequence %d after %d, and %d is out: %s", share, ro.Status.Sequence, before.Status.Sequence, doc.Sequence, show(ro.Status))
		}
	}
}

// A manager dies after it has recorded a share, at the write of its document. The next
// comes an hour later.
func TestAnHourBetweenTheTwoWritesIsNoPause(t *testing.T) {
	p := newPlayed(t)
	p.timed(t)
	died := func(last fate) *v1alpha1.Rollout {
		t.Helper()
		line := &lifeline{at: "PATCH /api/v1/namespaces/" + publishedNamespace + "/configmaps/" + rolloutMap(p.group, "app").Name, last: last}
		p.process(line).live(t)
		if !line.dead() {
			t.Fatalf("it lives after %q", line.all())
		}
		return p.rolloutNow(t)
	}
	p.names("1.1.0")(t)
	before := died(neverMade)
	var cm corev1.ConfigMap
	p.must(t, p.admin.Get(ctx(t), rolloutMap(p.group, "app"), &cm))
	if !isOut(before) || cm.Data[delivery.KeySequence] == show(before.Status.Sequence) {
		t.Fatalf("the test plays something else: %s", show(before.Status))
	}
	p.at(time.Hour, &lifeline{}).live(t)
	st := p.rolloutNow(t).Status
	if moved := st.Step.Began.Sub(before.Status.Step.Began.Time); st.Percent != "5%" || moved < time.Hour-time.Minute || !st.Published.Time.Equal(st.Step.Began) {
		t.Errorf("%s, whose step began %s later and is out since %s", st.Percent, moved, st.Published.Time)
	}
	// An hour that it was out is one, although the process did not live to hear so.
	p.asks("abort", "")(t)
	p.process(&lifeline{}).live(t)
	p.asks("retry", "")(t)
	died(answerLost)
	p.at(2*time.Hour, &lifeline{}).live(t)
	if st := p.rolloutNow(t).Status; st.Percent != "25%" {
		t.Errorf("after an hour it is at %s: %s", st.Percent, show(st))
	}
}

// refusing answers writes of documents as an API server does that cannot.
type refusing struct {
	http.RoundTripper
	refuse bool
}

func (r *refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.refuse && req.Method == http.MethodPatch && strings.HasSuffix(req.URL.Path, ".rollout") {
		if req.Body != nil {
			_ = req.Body.Close() // nothing is read of it
		}
		const status = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"InternalError","message":"etcd is full","code":500}`
		return &http.Response{
			StatusCode: http.StatusInternalServerError, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(status))),
		}, nil
	}
	return r.RoundTripper.RoundTrip(req)
}

func TestADocumentThatIsRefusedIsNotClaimed(t *testing.T) {
	p := newPlayed(t)
	p.timed(t)
	front := &refusing{RoundTripper: p.transport.base}
	p.transport.base = front
	before := p.rolloutNow(t).Status.Published
	p.names("1.1.0")(t)
	front.refuse = true
	process := p.process(&lifeline{})
	process.pass(t)
	ro := p.rolloutNow(t)
	if diff := cmp.Diff(before, ro.Status.Published); diff != "" || ro.Status.Sequence == before.Sequence {
		t.Errorf("sequence %d is recorded, and claimed to be out (-before +after):\n%s", ro.Status.Sequence, diff)
	}
	if ready := condition(ro.Status.Conditions, v1alpha1.ConditionReady); !strings.Contains(ready, "etcd is full") {
		t.Errorf("it is %s", ready)
	}
	front.refuse = false
	process.reconciler.Now = func() time.Time { return time.Now().Add(time.Hour) }
	process.live(t)
	after := p.rolloutNow(t)
	if !isOut(after) || after.Status.Percent != "5%" || !after.Status.Step.Began.After(time.Now().Add(time.Hour-time.Minute)) {
		t.Errorf("an hour later: %s", show(after.Status))
	}
}

// Nobody can tell whether a document that is gone was ever out.
func TestADeletedDocumentIsPublishedAgainAndItsPauseCountsAnew(t *testing.T) {
	p := newPlayed(t)
	p.timed(t)
	p.names("1.1.0")(t)
	p.process(&lifeline{}).live(t)
	before, out := p.rolloutNow(t).Status, p.published(t, "app")
	var cm corev1.ConfigMap
	p.must(t, p.admin.Get(ctx(t), rolloutMap(p.group, "app"), &cm))
	p.must(t, p.admin.Delete(ctx(t), &cm))
	const ahead = 50 * time.Second
	p.at(ahead, &lifeline{}).live(t)
	after := p.rolloutNow(t).Status
	if diff := cmp.Diff(out, p.published(t, "app")); diff != "" {
		t.Errorf("published again (-before +after):\n%s", diff)
	}
	if moved := after.Step.Began.Sub(before.Step.Began.Time); moved < ahead-5*time.Second || after.Percent != "5%" {
		t.Errorf("the step began %s later", moved)
	}
	p.at(ahead+30*time.Second, &lifeline{}).live(t)
	if st := p.rolloutNow(t).Status; st.Percent != "5%" {
		t.Errorf("the pause is over after 80 of 110 seconds: %s", show(st))
	}
	p.at(ahead+65*time.Second, &lifeline{}).live(t)
	if st := p.rolloutNow(t).Status; st.Percent != "25%" {
		t.Errorf("the pause is not over: %s", show(st))
	}
}

// The time in the document is not believed when it has not come yet, and by what
// status claims the pause goes on.
func TestATimeThatHasNotComeDoesNotHoldAStep(t *testing.T) {
	p := newPlayed(t)
	p.timed(t)
	p.names("1.1.0")(t)
	p.process(&lifeline{}).live(t)
	before := p.rolloutNow(t).Status
	change := func(written string) {
		t.Helper()
		var cm corev1.ConfigMap
		p.must(t, p.admin.Get(ctx(t), rolloutMap(p.group, "app"), &cm))
		cm.Data[delivery.KeyWritten] = written
		p.must(t, p.admin.Update(ctx(t), &cm))
	}
	for _, written := range []string{"2099-01-01T00:00:00Z", "", "soon"} {
		change(written)
		p.process(&lifeline{}).live(t)
		var cm corev1.ConfigMap
		p.must(t, p.admin.Get(ctx(t), rolloutMap(p.group, "app"), &cm))
		if st := p.rolloutNow(t).Status; !st.Step.Began.Equal(before.Step.Began) || cm.Data[delivery.KeyWritten] != before.Published.Time.UTC().Format(time.RFC3339) {
			t.Errorf("written %q: the step began %s, then %s, and now it is written %q", written, before.Step.Began, st.Step.Began, cm.Data[delivery.KeyWritten])
		}
	}
}

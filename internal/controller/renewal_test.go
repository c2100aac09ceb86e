package controller_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Whatever a Rollout is in, nothing but the clock is needed for its document to be signed
// anew: once a third of its time is over, under the same sequence, and as the same.
func TestADocumentIsSignedAnewWhateverItsRolloutIsIn(t *testing.T) {
	p := newPlayed(t)
	var ahead time.Duration
	suspend := func() {
		t.Helper()
		const action = "suspend@1"
		change(t, p.group, p.olu, &v1alpha1.MiniProgram{}, "app", func(program *v1alpha1.MiniProgram) {
			program.Annotations = map[string]string{v1alpha1.ActionAnnotation: action, v1alpha1.ActionByAnnotation: "olu-" + p.ns}
		})
		eventually(t, "the cache has the program", func() string {
			var program v1alpha1.MiniProgram
			p.must(t, p.shared.Client.Get(ctx(t), client.ObjectKey{Namespace: p.ns, Name: "app"}, &program))
			if got := program.Annotations[v1alpha1.ActionAnnotation]; got != action {
				return "its action is " + got
			}
			return ""
		})
		if doc := p.settled(t, ahead); doc.Availability != document.Suspended {
			t.Fatalf("the program is %s", doc.Availability)
		}
	}
	for _, stage := range []struct {
		name  string
		enter func()
	}{
		{"completed", func() {}},
		{"under way", func() { p.names("1.1.0")(t) }},
		{"stalled", func() {
			p.plans(t, func(s *v1alpha1.RolloutSpec) { s.Calendar = []v1alpha1.CalendarEntry{always("Deny", "Mars/Olympus")} })
			p.settled(t, ahead)
			if !meta.IsStatusConditionTrue(p.rolloutNow(t).Status.Conditions, v1alpha1.ConditionStalled) {
				t.Fatalf("the plan is read: %s", show(p.rolloutNow(t).Status.Conditions))
			}
		}},
		{"stalled and suspended", suspend},
	} {
		stage.enter()
		p.settled(t, ahead)
		ahead += 26 * time.Hour // for a day it may still tell host apps to ask more often
		doc := p.settled(t, ahead)
		result, err := p.at(ahead, &lifeline{}).reconciler.Reconcile(ctx(t), ctrl.Request{NamespacedName: key(p.ns, "app")})
		if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > delivery.RenewAfter {
			t.Errorf("%s: it is looked at again after %s, %v; want at most %s", stage.name, result.RequeueAfter, err, delivery.RenewAfter)
		}
		issued := time.Until(doc.IssuedAt.Time) // how far ahead it was issued
		if again := p.settled(t, issued+delivery.RenewAfter-time.Hour); !again.IssuedAt.Equal(doc.IssuedAt.Time) {
			t.Errorf("%s: it is signed anew after %s", stage.name, again.IssuedAt.Sub(doc.IssuedAt.Time))
		}
		ahead = issued + delivery.RenewAfter + time.Minute
		again := p.settled(t, ahead)
		if age := again.IssuedAt.Sub(doc.IssuedAt.Time); age < delivery.RenewAfter || again.ExpiresAt.Sub(again.IssuedAt.Time) != delivery.Validity {
			t.Errorf("%s: after %s it is issued %s later and expires at %s", stage.name, delivery.RenewAfter, age, again.ExpiresAt)
		}
		again.IssuedAt, again.ExpiresAt = doc.IssuedAt, doc.ExpiresAt
		if show(again) != show(doc) {
			t.Errorf("%s: it is another document: %s, was %s", stage.name, show(again), show(doc))
		}
	}
}

// settled lets a manager whose clock runs ahead come to rest, and returns what is out then.
func (p *played) settled(t *testing.T, ahead time.Duration) *document.Release {
	t.Helper()
	p.at(ahead, &lifeline{}).live(t)
	return p.published(t, "app")
}

package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func installed(n int64) func(*Seen) { return func(s *Seen) { s.Installed = n } }

func forUsers(n int64, after string) func(*Plan) {
	return func(p *Plan) { p.Window = Window{Users: n, After: after} }
}

// What is recorded of a window that closes with a number of users, and what comes of it.
func TestAWindowClosesWithItsUsers(t *testing.T) {
	facts := func(users, n int64, closed *metav1.Time) *v1alpha1.WindowFacts {
		return &v1alpha1.WindowFacts{Users: users, Installed: n, Closed: closed}
	}
	earlier := stampAt(ago(time.Minute))
	closed := "the window of 1.1.0 closed at 2026-11-22T12:00:00Z, for 107 installations of spec.window.users 100 were reported, and only who is included by name has it: " +
		"annotate miniprogram.dev/action=promote-full@2 to make it stable for everybody, or abort@2, or set a higher spec.window.users"
	for name, test := range map[string]struct {
		plan     Plan
		recorded *v1alpha1.WindowFacts
		seen     Seen
		want     *v1alpha1.WindowFacts
		reason   string
		message  string
	}{
		"nobody has it yet":                     {planTo("1.1.0").with(forUsers(100, "")), nil, seeing("1.1.0"), facts(100, 0, nil), "WaitsForPromote", ""},
		"less than a tenth is no write":         {planTo("1.1.0").with(forUsers(100, "")), facts(100, 20, nil), seeing("1.1.0", installed(29)), facts(100, 20, nil), "WaitsForPromote", ""},
		"a tenth is":                            {planTo("1.1.0").with(forUsers(100, "")), facts(100, 20, nil), seeing("1.1.0", installed(30)), facts(100, 30, nil), "WaitsForPromote", ""},
		"enough have it":                        {planTo("1.1.0").with(forUsers(100, "")), facts(100, 99, nil), seeing("1.1.0", installed(107)), facts(100, 107, stampAt(now)), ReasonWindowClosed, closed},
		"also while the gate is shut":           {planTo("1.1.0").with(forUsers(100, "")), facts(100, 99, nil), seeing("1.1.0", unapproved, installed(107)), facts(100, 107, stampAt(now)), "NotApproved", ""},
		"a counter that begins anew opens none": {planTo("1.1.0").with(forUsers(100, "")), facts(100, 107, earlier), seeing("1.1.0", installed(3)), facts(100, 107, earlier), ReasonWindowClosed, ""},
		"more are meant":                        {planTo("1.1.0").with(forUsers(200, "")), facts(100, 107, earlier), seeing("1.1.0"), facts(200, 107, nil), "WaitsForPromote", ""},
		"more are meant, and the gate is shut":  {planTo("1.1.0").with(forUsers(200, "")), facts(100, 107, earlier), seeing("1.1.0", unapproved), facts(100, 107, earlier), "NotApproved", ""},
		"fewer are meant":                       {planTo("1.1.0").with(forUsers(50, "")), facts(100, 60, nil), seeing("1.1.0"), facts(50, 60, stampAt(now)), ReasonWindowClosed, ""},
		"the plan takes it back then":           {planTo("1.1.0").with(forUsers(100, v1alpha1.AfterWindowAbort)), facts(100, 99, nil), seeing("1.1.0", installed(100)), nil, "Aborted", "its window closed at 2026-11-22T12:00:00Z, for 100 installations of spec.window.users 100 were reported"},
	} {
		t.Run(name, func(t *testing.T) {
			recorded := changed(underWay(3, 2500, ago(time.Hour)), func(st *status) { st.Document.Window = test.recorded })
			got := Decide(test.plan, recorded, test.seen, now)
			if diff := cmp.Diff(test.want, got.Status.Document.Window); diff != "" || got.Reason != test.reason || test.message != "" && got.Message != test.message {
				t.Errorf("%s: %s\n-want +got:\n%s", got.Reason, got.Message, diff)
			}
			doc, err := document.Parse(rendered(t, got.Status))
			if err != nil {
				t.Fatal(err)
			}
			if shut := doc.Target != nil && doc.Window != nil && !doc.Window.End.After(now); shut != (test.want != nil && test.want.Closed != nil) {
				t.Errorf("the document's window is %+v", doc.Window)
			}
			if again := Decide(test.plan, got.Status, test.seen, now); !cmp.Equal(got.Status, again.Status, cmpEmpty) {
				t.Errorf("asking again changes the record: %s", cmp.Diff(got.Status, again.Status))
			}
		})
	}
	promoted := Decide(planTo("1.1.0").with(forUsers(100, "")), changed(underWay(3, 2500, ago(time.Hour)), func(st *status) { st.Document.Window = facts(100, 107, earlier) }), seeing("1.1.0", asked("promote@2/3")), now)
	if promoted.Status.LastAction.Result != resultRefused {
		t.Errorf("promote: %+v", promoted.Status.LastAction)
	}
	anew := Decide(planTo("1.1.0").with(forUsers(100, "")), aborted(), seeing("1.1.0", asked("retry@2"), installed(107)), now).Status
	if w := anew.Document.Window; w.Installed != 0 || w.Closed != nil {
		t.Errorf("another attempt begins with %+v", w)
	}
}

// The count of a backup may be too low: a window that is out as closed stays so.
func TestARestoredWindowStaysClosed(t *testing.T) {
	p := planTo("1.1.0").with(forUsers(100, ""))
	closed := Decide(p, changed(underWay(3, 2500, ago(time.Hour)), func(st *status) { st.Document.Window = &v1alpha1.WindowFacts{Users: 100, Installed: 20} }), seeing("1.1.0", installed(100)), now)
	out, err := document.Parse(rendered(t, closed.Status))
	if err != nil {
		t.Fatal(err)
	}
	backup := changed(closed.Status, func(st *status) { st.Sequence--; st.Document.Window = &v1alpha1.WindowFacts{Users: 100, Installed: 20} })
	got := Decide(p, backup, seeing("1.1.0", func(s *Seen) { s.Out, s.LastSequence = out, out.Sequence }), now.Add(time.Hour)).Status.Document.Window
	if diff := cmp.Diff(&v1alpha1.WindowFacts{Users: 100, Installed: 100, Closed: stampAt(now)}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

package controller

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/gate"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

var (
	lostTime   = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	lostDigest = "sha256:" + strings.Repeat("a", 64)
)

func lostDecision(change func(*journal.Decision)) journal.Decision {
	d := journal.Decision{
		Review: "quality-1", Digest: lostDigest, Role: "quality", Decision: v1alpha1.DecisionApproved, Reviewer: "rosa",
		Created: lostTime, Decided: lostTime.Add(time.Minute), Counted: true,
	}
	if change != nil {
		change(&d)
	}
	return d
}

func recreated() *v1alpha1.MiniProgramVersion {
	return &v1alpha1.MiniProgramVersion{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop-team", Name: "shop-1.0.0", CreationTimestamp: metav1.NewTime(lostTime.Add(time.Hour))},
		Spec:       v1alpha1.MiniProgramVersionSpec{Version: "1.0.0", MiniProgramRef: v1alpha1.MiniProgramReference{Name: "shop"}, SubmittedBy: "dana"},
		Status: v1alpha1.MiniProgramVersionStatus{
			Artifact: &v1alpha1.Artifact{Digest: lostDigest}, HostApps: []string{"bank", "wallet"},
		},
	}
}

func TestAnEntryTellsOfAVersionOnlyIfAllOfItIsIts(t *testing.T) {
	signer, err := signing.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := signing.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	tells := func(signer *signing.Signer, ro *v1alpha1.Rollout, change func(*journal.Version)) *journal.Artifact {
		v := journal.Version{Digest: lostDigest, Name: "shop-1.0.0", Version: "1.0.0", Decisions: []journal.Decision{lostDecision(nil)}}
		if change != nil {
			change(&v)
		}
		return journalled(t, signer, ro, func(e *journal.Entry) { e.Basis = &journal.Basis{Versions: []journal.Version{v}} })
	}
	other := func(change func(*v1alpha1.Rollout)) *v1alpha1.Rollout {
		ro := journalledRollout()
		change(ro)
		return ro
	}
	for name, c := range map[string]struct {
		entry *journal.Artifact
		found bool
		over  bool
		fails string
	}{
		"as it was written":           {entry: tells(signer, journalledRollout(), nil), found: true},
		"signed by a stranger":        {entry: tells(stranger, journalledRollout(), nil), fails: "no trusted key signed"},
		"of another Rollout":          {entry: tells(signer, other(func(ro *v1alpha1.Rollout) { ro.Name = "other" }), nil), fails: "not of this Rollout"},
		"of another namespace":        {entry: tells(signer, other(func(ro *v1alpha1.Rollout) { ro.Namespace = "other" }), nil), fails: "not of this Rollout"},
		"for another app ID":          {entry: tells(signer, other(func(ro *v1alpha1.Rollout) { ro.Status.Document.AppID = "com.example.other" }), nil), fails: "not of this Rollout"},
		"about another digest":        {entry: tells(signer, journalledRollout(), func(v *journal.Version) { v.Digest = "sha256:" + strings.Repeat("b", 64) })},
		"about another object":        {entry: tells(signer, journalledRollout(), func(v *journal.Version) { v.Name = "shop-1.0.1" })},
		"about another version":       {entry: tells(signer, journalledRollout(), func(v *journal.Version) { v.Version = "1.0.1" })},
		"which says nothing":          {entry: journalled(t, signer, journalledRollout(), nil)},
		"of a Rollout that is gone":   {entry: tells(signer, other(func(ro *v1alpha1.Rollout) { ro.Status.Document.Availability = delivery.Removed }), nil), over: true},
		"of one that is taken down":   {entry: tells(signer, other(func(ro *v1alpha1.Rollout) { ro.Status.Document.Availability = delivery.Retained }), nil), over: true},
		"of one that is not listed":   {entry: tells(signer, other(func(ro *v1alpha1.Rollout) { ro.Status.Document.Availability = v1alpha1.AvailabilityHidden }), nil), found: true},
		"of one that was suspended":   {entry: tells(signer, other(func(ro *v1alpha1.Rollout) { ro.Status.Document.Availability = v1alpha1.AvailabilitySuspended }), nil), found: true},
		"without a digest altogether": {entry: tells(signer, journalledRollout(), func(v *journal.Version) { v.Digest = "" })},
	} {
		t.Run(name, func(t *testing.T) {
			x := journal.Index{AppID: "com.example.shop", Namespace: "shop-team", Rollout: "shop"}
			v, over, err := lostVersion(c.entry, x, recreated(), lostDigest, []dsse.Key{signer.Key})
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) || v != nil {
					t.Errorf("got %v and %v, want %q", v, err, c.fails)
				}
				return
			}
			if err != nil || over != c.over || (v != nil) != c.found {
				t.Errorf("found %v, over %t, %v", v, over, err)
			}
		})
	}
}

func TestWhatIsTakenOverFromTheJournal(t *testing.T) {
	expires := lostTime.Add(48 * time.Hour)
	known := lost{entry: "journal.v1/rollouts/shop-team/shop:s1-1", version: &journal.Version{
		Digest: lostDigest, Name: "shop-1.0.0", Version: "1.0.0", Author: "dana", Standing: standingProven, HostApps: []string{"wallet"},
		Decisions: []journal.Decision{
			lostDecision(func(d *journal.Decision) { d.Permissions, d.Expires = []string{"camera"}, &expires }),
			lostDecision(func(d *journal.Decision) { d.Review, d.Counted = "ignored", false }),
			lostDecision(func(d *journal.Decision) { d.Review, d.Rollout, d.Attempt = "step", "shop", 1 }),
			lostDecision(func(d *journal.Decision) { d.Review, d.Digest = "of others", "sha256:other" }),
			lostDecision(func(d *journal.Decision) { d.Review, d.Decision, d.Counted = "veto", v1alpha1.DecisionRejected, false }),
			lostDecision(func(d *journal.Decision) { d.Review, d.Supersedes, d.Counted = "lifts", "veto", false }),
		},
	}}
	r := &MiniProgramVersionReconciler{Shared: Shared{Events: events.NewFakeRecorder(10)}}
	s := &versionScope{version: recreated()}
	r.restore(s, known)
	st := s.version.Status
	want := &v1alpha1.Restored{Entry: known.entry, Decisions: []v1alpha1.RestoredDecision{
		{Review: "quality-1", Role: "quality", Reviewer: "rosa", Decision: v1alpha1.DecisionApproved, ApprovedPermissions: []string{"camera"}, CreationTime: metav1.NewTime(lostTime), Time: metav1.NewTime(lostTime.Add(time.Minute)), ExpirationTime: &metav1.Time{Time: expires}},
		{Review: "veto", Role: "quality", Reviewer: "rosa", Decision: v1alpha1.DecisionRejected, CreationTime: metav1.NewTime(lostTime), Time: metav1.NewTime(lostTime.Add(time.Minute))},
		{Review: "lifts", Role: "quality", Reviewer: "rosa", Decision: v1alpha1.DecisionApproved, Supersedes: "veto", CreationTime: metav1.NewTime(lostTime), Time: metav1.NewTime(lostTime.Add(time.Minute))},
	}}
	if diff := cmp.Diff(want, st.Restored); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"wallet"}, st.HostApps); diff != "" {
		t.Errorf("an approval for all speaks for more host apps than it did: %s", diff)
	}
	if diff := cmp.Diff(&v1alpha1.Author{Name: "dana", Standing: standingProven}, st.Author); diff != "" {
		t.Errorf("author: %s", diff)
	}
	s = &versionScope{version: recreated()}
	s.version.Spec.SubmittedBy = "mallory"
	r.restore(s, known)
	if s.version.Status.Author != nil {
		t.Errorf("somebody else is proven: %v", s.version.Status.Author)
	}
	s = &versionScope{version: recreated()}
	r.restore(s, lost{})
	if diff := cmp.Diff(recreated().Status, s.version.Status); diff != "" {
		t.Errorf("nothing is known, and changes: %s", diff)
	}
}

// restoredVersion has an approval and a rejection from the journal.
func restoredVersion() *v1alpha1.MiniProgramVersion {
	v := recreated()
	v.Status.Restored = &v1alpha1.Restored{Entry: "e", Decisions: []v1alpha1.RestoredDecision{
		{Review: "yes", Role: "quality", Reviewer: "rosa", Decision: v1alpha1.DecisionApproved, CreationTime: metav1.NewTime(lostTime), Time: metav1.NewTime(lostTime)},
		{Review: "no", Role: "privacy", Reviewer: "piet", Decision: v1alpha1.DecisionRejected, CreationTime: metav1.NewTime(lostTime), Time: metav1.NewTime(lostTime)},
	}}
	return v
}

func TestWhatWasRestoredIsLeftToAReviewThatIsThereAgain(t *testing.T) {
	review := func(name, decision, digest string) v1alpha1.Review {
		return v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.ReviewSpec{Decision: decision, Digest: digest}}
	}
	for name, c := range map[string]struct {
		there []v1alpha1.Review
		left  []string
	}{
		"nobody is there":                        {left: []string{"yes", "no"}},
		"the approval is there again":            {there: []v1alpha1.Review{review("yes", v1alpha1.DecisionApproved, lostDigest)}, left: []string{"no"}},
		"something else has the approval's name": {there: []v1alpha1.Review{review("yes", v1alpha1.DecisionPending, lostDigest)}, left: []string{"no"}},
		"the rejection is there again":           {there: []v1alpha1.Review{review("no", v1alpha1.DecisionRejected, lostDigest)}, left: []string{"yes"}},
		"a question has the rejection's name":    {there: []v1alpha1.Review{review("no", v1alpha1.DecisionPending, lostDigest)}, left: []string{"yes", "no"}},
		"a rejection of other bytes has it":      {there: []v1alpha1.Review{review("no", v1alpha1.DecisionRejected, "sha256:b")}, left: []string{"yes", "no"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := restoredVersion()
			leaveToReviews(v, c.there)
			var left []string
			for _, d := range v.Status.Restored.Decisions {
				left = append(left, d.Review)
			}
			if diff := cmp.Diff(c.left, left); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRestoredDecisionsCountLikeThoseOfReviews(t *testing.T) {
	ask := func(v *v1alpha1.MiniProgramVersion, there ...v1alpha1.Review) gate.Verdict {
		program := &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: v1alpha1.MiniProgramSpec{HostApps: []string{"bank", "wallet"}}}
		q := question(v, program)
		q.HostApps, q.Covered, q.Rules = []string{"bank", "wallet"}, true, []gate.Rule{{Role: "quality", Count: 1}}
		return gate.Judge(q, gateReviews(v, there), lostTime.Add(2*time.Hour))
	}
	v := restoredVersion()
	if verdict := ask(v); verdict.Approved || !verdict.Rejected || verdict.Given != 1 {
		t.Errorf("with a rejection: %+v", verdict)
	}
	taken := v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Name: "no"}, Spec: v1alpha1.ReviewSpec{
		MiniProgramRef: v1alpha1.MiniProgramReference{Name: "shop"}, VersionRef: v1alpha1.VersionReference{Name: v.Name}, Digest: lostDigest, Decision: v1alpha1.DecisionPending,
	}}
	if verdict := ask(v, taken); !verdict.Rejected {
		t.Errorf("a question under the name of a rejection lifts it: %+v", verdict)
	}
	v.Status.Restored.Decisions = v.Status.Restored.Decisions[:1]
	if verdict := ask(v); !verdict.Approved {
		t.Errorf("without: %+v", verdict)
	}
	late := restoredVersion()
	late.Status.Restored.Decisions, late.Status.HostApps = late.Status.Restored.Decisions[:1], []string{"wallet"}
	if verdict := ask(late); verdict.Approved || !slices.Equal(verdict.ApprovedHostApps, []string{"wallet"}) {
		t.Errorf("an approval for the host apps of then speaks for one that came later: %+v", verdict)
	}
	author := restoredVersion()
	author.Status.Restored.Decisions, author.Spec.SubmittedBy = author.Status.Restored.Decisions[:1], "rosa"
	if verdict := ask(author); verdict.Given != 0 {
		t.Errorf("by the author: %+v", verdict)
	}
	ended := restoredVersion()
	ended.Status.Restored.Decisions = ended.Status.Restored.Decisions[:1]
	ended.Status.Restored.Decisions[0].ExpirationTime = &metav1.Time{Time: lostTime.Add(time.Hour)}
	if verdict := ask(ended); verdict.Given != 0 {
		t.Errorf("after its end: %+v", verdict)
	}
}

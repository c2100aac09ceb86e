package controller_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

const waitsForQuality = "waits for 1 approval of role quality (needs approve on miniprograms/review-quality)"

// reviewed makes a program whose policy asks for quality, with a version that waits for rosa.
func reviewed(t testing.TB, change ...func(*v1alpha1.MiniProgram)) (*group, *v1alpha1.Review) {
	t.Helper()
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	p := &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"},
		Spec:       v1alpha1.MiniProgramSpec{AppID: g.ns + ".app", DisplayName: "app", HostApps: []string{g.host}, Kind: "WebApp"},
	}
	for _, c := range change {
		c(p)
	}
	g.must(t, g.dana.Create(ctx(t), p))
	g.release(t, "app", "1.0.0")
	return g, g.pending(t, "app-1.0.0", "quality")
}

// decided lets rosa create a Review of app-1.0.0 that is decided already.
func (g *group) decided(t testing.TB, name, digest, decision string, change ...func(*v1alpha1.ReviewSpec)) {
	t.Helper()
	r := &v1alpha1.Review{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: name},
		Spec: v1alpha1.ReviewSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.0.0"},
			Digest: digest, Role: "quality", Decision: decision, Reviewer: g.rosaName, Comment: "because",
		},
	}
	for _, c := range change {
		c(&r.Spec)
	}
	g.must(t, g.rosa.Create(ctx(t), r))
}

// awaitGone waits until an object exists no more.
func (g *group) awaitGone(t testing.TB, name string, o client.Object) {
	t.Helper()
	eventually(t, name+" is gone", func() string {
		if err := g.admin.Get(ctx(t), key(g.ns, name), o); client.IgnoreNotFound(err) != nil || err == nil {
			return show(o)
		}
		return ""
	})
}

// reviews are the names of the Reviews with a decision.
func (g *group) reviews(t testing.TB, decision string) []string {
	t.Helper()
	var list v1alpha1.ReviewList
	g.must(t, g.admin.List(ctx(t), &list, client.InNamespace(g.ns)))
	var names []string
	for _, r := range list.Items {
		if r.Spec.Decision == decision {
			names = append(names, r.Name)
		}
	}
	return names
}

func TestAVersionThatIsCreatedAnewIsAskedForAnew(t *testing.T) {
	t.Parallel()
	g, pending := reviewed(t)
	// No version owns what a reviewer created, as none owns what a deletion has orphaned: it
	// outlives the version object, and the same bytes have the same digest.
	g.decided(t, "early", pending.Spec.Digest, v1alpha1.DecisionApproved)
	approvedMessage(t, g, "app-1.0.0")
	var early v1alpha1.Review
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "early"), &early))

	v := &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app-1.0.0"}}
	g.must(t, g.admin.Delete(ctx(t), v))
	g.awaitGone(t, "app-1.0.0", v)
	eventually(t, "a second has passed, for times of objects are whole ones", func() string {
		if now := time.Now().Truncate(time.Second); !now.After(early.CreationTimestamp.Time) {
			return now.String()
		}
		return ""
	})
	g.version(t, "app", "1.0.0")
	v = g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False WaitingForApproval: "+waitsForQuality+
		"; review early is older than version app-1.0.0, which was deleted and created anew, or exists no more: an approval does not outlive the version that it was given for, so a new one is needed")
	if v.Status.Artifact.Digest != pending.Spec.Digest {
		t.Fatalf("the bytes are others: %s", v.Status.Artifact.Digest)
	}
	g.approve(t, "app-1.0.0")
	approvedMessage(t, g, "app-1.0.0")
}

func TestAnApprovalMayLeaveOutWhatTheVersionCanDoWithout(t *testing.T) {
	t.Parallel()
	g, pending := reviewed(t, func(p *v1alpha1.MiniProgram) {
		p.Spec.Permissions = []v1alpha1.Permission{{Name: "pay", Reason: "to pay"}, {Name: "camera", Reason: "to scan", Need: "Optional"}}
	})
	g.decided(t, "strict", pending.Spec.Digest, v1alpha1.DecisionApproved, func(s *v1alpha1.ReviewSpec) { s.ApprovedPermissions = []string{"none"} })
	g.awaitReview(t, "strict", "True PermissionRefused: review strict by "+g.rosaName+
		` approves without permission "pay", which the version needs: reject it with a comment, or agree to it in spec.approvedPermissions of another review`)
	g.decided(t, "mild", pending.Spec.Digest, v1alpha1.DecisionApproved, func(s *v1alpha1.ReviewSpec) { s.ApprovedPermissions = []string{"pay"} })
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved,
		"True Approved: has 1 of 1 approvals, for host app "+g.host+`; without permission "camera", which reviewers withhold`)
	if got := v.Status.Reviews.WithheldPermissions; !slices.Equal(got, []string{"camera"}) {
		t.Errorf("withheld is %v", got)
	}
	g.rollout(t, "app", "1.0.0")
	g.awaitRollout(t, "app", "stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Stable != nil && isOut(ro) })
	if doc := show(g.published(t, "app")); !strings.Contains(doc, `"pay"`) || strings.Contains(doc, `"camera"`) {
		t.Errorf("published %s", doc)
	}
}

func TestAHostAppThatIsAddedLaterIsAskedForByName(t *testing.T) {
	t.Parallel()
	g, pending := reviewed(t)
	late := "late-" + g.ns
	g.letApproveFor(t, g.rosaName, late)
	g.approve(t, "app-1.0.0")
	approvedMessage(t, g, "app-1.0.0")
	change(t, g, g.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.HostApps = []string{g.host, late} })
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved,
		"False WaitingForApproval: waits for 1 approval of role quality for host app "+late+" (needs approve on miniprograms/review-quality and on hostapps/review-quality)")
	if !slices.Equal(v.Status.ApprovedHostApps, []string{g.host}) || !slices.Equal(v.Status.HostApps, []string{g.host}) {
		t.Errorf("approved for %v, packaged for %v", v.Status.ApprovedHostApps, v.Status.HostApps)
	}
	asked := g.pending(t, "app-1.0.0", "quality")
	if asked.Spec.HostApp != late {
		t.Fatalf("asked for %s", show(asked.Spec))
	}
	// The program is no longer meant for it, so nobody is asked any more.
	change(t, g, g.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.HostApps = []string{g.host} })
	g.awaitGone(t, asked.Name, &v1alpha1.Review{})
	change(t, g, g.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.HostApps = []string{late} })
	g.decided(t, "late", pending.Spec.Digest, v1alpha1.DecisionApproved, func(s *v1alpha1.ReviewSpec) { s.HostApp = late })
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "True Approved: has 1 of 1 approvals, for host app "+late)
}

func TestAVersionFromBeforeHostAppsWereRecordedTakesThePresentOnes(t *testing.T) {
	t.Parallel()
	g, _ := reviewed(t)
	identity, err := g.cp.ServiceAccount(ctx(t), systemNamespace, "miniprogram-manager")
	g.must(t, err)
	var v v1alpha1.MiniProgramVersion
	eventually(t, "the record is taken away", func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
		v.Status.HostApps = nil
		if err := g.client(t, identity).Status().Update(ctx(t), &v); err != nil {
			return err.Error()
		}
		return ""
	})
	eventually(t, "they are recorded", func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
		if !slices.Equal(v.Status.HostApps, []string{g.host}) {
			return show(v.Status)
		}
		return ""
	})
}

func TestAWithdrawnRequestIsMadeAgainWhenItsReviewIsDeleted(t *testing.T) {
	t.Parallel()
	g, pending := reviewed(t)
	g.must(t, g.decide(t, g.dana, "", pending, v1alpha1.DecisionWithdrawn, ""))
	taken := "review " + pending.Name + " was withdrawn by the author; kubectl delete mprev " + pending.Name + " asks again"
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False RequestWithdrawn: 1 approval of role quality is not asked for: "+taken)
	g.awaitReview(t, pending.Name, "True Withdrawn: "+taken)
	if again := g.reviews(t, v1alpha1.DecisionPending); len(again) > 0 {
		t.Errorf("asked for again: %v", again)
	}
	g.must(t, g.admin.Delete(ctx(t), pending))
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False WaitingForApproval: "+waitsForQuality)
	g.approve(t, "app-1.0.0")
	approvedMessage(t, g, "app-1.0.0")
}

func TestAnExpiredApprovalIsAskedForAgain(t *testing.T) {
	g, pending := reviewed(t)
	end := metav1.NewTime(time.Now().Add(5 * time.Second).Truncate(time.Second))
	g.decided(t, "short", pending.Spec.Digest, v1alpha1.DecisionApproved, func(s *v1alpha1.ReviewSpec) { s.ExpirationTime = &end })
	g.awaitGone(t, pending.Name, &v1alpha1.Review{}) // while it counts, nobody is asked
	over := "review short counted until " + end.UTC().Format(time.RFC3339) + ": a new approval is needed"
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False WaitingForApproval: "+waitsForQuality+"; "+over)
	g.awaitReview(t, "short", "True Expired: "+over)
	g.approve(t, "app-1.0.0")
	approvedMessage(t, g, "app-1.0.0")
}

func TestNobodyIsAskedForWhatNobodyNeeds(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(g *group){
		"the version is withdrawn": func(g *group) { g.withdrawVersion(t, "app-1.0.0") },
		"no policy asks": func(g *group) {
			g.must(t, g.admin.Delete(ctx(t), &v1alpha1.ReviewPolicy{ObjectMeta: metav1.ObjectMeta{Name: g.ns}}))
		},
	} {
		t.Run(what, func(t *testing.T) {
			g, pending := reviewed(t)
			end(g)
			g.awaitGone(t, pending.Name, &v1alpha1.Review{})
		})
	}
}

func TestAnApprovalOfAStepDoesNotApproveTheVersion(t *testing.T) {
	t.Parallel()
	g, pending := reviewed(t)
	g.decided(t, "step", pending.Spec.Digest, v1alpha1.DecisionApproved, func(s *v1alpha1.ReviewSpec) {
		s.Rollout = &v1alpha1.RolloutStepReference{Name: "app", Attempt: 1, Step: 1}
	})
	eventually(t, "it says for what it counts", func() string {
		var r v1alpha1.Review
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "step"), &r))
		want := "True Succeeded: step 1 of attempt 1 of Rollout app was approved by " + g.rosaName + " in role quality (review step)"
		if got := condition(r.Status.Conditions, v1alpha1.ConditionReady); got != want || r.Status.RecordTime == nil {
			return show(r.Status)
		}
		return ""
	})
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False WaitingForApproval: "+waitsForQuality)
	if asked := g.reviews(t, v1alpha1.DecisionPending); !slices.Equal(asked, []string{pending.Name}) {
		t.Errorf("pending are %v", asked)
	}
}

func TestAReviewCountsAsSoonAsTheOneInItsPlaceIsGone(t *testing.T) {
	t.Parallel()
	g, pending := reviewed(t)
	for _, name := range []string{"first", "second"} {
		g.decided(t, name, pending.Spec.Digest, v1alpha1.DecisionApproved)
		g.awaitRecord(t, name)
	}
	approvedMessage(t, g, "app-1.0.0")
	g.awaitReview(t, "second", "True SamePerson: review second and review first are both by "+g.rosaName+" in role quality: a person counts once")
	first := &v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "first"}}
	g.must(t, g.admin.Delete(ctx(t), first))
	g.awaitReview(t, "second", "")
}

func TestAVersionDoesNotLookAtWhatItsReviewsSayOfThemselves(t *testing.T) {
	t.Parallel()
	g, pending := reviewed(t)
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}
	for _, name := range names {
		g.decided(t, name, pending.Spec.Digest, v1alpha1.DecisionApproved)
	}
	inPlaceOf := func(name, counted string) string {
		return "True SamePerson: review " + name + " and review " + counted + " are both by " + g.rosaName + " in role quality: a person counts once"
	}
	for _, name := range names {
		g.awaitRecord(t, name)
	}
	g.awaitReview(t, "l", inPlaceOf("l", "a"))
	// The least of several, for other tests' objects may cause passes meanwhile.
	q, least := &queue{group: g}, math.MaxInt
	for i := range 3 {
		before := q.settle(t)["miniprogramversion"]
		g.must(t, g.admin.Delete(ctx(t), &v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: names[i]}}))
		for _, name := range names[i+2:] {
			g.awaitReview(t, name, inPlaceOf(name, names[i+1]))
		}
		least = min(least, q.settle(t)["miniprogramversion"]-before)
	}
	if least > 3 {
		t.Errorf("made %d passes after one of %d Reviews was deleted", least, len(names))
	}
}

func TestANameThatSomebodyHasTakenKeepsNobodyFromBeingAsked(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.configMap(t, "app-1.0.0", archive(t, "1.0.0"))
	g.version(t, "app", "1.0.0", func(v *v1alpha1.MiniProgramVersion) { v.Spec.Review = "" })
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False ReviewNotRequested: set spec.review to Requested to ask for reviews")
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/quality//0", v.UID, v.Status.Artifact.Digest))
	name := "app-1.0.0-quality-1-" + hex.EncodeToString(sum[:4])
	g.decided(t, name, v.Status.Artifact.Digest, v1alpha1.DecisionApproved, func(s *v1alpha1.ReviewSpec) { s.VersionRef.Name = "app-9.9.9" })
	change(t, g, g.dana, v, "app-1.0.0", func(v *v1alpha1.MiniProgramVersion) { v.Spec.Review = v1alpha1.ReviewRequested })
	if asked := g.pending(t, "app-1.0.0", "quality"); !strings.HasPrefix(asked.Name, "app-1.0.0-quality-2-") {
		t.Errorf("asked for as %s", asked.Name)
	}
	g.approve(t, "app-1.0.0")
	approvedMessage(t, g, "app-1.0.0")
}

func TestARejectionIsLiftedByApprovingWhatIsAskedForIt(t *testing.T) {
	t.Parallel()
	g, first := reviewed(t)
	g.letApprove(t, "piet-"+g.ns, "quality", "app")
	g.must(t, g.decide(t, g.rosa, g.rosaName, first, v1alpha1.DecisionRejected, "too loud"))
	var lifting *v1alpha1.Review
	eventually(t, "somebody is asked to lift the rejection", func() string {
		lifting = g.pending(t, "app-1.0.0", "quality")
		if lifting.Spec.Supersedes != first.Name {
			return "asked for " + show(lifting.Spec)
		}
		return ""
	})
	refused(t, g.decide(t, g.piet, "piet-"+g.ns, lifting, v1alpha1.DecisionApproved, ""), "the word of "+g.rosaName)
	g.must(t, g.decide(t, g.rosa, g.rosaName, lifting, v1alpha1.DecisionApproved, "turned down"))
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "True Approved: "+approvedMessage(t, g, "app-1.0.0"))
}

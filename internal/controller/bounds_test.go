package controller_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// fast lifts the client's own limit of requests: these tests make many objects.
func fast(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	return cfg
}

func TestMoreMissingApprovalsThanAStatusTakes(t *testing.T) {
	g := newGroup(t)
	hosts := make([]string, 13)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("%s-%d", g.host, i)
	}
	policy := &v1alpha1.ReviewPolicy{ObjectMeta: metav1.ObjectMeta{Name: "many-" + g.ns}}
	policy.Spec = v1alpha1.ReviewPolicySpec{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": g.ns}},
		Enforcement:       v1alpha1.Enforce, HostApps: hosts,
	}
	for i := range 4 {
		policy.Spec.Approvals = append(policy.Spec.Approvals, v1alpha1.ApprovalRule{Role: fmt.Sprintf("role-%d", i)})
	}
	g.must(t, g.admin.Create(ctx(t), policy))
	g.must(t, g.dana.Create(ctx(t), &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"},
		Spec:       v1alpha1.MiniProgramSpec{AppID: g.ns + ".app", DisplayName: "app", HostApps: hosts, Kind: "WebApp"},
	}))
	g.release(t, "app", "1.0.0")
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	eventually(t, "all are asked for", func() string {
		var v v1alpha1.MiniProgramVersion
		var reviews v1alpha1.ReviewList
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
		g.must(t, g.admin.List(ctx(t), &reviews, client.InNamespace(g.ns)))
		if len(reviews.Items) != 52 || v.Status.Reviews.Required != 52 || len(v.Status.Reviews.Missing) != 50 {
			return fmt.Sprintf("%d Reviews, %s", len(reviews.Items), show(v.Status.Reviews))
		}
		return ""
	})
}

func TestMoreDecisionsThanAStatusTakes(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	digest := g.pending(t, "app-1.0.0", "quality").Spec.Digest
	g.rosa = g.client(t, fast(g.cp.User(g.rosaName)))
	for i := range 60 {
		g.say(t, fmt.Sprintf("approval-%02d", i), "app-1.0.0", digest, v1alpha1.DecisionApproved, "")
	}
	g.say(t, "veto", "app-1.0.0", digest, v1alpha1.DecisionRejected, "")
	var v v1alpha1.MiniProgramVersion
	eventually(t, "the rejection is remembered", func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
		rejected := 0
		for _, d := range v.Status.Decisions {
			if d.Decision == v1alpha1.DecisionRejected {
				rejected++
			}
		}
		if len(v.Status.Decisions) != 50 || rejected != 1 {
			return show(v.Status.Decisions)
		}
		return ""
	})
	// Work for another version of the program passes by this one too.
	for _, name := range []string{"1.0.1", "1.0.2"} {
		g.release(t, "app", name)
		g.awaitVersion(t, "app-"+name, v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	}
	var after v1alpha1.MiniProgramVersion
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &after))
	if show(after.Status.Decisions) != show(v.Status.Decisions) {
		t.Errorf("the decisions were written again:\n%s\n%s", show(v.Status.Decisions), show(after.Status.Decisions))
	}
	if got := condition(after.Status.Conditions, v1alpha1.ConditionApproved); len(got) > 3000 || !strings.HasSuffix(got, " more reviews do not count") {
		t.Errorf("the message has %d bytes: %s", len(got), got)
	}
}

func TestAVersionWhoseNumbersAreTooLargeForItsCode(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	for version, want := range map[string]int64{
		"2.3.4": 20304, "0.0.0": 1, "900719925474.9.91": 9007199254740991,
		"900719925475.0.0": 9007199254740991, "18446744073709551615.0.0": 9007199254740991, "1.18446744073709551615.2": 9007199254740991,
	} {
		g.release(t, "app", version)
		v := g.awaitVersion(t, "app-"+version, v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
		if v.Status.Bundle.VersionCode != want {
			t.Errorf("%s has the code %d, want %d", version, v.Status.Bundle.VersionCode, want)
		}
	}
}

func TestAnActionThatIsLongerThanAStatusTakesIsAnsweredOnce(t *testing.T) {
	g := newGroup(t, "quality")
	g.underWay(t)
	g.act(t, "app", "abort@"+strings.Repeat("界", 300))
	ro := g.awaitRollout(t, "app", "it is answered", func(ro *v1alpha1.Rollout) bool {
		return strings.HasPrefix(ro.Status.LastAction.Value, "abort@界")
	})
	answer := *ro.Status.LastAction
	want := v1alpha1.ActionAnswer{
		Value: "abort@" + strings.Repeat("界", 249) + "…", User: "olu-" + g.ns, Result: "Invalid", Message: answer.Message, Time: answer.Time,
	}
	if answer != want || ro.Status.Target == nil {
		t.Errorf("the answer is %s, want %s", show(answer), show(want))
	}
	g.act(t, "app", "pause@2")
	g.awaitRollout(t, "app", "the next is answered too", func(ro *v1alpha1.Rollout) bool { return ro.Status.LastAction.Value == "pause@2" })
}

func TestAVetoIsNeverForgottenForLaterOnes(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.rosa = g.client(t, fast(g.cp.User(g.rosaName)))
	digest := func(i int) string { return fmt.Sprintf("sha256:%064x", i) }
	kept := func() *v1alpha1.MiniProgram {
		var p v1alpha1.MiniProgram
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app"), &p))
		return &p
	}
	g.say(t, "first", "app-1.0.0", digest(0), v1alpha1.DecisionRejected, "")
	eventually(t, "the first is remembered", func() string {
		if p := kept(); len(p.Status.Rejections) != 1 {
			return show(p.Status)
		}
		return ""
	})
	for i := range 202 {
		g.say(t, fmt.Sprintf("later-%03d", i), "app-1.0.0", digest(i+1), v1alpha1.DecisionRejected, "")
	}
	eventually(t, "there is no more room", func() string {
		if p := kept(); len(p.Status.Rejections) != 200 {
			return fmt.Sprint(len(p.Status.Rejections))
		}
		return ""
	})
	eventually(t, "three have no room and say so, the others are recorded", func() string {
		var list v1alpha1.ReviewList
		g.must(t, g.admin.List(ctx(t), &list, client.InNamespace(g.ns)))
		full, recorded := 0, 0
		for _, r := range list.Items {
			want := "True RejectionsFull: rejected by " + g.rosaName + ": a veto for as long as this Review exists, which cannot be deleted, for status.rejections of MiniProgram app has its 200 entries already"
			if r.Status.RecordTime == nil && condition(r.Status.Conditions, v1alpha1.ConditionStalled) == want {
				full++
			}
			if r.Status.RecordTime != nil {
				recorded++
			}
		}
		if full != 3 || recorded != 200 {
			return fmt.Sprintf("%d have no room and %d of %d are recorded", full, recorded, len(list.Items))
		}
		return ""
	})
	g.release(t, "app", "1.0.0") // what wakes the program once more
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	eventually(t, "the program has seen it", func() string {
		p := kept()
		if p.Status.LatestVersion != "1.0.0" {
			return show(p.Status.LatestVersion)
		}
		if p.Status.Rejections[0].Review != "first" {
			t.Fatalf("the first veto was forgotten: %s", show(p.Status.Rejections))
		}
		return ""
	})
}

func TestOneIsAlwaysAskedForWhileApprovalsAreMissing(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.bind(t, g.danaName, "Role", "review-quality-app")
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	first := g.pending(t, "app-1.0.0", "quality")
	byAuthor := func(r *v1alpha1.Review) *v1alpha1.Review {
		g.must(t, g.decide(t, g.dana, g.danaName, r, v1alpha1.DecisionApproved, ""))
		var next *v1alpha1.Review
		eventually(t, "another is asked for", func() string {
			next = g.pending(t, "app-1.0.0", "quality")
			if next.Name == r.Name {
				return "only " + r.Name
			}
			return ""
		})
		return next
	}
	second := byAuthor(first)
	g.awaitRecord(t, first.Name)
	g.must(t, g.admin.Delete(ctx(t), first)) // by whoever may purge
	byAuthor(byAuthor(second))
	g.approve(t, "app-1.0.0")
	approvedMessage(t, g, "app-1.0.0")
}

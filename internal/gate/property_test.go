package gate

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// The generators draw from few values, so that reviews meet rules, each other
// and the limits of time often.
var (
	genDigest   = rapid.SampledFrom([]string{digest, digest, digest, digest, digest, digest, other})
	genRole     = rapid.SampledFrom([]string{"quality", "quality", "quality", "quality", "privacy"})
	genApp      = rapid.SampledFrom([]string{"", "", "", "", "wallet", "chat"})
	genPerson   = rapid.SampledFrom([]string{"ann", "bob", "bob", "carol", "carol", "dave", ""})
	genName     = rapid.SampledFrom([]string{"r0", "r1", "r2", "r3", "r4", "r5"})
	genDecision = rapid.SampledFrom([]string{"Approved", "Approved", "Approved", "Approved", "Approved", "Approved", "Approved", "Rejected", "Pending", "Withdrawn"})
	genMinutes  = rapid.IntRange(-3, 3)
)

var genReview = rapid.Custom(func(t *rapid.T) Review {
	r := Review{
		Name:        genName.Draw(t, "name"),
		MiniProgram: rapid.SampledFrom([]string{"map", "map", "map", "map", "map", "map", "shop"}).Draw(t, "program"),
		VersionRef:  rapid.SampledFrom([]string{"map-1", "map-1", "map-1", "map-1", "map-1", "map-1", "map-0"}).Draw(t, "version"),
		Digest:      genDigest.Draw(t, "digest"), Role: genRole.Draw(t, "role"), HostApp: genApp.Draw(t, "app"),
		Decision: genDecision.Draw(t, "decision"), Reviewer: genPerson.Draw(t, "reviewer"),
		Overrules: rapid.Bool().Draw(t, "overrules"), Decided: at(genMinutes.Draw(t, "decided")),
		Created:             rapid.SampledFrom([]time.Time{at(-5), at(-5), at(-5), at(-5), at(-9)}).Draw(t, "created"),
		ApprovedPermissions: rapid.SampledFrom([][]string{nil, nil, nil, {"pay"}, {"pay", "camera"}, {"none"}}).Draw(t, "agrees to"),
	}
	if rapid.IntRange(0, 9).Draw(t, "is of a step") == 0 {
		r.Rollout, r.Attempt = "main", 1
	}
	if rapid.IntRange(0, 2).Draw(t, "supersedes anything") == 0 {
		r.Supersedes = genName.Draw(t, "supersedes")
	}
	if rapid.IntRange(0, 2).Draw(t, "expires ever") == 0 {
		r.Expires = new(at(genMinutes.Draw(t, "expires")))
	}
	return r
})

var genRule = rapid.Custom(func(t *rapid.T) Rule {
	return Rule{
		Role: genRole.Draw(t, "role"), Count: rapid.IntRange(0, 3).Draw(t, "count"), HostApp: genApp.Draw(t, "app"),
		SelfApproval: rapid.Bool().Draw(t, "self"), Proven: rapid.IntRange(0, 3).Draw(t, "proven") == 0, Valid: time.Duration(rapid.IntRange(0, 3).Draw(t, "valid")) * time.Minute,
	}
})

var genQuestion = rapid.Custom(func(t *rapid.T) Question {
	q := Question{
		MiniProgram: "map", VersionRef: "map-1", Digest: digest, Author: rapid.SampledFrom([]string{"ann", "ann", "ann", ""}).Draw(t, "author"),
		HostApps:     rapid.SampledFrom([][]string{{"wallet"}, {"wallet", "chat"}, {"chat", "wallet"}, {}}).Draw(t, "apps"),
		Rules:        rapid.SliceOfN(genRule, 0, 3).Draw(t, "rules"),
		LateHostApps: rapid.SampledFrom([][]string{nil, nil, {"chat"}}).Draw(t, "late"),
		Created:      at(-7), AuthorProven: rapid.Bool().Draw(t, "author is proven"),
		Permissions:      rapid.SampledFrom([][]v1alpha1.Permission{nil, {{Name: "pay"}, {Name: "camera", Need: "Optional"}}}).Draw(t, "permissions"),
		NoApprovalNeeded: rapid.IntRange(0, 3).Draw(t, "none") == 0, Covered: rapid.IntRange(0, 7).Draw(t, "covered") > 0,
	}
	if rapid.IntRange(0, 7).Draw(t, "remembers") == 0 {
		q.Rejections = []Rejection{{
			Digest: genDigest.Draw(t, "digest"), Role: genRole.Draw(t, "role"), HostApp: genApp.Draw(t, "app"),
			Reviewer: genPerson.Draw(t, "reviewer"), Review: genName.Draw(t, "review"), Time: metav1.NewTime(at(genMinutes.Draw(t, "time"))),
		}}
	}
	return q
})

var genReviews = rapid.SliceOfN(genReview, 0, 10)

// people counts, without any of the code under test, who may count for a rule.
func people(q Question, rule Rule, reviews []Review) int {
	seen := map[string]bool{}
	for _, r := range reviews {
		matches := r.MiniProgram == q.MiniProgram && r.VersionRef == q.VersionRef && r.Digest == q.Digest &&
			r.Role == rule.Role && r.HostApp == rule.HostApp && r.Decision == "Approved" && r.Reviewer != "" &&
			r.Rollout == "" && !r.Created.Before(q.Created)
		agreed := len(q.Permissions) == 0 || len(r.ApprovedPermissions) == 0 || slices.Contains(r.ApprovedPermissions, "pay")
		inTime := (r.Expires == nil || now.Before(*r.Expires)) && (rule.Valid == 0 || now.Before(r.Decided.Add(rule.Valid)))
		somebodyElse := rule.SelfApproval || (q.Author != "" && r.Reviewer != q.Author)
		if matches && agreed && inTime && somebodyElse && (q.AuthorProven || !rule.Proven) {
			seen[r.Reviewer] = true
		}
	}
	return len(seen)
}

// enough says, rule by rule, whether the host app has what it needs. Rules are
// taken one by one, so that merging them cannot lose any.
func enough(q Question, hostApp string, reviews []Review) bool {
	rules := 0
	for _, rule := range q.Rules {
		late := slices.Contains(q.LateHostApps, hostApp)
		if rule.HostApp != hostApp && (rule.HostApp != "" || late) {
			continue
		}
		rules++
		if people(q, rule, reviews) < max(rule.Count, 1) {
			return false
		}
	}
	return q.Covered && (rules > 0 || q.NoApprovalNeeded)
}

func TestNothingIsApprovedWithoutEnoughOtherPeople(t *testing.T) {
	opened := 0
	rapid.Check(t, func(t *rapid.T) {
		q, reviews := genQuestion.Draw(t, "question"), genReviews.Draw(t, "reviews")
		v := Judge(q, reviews, now)
		for _, h := range v.ApprovedHostApps {
			opened++
			if !slices.Contains(q.HostApps, h) || !enough(q, h, reviews) {
				t.Fatalf("host app %s is approved without the approvals that it needs: %+v", h, v)
			}
		}
		if v.Approved != (len(q.HostApps) > 0 && len(v.ApprovedHostApps) == len(q.HostApps)) {
			t.Fatalf("approved is %t with %v of %v approved", v.Approved, v.ApprovedHostApps, q.HostApps)
		}
		if v.Approved && v.Rejected {
			t.Fatalf("both approved and rejected: %+v", v)
		}
		if v.Reason == "" || v.Message == "" {
			t.Fatalf("no reason or message: %+v", v)
		}
	})
	if opened == 0 {
		t.Error("no host app was ever approved: the generators do not meet the rules")
	}
}

func TestWhatHasEnoughAndNoRejectionIsApproved(t *testing.T) {
	opened := 0
	rapid.Check(t, func(t *rapid.T) {
		q, reviews := genQuestion.Draw(t, "question"), genReviews.Draw(t, "reviews")
		q.Rejections = nil
		reviews = slices.DeleteFunc(reviews, func(r Review) bool { return r.Decision == "Rejected" })
		v := Judge(q, reviews, now)
		for _, h := range q.HostApps {
			if enough(q, h, reviews) {
				opened++
			}
			// Merged rules can be stricter than each alone, so only single ones must agree.
			if len(q.Rules) <= 1 && enough(q, h, reviews) != slices.Contains(v.ApprovedHostApps, h) {
				t.Fatalf("host app %s: enough is %t, and approved are %v", h, enough(q, h, reviews), v.ApprovedHostApps)
			}
		}
	})
	if opened == 0 {
		t.Error("no host app ever had enough: the generators do not meet the rules")
	}
}

func TestARejectionNeverOpensAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, reviews := genQuestion.Draw(t, "question"), genReviews.Draw(t, "reviews")
		rejection := genReview.Draw(t, "rejection")
		rejection.Decision = "Rejected"
		before := Judge(q, reviews, now)
		after := Judge(q, append(slices.Clone(reviews), rejection), now)
		if after.Approved && !before.Approved {
			t.Fatalf("a rejection opened the gate: %+v", after)
		}
		for _, h := range after.ApprovedHostApps {
			if !slices.Contains(before.ApprovedHostApps, h) {
				t.Fatalf("a rejection opened host app %s: %+v", h, after)
			}
		}
		if before.Rejected && !after.Rejected {
			t.Fatalf("a rejection lifted another: %+v", after)
		}
	})
}

func TestAnUnansweredRejectionShutsItsHostApps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, reviews := genQuestion.Draw(t, "question"), genReviews.Draw(t, "reviews")
		rejection := genReview.Draw(t, "rejection")
		rejection.Name, rejection.MiniProgram, rejection.Digest, rejection.Decision = "fresh", q.MiniProgram, q.Digest, "Rejected"
		v := Judge(q, append(slices.Clone(reviews), rejection), now)
		for _, h := range v.ApprovedHostApps {
			if rejection.HostApp == "" || rejection.HostApp == h {
				t.Fatalf("host app %s is approved in spite of a rejection that nobody superseded: %+v", h, v)
			}
		}
	})
}

func TestTheOrderOfReviewsIsIrrelevant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, reviews := genQuestion.Draw(t, "question"), genReviews.Draw(t, "reviews")
		shuffled := rapid.Permutation(reviews).Draw(t, "order")
		if diff := cmp.Diff(Judge(q, reviews, now), Judge(q, shuffled, now)); diff != "" {
			t.Fatalf("another order, another verdict:\n%s", diff)
		}
	})
}

func TestNothingChangesBeforeTheVerdictExpires(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, reviews := genQuestion.Draw(t, "question"), genReviews.Draw(t, "reviews")
		v := Judge(q, reviews, now)
		until := now.Add(1000 * time.Hour)
		if v.Expires != nil {
			if !v.Expires.After(now) {
				t.Fatalf("the verdict expired at %s already", v.Expires)
			}
			until = v.Expires.Add(-1)
		}
		later := Judge(q, reviews, until)
		v.Ignored, later.Ignored = nil, nil // of one person's reviews, the one that does not count may expire
		if diff := cmp.Diff(v, later); diff != "" {
			t.Fatalf("the verdict changed before it expired:\n%s", diff)
		}
	})
}

func TestAgreeingToLessNeverOpensAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, reviews := genQuestion.Draw(t, "question"), rapid.SliceOfN(genReview, 1, 10).Draw(t, "reviews")
		less := slices.Clone(reviews)
		r := &less[rapid.IntRange(0, len(less)-1).Draw(t, "which")]
		keeps := rapid.SampledFrom([]string{"none", "pay", "camera"}).Draw(t, "keeps")
		if len(r.ApprovedPermissions) > 0 && !slices.Contains(r.ApprovedPermissions, keeps) {
			keeps = "none"
		}
		r.ApprovedPermissions = []string{keeps}
		before, after := Judge(q, reviews, now), Judge(q, less, now)
		for _, h := range after.ApprovedHostApps {
			if !slices.Contains(before.ApprovedHostApps, h) {
				t.Fatalf("agreeing to less opened host app %s: %+v", h, after)
			}
		}
		for _, p := range before.Withheld {
			if !slices.Contains(after.Withheld, p) {
				t.Fatalf("agreeing to less granted %s: %+v", p, after)
			}
		}
		if before.Rejected && !after.Rejected {
			t.Fatalf("agreeing to less lifted a veto: %+v", after)
		}
	})
}

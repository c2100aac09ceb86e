package gate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// world is a program with one version, as people and controllers change it. Time
// goes on in whole minutes.
type world struct {
	now time.Time
	// The program and what covers it now.
	hostApps  []string
	declares  []v1alpha1.Permission
	policies  []v1alpha1.ReviewPolicy
	labelled  []bool // whether the program's labels let the policy of that index cover it
	remembers []Rejection
	// The version object, with what was frozen when it was packaged.
	created     time.Time
	digest      string
	packagedFor []string
	declared    []v1alpha1.Permission
	author      string
	proven      bool
	decisions   []Decision

	reviews []Review
	number  int         // of reviews that ever were
	said    []Rejection // every rejection that was ever spoken, whatever became of its Review
	opened  *int
}

var (
	genTarget = rapid.SampledFrom([]string{"", "", "", "wallet", "chat"})
	genWho    = rapid.SampledFrom([]string{"ann", "bob", "carol"})
	genPolicy = rapid.Custom(func(t *rapid.T) v1alpha1.ReviewPolicySpec {
		var spec v1alpha1.ReviewPolicySpec
		for range rapid.IntRange(1, 2).Draw(t, "approvals") {
			a := v1alpha1.ApprovalRule{
				Role: rapid.SampledFrom([]string{"quality", "quality", "privacy", "none"}).Draw(t, "role"), Count: rapid.SampledFrom([]int32{1, 1, 2}).Draw(t, "count"),
				SelfApproval: rapid.SampledFrom([]string{"", "Forbidden", "Allowed"}).Draw(t, "self"),
				Author:       rapid.SampledFrom([]string{"", "Any", "Proven"}).Draw(t, "author"),
			}
			if rapid.IntRange(0, 2).Draw(t, "ends") == 0 {
				a.ValidSeconds = rapid.Int64Range(1, 4).Draw(t, "valid") * 60
			}
			if h := genTarget.Draw(t, "approval for"); h != "" {
				a.HostApps = []string{h}
			}
			spec.Approvals = append(spec.Approvals, a)
		}
		if h := genTarget.Draw(t, "policy for"); h != "" {
			spec.HostApps = []string{h}
		}
		spec.Enforcement = rapid.SampledFrom([]string{"", "Enforce", "Enforce", "Warn"}).Draw(t, "enforcement")
		return spec
	})
	genHostApps = rapid.SampledFrom([][]string{{"wallet"}, {"chat"}, {"wallet", "chat"}})
	genDeclared = rapid.SampledFrom([][]v1alpha1.Permission{nil, {{Name: "pay"}}, {{Name: "camera", Need: "Optional"}}, {{Name: "pay", Need: "Required"}, {Name: "camera"}}})
	genAgrees   = rapid.SampledFrom([][]string{nil, nil, nil, {"none"}, {"pay"}, {"camera"}, {"pay", "camera"}})
)

func newWorld(t *rapid.T, opened *int) *world {
	w := &world{now: now, opened: opened, hostApps: genHostApps.Draw(t, "host apps"), declares: genDeclared.Draw(t, "declares")}
	for i := range 2 {
		p := v1alpha1.ReviewPolicy{Spec: genPolicy.Draw(t, "policy")}
		p.Name = fmt.Sprintf("policy-%d", i)
		w.policies, w.labelled = append(w.policies, p), append(w.labelled, i == 0)
	}
	w.packageAnew(t)
	return w
}

// packageAnew makes a new version object of the old name.
func (w *world) packageAnew(t *rapid.T) {
	w.created, w.digest = w.now, rapid.SampledFrom([]string{digest, digest, other}).Draw(t, "digest")
	w.packagedFor, w.declared, w.decisions = slices.Clone(w.hostApps), slices.Clone(w.declares), nil
	w.author = rapid.SampledFrom([]string{"ann", "ann", "ann", "ann", "bob", "bob", ""}).Draw(t, "author")
	w.proven = w.author != "" && rapid.Bool().Draw(t, "proven")
}

// request makes a pending Review, or one that somebody creates with a decision.
func (w *world) request(t *rapid.T) *Review {
	r := Review{
		Name: fmt.Sprintf("r%d", w.number), MiniProgram: "map", VersionRef: "map-1", Digest: w.digest, Decision: "Pending",
		Role: rapid.SampledFrom([]string{"quality", "quality", "privacy"}).Draw(t, "role"), HostApp: genTarget.Draw(t, "host app"),
		Created: w.now, Decided: w.now,
	}
	switch rapid.IntRange(0, 24).Draw(t, "oddity") {
	case 0:
		r.Digest = other
	case 1:
		r.VersionRef = "map-0"
	case 2:
		r.MiniProgram = "shop"
	case 3, 4:
		r.HostApp, r.Rollout, r.Attempt, r.Step = "", "main", rapid.Int32Range(1, 2).Draw(t, "attempt"), rapid.Int32Range(0, 1).Draw(t, "step")
	}
	if rapid.IntRange(0, 3).Draw(t, "expires") == 0 {
		r.Expires = new(w.now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "in")) * time.Minute))
	}
	w.number++
	w.reviews = append(w.reviews, r)
	return &w.reviews[len(w.reviews)-1]
}

// some is the place of one of the Reviews; false: there is none.
func (w *world) some(t *rapid.T) (int, bool) {
	if len(w.reviews) == 0 {
		return 0, false
	}
	return rapid.IntRange(0, len(w.reviews)-1).Draw(t, "review"), true
}

// decide has somebody speak. As admission has it, only who holds overrule may
// name another's rejection that exists.
func (w *world) decide(t *rapid.T, r *Review, decision string) {
	r.Decision, r.Reviewer, r.Decided = decision, genWho.Draw(t, "reviewer"), w.now
	r.ApprovedPermissions = genAgrees.Draw(t, "agrees to")
	if len(w.said) > 0 && rapid.Bool().Draw(t, "supersedes") {
		r.Supersedes = w.said[rapid.IntRange(0, len(w.said)-1).Draw(t, "which")].Review
		r.Overrules = slices.ContainsFunc(w.reviews, func(o Review) bool { return o.Name == r.Supersedes })
	}
	if decision == "Rejected" && r.MiniProgram == "map" {
		w.said = append(w.said, Rejection{
			Digest: r.Digest, Role: r.Role, HostApp: r.HostApp, Reviewer: r.Reviewer, Review: r.Name, Time: metav1.NewTime(w.now),
		})
	}
}

// remember is what the controllers write: rejections to the program, decisions to the version.
func (w *world) remember() {
	for _, r := range w.reviews {
		same := func(x Rejection) bool { return x.Review == r.Name }
		if i := slices.IndexFunc(w.said, same); i >= 0 && !slices.ContainsFunc(w.remembers, same) {
			w.remembers = append(w.remembers, w.said[i])
		}
		known := slices.ContainsFunc(w.decisions, func(d Decision) bool { return d.Review == r.Name })
		if r.Decision == "Approved" && r.Digest == w.digest && r.VersionRef == "map-1" && !known {
			w.decisions = append(w.decisions, Decision{Review: r.Name, Role: r.Role, HostApp: r.HostApp, Reviewer: r.Reviewer, Decision: r.Decision, Digest: r.Digest})
		}
	}
}

func (w *world) actions() map[string]func(*rapid.T) {
	decideAnew := func(decision string) func(*rapid.T) {
		return func(t *rapid.T) { w.decide(t, w.request(t), decision) }
	}
	answer := func(decision string) func(*rapid.T) {
		return func(t *rapid.T) {
			if i, ok := w.some(t); ok && w.reviews[i].Decision == "Pending" {
				w.decide(t, &w.reviews[i], decision)
			}
		}
	}
	return map[string]func(*rapid.T){
		"ask": func(t *rapid.T) { w.request(t) },
		// Several ways to approve: most worlds are to be open for a while.
		"approve": decideAnew("Approved"), "approve too": decideAnew("Approved"), "approve as well": decideAnew("Approved"),
		"reject": decideAnew("Rejected"), "answer yes": answer("Approved"), "answer no": answer("Rejected"), "withdraw": answer("Withdrawn"),
		"delete a Review": func(t *rapid.T) {
			w.remember() // admission refuses it before
			if i, ok := w.some(t); ok {
				w.reviews = slices.Delete(w.reviews, i, i+1)
			}
		},
		"remember": func(*rapid.T) { w.remember() },
		"wait": func(t *rapid.T) {
			w.now = w.now.Add(time.Duration(rapid.IntRange(1, 3).Draw(t, "minutes")) * time.Minute)
		},
		"edit host apps": func(t *rapid.T) {
			w.hostApps = genHostApps.Draw(t, "host apps")
		},
		"edit permissions": func(t *rapid.T) { w.declares = genDeclared.Draw(t, "declares") },
		"edit labels": func(t *rapid.T) {
			for i := range w.labelled {
				w.labelled[i] = rapid.Bool().Draw(t, "covers")
			}
		},
		"delete the version and create it anew": func(t *rapid.T) {
			w.remember()
			if !rapid.Bool().Draw(t, "orphans its Reviews") {
				w.reviews = nil
			}
			w.now = w.now.Add(time.Minute)
			w.packageAnew(t)
		},
		"": w.check,
	}
}

// covering are the policies whose selectors cover the program.
func (w *world) covering() (policies []v1alpha1.ReviewPolicy) {
	for i, on := range w.labelled {
		if on {
			policies = append(policies, w.policies[i])
		}
	}
	return policies
}

func (w *world) question() Question {
	q := Question{
		MiniProgram: "map", VersionRef: "map-1", Digest: w.digest, Created: w.created, Author: w.author, AuthorProven: w.proven,
		Permissions: w.declared, HostApps: w.hostApps, Rejections: w.remembers, Decisions: w.decisions,
	}
	for _, h := range w.hostApps {
		if !slices.Contains(w.packagedFor, h) {
			q.LateHostApps = append(q.LateHostApps, h)
		}
	}
	q.Rules, q.Covered, q.NoApprovalNeeded = Rules(w.covering(), w.hostApps, q.LateHostApps)
	return q
}

// check asks the gate, and holds every host app that it opens against mayOpen.
func (w *world) check(t *rapid.T) {
	q := w.question()
	v := Judge(q, w.reviews, w.now)
	for _, h := range w.hostApps {
		open := slices.Contains(v.ApprovedHostApps, h)
		why := w.mayNotOpen(h)
		if open && why != "" {
			t.Fatalf("host app %s is open, but %s: %+v", h, why, v)
		}
		// Several approvals together can ask for more than each.
		if !open && why == "" && w.asksOnce() {
			t.Fatalf("host app %s is shut, and nothing is missing: %+v", h, v)
		}
		if open {
			*w.opened++
		}
	}
	for step := range int32(2) {
		s := JudgeStep(StepQuestion{Question: q, Rollout: "main", Attempt: 2, Step: step, Role: "quality"}, w.reviews, w.now)
		if why := w.mayNotPass(step); s.Approved && why != "" {
			t.Fatalf("step %d is open, but %s: %+v", step, why, s)
		}
	}
}

// asksOnce says that there is one approval that is asked for, and nothing else.
func (w *world) asksOnce() bool {
	p := w.covering()
	return len(p) == 1 && len(p[0].Spec.Approvals) == 1 && p[0].Spec.Approvals[0].Role != "none"
}

// mayNotOpen tells why a host app must be shut; empty: it may be open. It knows
// nothing of rules: it goes through what the policies say.
func (w *world) mayNotOpen(hostApp string) string {
	if why := w.vetoed(hostApp); why != "" {
		return why
	}
	asks, covered, free := false, false, false
	for _, p := range w.covering() {
		speaks := len(p.Spec.HostApps) == 0 || slices.Contains(p.Spec.HostApps, hostApp)
		if p.Spec.Enforcement == "Warn" || !speaks {
			continue
		}
		covered = true
		for _, a := range p.Spec.Approvals {
			if len(a.HostApps) > 0 && !slices.Contains(a.HostApps, hostApp) {
				continue
			}
			if a.Role == "none" {
				free = true
				continue
			}
			asks = true
			name := hostApp // that an approval must say
			if len(p.Spec.HostApps) == 0 && len(a.HostApps) == 0 && slices.Contains(w.packagedFor, hostApp) {
				name = ""
			}
			if n := w.supporters(a, name); n < int(a.Count) {
				return fmt.Sprintf("%s asks for %d of role %s and only %d approve", p.Name, a.Count, a.Role, n)
			}
		}
	}
	if !covered || (!asks && !free) {
		return "no policy asks for anybody"
	}
	return ""
}

// supporters counts the people who approve.
func (w *world) supporters(a v1alpha1.ApprovalRule, hostApp string) int {
	people := map[string]bool{}
	for _, r := range w.reviews {
		self := a.SelfApproval == "Allowed" || (w.author != "" && r.Reviewer != w.author)
		proven := a.Author != "Proven" || w.proven
		inTime := a.ValidSeconds == 0 || w.now.Before(r.Decided.Add(time.Duration(a.ValidSeconds)*time.Second))
		if w.stands(r) && r.Rollout == "" && r.Role == a.Role && r.HostApp == hostApp && self && proven && inTime {
			people[r.Reviewer] = true
		}
	}
	return len(people)
}

// stands says whether r is an approval of the present version that agrees to all that it needs.
func (w *world) stands(r Review) bool {
	for _, p := range w.declared {
		if p.Need != "Optional" && len(r.ApprovedPermissions) > 0 && !slices.Contains(r.ApprovedPermissions, p.Name) {
			return false
		}
	}
	return r.Decision == "Approved" && r.Reviewer != "" && r.MiniProgram == "map" && r.VersionRef == "map-1" && r.Digest == w.digest &&
		!r.Created.Before(w.created) && (r.Expires == nil || w.now.Before(*r.Expires))
}

// vetoed tells of a rejection that was ever spoken and that nobody who may has answered.
func (w *world) vetoed(hostApp string) string {
	for _, x := range w.said {
		if x.Digest != w.digest || (x.HostApp != "" && x.HostApp != hostApp) {
			continue
		}
		exists := slices.ContainsFunc(w.reviews, func(r Review) bool { return r.Name == x.Review })
		answered := slices.ContainsFunc(w.reviews, func(r Review) bool {
			may := r.Reviewer == x.Reviewer || (r.Overrules && exists && r.Reviewer != w.author)
			return r.Decision == "Approved" && r.Supersedes == x.Review && r.Rollout == "" && r.MiniProgram == "map" &&
				r.Digest == x.Digest && r.Role == x.Role && r.HostApp == x.HostApp && !r.Decided.Before(x.Time.Time) && may
		})
		if !answered {
			return "review " + x.Review + " rejected it"
		}
	}
	return ""
}

// mayNotPass tells why a step of attempt 2 must be shut; empty: it may be passed.
func (w *world) mayNotPass(step int32) string {
	for _, h := range w.hostApps {
		if why := w.vetoed(h); why != "" {
			return why
		}
	}
	for _, r := range w.reviews {
		if w.stands(r) && r.Rollout == "main" && r.Attempt == 2 && r.Step == step && r.Role == "quality" && w.author != "" && r.Reviewer != w.author {
			return ""
		}
	}
	return "nobody else approved it"
}

func TestNoHistoryOpensTheGateWithoutWhatThePoliciesAskFor(t *testing.T) {
	opened := 0
	rapid.Check(t, func(t *rapid.T) { t.Repeat(newWorld(t, &opened).actions()) })
	if opened == 0 {
		t.Error("the gate was never open: the actions do not meet the policies")
	}
	t.Logf("open %d times", opened)
}

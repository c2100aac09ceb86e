package gate

import (
	"cmp"
	"slices"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Judge answers the question from the reviews as they stand at now. Reviews of
// other programs are passed over; their order is irrelevant. Nothing that is
// given is changed.
func Judge(q Question, reviews []Review, now time.Time) Verdict {
	q.HostApps = slices.Compact(slices.Sorted(slices.Values(q.HostApps)))
	q.Rules = concerned(merge(q.Rules), q)
	j := &judge{q: q, now: now, reviews: mine(q, reviews)}
	j.judgeVetoes()
	for _, rule := range q.Rules {
		j.tallies = append(j.tallies, j.tally(rule))
	}
	j.v.Withheld = slices.Compact(slices.Sorted(slices.Values(j.v.Withheld)))
	j.explainOthers()
	j.conclude()
	slices.Sort(j.v.Counted)
	slices.SortStableFunc(j.v.Ignored, func(a, b Ignored) int {
		return cmp.Or(cmp.Compare(a.Review, b.Review), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
	return j.v
}

// judge gathers one verdict.
type judge struct {
	q       Question
	now     time.Time
	reviews []Review        // of the program, in an order that does not depend on the caller's
	tallies []tally         // as q.Rules
	lifters map[string]bool // names of approvals that lift a rejection
	v       Verdict
}

// tally is how far a rule is met.
type tally struct {
	rule      Rule
	missing   int      // distinct people that lack
	unproven  bool     // nobody can meet it for this version
	withdrawn []Review // by which the author took back the request
}

// concerned are the rules that concern one of the host apps. Where none is asked
// about, those without host app stay, so that people see what is asked for.
func concerned(rules []Rule, q Question) []Rule {
	return slices.DeleteFunc(rules, func(r Rule) bool {
		concerns := slices.ContainsFunc(q.HostApps, func(h string) bool { return r.speaksFor(h, q.LateHostApps) })
		return !concerns && (r.HostApp != "" || len(q.HostApps) > 0)
	})
}

// speaksFor says whether the host app needs what the rule asks for.
func (r Rule) speaksFor(hostApp string, late []string) bool {
	if r.HostApp == "" {
		return !slices.Contains(late, hostApp)
	}
	return r.HostApp == hostApp
}

// mine returns the reviews that can matter to the question, in a total order.
func mine(q Question, reviews []Review) []Review {
	own := make([]Review, 0, len(reviews))
	for _, r := range reviews {
		sameBytes := q.Digest != "" && r.Digest == q.Digest
		if r.MiniProgram == q.MiniProgram && (r.VersionRef == q.VersionRef || sameBytes) {
			own = append(own, r)
		}
	}
	slices.SortStableFunc(own, compareReviews)
	return own
}

// compareReviews orders by name. The other fields only matter to callers who
// break the promise that names are unique: their verdict must not waver either.
func compareReviews(a, b Review) int {
	return cmp.Or(
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.VersionRef, b.VersionRef), cmp.Compare(a.Digest, b.Digest),
		cmp.Compare(a.Role, b.Role), cmp.Compare(a.HostApp, b.HostApp), cmp.Compare(a.Rollout, b.Rollout),
		cmp.Compare(a.Attempt, b.Attempt), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Decision, b.Decision),
		cmp.Compare(a.Reviewer, b.Reviewer), cmp.Compare(a.Supersedes, b.Supersedes), a.Decided.Compare(b.Decided),
		compareEnds(a.Expires, b.Expires), a.Created.Compare(b.Created), compareBools(a.Overrules, b.Overrules),
		slices.Compare(a.ApprovedPermissions, b.ApprovedPermissions), compareBools(a.Restored, b.Restored),
	)
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// compareEnds orders instants, with nil (never) as the last.
func compareEnds(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	default:
		return a.Compare(*b)
	}
}

// approves says whether r is an approval of the version and its digest. The
// digest that does not exist yet is approved by nobody.
func (j *judge) approves(r Review) bool {
	return r.Decision == v1alpha1.DecisionApproved && r.VersionRef == j.q.VersionRef &&
		j.q.Digest != "" && r.Digest == j.q.Digest
}

// tally counts the people who approve for a rule, and says of its other
// approvals why they do not count.
func (j *judge) tally(rule Rule) tally {
	best := map[string]Review{} // by reviewer: the review that counts longest
	for _, r := range j.reviews {
		if !j.approves(r) || r.Rollout != "" || r.Role != rule.Role || r.HostApp != rule.HostApp {
			continue
		}
		why, ok := j.disqualifies(r, rule)
		if !ok || why.Reason == ReasonPermissionRefused {
			j.withhold(r, rule) // who refuses what is needed must not thereby grant the rest
		}
		if ok {
			j.ignore(why)
			continue
		}
		held, twice := best[r.Reviewer]
		if !twice {
			best[r.Reviewer] = r
			continue
		}
		if compareEnds(end(r, rule), end(held, rule)) > 0 {
			held, r = r, held
		}
		best[r.Reviewer] = held
		j.ignore(samePerson(r, held))
	}
	for _, r := range best {
		j.v.Counted = append(j.v.Counted, r.Name)
		j.expire(end(r, rule))
	}
	given := min(len(best), rule.Count)
	j.v.Required += rule.Count
	j.v.Given += given
	t := tally{rule: rule, missing: rule.Count - given, unproven: j.unproven(rule), withdrawn: j.takenBack(rule)}
	if t.missing > 0 {
		j.v.Missing = append(j.v.Missing, Missing{rule.Role, rule.HostApp, t.missing, t.unproven || len(t.withdrawn) > 0})
	}
	return t
}

// expire notes an instant at which the verdict can change; nil for none.
func (j *judge) expire(until *time.Time) {
	if compareEnds(until, j.v.Expires) < 0 {
		j.v.Expires = new(*until) // a copy: until may be the caller's
	}
}

// unproven says whether the rule asks for an author whom admission has checked, and nobody has.
func (j *judge) unproven(rule Rule) bool { return rule.Proven && !j.q.AuthorProven }

// takenBack are the reviews by which the author withdrew the request for the
// rule. Those of an earlier version object took back what that one asked for.
func (j *judge) takenBack(rule Rule) []Review {
	var back []Review
	for _, r := range j.reviews {
		same := r.VersionRef == j.q.VersionRef && r.Digest == j.q.Digest && r.Rollout == "" && r.Role == rule.Role && r.HostApp == rule.HostApp
		if r.Decision == v1alpha1.DecisionWithdrawn && same && !j.older(r) {
			back = append(back, r)
		}
	}
	return back
}

// older says whether r is from before the version object, or there is none. What was
// restored is from before every object.
func (j *judge) older(r Review) bool {
	if r.Restored {
		return false
	}
	return j.q.Created.IsZero() || r.Created.Truncate(time.Second).Before(j.q.Created.Truncate(time.Second))
}

// disqualifies says why an approval does not count for the rule that it is for.
func (j *judge) disqualifies(r Review, rule Rule) (Ignored, bool) {
	until := end(r, rule)
	switch {
	case r.Reviewer == "":
		return noReviewer(r), true
	case j.older(r):
		return olderThanVersion(r, j.q.VersionRef), true
	case !rule.SelfApproval && j.q.Author == "":
		return authorUnknown(r), true
	case !rule.SelfApproval && r.Reviewer == j.q.Author:
		return byAuthor(r), true
	case j.unproven(rule):
		return authorNotProven(r, rule, j.q.Author), true
	case until != nil && !j.now.Before(*until):
		return expired(r, *until), true
	case len(j.refused(r)) > 0:
		return permissionRefused(r, j.refused(r)), true
	default:
		return Ignored{}, false
	}
}

// end is the first instant at which r no longer counts for the rule; nil for never.
func end(r Review, rule Rule) *time.Time {
	if rule.Valid <= 0 {
		return r.Expires
	}
	until := r.Decided.Add(rule.Valid)
	if r.Expires != nil && r.Expires.Before(until) {
		return r.Expires
	}
	return &until
}

// ignore notes why a review does not count.
func (j *judge) ignore(why Ignored) {
	if !slices.Contains(j.v.Ignored, why) {
		j.v.Ignored = append(j.v.Ignored, why)
	}
}

// explainOthers says of the reviews that belong to no rule why they do not count.
func (j *judge) explainOthers() {
	if j.q.Digest == "" {
		return // nothing can count yet; there is nothing to compare with
	}
	for _, r := range j.reviews {
		switch {
		case r.Rollout != "" && r.Decision != v1alpha1.DecisionRejected:
			// It is about a step and has no business here.
		case r.Decision == v1alpha1.DecisionWithdrawn && r.VersionRef == j.q.VersionRef && r.Digest == j.q.Digest && !j.older(r):
			j.ignore(withdrawn(r))
		case r.Decision != v1alpha1.DecisionApproved && r.Decision != v1alpha1.DecisionRejected:
			// Pending ones are asked for and wait; that is no fault of theirs.
		case r.Digest != j.q.Digest:
			j.ignore(otherDigest(r, j.q.Digest))
		case r.Decision == v1alpha1.DecisionRejected:
			// A veto, or lifted: said where vetoes are judged.
		case j.lifters[r.Name]:
			// It does what it is for, also where no rule asks for it.
		case r.VersionRef != j.q.VersionRef:
			j.ignore(otherVersion(r, j.q.VersionRef))
		case !asked(r, j.q.Rules):
			j.ignore(notAsked(r, j.q.Rules))
		}
	}
	for _, d := range j.q.Decisions {
		gone := !slices.ContainsFunc(j.reviews, func(r Review) bool {
			return r.Name == d.Review && r.Decision == d.Decision // under its name another may be asked for since
		})
		if d.Decision == v1alpha1.DecisionApproved && d.Digest == j.q.Digest && gone {
			j.ignore(deleted(d))
		}
	}
}

// asked says whether a rule asks for an approval like r.
func asked(r Review, rules []Rule) bool {
	return slices.ContainsFunc(rules, func(rule Rule) bool { return rule.Role == r.Role && rule.HostApp == r.HostApp })
}

// conclude fills in what follows from vetoes and tallies.
func (j *judge) conclude() {
	var unasked []string // host apps that no rule concerns
	for _, h := range j.q.HostApps {
		met, rules := true, 0
		for _, t := range j.tallies {
			if t.rule.speaksFor(h, j.q.LateHostApps) {
				rules++
				met = met && t.missing == 0
			}
		}
		if rules == 0 && !j.q.NoApprovalNeeded {
			unasked = append(unasked, h)
			met = false
		}
		if j.vetoed(h) {
			j.v.Rejected = true
			met = false
		}
		if met && j.q.Covered && j.q.Digest != "" {
			j.v.ApprovedHostApps = append(j.v.ApprovedHostApps, h)
		}
	}
	j.v.Approved = len(j.q.HostApps) > 0 && len(j.v.ApprovedHostApps) == len(j.q.HostApps)
	j.v.Reason, j.v.Message = j.explain(unasked)
}

// vetoed says whether a veto holds for the host app.
func (j *judge) vetoed(hostApp string) bool {
	return slices.ContainsFunc(j.v.Vetoes, func(v Rejection) bool { return v.HostApp == "" || v.HostApp == hostApp })
}

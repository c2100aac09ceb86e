package gate

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// judgeVetoes finds the rejections of the digest, wherever they are remembered,
// and leaves those that nothing lifts.
func (j *judge) judgeVetoes() {
	if j.q.Digest == "" {
		return
	}
	j.lifters = map[string]bool{}
	rejections := j.rejections()
	for _, rejection := range rejections {
		lifted := false
		for _, r := range j.reviews {
			if j.lifts(r, rejection) {
				j.lifters[r.Name], lifted = true, true
				j.ignore(superseded(rejection, r))
			}
		}
		if !lifted {
			j.v.Vetoes = append(j.v.Vetoes, rejection)
		}
	}
	for _, r := range j.reviews {
		aims := slices.ContainsFunc(rejections, func(x Rejection) bool { return x.Review != "" && x.Review == r.Supersedes })
		if aims && r.Decision == v1alpha1.DecisionApproved && !j.lifters[r.Name] {
			j.ignore(liftsNothing(r))
		}
	}
}

// rejections returns every rejection of the digest once, sorted by time and
// review. The same one can be known from its Review and from both statuses, which
// write it down in passes of their own: the first that did has seen it, so that is
// its time, and not when a slower one came by. Only before its Review was created it
// cannot have been.
func (j *judge) rejections() []Rejection {
	var all []Rejection
	for _, r := range j.q.Rejections {
		if r.Digest == j.q.Digest {
			all = append(all, r)
		}
	}
	for _, d := range j.q.Decisions {
		if d.Decision == v1alpha1.DecisionRejected && d.Digest == j.q.Digest {
			all = append(all, Rejection{
				Digest: d.Digest, Role: d.Role, HostApp: d.HostApp, Reviewer: d.Reviewer, Review: d.Review, Time: d.Time,
			})
		}
	}
	slices.SortStableFunc(all, func(a, b Rejection) int { return cmp.Or(compareVetoes(a, b), a.Time.Compare(b.Time.Time)) })
	all = slices.CompactFunc(all, func(a, b Rejection) bool { return compareVetoes(a, b) == 0 })
	for _, r := range j.reviews {
		if r.Decision == v1alpha1.DecisionRejected && r.Digest == j.q.Digest {
			all = meet(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b Rejection) int { return cmp.Or(a.Time.Compare(b.Time.Time), compareVetoes(a, b)) })
	return all
}

// meet adds the rejection that a Review holds, if it is not among those that are remembered.
func meet(known []Rejection, r Review) []Rejection {
	x := Rejection{Digest: r.Digest, Role: r.Role, HostApp: r.HostApp, Reviewer: r.Reviewer, Review: r.Name, Time: metav1.NewTime(r.Decided)}
	i := slices.IndexFunc(known, func(k Rejection) bool { return compareVetoes(k, x) == 0 })
	switch {
	case i < 0:
		return append(known, x)
	case known[i].Time.Time.Before(r.Created.Truncate(time.Second)):
		known[i].Time = metav1.NewTime(r.Created)
	}
	return known
}

// compareVetoes compares everything but the time, and the digest, which is the same.
func compareVetoes(a, b Rejection) int {
	return cmp.Or(cmp.Compare(a.Review, b.Review), cmp.Compare(a.Role, b.Role),
		cmp.Compare(a.HostApp, b.HostApp), cmp.Compare(a.Reviewer, b.Reviewer))
}

// stands says whether the Review of a rejection still exists and is still that
// person's rejection. The right to overrule is proved against that object: under
// its name somebody else may have created another since it was deleted.
func (j *judge) stands(x Rejection) bool {
	return slices.ContainsFunc(j.reviews, func(r Review) bool {
		return r.Name == x.Review && r.Reviewer == x.Reviewer && r.Decision == v1alpha1.DecisionRejected && r.Digest == x.Digest
	})
}

// lifts says whether r lifts the rejection. It need not be of the same version,
// for vetoes are about bytes. That it may not be earlier keeps a review from
// lifting in advance what another person has not decided yet; times in a status
// are whole seconds, so no finer comparison is possible.
func (j *judge) lifts(r Review, x Rejection) bool {
	named := x.Review != "" && r.Supersedes == x.Review
	same := r.Digest == x.Digest && r.Role == x.Role && r.HostApp == x.HostApp
	overrules := r.Overrules && r.Reviewer != j.q.Author && j.stands(x)
	entitled := r.Reviewer != "" && (r.Reviewer == x.Reviewer || overrules)
	later := !r.Decided.Before(x.Time.Truncate(time.Second))
	return r.Decision == v1alpha1.DecisionApproved && r.Rollout == "" && named && same && entitled && later
}

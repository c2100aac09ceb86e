package controller

import (
	"slices"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
)

// basis is what the document of the recorded status rests on. before is what that of the
// one before did.
func (s *rolloutScope) basis(before *journal.Basis) *journal.Basis {
	st := &s.before.Status
	b := &journal.Basis{Generation: s.before.Generation, UID: string(s.before.UID)}
	if s.move.Status.Sequence == st.Sequence {
		b.Reason, b.Message = s.move.Reason, clip(s.move.Message, maxSummary)
	}
	if a := st.LastAction; a != nil {
		b.Action = &journal.Action{Value: a.Value, User: a.User, Result: a.Result, Time: a.Time.UTC()}
	}
	var found []journal.Version
	if s.judged != nil {
		found = append(found, *s.judged)
	}
	b.Versions = journal.With(servedDigests(st), found, before)
	return b
}

// servedDigests are those of the versions that a document hands out or can fall back to.
func servedDigests(st *v1alpha1.RolloutStatus) []string {
	var out []string
	for _, v := range []*v1alpha1.Variant{st.Target, st.Stable} {
		if v != nil {
			out = append(out, v.Digest)
		}
	}
	if st.Document != nil {
		out = append(out, st.Document.Fallbacks...)
	}
	return out
}

// versionBasis is what the journal is told about a version that was judged.
func versionBasis(v *v1alpha1.MiniProgramVersion, j *judgment) *journal.Version {
	out := &journal.Version{
		Digest: v.Status.Artifact.Digest, Name: v.Name, UID: string(v.UID), Version: v.Spec.Version,
		Created: v.CreationTimestamp.UTC(), Author: v.Spec.SubmittedBy, HostApps: slices.Clone(v.Status.HostApps),
	}
	if a := v.Status.Author; a != nil {
		out.Standing = a.Standing
	}
	for i := range j.policies {
		p := &j.policies[i]
		sum, err := specSHA256(p)
		if err != nil {
			continue // a spec that was read can be written
		}
		out.Policies = append(out.Policies, journal.Policy{Name: p.Name, Generation: p.Generation, SHA256: sum, Enforcement: p.Spec.Enforcement})
	}
	for i, g := range gateReviews(v, j.reviews)[:len(j.reviews)] {
		r := &j.reviews[i]
		if g.Digest != out.Digest || g.Decision != v1alpha1.DecisionApproved && g.Decision != v1alpha1.DecisionRejected {
			continue
		}
		d := journal.Decision{
			Review: g.Name, UID: string(r.UID), ResourceVersion: r.ResourceVersion, Digest: g.Digest, Role: g.Role, HostApp: g.HostApp,
			Rollout: g.Rollout, Attempt: g.Attempt, Step: g.Step, Decision: g.Decision, Reviewer: g.Reviewer, Supersedes: g.Supersedes,
			Permissions: slices.Clone(g.ApprovedPermissions), Created: g.Created.UTC(), Decided: g.Decided.UTC(),
			Counted: slices.Contains(j.verdict.Counted, g.Name),
		}
		if g.Expires != nil {
			expires := g.Expires.UTC()
			d.Expires = &expires
		}
		out.Decisions = append(out.Decisions, d)
	}
	out.Decisions = append(out.Decisions, restoredBasis(v, j)...)
	return out
}

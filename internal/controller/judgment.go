package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/gate"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// reasonNotEnforced is that of a verdict while the gate is shut, whatever was approved.
const reasonNotEnforced = "ApprovalPolicyNotEnforced"

// judgment is what reviews and policies say about a version.
type judgment struct {
	policies []v1alpha1.ReviewPolicy
	reviews  []v1alpha1.Review
	question gate.Question
	verdict  gate.Verdict
}

// coveringPolicies returns the policies that cover the program's versions, by name.
func (s *Shared) coveringPolicies(ctx context.Context, program *v1alpha1.MiniProgram) ([]v1alpha1.ReviewPolicy, error) {
	var namespace corev1.Namespace
	if err := s.Client.Get(ctx, client.ObjectKey{Name: program.Namespace}, &namespace); err != nil {
		return nil, fmt.Errorf("reading namespace %s: %w", program.Namespace, err)
	}
	var all v1alpha1.ReviewPolicyList
	if err := s.Client.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("listing ReviewPolicies: %w", err)
	}
	var covering []v1alpha1.ReviewPolicy
	for i := range all.Items {
		p := &all.Items[i]
		selected, err := policy.Selects(p, namespace.Labels, program.Labels, program.Spec.HostApps)
		if err != nil && onlyTells(p) {
			continue
		}
		if err != nil {
			// Whatever it might cover is held back, until its watch tells of a change.
			return nil, task.Stall("PolicyInvalid", fmt.Errorf("%w: ask the platform's administrators to correct it", err))
		}
		if !selected || !p.DeletionTimestamp.IsZero() {
			continue
		}
		if err := policy.CheckSpec(p); err != nil {
			if onlyTells(p) {
				continue
			}
			return nil, task.Stall("PolicyInvalid", fmt.Errorf("%w: ask the platform's administrators to correct it", err))
		}
		covering = append(covering, *p)
	}
	slices.SortFunc(covering, func(a, b v1alpha1.ReviewPolicy) int { return cmp.Compare(a.Name, b.Name) })
	return covering, nil
}

// onlyTells: the policy opens and shuts nothing. Where it cannot be read, its own status
// says that it is not applied.
func onlyTells(p *v1alpha1.ReviewPolicy) bool {
	return p.Spec.Enforcement == v1alpha1.Warn || p.Spec.Enforcement == v1alpha1.Audit
}

// reviewsOf returns the Reviews of a version, and those of the program's other
// versions that reject its artifact, by name. The program's status keeps most of
// these as well, but it has a bound. They are to be read only: there may be very
// many, and each of them asks for all, so they are not copied.
func (s *Shared) reviewsOf(ctx context.Context, v *v1alpha1.MiniProgramVersion, program string) ([]v1alpha1.Review, error) {
	var reviews, vetoes v1alpha1.ReviewList
	if err := s.Client.List(ctx, &reviews, client.InNamespace(v.Namespace),
		client.MatchingFields{indexVersionRef: v.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Reviews: %w", err)
	}
	if err := s.Client.List(ctx, &vetoes, client.InNamespace(v.Namespace),
		client.MatchingFields{indexRejects: program}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Reviews: %w", err)
	}
	for _, veto := range vetoes.Items {
		if a := v.Status.Artifact; a != nil && veto.Spec.Digest == a.Digest && veto.Spec.VersionRef.Name != v.Name {
			reviews.Items = append(reviews.Items, veto)
		}
	}
	slices.SortFunc(reviews.Items, func(a, b v1alpha1.Review) int { return cmp.Compare(a.Name, b.Name) })
	return reviews.Items, nil
}

// judge asks the gate about the version's artifact, for some of the program's
// host apps. It reads only the cache.
func (s *Shared) judge(ctx context.Context, v *v1alpha1.MiniProgramVersion, program *v1alpha1.MiniProgram, hostApps []string, now time.Time) (*judgment, error) {
	covering, err := s.coveringPolicies(ctx, program)
	if err != nil {
		return nil, err
	}
	reviews, err := s.reviewsOf(ctx, v, program.Name)
	if err != nil {
		return nil, err
	}
	j := &judgment{policies: covering, reviews: reviews}
	q := question(v, program)
	q.HostApps = hostApps
	q.Rules, q.Covered, q.NoApprovalNeeded = gate.Rules(covering, program.Spec.HostApps, q.LateHostApps)
	j.question = q
	j.verdict = gate.Judge(q, gateReviews(v, reviews), now)
	if why := s.Enforcement.Shut(); why != "" {
		j.verdict.Approved, j.verdict.ApprovedHostApps = false, nil
		j.verdict.Reason, j.verdict.Message = reasonNotEnforced, why
	}
	return j, nil
}

// judgeTrial asks the gate for which of the host apps testers may have the version: for
// all of them but where an approval names the channel.
func (s *Shared) judgeTrial(j *judgment, v *v1alpha1.MiniProgramVersion, program *v1alpha1.MiniProgram, now time.Time) gate.Verdict {
	if s.Enforcement.Shut() != "" || j.verdict.Rejected {
		return j.verdict
	}
	q := j.question
	q.Rules, _, _ = gate.Rules(gate.OfTrials(j.policies), program.Spec.HostApps, q.LateHostApps)
	q.Covered, q.NoApprovalNeeded = true, true // where no rule asks for an approval
	return gate.Judge(q, gateReviews(v, j.reviews), now)
}

// question is what the gate needs to know of the version, but for the host apps
// that are asked about and the rules.
func question(v *v1alpha1.MiniProgramVersion, program *v1alpha1.MiniProgram) gate.Question {
	q := gate.Question{
		MiniProgram: program.Name, VersionRef: v.Name, Digest: v.Status.Artifact.Digest, Created: v.CreationTimestamp.Time,
		Author: v.Spec.SubmittedBy, AuthorProven: v.Status.Author != nil && v.Status.Author.Standing == standingProven,
		LateHostApps: lateHostApps(v, program), Rejections: program.Status.Rejections,
		Decisions: slices.Concat(v.Status.Decisions, restoredRejections(v)),
	}
	if v.Status.Declaration != nil {
		q.Permissions = v.Status.Declaration.Permissions
	}
	return q
}

// lateHostApps were added to the program after the version was packaged. While it
// is not recorded for which it was, they are the present ones.
func lateHostApps(v *v1alpha1.MiniProgramVersion, program *v1alpha1.MiniProgram) []string {
	if len(v.Status.HostApps) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(program.Spec.HostApps), func(h string) bool { return slices.Contains(v.Status.HostApps, h) })
}

// findVeto returns a veto of the version's artifact that holds for one of the
// host apps, or nil. It asks no policy, so that none can stand in its way.
func (s *Shared) findVeto(ctx context.Context, v *v1alpha1.MiniProgramVersion, program *v1alpha1.MiniProgram, hostApps []string, now time.Time) (*gate.Rejection, error) {
	reviews, err := s.reviewsOf(ctx, v, program.Name)
	if err != nil {
		return nil, err
	}
	for _, veto := range gate.Judge(question(v, program), gateReviews(v, reviews), now).Vetoes {
		if veto.HostApp == "" || slices.Contains(hostApps, veto.HostApp) {
			return &veto, nil
		}
	}
	return nil, nil
}

func gateReviews(v *v1alpha1.MiniProgramVersion, reviews []v1alpha1.Review) []gate.Review {
	out := make([]gate.Review, 0, len(reviews))
	for i := range reviews {
		r := &reviews[i]
		g := gate.Review{
			Name: r.Name, VersionRef: r.Spec.VersionRef.Name, MiniProgram: r.Spec.MiniProgramRef.Name,
			Digest: r.Spec.Digest, Role: r.Spec.Role, HostApp: r.Spec.HostApp, Decision: r.Spec.Decision,
			Reviewer: r.Spec.Reviewer, Supersedes: r.Spec.Supersedes, ApprovedPermissions: r.Spec.ApprovedPermissions,
			// Admission compares the reviewers of two Reviews that exist, and asks for the verb overrule
			// where they differ. One that is gone it cannot compare, nor one that was not there yet: only
			// the API server's times tell, in whole seconds, for when the controller saw what can be delayed.
			Overrules: slices.ContainsFunc(reviews, func(o v1alpha1.Review) bool {
				return o.Name == r.Spec.Supersedes && o.CreationTimestamp.Before(&r.CreationTimestamp)
			}),
			Created: r.CreationTimestamp.Time, Decided: r.CreationTimestamp.Time,
		}
		if r.Spec.ExpirationTime != nil {
			g.Expires = &r.Spec.ExpirationTime.Time
		}
		if step := r.Spec.Rollout; step != nil {
			g.Rollout, g.Attempt, g.Step = step.Name, step.Attempt, step.Step
		}
		for _, d := range v.Status.Decisions {
			// An object of that name may have been decided before this one was there.
			if d.Review == r.Name && d.Decision == r.Spec.Decision && d.Time.After(g.Decided) {
				g.Decided = d.Time.Time
			}
		}
		out = append(out, g)
	}
	return append(out, restoredReviews(v, reviews)...)
}

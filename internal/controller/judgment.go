package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/gate"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
)

// indexVersionRef finds the Reviews of a version in the cache.
const indexVersionRef = "spec.versionRef.name"

// judgment is what reviews and policies say about a version.
type judgment struct {
	policies []v1alpha1.ReviewPolicy
	reviews  []v1alpha1.Review
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
		selected, err := policy.Selects(p, namespace.Labels, program.Spec.HostApps)
		if err != nil {
			return nil, fmt.Errorf("ReviewPolicy %s: spec.namespaceSelector: %w", p.Name, err)
		}
		if selected && p.DeletionTimestamp.IsZero() {
			covering = append(covering, *p)
		}
	}
	slices.SortFunc(covering, func(a, b v1alpha1.ReviewPolicy) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return covering, nil
}

// judge asks the gate about the version's artifact. It reads only the cache.
func (s *Shared) judge(ctx context.Context, v *v1alpha1.MiniProgramVersion, program *v1alpha1.MiniProgram, now time.Time) (*judgment, error) {
	covering, err := s.coveringPolicies(ctx, program)
	if err != nil {
		return nil, err
	}
	var reviews v1alpha1.ReviewList
	if err := s.Client.List(ctx, &reviews, client.InNamespace(v.Namespace), client.MatchingFields{indexVersionRef: v.Name}); err != nil {
		return nil, fmt.Errorf("listing Reviews: %w", err)
	}
	j := &judgment{policies: covering, reviews: reviews.Items}
	rules, covered, none := gate.Rules(covering, program.Spec.HostApps)
	j.verdict = gate.Judge(gate.Question{
		MiniProgram: program.Name, VersionRef: v.Name, Digest: v.Status.Artifact.Digest,
		Author: v.Spec.SubmittedBy, HostApps: program.Spec.HostApps,
		Rules: rules, Covered: covered, NoApprovalNeeded: none,
		Rejections: program.Status.Rejections, Decisions: v.Status.Decisions,
	}, gateReviews(v, reviews.Items), now)
	if why := s.Enforcement.Shut(); why != "" {
		j.verdict.Approved, j.verdict.ApprovedHostApps = false, nil
		j.verdict.Reason, j.verdict.Message = "ApprovalPolicyNotEnforced", why
	}
	return j, nil
}

func gateReviews(v *v1alpha1.MiniProgramVersion, reviews []v1alpha1.Review) []gate.Review {
	out := make([]gate.Review, 0, len(reviews))
	for _, r := range reviews {
		g := gate.Review{
			Name: r.Name, VersionRef: r.Spec.VersionRef.Name, MiniProgram: r.Spec.MiniProgramRef.Name,
			Digest: r.Spec.Digest, Role: r.Spec.Role, HostApp: r.Spec.HostApp, Decision: r.Spec.Decision,
			Reviewer: r.Spec.Reviewer, Supersedes: r.Spec.Supersedes,
			// Admission compares the reviewers of two Reviews that exist, and asks for the verb overrule
			// where they differ. One that is gone it cannot compare.
			Overrules: slices.ContainsFunc(reviews, func(o v1alpha1.Review) bool { return o.Name == r.Spec.Supersedes }),
			Created:   r.CreationTimestamp.Time, Decided: r.CreationTimestamp.Time,
		}
		if r.Spec.ExpirationTime != nil {
			g.Expires = &r.Spec.ExpirationTime.Time
		}
		for _, d := range v.Status.Decisions {
			if d.Review == r.Name && d.Decision == r.Spec.Decision {
				g.Decided = d.Time.Time
			}
		}
		out = append(out, g)
	}
	return out
}

package controller

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
)

// gatherServed finds out which of the recorded versions must not be served any longer.
func (r *RolloutReconciler) gatherServed(ctx context.Context, s *rolloutScope) error {
	st := s.before.Status
	recorded := slices.Clone(st.Rollbacks)
	for _, v := range []*v1alpha1.Variant{st.Stable, st.Target} {
		if v != nil {
			recorded = append(recorded, *v)
		}
	}
	var hostApps []string
	if st.Document != nil {
		hostApps = st.Document.HostApps
	}
	for _, variant := range recorded {
		if err := r.gatherUnservable(ctx, s, variant, hostApps); err != nil {
			return err
		}
	}
	return nil
}

// gatherUnservable looks for what forbids to serve a variant to the host apps: a
// withdrawal of its version, or a veto. Vetoes are about bytes: they hold also
// where the version or the program is gone, or no longer names the host app.
func (r *RolloutReconciler) gatherUnservable(ctx context.Context, s *rolloutScope, variant v1alpha1.Variant, hostApps []string) error {
	v, err := r.findRecorded(ctx, s, variant)
	if err != nil {
		return err
	}
	if withdrawn(v) {
		s.seen.Unservable[variant.Digest] = rollout.Hold{Reason: "Withdrawn", Message: "version " + variant.Version + " was withdrawn"}
		return nil
	}
	program := &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: s.before.Namespace, Name: s.before.Spec.MiniProgramRef.Name}}
	if s.program != nil {
		program = s.program
	}
	veto, err := r.findVeto(ctx, v, program, hostApps, s.now)
	if err != nil || veto == nil {
		return err
	}
	s.seen.Unservable[variant.Digest] = rollout.Hold{
		Reason: "Rejected", Message: fmt.Sprintf("version %s was rejected by %s in role %s (Review %s)", variant.Version, veto.Reviewer, veto.Role, veto.Review),
	}
	return nil
}

// findRecorded returns the version that a variant was made of. When it is gone,
// or there is another by its name, that is one of which only the digest is known.
func (r *RolloutReconciler) findRecorded(ctx context.Context, s *rolloutScope, variant v1alpha1.Variant) (*v1alpha1.MiniProgramVersion, error) {
	var v v1alpha1.MiniProgramVersion
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.before.Namespace, Name: variant.VersionRef}, &v)
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	if err == nil && v.Status.Artifact != nil && v.Status.Artifact.Digest == variant.Digest {
		return &v, nil
	}
	known := &v1alpha1.MiniProgramVersion{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.before.Namespace, Name: variant.VersionRef},
		Status:     v1alpha1.MiniProgramVersionStatus{Artifact: &v1alpha1.Artifact{Digest: variant.Digest}},
	}
	if err == nil && v.Status.Artifact == nil && v.Spec.Version == variant.Version && withdrawn(&v) {
		// Created anew and withdrawn before it was packaged: it would have become the same artifact.
		known.Spec.Availability = v1alpha1.AvailabilityWithdrawn
	}
	return known, nil
}

// gatherStable asks for which host apps stable is approved: it may be handed to
// more. Where another is taken over, the ledger has said it, and of the recorded one nothing matters.
func (r *RolloutReconciler) gatherStable(ctx context.Context, s *rolloutScope) error {
	stable := s.before.Status.Stable
	if stable == nil || s.program == nil || s.seen.Adopt != nil {
		return nil
	}
	v, err := r.findRecorded(ctx, s, *stable)
	if err != nil {
		return err
	}
	j, err := r.judge(ctx, v, s.program, s.program.Spec.HostApps, s.now)
	if err != nil {
		return err
	}
	s.seen.StableHostApps = j.verdict.ApprovedHostApps
	s.seen.FallbackHostApps[stable.Digest] = j.verdict.ApprovedHostApps
	return r.gatherNewcomers(ctx, s, v, j)
}

// gatherNewcomers holds stable back from host apps that do not have it yet, because
// they were added later, while it is not approved for them, or a policy or what they can
// grant speaks against it. What the others have stays, whatever is said today.
func (r *RolloutReconciler) gatherNewcomers(ctx context.Context, s *rolloutScope, v *v1alpha1.MiniProgramVersion, j *judgment) error {
	var has []string
	if doc := s.before.Status.Document; doc != nil {
		has = doc.HostApps
	}
	newcomers := slices.DeleteFunc(slices.Clone(s.seen.HostApps), func(h string) bool { return slices.Contains(has, h) })
	if len(newcomers) == 0 {
		return nil
	}
	reason, message, err := r.contentHold(ctx, v, s.program, j.policies, newcomers)
	if err != nil {
		return err
	}
	if reason != "" {
		s.seen.StableHostApps = slices.DeleteFunc(slices.Clone(s.seen.StableHostApps), func(h string) bool { return slices.Contains(newcomers, h) })
	}
	if s.before.Status.Target != nil {
		return nil // what is said is about the target
	}
	for _, h := range newcomers {
		switch {
		case reason != "":
			s.seen.Remarks = append(s.seen.Remarks, fmt.Sprintf("host app %s is handed nothing: %s", h, message))
		case !slices.Contains(s.seen.StableHostApps, h):
			s.seen.Remarks = append(s.seen.Remarks, fmt.Sprintf("host app %s is handed nothing until a version is approved for it: see condition Approved of MiniProgramVersion %s", h, v.Name))
		}
	}
	return nil
}

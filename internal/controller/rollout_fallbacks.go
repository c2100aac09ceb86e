package controller

import (
	"context"
	"slices"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// gatherFallbacks asks for which host apps the newest earlier versions are approved.
// Where what is stable, or may become it, runs everywhere, nobody is too old for it.
func (r *RolloutReconciler) gatherFallbacks(ctx context.Context, s *rolloutScope) error {
	st := &s.before.Status
	mayBeStable := []*v1alpha1.Variant{st.Stable, st.Target}
	if s.seen.Candidate != nil {
		mayBeStable = append(mayBeStable, &s.seen.Candidate.Variant)
	}
	if s.program == nil || !slices.ContainsFunc(mayBeStable, func(v *v1alpha1.Variant) bool { return v != nil && rollout.Selective(v) }) {
		return nil
	}
	newest := st.Rollbacks[max(0, len(st.Rollbacks)-document.MaxFallbacks):]
	for i := range newest {
		v, err := r.findRecorded(ctx, s, newest[i])
		if err != nil {
			return err
		}
		j, err := r.judge(ctx, v, s.program, s.program.Spec.HostApps, s.now)
		if err != nil {
			return err
		}
		s.seen.FallbackHostApps[newest[i].Digest] = j.verdict.ApprovedHostApps
	}
	return nil
}

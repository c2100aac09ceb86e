package controller

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// gatherCandidate reads the version that the spec names and asks the gate about it.
func (r *RolloutReconciler) gatherCandidate(ctx context.Context, s *rolloutScope) error {
	if s.program == nil {
		return nil
	}
	name := s.before.Spec.VersionRef.Name
	var v v1alpha1.MiniProgramVersion
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.before.Namespace, Name: name}, &v)
	if apierrors.IsNotFound(err) {
		s.seen.Missing = rollout.Hold{Reason: "VersionMissing", Message: fmt.Sprintf("spec.versionRef names MiniProgramVersion %s, which does not exist in namespace %s: create it, or name another", name, s.before.Namespace)}
		return nil
	}
	if err != nil {
		return err
	}
	if !v.DeletionTimestamp.IsZero() {
		s.seen.Missing = rollout.Hold{Reason: "VersionMissing", Message: fmt.Sprintf("spec.versionRef names MiniProgramVersion %s, which is being deleted: name another", name)}
		return nil
	}
	if v.Spec.MiniProgramRef.Name != s.program.Name {
		s.seen.Missing = rollout.Hold{Reason: "OtherProgram", Message: fmt.Sprintf("spec.versionRef names MiniProgramVersion %s, which belongs to MiniProgram %s: name one of %s", name, v.Spec.MiniProgramRef.Name, s.program.Name)}
		return nil
	}
	if v.Status.Artifact == nil || v.Status.Bundle == nil {
		s.seen.Missing = rollout.Hold{Reason: "VersionNotReady", Message: fmt.Sprintf("MiniProgramVersion %s is not ready: %s", name, notReady(&v))}
		return nil
	}
	s.version = &v
	s.seen.Candidate, err = r.candidate(ctx, s, &v)
	return err
}

// planRefused is what policies have against the steps; empty: nothing.
func planRefused(ro *v1alpha1.Rollout, covering []v1alpha1.ReviewPolicy) string {
	for _, f := range policy.CheckRollout(ro.Spec, covering) {
		if f.Severity == policy.SeverityError {
			return f.Message
		}
	}
	return ""
}

// refusePlan lets nothing grow by a plan that nobody can read. An abort, a rollback
// and what must not be served any longer do not wait until it is corrected.
func (s *rolloutScope) refusePlan(invalid error) error {
	if invalid == nil {
		return nil
	}
	stall := task.Stall("PlanInvalid", fmt.Errorf("%w; the share stays as it is until that is corrected", invalid))
	if s.before.Status.Sequence == 0 {
		return stall
	}
	if c := s.seen.Candidate; c != nil {
		c.Problem, c.HostApps = &rollout.Hold{Reason: "PlanInvalid", Message: invalid.Error()}, nil
	}
	s.held = stall
	return nil
}

func notReady(v *v1alpha1.MiniProgramVersion) string {
	if c := meta.FindStatusCondition(v.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Message
	}
	return "it was not looked at yet"
}

func (r *RolloutReconciler) candidate(ctx context.Context, s *rolloutScope, v *v1alpha1.MiniProgramVersion) (*rollout.Candidate, error) {
	// Other rollouts serve the program's other host apps: what lacks there is theirs to wait for.
	asked := s.seen.HostApps
	if len(asked) == 0 {
		asked = s.program.Spec.HostApps
	}
	j, err := r.judge(ctx, v, s.program, asked, s.now)
	if err != nil {
		return nil, err
	}
	s.question, s.judged = j.question, versionBasis(v, j)
	reason, message, err := r.contentHold(ctx, v, s.program, j.policies, asked)
	if err != nil {
		return nil, err
	}
	refused, verdict := planRefused(s.before, j.policies), j.verdict
	if s.seen.Calendars, err = policy.Calendars(j.policies); err != nil {
		return nil, task.Stall("PolicyInvalid", err) // CheckSpec has said so before
	}
	if s.plan.Trial {
		refused, verdict = "", r.judgeTrial(j, v, s.program, s.now)
	}
	approved := verdict.ApprovedHostApps
	c := &rollout.Candidate{Variant: variantOf(v, j.verdict.Withheld), HostApps: approved}
	hold := func(reason, format string, args ...any) {
		c.Problem = &rollout.Hold{Reason: reason, Message: fmt.Sprintf(format, args...)}
		c.HostApps = nil
	}
	unapproved := slices.ContainsFunc(s.seen.HostApps, func(h string) bool { return !slices.Contains(approved, h) })
	switch {
	case withdrawn(v):
		hold("Withdrawn", "MiniProgramVersion %s was withdrawn: name another version", v.Name)
	case retired(v):
		hold("ArtifactDeleted", "the artifact of MiniProgramVersion %s is not kept in the registry (condition ArtifactDeleted): name another version, or delete this one and create it anew", v.Name)
	case verdict.Rejected:
		hold("Rejected", "MiniProgramVersion %s was rejected: %s", v.Name, verdict.Message)
	case v.Status.Bundle.AppID != s.program.Spec.AppID:
		hold("OtherAppID", "MiniProgramVersion %s was packaged for app ID %s, not %s: create another version", v.Name, v.Status.Bundle.AppID, s.program.Spec.AppID)
	case reason != "":
		hold(reason, "%s", message)
	case refused != "":
		hold("PlanRefused", "%s", refused)
	case s.plan.Trial && verdict.Reason == reasonNotEnforced:
		hold(reasonNotEnforced, "%s", verdict.Message)
	case v.Spec.Review != v1alpha1.ReviewRequested && !verdict.Approved:
		hold("NotApproved", "MiniProgramVersion %s is not approved: set its spec.review to Requested to ask for reviews", v.Name)
	case unapproved:
		hold("NotApproved", "MiniProgramVersion %s is not approved: %s", v.Name, verdict.Message)
	}
	return c, nil
}

// variantOf copies all that the document says of a version. What reviewers
// withhold is not declared to host apps, so that these do not grant it.
func variantOf(v *v1alpha1.MiniProgramVersion, withheld []string) v1alpha1.Variant {
	v = v.DeepCopy()
	if d := v.Status.Declaration; d != nil {
		d.Permissions = slices.DeleteFunc(d.Permissions, func(p v1alpha1.Permission) bool { return slices.Contains(withheld, p.Name) })
	}
	out := v1alpha1.Variant{
		VersionRef: v.Name, Version: v.Spec.Version, VersionCode: v.Status.Bundle.VersionCode, Format: v.Status.Bundle.Format, EntryPage: v.Status.Bundle.EntryPage,
		Repository: v.Status.Artifact.Repository, Digest: v.Status.Artifact.Digest, ContentDigest: v.Status.Bundle.ContentDigest,
		Declaration: v.Status.Declaration, Compatibility: v.Spec.Compatibility, Install: v.Spec.Install,
	}
	if a := v.Status.Artifact.Archive; a != nil {
		out.Archive = *a
	}
	if c := v.Status.Artifact.Content; c != nil {
		out.Content = *c
	}
	return out
}

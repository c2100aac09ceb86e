package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// gather reads everything that the decision rests on.
func (r *RolloutReconciler) gather(ctx context.Context, s *rolloutScope) error {
	var err error
	if s.plan, err = rollout.PlanOf(s.before); err != nil {
		return task.Stall("PlanInvalid", err)
	}
	s.seen = rollout.Seen{Unservable: map[string]rollout.Hold{}}
	s.repository = s.before.Namespace + "/" + s.before.Spec.MiniProgramRef.Name
	if value := s.before.Annotations[v1alpha1.ActionAnnotation]; value != "" {
		s.seen.Action = &rollout.Action{Value: value, User: s.before.Annotations[v1alpha1.ActionByAnnotation]}
	}
	for _, read := range []func(context.Context, *rolloutScope) error{
		r.gatherProgram, r.gatherHostApps, r.gatherCandidate, r.gatherServed, r.gatherNumbers,
	} {
		if err := read(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *RolloutReconciler) gatherProgram(ctx context.Context, s *rolloutScope) error {
	if d := s.before.Status.Document; d != nil {
		s.seen.AppID = d.AppID
	}
	name := s.before.Spec.MiniProgramRef.Name
	var program v1alpha1.MiniProgram
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.before.Namespace, Name: name}, &program)
	if apierrors.IsNotFound(err) {
		s.seen.Missing = rollout.Hold{Reason: "MiniProgramMissing", Message: fmt.Sprintf("spec.miniProgramRef names MiniProgram %s, which does not exist in namespace %s: create it", name, s.before.Namespace)}
		return nil
	}
	if err != nil {
		return err
	}
	s.program = &program
	s.seen.AppID = program.Spec.AppID
	s.seen.Program = &rollout.Program{
		Availability: program.Spec.Availability, MinimumVersion: program.Spec.MinimumVersion,
		DisplayName: program.Spec.DisplayName, Description: program.Spec.Description, Locales: program.Spec.Locales,
	}
	if s.plan.Deleting {
		return nil
	}
	err = r.Ledger.Holds(ctx, program.Spec.AppID, ledger.Holder{Namespace: program.Namespace, Name: program.Name})
	if taken, ok := errors.AsType[*ledger.TakenError](err); ok {
		return task.Stall("AppIDTaken", fmt.Errorf("MiniProgram %s: %w", program.Name, taken))
	}
	if errors.Is(err, ledger.ErrUnclaimed) {
		return task.Wait("AppIDUnclaimed", 0, "MiniProgram %s has not claimed its app ID yet", program.Name)
	}
	return err
}

// gatherHostApps finds those that the rollout may serve now, and their poll hints.
func (r *RolloutReconciler) gatherHostApps(ctx context.Context, s *rolloutScope) error {
	if s.program == nil {
		return nil
	}
	others, err := r.namedByOthers(ctx, s.before)
	if err != nil {
		return err
	}
	names := s.before.Spec.HostApps
	if len(names) == 0 {
		names = s.program.Spec.HostApps
	}
	for _, name := range names {
		if !slices.Contains(s.program.Spec.HostApps, name) {
			continue // the program is not meant for it
		}
		if other, taken := others[name]; taken {
			if len(s.before.Spec.HostApps) > 0 {
				return task.Stall("HostAppTaken", fmt.Errorf("spec.hostApps names %s, which the older Rollout %s serves: remove it from one of the two", name, other))
			}
			continue
		}
		if err := r.gatherHostApp(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}

func (r *RolloutReconciler) gatherHostApp(ctx context.Context, s *rolloutScope, name string) error {
	var host v1alpha1.HostApp
	err := r.Client.Get(ctx, client.ObjectKey{Name: name}, &host)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	takes, err := r.hostTakes(ctx, &host, s.before.Namespace)
	if err != nil || !takes || host.Spec.Availability == v1alpha1.HostAppDisabled {
		return err
	}
	s.seen.HostApps = append(s.seen.HostApps, name)
	poll := hostConfig(&host).Poll
	if s.seen.PollRest == 0 || poll.IntervalSeconds < s.seen.PollRest {
		s.seen.PollRest = poll.IntervalSeconds
	}
	if s.seen.PollBusy == 0 || poll.MinSeconds < s.seen.PollBusy {
		s.seen.PollBusy = poll.MinSeconds
	}
	return nil
}

// namedByOthers maps host apps to the other Rollout that serves them: one that
// names them beats one that takes what is left, an older one a newer.
func (r *RolloutReconciler) namedByOthers(ctx context.Context, mine *v1alpha1.Rollout) (map[string]string, error) {
	var list v1alpha1.RolloutList
	if err := r.Client.List(ctx, &list, client.InNamespace(mine.Namespace)); err != nil {
		return nil, err
	}
	taken := map[string]string{}
	for i := range list.Items {
		o := &list.Items[i]
		if o.Name == mine.Name || o.Spec.MiniProgramRef != mine.Spec.MiniProgramRef || o.Spec.Channel != mine.Spec.Channel || !o.DeletionTimestamp.IsZero() {
			continue
		}
		names := o.Spec.HostApps
		if len(names) == 0 && len(mine.Spec.HostApps) == 0 && older(o, mine) && o.Status.Document != nil {
			names = o.Status.Document.HostApps
		}
		for _, h := range names {
			if len(mine.Spec.HostApps) == 0 || older(o, mine) {
				taken[h] = o.Name
			}
		}
	}
	return taken, nil
}

func older(a, b *v1alpha1.Rollout) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.Name < b.Name
	}
	return a.CreationTimestamp.Before(&b.CreationTimestamp)
}

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
	if v.Spec.MiniProgramRef.Name != s.program.Name {
		s.seen.Missing = rollout.Hold{Reason: "OtherProgram", Message: fmt.Sprintf("spec.versionRef names MiniProgramVersion %s, which belongs to MiniProgram %s: name one of %s", name, v.Spec.MiniProgramRef.Name, s.program.Name)}
		return nil
	}
	if v.Status.Artifact == nil || v.Status.Bundle == nil {
		s.seen.Missing = rollout.Hold{Reason: "VersionNotReady", Message: fmt.Sprintf("MiniProgramVersion %s is not ready: %s", name, notReady(&v))}
		return nil
	}
	s.seen.Candidate, err = r.candidate(ctx, s, &v)
	return err
}

func notReady(v *v1alpha1.MiniProgramVersion) string {
	if c := meta.FindStatusCondition(v.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Message
	}
	return "it was not looked at yet"
}

func (r *RolloutReconciler) candidate(ctx context.Context, s *rolloutScope, v *v1alpha1.MiniProgramVersion) (*rollout.Candidate, error) {
	j, err := r.judge(ctx, v, s.program, s.now)
	if err != nil {
		return nil, err
	}
	c := &rollout.Candidate{Variant: variantOf(v), HostApps: j.verdict.ApprovedHostApps}
	hold := func(reason, format string, args ...any) {
		c.Problem = &rollout.Hold{Reason: reason, Message: fmt.Sprintf(format, args...)}
		c.HostApps = nil
	}
	blocked := policy.Blocking(policy.Check(policyFacts(v), j.policies)) > 0
	unapproved := slices.ContainsFunc(s.seen.HostApps, func(h string) bool { return !slices.Contains(j.verdict.ApprovedHostApps, h) })
	switch {
	case v.Spec.Availability == v1alpha1.AvailabilityWithdrawn:
		hold("Withdrawn", "MiniProgramVersion %s was withdrawn: name another version", v.Name)
	case j.verdict.Rejected:
		hold("Rejected", "MiniProgramVersion %s was rejected: %s", v.Name, j.verdict.Message)
	case blocked:
		hold("PolicyFailed", "a policy objects to MiniProgramVersion %s: see its condition PolicyPassed", v.Name)
	case v.Spec.Review != v1alpha1.ReviewRequested && !j.verdict.Approved:
		hold("NotApproved", "MiniProgramVersion %s is not approved: set its spec.review to Requested to ask for reviews", v.Name)
	case unapproved:
		hold("NotApproved", "MiniProgramVersion %s is not approved: %s", v.Name, j.verdict.Message)
	}
	return c, nil
}

// variantOf copies all that the document says of a version.
func variantOf(v *v1alpha1.MiniProgramVersion) v1alpha1.Variant {
	v = v.DeepCopy()
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

// gatherServed finds out which of the recorded versions must not be served any longer.
func (r *RolloutReconciler) gatherServed(ctx context.Context, s *rolloutScope) error {
	st := s.before.Status
	recorded := slices.Clone(st.Rollbacks)
	for _, v := range []*v1alpha1.Variant{st.Stable, st.Target} {
		if v != nil {
			recorded = append(recorded, *v)
		}
	}
	for _, variant := range recorded {
		var v v1alpha1.MiniProgramVersion
		err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.before.Namespace, Name: variant.VersionRef}, &v)
		if apierrors.IsNotFound(err) || (err == nil && (v.Status.Artifact == nil || v.Status.Artifact.Digest != variant.Digest)) {
			continue // gone, or another version by the same name: it says nothing about these bytes
		}
		if err != nil {
			return err
		}
		if err := r.gatherUnservable(ctx, s, &v); err != nil {
			return err
		}
	}
	return nil
}

func (r *RolloutReconciler) gatherUnservable(ctx context.Context, s *rolloutScope, v *v1alpha1.MiniProgramVersion) error {
	digest := v.Status.Artifact.Digest
	if v.Spec.Availability == v1alpha1.AvailabilityWithdrawn {
		s.seen.Unservable[digest] = rollout.Hold{Reason: "Withdrawn", Message: "version " + v.Spec.Version + " was withdrawn"}
		return nil
	}
	if s.program == nil {
		return nil
	}
	j, err := r.judge(ctx, v, s.program, s.now)
	if err != nil {
		return err
	}
	if j.verdict.Rejected {
		s.seen.Unservable[digest] = rollout.Hold{Reason: "Rejected", Message: "version " + v.Spec.Version + " was rejected: " + j.verdict.Message}
	}
	if st := s.before.Status.Stable; st != nil && st.Digest == digest {
		s.seen.StableHostApps = j.verdict.ApprovedHostApps
	}
	return nil
}

// gatherNumbers reads what host apps have seen before: the published document,
// if it is ours, and the ledger.
func (r *RolloutReconciler) gatherNumbers(ctx context.Context, s *rolloutScope) error {
	cm, err := r.findPublished(ctx, delivery.RolloutConfigMap(s.before.Namespace, s.before.Name))
	if err != nil {
		return err
	}
	if cm != nil && s.seen.AppID != "" {
		if s.signer, err = r.signer(ctx); err == nil {
			if doc, err := s.signer.Verify([]byte(cm.Data[delivery.KeyEnvelope])); err == nil && doc.AppID == s.seen.AppID {
				s.seen.LastSequence = doc.Sequence
			}
		}
	}
	if s.before.Status.Sequence != 0 || s.seen.AppID == "" {
		return nil
	}
	entries, err := r.Ledger.Find(ctx, s.seen.AppID, s.before.Spec.Channel, s.seen.HostApps)
	if err != nil {
		return err
	}
	for i, e := range entries {
		s.seen.LastSequence = max(s.seen.LastSequence, e.Sequence)
		s.seen.LastDelivery = max(s.seen.LastDelivery, e.Delivery)
		if i == 0 && e.Stable != nil {
			s.seen.Adopt, s.seen.StableHostApps = e.Stable, e.HostApps
		}
	}
	return nil
}

func ledgerEntry(ro *v1alpha1.Rollout) ledger.Entry {
	st := ro.Status
	return ledger.Entry{
		Channel: ro.Spec.Channel, HostApps: st.Document.HostApps, Namespace: ro.Namespace, Rollout: ro.Name,
		Sequence: st.Sequence, Delivery: st.LastDelivery, Stable: st.Stable,
	}
}

package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// gather reads everything that the decision rests on. What takes something back
// is read first and rests on little, so that neither a policy nor a host app nor
// the ledger can keep in service what was withdrawn. Where the rest cannot be
// read, the target stays where it is, and the end of the pass says why.
func (r *RolloutReconciler) gather(ctx context.Context, s *rolloutScope) error {
	var invalid error
	s.plan, invalid = rollout.PlanOf(s.before)
	if s.plan.Trial && s.program != nil {
		s.plan.Audience.Include = s.program.Spec.Testers
	}
	if value := s.before.Annotations[v1alpha1.ActionAnnotation]; value != "" {
		// Status remembers what was answered, so what is too long for it is short from here on.
		s.seen.Action = &rollout.Action{Value: clip(value, maxAction), User: clip(s.before.Annotations[v1alpha1.ActionByAnnotation], maxAction)}
	}
	if err := inOrder(ctx, s, r.gatherPublished, r.gatherRivals, r.gatherParts, r.gatherServed, r.gatherGuardrails, r.gatherInstalled, r.gatherStepReviews); err != nil {
		return err
	}
	if s.plan.Deleting {
		return r.gatherLedger(ctx, s) // what could be gained is of no interest any more
	}
	err := inOrder(ctx, s, r.gatherHolder, r.gatherHostApps, r.gatherLedger, r.gatherStable, r.gatherCandidate, r.gatherFallbacks, r.gatherAnswers, r.gatherLists)
	if err == nil {
		return s.refusePlan(invalid)
	}
	if s.before.Status.Sequence == 0 || s.seen.Overtaken {
		return err // nothing of ours is served, so there is nothing to take back
	}
	s.hold(err)
	return nil
}

func inOrder(ctx context.Context, s *rolloutScope, reads ...func(context.Context, *rolloutScope) error) error {
	for _, read := range reads {
		if err := read(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// hold keeps everything as it is recorded because of what could not be read.
func (s *rolloutScope) hold(err error) {
	s.held = err
	reason, message := failure(err)
	s.seen.Candidate, s.seen.Missing = nil, rollout.Hold{Reason: reason, Message: message}
	if a := s.seen.Action; a != nil && goesOn(a.Value) {
		s.seen.Action = nil // answered when it can be judged
	}
	s.seen.HostApps, s.seen.NotTaken, s.seen.Remarks = nil, nil, nil
	if d := s.before.Status.Document; d != nil {
		s.seen.HostApps, s.seen.PollRest, s.seen.PollBusy = d.HostApps, d.PollSeconds, d.PollSeconds
		if d.Availability == delivery.NotTaken {
			s.seen.HostApps, s.seen.NotTaken = nil, d.HostApps
		}
	}
}

// goesOn tells that an action would take the target further.
func goesOn(action string) bool {
	verb, _, _ := strings.Cut(action, "@")
	return slices.Contains([]string{rollout.VerbPromote, rollout.VerbPromoteFull, rollout.VerbRetry}, verb)
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
	s.seen.AppID = orElse(s.seen.AppID, program.Spec.AppID)
	s.seen.Program = &rollout.Program{
		Availability: availability(&program), MinimumVersion: program.Spec.MinimumVersion,
		DisplayName: program.Spec.DisplayName, Description: program.Spec.Description, Locales: program.Spec.Locales,
	}
	return nil
}

// gatherHolder needs the program to be the one that holds the app ID, and the
// app ID to be the one that this rollout has published for.
func (r *RolloutReconciler) gatherHolder(_ context.Context, s *rolloutScope) error {
	if s.program == nil {
		return nil
	}
	p := s.program
	if s.seen.AppID != p.Spec.AppID {
		return task.Stall("OtherAppID", fmt.Errorf("MiniProgram %s has app ID %s, but this Rollout has published for %s: create another Rollout, and delete this one", p.Name, p.Spec.AppID, s.seen.AppID))
	}
	if errors.Is(s.claim, ledger.ErrUnclaimed) {
		// The program may be told of its claim before the cache is, so no watch is sure to wake us.
		again := retryAfter(s.before.Status.Conditions, s.before.CreationTimestamp, s.now)
		return task.Wait("AppIDUnclaimed", again, "MiniProgram %s has not claimed its app ID yet", p.Name)
	}
	return s.claim
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
	why, err := r.notTaken(ctx, &host, s.program)
	if err != nil {
		return err
	}
	if why != "" {
		s.seen.NotTaken, s.seen.Remarks = append(s.seen.NotTaken, name), append(s.seen.Remarks, why)
		return nil
	}
	if host.Spec.Availability == v1alpha1.HostAppDisabled {
		return nil
	}
	config := delivery.HostAppConfigOf(&host)
	if channel := s.before.Spec.Channel; !config.Takes(channel) {
		s.seen.Remarks = append(s.seen.Remarks, fmt.Sprintf("host app %s does not take channel %s: ask the platform's administrators (HostApp spec.channels)", name, channel))
		return nil
	}
	s.seen.HostApps = append(s.seen.HostApps, name)
	if config.Access != v1alpha1.AccessToken {
		s.public = append(s.public, name)
	}
	gatherBlocks(s, &host)
	poll := config.Poll
	if s.seen.PollRest == 0 || poll.IntervalSeconds < s.seen.PollRest {
		s.seen.PollRest = poll.IntervalSeconds
	}
	if s.seen.PollBusy == 0 || poll.MinSeconds < s.seen.PollBusy {
		s.seen.PollBusy = poll.MinSeconds
	}
	return nil
}

// gatherBlocks notes what the host app blocks of the program. The manifest service
// hands out no document with that in it, whatever is decided here. So a blocked stable
// is only remarked upon: unlike one that was withdrawn, it is still right for the other
// host apps of the rollout, and replacing it would take it from them.
func gatherBlocks(s *rolloutScope, h *v1alpha1.HostApp) {
	st := &s.before.Status
	for _, b := range h.Spec.Blocks {
		switch {
		case b.AppID != "" && b.AppID == s.program.Spec.AppID:
			s.seen.Remarks = append(s.seen.Remarks, fmt.Sprintf("host app %s blocks app ID %s and is handed nothing (%s)", h.Name, b.AppID, b.Reason))
		case b.Digest != "":
			s.seen.Blocked[b.Digest] = rollout.Hold{Reason: "Blocked", Message: fmt.Sprintf(
				"host app %s blocks %s (%s): name another version, or ask the platform's administrators to lift it (HostApp spec.blocks)", h.Name, b.Digest, b.Reason)}
			if st.Stable != nil && st.Stable.Digest == b.Digest {
				s.seen.Remarks = append(s.seen.Remarks, fmt.Sprintf("host app %s blocks stable %s and is handed nothing until another version is stable (%s)", h.Name, st.Stable.Version, b.Reason))
			}
		}
	}
}

// namedByOthers maps host apps to the other Rollout that serves them: one that
// names them beats one that takes what is left, an older one a newer.
func (r *RolloutReconciler) namedByOthers(ctx context.Context, mine *v1alpha1.Rollout) (map[string]string, error) {
	var list v1alpha1.RolloutList
	if err := r.Client.List(ctx, &list, client.InNamespace(mine.Namespace), client.MatchingFields{indexProgram: mine.Spec.MiniProgramRef.Name}); err != nil {
		return nil, err
	}
	taken := map[string]string{}
	for i := range list.Items {
		o := &list.Items[i]
		if o.Name == mine.Name || o.Spec.Channel != mine.Spec.Channel || !o.DeletionTimestamp.IsZero() {
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

// readDocument returns the document for the rollout's app ID and channel that is
// published in a ConfigMap; nil: it is none of ours. Without the key nobody can
// tell, and nothing is published either. Nor can anybody while the key cannot be
// read: then what claims a sequence above the one given stops the pass, for it may
// be what users have; anything lower must not keep from taking back.
func (r *RolloutReconciler) readDocument(ctx context.Context, s *rolloutScope, cm *corev1.ConfigMap, above int64) (*document.Release, error) {
	keys, err := r.keys(ctx)
	if _, missing := errors.AsType[*task.WaitError](err); missing || err != nil && !raised(cm, above) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("telling whether ConfigMap %s is ours: %w", cm.Name, err)
	}
	doc, err := keys.Verify([]byte(cm.Data[delivery.KeyEnvelope]))
	if err == nil && doc.AppID == s.seen.AppID && doc.Channel == s.before.Spec.Channel {
		return doc, nil
	}
	return nil, nil
}

// gatherLedger reads what another Rollout has left, where this one has decided
// nothing yet, or was overtaken. What must not be served any longer is not taken over.
func (r *RolloutReconciler) gatherLedger(ctx context.Context, s *rolloutScope) error {
	hostApps := s.seen.HostApps
	switch {
	case s.seen.Overtaken:
		hostApps = s.before.Status.Document.HostApps
	case s.before.Status.Sequence != 0 && s.frozen() && !s.plan.Deleting:
		return r.gatherOutStable(ctx, s)
	case s.before.Status.Sequence != 0 || s.seen.AppID == "" || s.plan.Deleting:
		return nil
	}
	entries, err := r.Ledger.Find(ctx, s.seen.AppID, s.before.Spec.Channel, hostApps)
	if err != nil {
		return err
	}
	if s.seen.Overtaken {
		entries = slices.DeleteFunc(entries, func(e ledger.Entry) bool { return e.Namespace == s.before.Namespace && e.Rollout == s.before.Name })
	}
	for i, e := range entries {
		s.seen.LastSequence = max(s.seen.LastSequence, e.Sequence)
		s.seen.LastDelivery = max(s.seen.LastDelivery, e.Delivery)
		if i == 0 && e.Stable != nil {
			s.seen.Adopt, s.seen.StableHostApps = e.Stable, e.HostApps
		}
	}
	if s.seen.Adopt == nil {
		return nil
	}
	return r.gatherUnservable(ctx, s, *s.seen.Adopt, s.seen.HostApps)
}

// gatherOutStable finds what is stable for users in the ledger, for a record that is older
// than what they have.
func (r *RolloutReconciler) gatherOutStable(ctx context.Context, s *rolloutScope) error {
	out, st := s.seen.Out, &s.before.Status
	if out == nil || out.Stable == nil || st.Stable != nil && st.Stable.Digest == out.Stable.Digest {
		return nil
	}
	entries, err := r.Ledger.Find(ctx, out.AppID, s.before.Spec.Channel, out.HostApps)
	if err != nil {
		return err
	}
	own := slices.IndexFunc(entries, func(e ledger.Entry) bool { return e.Namespace == s.before.Namespace && e.Rollout == s.before.Name })
	if own < 0 || entries[own].Stable == nil || entries[own].Stable.Digest != out.Stable.Digest {
		return nil // it was remembered no better than the record
	}
	s.seen.OutStable = entries[own].Stable
	return r.gatherUnservable(ctx, s, *s.seen.OutStable, out.HostApps)
}

func ledgerEntry(ro *v1alpha1.Rollout) ledger.Entry {
	st := ro.Status
	e := ledger.Entry{
		Channel: ro.Spec.Channel, HostApps: st.Document.HostApps, Namespace: ro.Namespace, Rollout: ro.Name,
		Sequence: st.Sequence, Delivery: st.LastDelivery, Stable: st.Stable,
	}
	if st.Document.Availability == delivery.Removed {
		e.Stable = nil // a later Rollout must not bring back what this one took from devices
	}
	return e
}

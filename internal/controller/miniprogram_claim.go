package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// claim records the program as the holder of its app ID, or moves the app ID to
// it when somebody with the right asks for that.
func (r *MiniProgramReconciler) claim(ctx context.Context, s *programScope) error {
	if st := &s.program.Status; st.LastAction != nil && st.LastAction.Value != clip(s.program.Annotations[v1alpha1.ActionAnnotation], maxAction) {
		st.LastAction = nil // so that the same can be asked for again
	}
	holders, err := r.Ledger.Claim(ctx, s.program.Spec.AppID, holderOf(s.program))
	taken, ok := errors.AsType[*ledger.TakenError](err)
	if !ok {
		if err == nil {
			s.answerHolder(holders)
		}
		return err
	}
	s.program.Status.Releases = nil // what its Rollouts have recorded is not what is served
	stall := appIDTaken(holderOf(s.program), taken)
	switch asked := s.program.Annotations[v1alpha1.ActionAnnotation]; {
	case actionVerb(s.program) != verbTransfer:
		return stall
	case s.program.Status.LastAction == nil && asked == transferAction(taken.Holders):
		return r.transfer(ctx, s, taken)
	default:
		s.answer("Stale", fmt.Sprintf("the count of holders is %d, so only %s moves the app ID", taken.Holders, transferAction(taken.Holders)))
		return task.Stall("AppIDTaken", fmt.Errorf("%w (%s was answered %s, and is not carried out any more: before the same is set again, remove it)",
			stall, asked, s.program.Status.LastAction.Result))
	}
}

// answerHolder answers a transfer of a program that holds its app ID: the one that
// made it the holder, or one that there is nothing to do for.
func (s *programScope) answerHolder(holders int64) {
	switch asked := s.program.Annotations[v1alpha1.ActionAnnotation]; {
	case actionVerb(s.program) != verbTransfer:
	case asked == transferAction(holders-1):
		s.answer("Done", "the app ID was moved here")
	default:
		s.answer("Stale", fmt.Sprintf("the MiniProgram holds its app ID, as holder %d", holders))
	}
}

// answer is given once: a transfer that was answered is never carried out later.
func (s *programScope) answer(result, message string) {
	st := &s.program.Status
	if st.LastAction != nil {
		return
	}
	a := s.program.Annotations
	st.LastAction = &v1alpha1.ActionAnswer{
		Value: clip(a[v1alpha1.ActionAnnotation], maxAction), User: clip(a[v1alpha1.ActionByAnnotation], maxAction),
		Result: result, Message: message, Time: s.now,
	}
}

func holderOf(p *v1alpha1.MiniProgram) ledger.Holder {
	return ledger.Holder{Namespace: p.Namespace, Name: p.Name}
}

// transfer makes the program the holder. Admission has checked the right of who
// asks for it, so it waits until admission is shown to be there. Nobody gets a
// suspended program back on devices by moving its app ID.
func (r *MiniProgramReconciler) transfer(ctx context.Context, s *programScope, taken *ledger.TakenError) error {
	again := retryAfter(s.program.Status.Conditions, s.program.CreationTimestamp, r.Now())
	if why := r.Enforcement.Shut(); why != "" {
		return task.Wait("TransferUnguarded", again, "the app ID is not transferred while nobody can tell that who asks for it may: %s", why)
	}
	var former v1alpha1.MiniProgram
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: taken.Holder.Namespace, Name: taken.Holder.Name}, &former)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading who holds app ID %s: %w", taken.AppID, err)
	}
	if availability(&former) == v1alpha1.AvailabilitySuspended && availability(s.program) != v1alpha1.AvailabilitySuspended {
		return task.Wait("Suspended", again, "app ID %s is suspended, and a transfer does not end that: set spec.availability to Suspended here until it may be served again (needs verb suspend on miniprograms)", taken.AppID)
	}
	if err := r.Ledger.Transfer(ctx, taken.AppID, holderOf(s.program), taken.Holders); err != nil {
		return fmt.Errorf("transferring: %w", err)
	}
	by := orElse(s.program.Annotations[v1alpha1.ActionByAnnotation], "an unnamed user")
	r.event(s.program, corev1.EventTypeNormal, "AppIDTransferred", "Transfer", "app ID %s was moved here by %s", taken.AppID, by)
	if err == nil {
		r.event(&former, corev1.EventTypeWarning, "AppIDTransferred", "Transfer", "app ID %s was moved to another MiniProgram by %s", taken.AppID, by)
	}
	// The ledger's watch wakes this program when the cache has it: what its Rollouts read is no older then.
	return task.Wait("Transferring", time.Second, "app ID %s is being transferred", taken.AppID)
}

// idleTransfer explains a transfer that does nothing because the program holds its
// app ID.
func idleTransfer(p *v1alpha1.MiniProgram) string {
	if a := p.Status.LastAction; a != nil && a.Result == "Stale" {
		return fmt.Sprintf("; %s=%s does nothing: %s", v1alpha1.ActionAnnotation, a.Value, a.Message)
	}
	return ""
}

// programsOfLedger wakes the programs with the app ID of a ledger: the claim may
// have been deleted, or given to another.
func (r *MiniProgramReconciler) programsOfLedger(ctx context.Context, o client.Object) []reconcile.Request {
	if o.GetLabels()[delivery.DocumentLabel] != delivery.KindLedger {
		return nil
	}
	var out []reconcile.Request
	for _, p := range r.claimants(ctx, o.GetName()) {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKey{Namespace: p.Namespace, Name: p.Name}})
	}
	return out
}

// transferring wakes the programs that ask for a transfer: it waits for the proof
// that admission checks who asks.
func (r *MiniProgramReconciler) transferring(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.programs(ctx, func(p *v1alpha1.MiniProgram) bool { return actionVerb(p) == verbTransfer })
}

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
	holders, err := r.Ledger.Claim(ctx, s.program.Spec.AppID, holderOf(s.program))
	s.holders = holders
	taken, ok := errors.AsType[*ledger.TakenError](err)
	if !ok {
		return err
	}
	s.program.Status.Releases = nil // what its Rollouts have recorded is not what is served
	if s.program.Annotations[v1alpha1.ActionAnnotation] == transferAction(taken.Holders) {
		return r.transfer(ctx, s, taken)
	}
	return explainTransfer(s.program, appIDTaken(holderOf(s.program), taken))
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

// explainTransfer adds why a transfer that is asked for has not moved the app ID.
func explainTransfer(p *v1alpha1.MiniProgram, stall error) error {
	action := p.Annotations[v1alpha1.ActionAnnotation]
	if actionVerb(p) != verbTransfer {
		return stall
	}
	return task.Stall("AppIDTaken", fmt.Errorf("%s=%s does nothing, for it names another count of holders; %w", v1alpha1.ActionAnnotation, action, stall))
}

// idleTransfer explains a transfer annotation of the holder, unless it is the one
// that made it the holder.
func idleTransfer(p *v1alpha1.MiniProgram, holders int64) string {
	if action := p.Annotations[v1alpha1.ActionAnnotation]; actionVerb(p) == verbTransfer && action != transferAction(holders-1) {
		return fmt.Sprintf("; %s=%s does nothing: this MiniProgram holds its app ID, as holder %d", v1alpha1.ActionAnnotation, action, holders)
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

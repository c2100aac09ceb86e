package controller

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/gate"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// reasonOverdue is that of Progressing when a target is held for longer than its plan allows.
const reasonOverdue = "ProgressDeadlineExceeded"

// overdue tells that the status says so.
func overdue(st *v1alpha1.RolloutStatus) bool {
	c := meta.FindStatusCondition(st.Conditions, v1alpha1.ConditionProgressing)
	return c != nil && c.Reason == reasonOverdue
}

// reportRollout sets all conditions from the move and the pass's error.
func reportRollout(s *rolloutScope, err error, now metav1.Time) {
	ro, st := s.rollout, &s.rollout.Status
	st.ObservedGeneration = ro.Generation
	st.Percent = orElse(st.Percent, "0%")
	if err == nil {
		err = unfinished(s.move)
	}
	_, message := failure(err)
	st.Summary = clip(orElse(message, s.move.Message), maxSummary)
	if s.move.Verb == "" { // nothing was decided: what was true of the target stays true
		st.Conditions = task.Conditions(st.Conditions, ro.Generation, err, now, "")
		return
	}

	set := func(kind string, is bool, reason, message string) {
		if !is {
			meta.RemoveStatusCondition(&st.Conditions, kind)
			return
		}
		setCondition(&st.Conditions, ro.Generation, now, kind, metav1.ConditionTrue, reason, message)
	}
	waits := slices.Contains([]string{"Paused", "WaitsForPromote", rollout.ReasonAudienceServed, rollout.ReasonWindowClosed, rollout.ReasonWaitingForApproval, gate.ReasonRequestWithdrawn}, s.move.Reason)
	set(v1alpha1.ConditionPaused, waits && st.Target != nil, s.move.Reason, st.Summary)
	aborted := st.Refused != nil && st.Outcome == v1alpha1.OutcomeAborted && st.Target == nil
	set(v1alpha1.ConditionAborted, aborted, "Aborted", st.Summary)
	progressing(s, now)
	guardrailsHealthy(s, now)
	st.Conditions = task.Conditions(st.Conditions, ro.Generation, err, now, s.move.Message)
	if aborted {
		// Nothing is under way that could make it ready: somebody has to decide.
		meta.RemoveStatusCondition(&st.Conditions, v1alpha1.ConditionReconciling)
	}
}

// unfinished is the planned stop that a move is, for the conditions of kstatus.
func unfinished(m rollout.Move) error {
	if m.Verb == rollout.Idle || m.Verb == rollout.Complete {
		return nil
	}
	return task.Wait(orElse(m.Reason, "Progressing"), m.Recheck, "%s", m.Message)
}

func progressing(s *rolloutScope, now metav1.Time) {
	st := &s.rollout.Status
	status, reason, message := metav1.ConditionFalse, "Idle", "no target is under way"
	switch t := st.Target; {
	case t != nil && s.move.Overdue:
		reason, message = reasonOverdue, s.move.Message
	case t != nil && s.move.Verb == rollout.Wait:
		reason, message = orElse(s.move.Reason, "Held"), st.Summary
	case t != nil:
		status, reason = metav1.ConditionTrue, "TargetUnderWay"
		message = fmt.Sprintf("%s is at %s", t.Version, st.Percent)
	}
	setCondition(&st.Conditions, s.rollout.Generation, now, v1alpha1.ConditionProgressing, status, reason, message)
}

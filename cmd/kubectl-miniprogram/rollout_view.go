package main

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// rolloutView is what rollout status says of a Rollout. Its JSON is read by
// machines; the lines for people are made of it and of the time.
type rolloutView struct {
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	Program   string       `json:"program"`
	Channel   string       `json:"channel"`
	HostApps  []string     `json:"hostApps"`
	Attempt   int32        `json:"attempt"`
	Stable    *variantView `json:"stable,omitempty"`
	Target    *variantView `json:"target,omitempty"`
	Percent   string       `json:"percent"`
	// BasisPoints is the share of the target, or 10000 when only stable is there.
	BasisPoints int32      `json:"basisPoints"`
	Plan        []planStep `json:"plan"`
	Waits       *waitView  `json:"waits,omitempty"`
	// Summary is the manager's own word.
	Summary string `json:"summary"`
	// Unseen: the spec was changed, and the manager has not looked at it yet.
	Unseen     bool                       `json:"unseen,omitempty"`
	Guardrails []v1alpha1.GuardrailStatus `json:"guardrails,omitempty"`
	// Asked is an action that was not answered yet.
	Asked      *askedView             `json:"asked,omitempty"`
	LastAction *v1alpha1.ActionAnswer `json:"lastAction,omitempty"`
	Outcome    string                 `json:"outcome,omitempty"`
	History    []v1alpha1.Attempt     `json:"history,omitempty"`
	// Rollbacks are the versions that can be rolled back to, newest first.
	Rollbacks []string      `json:"rollbacks,omitempty"`
	Next      []nextCommand `json:"next,omitempty"`
}

type variantView struct {
	Version    string `json:"version"`
	VersionRef string `json:"versionRef"`
	Digest     string `json:"digest"`
}

// waitView is what has to come before the rollout goes on.
type waitView struct {
	For string `json:"for"`
	// Who can give it; empty: it comes by itself, or that is not known.
	Who   string       `json:"who,omitempty"`
	Since *metav1.Time `json:"since,omitempty"`
	Until *metav1.Time `json:"until,omitempty"`
	// Then is what happens at Until.
	Then string `json:"then,omitempty"`
}

// askedView is an action without an answer.
type askedView struct {
	Value string `json:"value"`
	User  string `json:"user,omitempty"`
}

// nextCommand is something that a person can do now.
type nextCommand struct {
	Command string `json:"command"`
	Does    string `json:"does"`
}

// viewOf reads a Rollout.
func viewOf(ro *v1alpha1.Rollout) *rolloutView {
	st := &ro.Status
	v := &rolloutView{
		Namespace: ro.Namespace, Name: ro.Name, Program: ro.Spec.MiniProgramRef.Name, Channel: ro.Spec.Channel,
		HostApps: ro.Spec.HostApps, Attempt: st.Attempt, Stable: variantOf(st.Stable), Target: variantOf(st.Target),
		Percent: st.Percent, BasisPoints: st.BasisPoints, Plan: planOf(ro), Waits: waitOf(ro), Summary: st.Summary,
		Unseen: st.ObservedGeneration < ro.Generation, Guardrails: st.Guardrails, Asked: askedOf(ro), LastAction: st.LastAction,
		Outcome: st.Outcome, History: st.History,
	}
	if d := st.Document; d != nil && len(d.HostApps) > 0 {
		v.HostApps = d.HostApps // those that have it, whatever the spec asks for
	}
	if v.Channel == "" {
		v.Channel = v1alpha1.ChannelRelease
	}
	for i := range st.Rollbacks {
		v.Rollbacks = append([]string{st.Rollbacks[i].Version}, v.Rollbacks...)
	}
	v.Next = nextOf(ro, v)
	return v
}

func variantOf(v *v1alpha1.Variant) *variantView {
	if v == nil {
		return nil
	}
	return &variantView{Version: v.Version, VersionRef: v.VersionRef, Digest: v.Digest}
}

// askedOf is the action that stands unanswered; nil: none.
func askedOf(ro *v1alpha1.Rollout) *askedView {
	value := ro.Annotations[v1alpha1.ActionAnnotation]
	if value == "" || ro.Status.LastAction != nil && ro.Status.LastAction.Value == value {
		return nil
	}
	return &askedView{Value: value, User: ro.Annotations[v1alpha1.ActionByAnnotation]}
}

// waitOf says what has to come before the rollout goes on; nil: nothing.
func waitOf(ro *v1alpha1.Rollout) *waitView {
	st := &ro.Status
	switch {
	case !ro.DeletionTimestamp.IsZero():
		return &waitView{For: "the manager to tell host apps that it is deleted", Since: ro.DeletionTimestamp}
	case st.Target == nil && st.Refused != nil:
		return &waitView{For: "another version in spec.versionRef, or a retry", Who: "who may change the Rollout, or has verb retry on rollouts"}
	case st.Target == nil && meta.IsStatusConditionTrue(st.Conditions, v1alpha1.ConditionReady):
		return nil
	case st.Target == nil:
		return &waitView{For: "what Status says, before " + ro.Spec.VersionRef.Name + " begins"}
	case st.PausedReason != "":
		return pausedWait(st)
	case st.Step == nil:
		return nil
	case st.Step.HeldSince != nil:
		return &waitView{For: "what Status says, which is not in the plan", Since: st.Step.HeldSince}
	}
	return stepWait(ro)
}

func pausedWait(st *v1alpha1.RolloutStatus) *waitView {
	w := &waitView{For: "somebody to resume", Who: "who has verb resume on rollouts", Since: st.PausedSince}
	switch st.PausedReason {
	case "Spec":
		w.For, w.Who = "spec.state to be Running", "who may change the Rollout"
	case "Guardrail":
		w.For = "somebody to resume or abort, for a guardrail failed"
	}
	return w
}

// stepWait is what the present step waits for.
func stepWait(ro *v1alpha1.Rollout) *waitView {
	step := ro.Status.Step
	w := &waitView{Since: step.Began, Until: step.Until}
	var spec v1alpha1.RolloutStep
	if i := int(step.Index); ro.Spec.Preset == nil && i < len(ro.Spec.Steps) {
		spec = ro.Spec.Steps[i]
	}
	switch step.Kind {
	case "Pause":
		w.pause(spec.Pause)
	case "Approval":
		w.For, w.Who = "an approval of this step", "a reviewer who was asked"
		if a := spec.Approval; a != nil {
			w.For = "an approval of this step in role " + a.Role
			w.Who = "who has verb approve on miniprograms/review-" + a.Role + ", and is not the author"
		}
	case "Analysis":
		w.For, w.Then = "guardrails to hold", "on"
		if a := spec.Analysis; a != nil {
			w.For = fmt.Sprintf("%s to hold for %s", strings.Join(a.Guardrails, ", "), spanOf(time.Duration(a.Seconds)*time.Second))
		}
	case "Bake":
		w.For, w.Then = "the time to bake", "everybody gets it"
	default:
		return nil
	}
	return w
}

// pause is of the step's own words, or of a preset when there are none.
func (w *waitView) pause(p *v1alpha1.PauseStep) {
	after := func(seconds int64) *metav1.Time {
		if seconds == 0 || w.Since == nil {
			return nil
		}
		end := metav1.NewTime(w.Since.Add(time.Duration(seconds) * time.Second))
		return &end
	}
	if p == nil || p.Seconds > 0 {
		w.For, w.Then = "the pause to end", "on"
		if p != nil && w.Until == nil {
			w.Until = after(p.Seconds)
		}
		return
	}
	w.For, w.Who = "somebody to promote", "who has verb promote on rollouts"
	if w.Until == nil {
		w.Until = after(p.TimeoutSeconds)
	}
	w.Then = map[string]string{
		v1alpha1.OnTimeoutAbort: "the target is taken back", v1alpha1.OnTimeoutHold: "it waits on", v1alpha1.OnTimeoutContinue: "on",
	}[p.OnTimeout]
}

// nextOf are the commands that lead on from here.
func nextOf(ro *v1alpha1.Rollout, v *rolloutView) []nextCommand {
	var next []nextCommand
	add := func(verb, does string) {
		next = append(next, nextCommand{fmt.Sprintf("kubectl miniprogram rollout %s %s -n %s", verb, ro.Name, ro.Namespace), does})
	}
	st := &ro.Status
	if !ro.DeletionTimestamp.IsZero() {
		return nil
	}
	switch byAction := st.PausedReason != "" && st.PausedReason != "Spec"; {
	case st.Target == nil && st.Refused != nil && st.Refused.VersionRef == ro.Spec.VersionRef.Name && st.Outcome == v1alpha1.OutcomeAborted:
		add("retry", "starts "+st.Refused.VersionRef+" again at the step where it was")
	case st.Target == nil:
	case byAction:
		add("resume", "lets the share grow again")
		add("abort", "takes "+v.Target.Version+" back")
	default:
		if st.Step != nil && st.Step.Kind == "Pause" && st.PausedReason == "" {
			add("promote", fmt.Sprintf("ends the pause at step %d", st.Step.Index))
		}
		if st.Step != nil && st.Step.Kind == "Approval" {
			next = append(next, nextCommand{"kubectl get mprev -n " + ro.Namespace, "shows the Review that this step waits for"})
		}
		if st.PausedReason == "" {
			add("pause", "keeps the share where it is")
		}
		if st.Promotion == "" && st.PausedReason == "" {
			add("promote-full", "skips what is left, but no approval")
		}
		add("abort", "takes "+v.Target.Version+" back")
	}
	if len(v.Rollbacks) > 0 {
		next = append(next, nextCommand{
			fmt.Sprintf("kubectl miniprogram rollback %s -n %s --to %s", ro.Name, ro.Namespace, v.Rollbacks[0]),
			"makes it stable again, at once (to choose from: " + strings.Join(v.Rollbacks, ", ") + ")",
		})
	}
	return next
}

// ended says how a rollout has come to its end, and whether that is a good one.
type ended struct{ over, well bool }

// endOf is about the version that the spec names now.
func endOf(ro *v1alpha1.Rollout) ended {
	st := &ro.Status
	switch {
	case st.ObservedGeneration < ro.Generation:
		return ended{}
	case meta.IsStatusConditionTrue(st.Conditions, v1alpha1.ConditionStalled):
		return ended{over: true}
	case st.Target != nil:
		return ended{}
	case st.Refused != nil:
		return ended{over: true}
	case st.Stable != nil && st.Stable.VersionRef == ro.Spec.VersionRef.Name && meta.IsStatusConditionTrue(st.Conditions, v1alpha1.ConditionReady):
		return ended{over: true, well: true}
	}
	return ended{}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
)

// tries is how often an action is sent while others write what does not matter to it.
const tries = 5

// askedAction is an action on a Rollout as it was read.
type askedAction struct {
	rollout           *v1alpha1.Rollout
	verb, value, user string
	// anew: the same was asked for and refused before, so that it has to be taken
	// away first.
	anew bool
}

// plannedAction says what to write for a verb, or why it makes no sense.
func plannedAction(ro *v1alpha1.Rollout, verb, to, user string) (*askedAction, error) {
	name := "Rollout " + ro.Namespace + "/" + ro.Name
	st := &ro.Status
	if !ro.DeletionTimestamp.IsZero() {
		return nil, &unacceptableError{fmt.Errorf("%s is being deleted, and no action is performed on it any more", name)}
	}
	if st.Attempt == 0 {
		return nil, &unacceptableError{fmt.Errorf("%s has not begun yet, so there is nothing to %s", name, verb)}
	}
	value := fmt.Sprintf("%s@%d", verb, st.Attempt)
	switch verb {
	case rollout.VerbPromote:
		if st.Target == nil || st.Step == nil {
			return nil, &unacceptableError{fmt.Errorf("%s has no target under way: there is nothing to promote", name)}
		}
		value += fmt.Sprintf("/%d", st.Step.Index)
	case rollout.VerbRollback:
		value += "/" + to
	case rollout.VerbResume:
		if st.PausedReason != "" {
			value = rollout.Resume(st)
		}
	}
	a := &askedAction{rollout: ro, verb: verb, value: value, user: user}
	if pending := askedOf(ro); pending != nil && pending.User != user {
		by := pending.User
		if by == "" {
			by = "somebody"
		}
		return nil, fmt.Errorf("%s of %s on %s is not answered yet, and is not overwritten: wait for status.lastAction, or talk to %[2]s", pending.Value, by, name)
	}
	if last := st.LastAction; last != nil && last.Value == value {
		if last.Result == "Done" {
			return nil, &unacceptableError{fmt.Errorf("%s was done at %s already (%s), and the same action is not performed twice: %s",
				value, last.Time.UTC().Format("2006-01-02T15:04:05Z"), last.Message, again(verb))}
		}
		a.anew = true
	}
	return a, nil
}

// again says how to get what was done once.
func again(verb string) string {
	switch verb {
	case rollout.VerbResume:
		return "to resume once more, pause first"
	case rollout.VerbPause:
		return "to pause once more, resume first"
	}
	return "see kubectl miniprogram rollout status"
}

// question is what a person is asked before.
func (a *askedAction) question() string {
	st := &a.rollout.Status
	stable, target := variantOf(st.Stable), variantOf(st.Target)
	switch {
	case a.verb == rollout.VerbAbort && target != nil:
		return fmt.Sprintf("Abort %s at %s? Whoever has it goes back to %s.", target.Version, st.Percent, stable)
	case a.verb == rollout.VerbPromoteFull && target != nil:
		return fmt.Sprintf("Give %s to everybody, past the pauses that are left?", target.Version)
	case a.verb == rollout.VerbRollback:
		return fmt.Sprintf("Give everybody another version than %s, at once (%s)?", stable, a.value)
	}
	return "Ask for " + a.value + "?"
}

// patch is bound to what was read: the API server refuses it when the Rollout has
// changed since.
func (a *askedAction) patch() ([]byte, error) { return a.annotate(&a.value, &a.user) }

func (a *askedAction) annotate(value, user *string) ([]byte, error) {
	return json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": a.rollout.ResourceVersion,
		"annotations":     map[string]*string{v1alpha1.ActionAnnotation: value, v1alpha1.ActionByAnnotation: user},
	}})
}

// ask writes the action and waits for its answer, as long as the context lasts.
func (c *cluster) ask(ctx context.Context, a *askedAction) (*v1alpha1.ActionAnswer, error) {
	if a.anew {
		if err := c.takeAway(ctx, a); err != nil {
			return nil, err
		}
	}
	if err := c.send(ctx, a, (*askedAction).patch); err != nil {
		return nil, err
	}
	var answer *v1alpha1.ActionAnswer
	var replaced string // by what, of whom
	err := c.follow(ctx, a.rollout, func(now *v1alpha1.Rollout) bool {
		if last := now.Status.LastAction; last != nil && last.Value == a.value && last.User == a.user {
			answer = last
			return true
		}
		if value := now.Annotations[v1alpha1.ActionAnnotation]; value != a.value {
			if replaced = "was taken back"; value != "" {
				replaced = fmt.Sprintf("was replaced by %s of %s", value, now.Annotations[v1alpha1.ActionByAnnotation])
			}
			return true
		}
		return false
	})
	if err == nil && answer == nil {
		err = fmt.Errorf("%s %s before it was answered", a.value, replaced)
	}
	return answer, err
}

// takeAway removes an action that was refused, and waits until the answer goes
// with it: only then the same can be asked for anew.
func (c *cluster) takeAway(ctx context.Context, a *askedAction) error {
	if err := c.send(ctx, a, func(a *askedAction) ([]byte, error) { return a.annotate(nil, nil) }); err != nil {
		return err
	}
	return c.follow(ctx, a.rollout, func(now *v1alpha1.Rollout) bool {
		a.rollout = now
		return now.Status.LastAction == nil || now.Status.LastAction.Value != a.value
	})
}

// send patches the Rollout, and once more where what was written meanwhile does
// not matter to who acts.
func (c *cluster) send(ctx context.Context, a *askedAction, write func(*askedAction) ([]byte, error)) error {
	for try := 1; ; try++ {
		patch, err := write(a)
		if err != nil {
			return err
		}
		after := &v1alpha1.Rollout{}
		after.Namespace, after.Name = a.rollout.Namespace, a.rollout.Name
		err = c.client.Patch(ctx, after, client.RawPatch(types.MergePatchType, patch))
		if err == nil {
			a.rollout = after
			return nil
		}
		if !apierrors.IsConflict(err) || try == tries {
			return fmt.Errorf("asking for %s on Rollout %s/%s: %w", a.value, a.rollout.Namespace, a.rollout.Name, err)
		}
		now, err := c.getRollout(ctx, a.rollout.Name)
		if err != nil {
			return err
		}
		if other := differs(a.rollout, now); other != "" {
			return &unacceptableError{fmt.Errorf("nothing was asked for: since it was shown, %s of Rollout %s/%s has changed: look at it again", other, now.Namespace, now.Name)}
		}
		a.rollout = now
	}
}

// differs says what of a Rollout, that an action is about, is other than before.
func differs(before, now *v1alpha1.Rollout) string {
	b, n := &before.Status, &now.Status
	step := func(s *v1alpha1.StepStatus) int32 {
		if s == nil {
			return -1
		}
		return s.Index
	}
	digest := func(v *v1alpha1.Variant) string {
		if v == nil {
			return ""
		}
		return v.Digest
	}
	pending := func(ro *v1alpha1.Rollout) askedView {
		if a := askedOf(ro); a != nil {
			return *a
		}
		return askedView{}
	}
	switch {
	case before.UID != now.UID || before.Generation != now.Generation:
		return "the spec"
	case b.Attempt != n.Attempt:
		return "the attempt"
	case digest(b.Target) != digest(n.Target):
		return "the target"
	case digest(b.Stable) != digest(n.Stable):
		return "what is stable"
	case step(b.Step) != step(n.Step):
		return "the step"
	case b.BasisPoints != n.BasisPoints:
		return "the share"
	case b.PausedReason != n.PausedReason:
		return "the pause"
	case pending(before) != pending(now):
		return "the action that is asked for"
	}
	return ""
}

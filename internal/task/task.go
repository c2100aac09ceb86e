// Package task runs the named tasks of one reconciler pass and turns how they
// ended into conditions and a result for controller-runtime.
//
// A task ends in one of four ways:
//
//	nil          done, the next task runs
//	Wait         the world is not there yet, nothing is wrong
//	Stall        only a change of the spec can help
//	other error  unplanned; controller-runtime tries again with back-off
//
// A planned stop (Wait or Stall) that is joined with another error is unplanned:
// otherwise the planned part would hide the other from everybody.
package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Task is one piece of a pass. S is the scope that the tasks of a pass share.
type Task[S any] struct {
	// Name is in lower case and is put before the text of unplanned errors.
	Name string
	// Run ends in nil, Wait, Stall or any other error. It sets no condition and does not log what it returns.
	Run func(ctx context.Context, s *S) error
}

// Run runs the tasks in order and stops at the first that returns an error.
// That error is returned: as it is when it is a Wait or a Stall, for their text
// is for users, and wrapped with the task's name otherwise.
func Run[S any](ctx context.Context, s *S, tasks []Task[S]) error {
	for _, t := range tasks {
		err := t.Run(ctx, s)
		if err == nil {
			continue
		}
		if planned(err) != nil {
			return err
		}
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	return nil
}

// WaitError says that something is not there yet and that nothing is wrong.
type WaitError struct {
	// Reason is a condition reason in CamelCase.
	Reason string
	// After is when to look again; zero when a watch wakes the reconciler.
	After time.Duration
	// Message says what is waited for, and who can give it.
	Message string
}

// Error returns the message, or the reason when there is none.
func (e *WaitError) Error() string {
	if e.Message == "" {
		return e.Reason
	}
	return e.Message
}

// Wait stops the pass until the world has changed. With after zero or below, a
// watch must wake the reconciler. The error is a *WaitError.
func Wait(reason string, after time.Duration, format string, args ...any) error {
	return &WaitError{Reason: reason, After: max(after, 0), Message: fmt.Sprintf(format, args...)}
}

// StallError says that only a change of the spec can help.
type StallError struct {
	// Reason is a condition reason in CamelCase.
	Reason string
	// Err is the cause; its text is the message for people. May be nil.
	Err error
}

// Error returns the text of the cause, or the reason when there is none.
func (e *StallError) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *StallError) Unwrap() error { return e.Err }

// Stall stops the pass until somebody changes what is wrong. err's text must say
// what to do. The error is a *StallError that unwraps to err.
func Stall(reason string, err error) error {
	return &StallError{Reason: reason, Err: err}
}

// Result is what Reconcile returns for the outcome of Run: nothing for nil, a
// RequeueAfter without error for Wait, a reconcile.TerminalError for Stall, and
// err itself for what was not planned.
func Result(err error) (reconcile.Result, error) {
	switch stop := planned(err).(type) {
	case *WaitError:
		return reconcile.Result{RequeueAfter: stop.After}, nil
	case *StallError:
		return reconcile.Result{}, reconcile.TerminalError(err)
	default:
		return reconcile.Result{}, err
	}
}

// planned returns the outermost *WaitError or *StallError of err's chain, or nil.
// It does not look into joined errors, as errors.As would: see the package comment.
func planned(err error) error {
	for ; err != nil; err = errors.Unwrap(err) {
		switch err.(type) {
		case *WaitError, *StallError:
			return err
		}
	}
	return nil
}

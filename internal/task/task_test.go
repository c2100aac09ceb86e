package task

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

var errDisk = errors.New("disk is full")

// scope records which tasks ran.
type scope struct{ ran []string }

func ends(name string, err error) Task[scope] {
	return Task[scope]{Name: name, Run: func(_ context.Context, s *scope) error {
		s.ran = append(s.ran, name)
		return err
	}}
}

func TestRun(t *testing.T) {
	wait := Wait("NoArtifact", time.Minute, "waits for the artifact")
	stall := Stall("BadSource", errDisk)
	tests := map[string]struct {
		tasks    []Task[scope]
		wantRan  []string
		wantErr  error // matched with errors.Is
		wantText string
	}{
		"no task is no error": {},
		"all tasks run in order": {
			tasks:   []Task[scope]{ends("load", nil), ends("publish", nil)},
			wantRan: []string{"load", "publish"},
		},
		"an unplanned error stops the pass and names the task": {
			tasks:    []Task[scope]{ends("load", nil), ends("publish", errDisk), ends("observe", nil)},
			wantRan:  []string{"load", "publish"},
			wantErr:  errDisk,
			wantText: "publish: disk is full",
		},
		"a wait stops the pass and keeps its text for people": {
			tasks:    []Task[scope]{ends("load", wait), ends("publish", nil)},
			wantRan:  []string{"load"},
			wantErr:  wait,
			wantText: "waits for the artifact",
		},
		"a stall stops the pass and keeps its text for people": {
			tasks:    []Task[scope]{ends("load", stall), ends("publish", nil)},
			wantRan:  []string{"load"},
			wantErr:  stall,
			wantText: "disk is full",
		},
		"a wait that is joined with another error is unplanned": {
			tasks:    []Task[scope]{ends("load", errors.Join(wait, errDisk))},
			wantRan:  []string{"load"},
			wantErr:  errDisk,
			wantText: "load: waits for the artifact\ndisk is full",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var s scope
			err := Run(t.Context(), &s, tc.tasks)
			if diff := cmp.Diff(tc.wantRan, s.ran); diff != "" {
				t.Errorf("tasks that ran (-want +got):\n%s", diff)
			}
			if !errors.Is(err, tc.wantErr) {
				t.Errorf("Run returned %v, want %v", err, tc.wantErr)
			}
			if err != nil && err.Error() != tc.wantText {
				t.Errorf("Run's text is %q, want %q", err, tc.wantText)
			}
		})
	}
}

func TestRunHandsOverContextAndScope(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	s := scope{ran: []string{"before"}}
	err := Run(ctx, &s, []Task[scope]{{Name: "load", Run: func(ctx context.Context, s *scope) error {
		s.ran = append(s.ran, fmt.Sprint(ctx.Value(key{})))
		return nil
	}}})
	if want := []string{"before", "value"}; err != nil || !cmp.Equal(want, s.ran) {
		t.Errorf("the scope holds %v (error %v), want %v", s.ran, err, want)
	}
}

func TestStopsMatchThroughWrapping(t *testing.T) {
	var wait *WaitError
	if err := fmt.Errorf("loading: %w", Wait("NoArtifact", -time.Second, "waits for %s", "it")); !errors.As(err, &wait) {
		t.Fatalf("%v is no *WaitError", err)
	}
	if diff := cmp.Diff(&WaitError{Reason: "NoArtifact", Message: "waits for it"}, wait); diff != "" {
		t.Errorf("a wait with a negative time (-want +got):\n%s", diff)
	}
	var stall *StallError
	if err := fmt.Errorf("loading: %w", Stall("BadSource", errDisk)); !errors.As(err, &stall) || !errors.Is(err, errDisk) {
		t.Errorf("%v is no *StallError with its cause", err)
	}
}

func TestResult(t *testing.T) {
	stall := Stall("BadSource", errDisk)
	tests := map[string]struct {
		err      error
		want     reconcile.Result
		wantErr  error // matched with errors.Is; nil: no error at all
		terminal bool
	}{
		"done is nothing to do": {},
		"a wait with a time comes back then": {
			err:  Wait("NoArtifact", time.Minute, "waits"),
			want: reconcile.Result{RequeueAfter: time.Minute},
		},
		"a wait without a time is left to a watch": {err: Wait("NoArtifact", 0, "waits")},
		"a wrapped wait is a wait": {
			err:  fmt.Errorf("loading: %w", Wait("NoArtifact", time.Minute, "waits")),
			want: reconcile.Result{RequeueAfter: time.Minute},
		},
		"a stall is terminal":         {err: stall, wantErr: stall, terminal: true},
		"a wrapped stall is terminal": {err: fmt.Errorf("loading: %w", stall), wantErr: stall, terminal: true},
		"a stall because of a wait is a stall": {
			err: Stall("GaveUp", Wait("NoArtifact", time.Minute, "waits")), wantErr: reconcile.TerminalError(nil), terminal: true,
		},
		"an unplanned error is tried again":            {err: errDisk, wantErr: errDisk},
		"an error beside a wait is not hidden by it":   {err: errors.Join(Wait("W", 0, "waits"), errDisk), wantErr: errDisk},
		"an error beside a stall is still tried again": {err: errors.Join(stall, errDisk), wantErr: errDisk},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Result(tc.err)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Result (-want +got):\n%s", diff)
			}
			if !errors.Is(err, tc.wantErr) {
				t.Errorf("Result returned error %v, want %v", err, tc.wantErr)
			}
			if got := errors.Is(err, reconcile.TerminalError(nil)); got != tc.terminal {
				t.Errorf("terminal is %t, want %t", got, tc.terminal)
			}
		})
	}
}

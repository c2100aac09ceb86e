package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
)

func sleeper(t *testing.T) *supervisor {
	t.Helper()
	s, err := supervise(child.Command{Path: "/bin/sleep", Args: []string{"600"}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestAKilledProcessIsStartedAgain(t *testing.T) {
	s := sleeper(t)
	first := s.current()
	if was, err := s.kill(); !was || err != nil {
		t.Fatalf("kill: %t, %v", was, err)
	}
	if first.Running() {
		t.Error("the process still runs")
	}
	err := until(t.Context(), "another process", 10*time.Second, func() string { return "" }, func(context.Context) error {
		if p := s.current(); p == first || !p.Running() {
			return errors.New("there is none")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := s.restartCount(); n != 1 {
		t.Errorf("%d restarts, want 1", n)
	}
}

func TestAStoppedProcessStaysStopped(t *testing.T) {
	s := sleeper(t)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.stopped:
	default:
		t.Error("somebody would start it again")
	}
	if s.current().Running() {
		t.Error("it still runs")
	}
}

func TestEveryPlannedKillEndsAProcessOfItsOwn(t *testing.T) {
	const kills = 3 // one of them as a step is due
	s := sleeper(t)
	c := newChaos(kills, 1, s, newPrinter(io.Discard))
	for range chaosTicks {
		c.tick(t.Context())
	}
	c.due(t.Context(), time.Now())
	killed, _ := c.finish()
	if killed != kills {
		t.Errorf("%d kills, want %d", killed, kills)
	}
	err := until(t.Context(), "the last restart", 10*time.Second, func() string { return "" }, func(context.Context) error {
		if s.restartCount() < kills {
			return errors.New("it was not yet")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

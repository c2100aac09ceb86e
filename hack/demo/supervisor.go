package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
)

const (
	stopGrace = 10 * time.Second
	// A process that lived this long is started again almost at once, one that
	// did not after a longer pause, so that one that cannot start does not spin.
	longLife   = 2 * time.Second
	shortPause = 100 * time.Millisecond
	longPause  = time.Second
)

// supervisor keeps one process running, as a Deployment would: whenever it
// ends, it is started again.
type supervisor struct {
	command child.Command

	mu       sync.Mutex
	process  *child.Process
	restarts int

	stopping chan struct{}
	stopOnce sync.Once
	stopped  chan struct{}
}

// supervise starts the process and keeps it running until stop.
func supervise(command child.Command) (*supervisor, error) {
	process, err := child.Start(command)
	if err != nil {
		return nil, err
	}
	s := &supervisor{command: command, process: process, stopping: make(chan struct{}), stopped: make(chan struct{})}
	go s.keep()
	return s, nil
}

func (s *supervisor) keep() {
	defer close(s.stopped)
	for {
		began := time.Now()
		select {
		case <-s.stopping:
			return
		case <-s.current().Done():
		}
		pause := shortPause
		if time.Since(began) < longLife {
			pause = longPause
		}
		select {
		case <-s.stopping:
			return
		case <-time.After(pause):
		}
		process, err := child.Start(s.command)
		if err != nil {
			continue // the old one is over, so this tries again after a pause
		}
		s.mu.Lock()
		s.process, s.restarts = process, s.restarts+1
		s.mu.Unlock()
	}
}

func (s *supervisor) current() *child.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// kill ends the process as kill -9 does and tells whether there was one.
func (s *supervisor) kill() (bool, error) {
	p := s.current()
	if !p.Running() {
		return false, nil
	}
	return true, p.Kill()
}

// restartCount is how often the process was started again.
func (s *supervisor) restartCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restarts
}

// tail is what the process wrote last, for messages.
func (s *supervisor) tail(lines int) string { return s.current().LogTail(lines) }

// stop ends the process for good.
func (s *supervisor) stop() error {
	s.stopOnce.Do(func() { close(s.stopping) })
	<-s.stopped
	if err := s.current().Stop(stopGrace); err != nil {
		return err
	}
	if err := s.current().Err(); err != nil && !wasSignal(err) {
		return fmt.Errorf("%s: %w; the end of its log:\n%s", s.command.Path, err, s.tail(10))
	}
	return nil
}

// wasSignal tells that a process ended by a signal, as one that was killed does.
func wasSignal(err error) bool {
	exit, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err)
	return ok && exit.ExitCode() == -1
}

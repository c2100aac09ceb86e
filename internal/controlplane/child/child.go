// Package child runs programs as child processes that never outlive their
// parent: the control plane and registry of tests, and everything that the demo
// starts. Each child leads a process group of its own, so that a Ctrl-C in the
// terminal reaches the parent alone, which then stops its children in order.
package child

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Command says what to run.
type Command struct {
	// Path is the program's file. It is not looked up in PATH.
	Path string
	Args []string
	// Env is added to the parent's environment, as "NAME=value".
	Env []string
	// Log is the file to which output and errors are appended. It is created
	// with its folder; it is required, for a child must not write between the
	// lines of its parent.
	Log string
}

// Process is a started child. Its methods may be called concurrently.
type Process struct {
	name string
	log  string
	pid  int
	// logged is the log's size at the start, so that LogTail leaves out the
	// words of an earlier process.
	logged int64
	done   chan struct{}
	err    error // set before done is closed
}

// Start starts the program. The child is killed when this process ends in
// whatever way (on Linux; elsewhere only Stop and Kill end it); what the child
// started itself is not.
func Start(c Command) (*Process, error) {
	name := filepath.Base(c.Path)
	if err := os.MkdirAll(filepath.Dir(c.Log), 0o700); err != nil {
		return nil, fmt.Errorf("creating the log folder of %s: %w", name, err)
	}
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	info, err := log.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the log of %s: %w", name, err), log.Close())
	}

	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes()

	p := &Process{name: name, log: c.Log, logged: info.Size(), done: make(chan struct{})}
	started := make(chan error)
	go p.run(cmd, log, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// run starts the child and waits for its end on a thread that lives exactly as
// long: the kernel's "kill with the parent" means the thread that started it.
func (p *Process) run(cmd *exec.Cmd, log io.Closer, started chan<- error) {
	runtime.LockOSThread()
	err := cmd.Start()
	if err != nil {
		started <- errors.Join(err, log.Close())
		return
	}
	p.pid = cmd.Process.Pid
	started <- nil
	p.err = errors.Join(cmd.Wait(), log.Close())
	close(p.done)
}

// PID returns the child's process number.
func (p *Process) PID() int { return p.pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the child has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Err returns why the child ended: nil when it runs or ended by itself with
// status 0, else usually an *exec.ExitError.
func (p *Process) Err() error {
	if p.Running() {
		return nil
	}
	return p.err
}

// Stop asks the child to end, waits for at most the grace period and then kills
// it with its whole process group. Stopping an ended child does nothing.
func (p *Process) Stop(grace time.Duration) error {
	if !p.Running() {
		return nil
	}
	if err := syscall.Kill(p.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stopping %s (process %d): %w", p.name, p.pid, err)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return p.Kill()
	}
}

// Kill ends the child with its process group at once, as kill -9 does, and
// waits for its end.
func (p *Process) Kill() error {
	if !p.Running() {
		return nil
	}
	if err := syscall.Kill(-p.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing %s (process %d): %w", p.name, p.pid, err)
	}
	<-p.done
	return nil
}

// LogTail returns up to the given number of last lines that this process wrote.
// It is for messages: a log that cannot be read gives an empty string.
func (p *Process) LogTail(lines int) string {
	data, err := os.ReadFile(p.log)
	if err != nil || int64(len(data)) < p.logged {
		return ""
	}
	all := bytes.Split(bytes.TrimRight(data[p.logged:], "\n"), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

package child_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
)

// parentVariable makes this test binary play the parent of
// TestAChildDiesWithItsParent.
const parentVariable = "CHILD_TEST_LOG"

func TestMain(m *testing.M) {
	log := os.Getenv(parentVariable)
	if log == "" {
		os.Exit(m.Run())
	}
	p, err := child.Start(child.Command{Path: "/bin/sh", Args: []string{"-c", "exec sleep 600"}, Log: log})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	<-p.Done()
}

func TestAChildDiesWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // elsewhere Start does not promise it
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+filepath.Join(t.TempDir(), "log"))
	out, err := parent.StdoutPipe()
	must(t, err)
	must(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	must(t, err)
	t.Cleanup(func() {
		if alive(pid) {
			must(t, syscall.Kill(-pid, syscall.SIGKILL))
		}
	})
	if !alive(pid) {
		t.Fatalf("the child %d does not run", pid)
	}

	must(t, parent.Process.Kill())
	if err := parent.Wait(); err == nil {
		t.Fatal("the parent ended by itself")
	}
	await(t, "the child is gone", func() bool { return !alive(pid) })
}

func TestStopAsksFirstAndKillsThen(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		grace  time.Duration
		want   string
	}{
		"who listens may clean up":      {script: `trap 'echo cleaned; exit 3' TERM; echo up; while :; do sleep 0.01; done`, grace: time.Minute, want: "exit status 3"},
		"who does not listen is killed": {script: `trap '' TERM; echo up; while :; do sleep 0.01; done`, grace: time.Millisecond, want: "signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, test.script)
			await(t, "the child is up", func() bool { return strings.Contains(p.LogTail(1), "up") })
			if err := p.Err(); !p.Running() || err != nil {
				t.Fatalf("the child has ended: %v", err)
			}
			must(t, p.Stop(test.grace))
			if got := p.Err(); p.Running() || got == nil || got.Error() != test.want {
				t.Errorf("the child ended with %v, want %s", got, test.want)
			}
			must(t, p.Stop(test.grace))
			must(t, p.Kill())
		})
	}
}

func TestAwaitReadySaysWhatTheChildWroteLast(t *testing.T) {
	notYet := errors.New("nobody listens")
	never := func(context.Context) error { return notYet }

	t.Run("when it ends", func(t *testing.T) {
		p := start(t, "echo first; echo cannot open my file >&2; exit 7")
		err := p.AwaitReady(t.Context(), never)
		if err == nil || !strings.HasPrefix(err.Error(), "sh ended before it was ready (exit status 7)") || !strings.HasSuffix(err.Error(), "first\ncannot open my file") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("when time is up", func(t *testing.T) {
		p := start(t, "echo thinking; exec sleep 600")
		await(t, "the child is up", func() bool { return p.LogTail(1) == "thinking" })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		err := p.AwaitReady(ctx, never)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, notYet) || !strings.HasSuffix(err.Error(), "thinking") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("and nothing when it is ready", func(t *testing.T) {
		p := start(t, "exec sleep 600")
		tries := 0
		must(t, p.AwaitReady(t.Context(), func(context.Context) error {
			if tries++; tries < 3 {
				return notYet
			}
			return nil
		}))
	})
}

func TestTheLogIsAppendedToButOnlyOwnLinesAreQuoted(t *testing.T) {
	log := filepath.Join(t.TempDir(), "logs", "sh.log")
	for _, word := range []string{"one", "two"} {
		p, err := child.Start(child.Command{Path: "/bin/sh", Args: []string{"-c", "echo $WORD"}, Env: []string{"WORD=" + word}, Log: log})
		must(t, err)
		<-p.Done()
		if got := p.LogTail(10); got != word {
			t.Errorf("own lines are %q, want %q", got, word)
		}
	}
	data, err := os.ReadFile(log)
	must(t, err)
	if got, want := string(data), "one\ntwo\n"; got != want {
		t.Errorf("the log is %q, want %q", got, want)
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	_, err := child.Start(child.Command{Path: "/nowhere/etcd", Log: filepath.Join(t.TempDir(), "log")})
	if want := "starting etcd: fork/exec /nowhere/etcd: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestKeepPortKeepsWhatIsFree(t *testing.T) {
	port, err := child.FreePort()
	must(t, err)
	got, err := child.KeepPort(port)
	must(t, err)
	if got != port {
		t.Errorf("the free port %d became %d", port, got)
	}

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	must(t, err)
	defer listener.Close()
	got, err = child.KeepPort(port)
	must(t, err)
	if got == port {
		t.Errorf("the taken port %d was kept", port)
	}
}

func start(t *testing.T, script string) *child.Process {
	t.Helper()
	p, err := child.Start(child.Command{Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log")})
	must(t, err)
	t.Cleanup(func() { must(t, p.Kill()) })
	return p
}

// alive tells whether a process runs. One that has ended may stay in the table
// until somebody asks for its status.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// build builds the manager, the manifest service and the kubectl plugin, as `make
// build` does. Go itself knows whether anything has to be done.
func (s *stack) build(ctx context.Context, f *figures) error {
	s.out.section("Build")
	began := time.Now()
	done := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		s.tellOfLongBuild(began, done)
	}()
	err := s.goBuild(ctx)
	close(done)
	<-told
	if err != nil {
		return err
	}
	f.BuildSeconds = round(time.Since(began))
	s.out.say("bin/manager, bin/manifest-service and bin/kubectl-miniprogram in %s", seconds(time.Since(began)))
	return nil
}

// tellOfLongBuild keeps a person company while the first build compiles all
// dependencies.
func (s *stack) tellOfLongBuild(began time.Time, done <-chan struct{}) {
	for pause := 10 * time.Second; ; pause += 10 * time.Second {
		select {
		case <-done:
			return
		case <-time.After(pause):
			s.out.say("compiling for %s (a few minutes the first time, seconds from then on)", time.Since(began).Round(time.Second))
		}
	}
}

func (s *stack) goBuild(ctx context.Context) error {
	version := "dev"
	if out, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		version = strings.TrimSpace(string(out))
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+version,
		"-o", filepath.Join(s.root, "bin")+string(filepath.Separator), "./cmd/manager", "./cmd/manifest-service", "./cmd/kubectl-miniprogram")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &problems, &problems
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building the manager, the manifest service and the plugin: %w\n%s", err, strings.TrimSpace(problems.String()))
	}
	return nil
}

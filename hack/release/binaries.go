package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// moment is the one time that is written into files.
type moment struct{ time.Time }

func parseMoment(unix string) (moment, error) {
	seconds, err := strconv.ParseInt(unix, 10, 64)
	if err != nil {
		return moment{}, fmt.Errorf("the time of the commit: %w", err)
	}
	return moment{time.Unix(seconds, 0).UTC()}, nil
}

type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "_" + p.arch }

// binary names a program as its file is called there.
func (p platform) binary(name string) string {
	if p.os == "windows" {
		return name + ".exe"
	}
	return name
}

const plugin = "kubectl-miniprogram"

var (
	// servers run in clusters.
	servers         = []string{"manager", "manifest-service"}
	serverPlatforms = []platform{{"linux", "amd64"}, {"linux", "arm64"}}
	// The plugin runs where people sit.
	pluginPlatforms = []platform{
		{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"},
		{"windows", "amd64"}, {"windows", "arm64"},
	}
)

func (r *release) buildBinaries(ctx context.Context) error {
	for _, p := range r.plugins {
		if err := r.goBuild(ctx, p, plugin); err != nil {
			return err
		}
	}
	for _, p := range r.servers {
		if err := r.goBuild(ctx, p, servers...); err != nil {
			return err
		}
	}
	return nil
}

// built is where a binary is once it was built.
func (r *release) built(p platform, name string) string {
	return r.work(filepath.Join(p.String(), p.binary(name)))
}

// goBuild builds commands of cmd/. No path of the machine, no C compiler and no time
// has a part in it.
func (r *release) goBuild(ctx context.Context, p platform, names ...string) error {
	for _, name := range names {
		out, err := filepath.Abs(r.built(p, name))
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=true",
			"-ldflags", "-s -w -buildid= -X main.version="+r.version, "-o", out, "./cmd/"+name)
		cmd.Dir = r.root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOOS="+p.os, "GOARCH="+p.arch, "GOAMD64=v1", "GOARM64=v8.0")
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s for %s: %w\n%s", name, p, err, strings.TrimSpace(string(said)))
		}
	}
	return nil
}

// output runs a command and returns what it wrote, without the last line's end.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(problems.String()))
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

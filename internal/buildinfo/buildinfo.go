// Package buildinfo says what a binary was built from, which is what --version
// prints: whoever reports a problem can be asked for one line.
package buildinfo

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Line names the binary's version, the commit that the Go tool stamped in, and the
// Go release and platform that it was built by and for.
func Line(name, version string) string {
	info, _ := debug.ReadBuildInfo()
	return line(name, version, info) + fmt.Sprintf(", %s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// line is the part that depends on the build alone. A nil info has no commit.
func line(name, version string, info *debug.BuildInfo) string {
	commit := "unknown"
	changed := ""
	if info != nil {
		for _, setting := range info.Settings {
			switch {
			case setting.Key == "vcs.revision":
				commit = setting.Value
			case setting.Key == "vcs.modified" && setting.Value == "true":
				changed = " with changes"
			}
		}
	}
	return fmt.Sprintf("%s %s, commit %s%s", name, version, commit, changed)
}

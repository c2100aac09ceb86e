package buildinfo

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	for name, test := range map[string]struct {
		settings []debug.BuildSetting
		want     string
	}{
		"a commit": {
			settings: []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "c0ffee"}, {Key: "vcs.modified", Value: "false"}},
			want:     "manager v0.1.0, commit c0ffee",
		},
		"a commit and what was not committed": {
			settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "c0ffee"}, {Key: "vcs.modified", Value: "true"}},
			want:     "manager v0.1.0, commit c0ffee with changes",
		},
		"a tree without git": {want: "manager v0.1.0, commit unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := line("manager", "v0.1.0", &debug.BuildInfo{Settings: test.settings}); got != test.want {
				t.Errorf("line = %q, want %q", got, test.want)
			}
		})
	}
	if got := Line("manager", "v0.1.0"); !strings.Contains(got, runtime.Version()) {
		t.Errorf("Line = %q, which lacks %s", got, runtime.Version())
	}
}

package controller_test

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// plugin is the kubectl plugin in somebody's hands.
type plugin struct {
	*group
	binary, kubeconfig string
}

func (g *group) plugin(t *testing.T, user string) *plugin {
	t.Helper()
	binary, err := builtPlugin()
	g.must(t, err)
	p := &plugin{group: g, binary: binary, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	p.as(t, user)
	return p
}

// builtPlugin is the plugin's file, which is built once for all tests.
var builtPlugin = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(sharedDir, "kubectl-miniprogram")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/kubectl-miniprogram")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the plugin: %w\n%s", err, out)
	}
	return binary, nil
})

// as hands the plugin to another user.
func (p *plugin) as(t *testing.T, user string) {
	t.Helper()
	p.must(t, p.cp.WriteKubeconfig(p.kubeconfig, p.cp.User(user)))
}

// run carries out a command line, of which it returns what it printed.
func (p *plugin) run(t *testing.T, args ...string) (code int, out, problems string) {
	t.Helper()
	cmd := exec.CommandContext(ctx(t), p.binary, append(args, "--kubeconfig", p.kubeconfig, "-n", p.ns)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit, is := errors.AsType[*exec.ExitError](err); is {
		return exit.ExitCode(), stdout.String(), stderr.String()
	}
	p.must(t, err)
	return 0, stdout.String(), stderr.String()
}

// An operator steers a whole rollout with the plugin alone, through admission and
// as the manager answers.
func TestAnOperatorSteersARolloutWithThePlugin(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.underWay(t)
	olu := "olu-" + g.ns
	p := g.plugin(t, olu)
	const refused, done = 1, 0
	by := func(value, answer string) string { return value + " by " + olu + ": " + answer + "\n" }
	for _, step := range []struct {
		command string
		code    int
		want    string
	}{
		{"rollout pause app", done, by("pause@2", "Done, the share does not grow until somebody resumes")},
		{"rollout promote app", refused, by("promote@2/1", "Refused, the rollout is paused: write resume@2 first")},
		{"rollout promote app", refused, by("promote@2/1", "Refused, the rollout is paused: write resume@2 first")},
		{"rollout resume app", done, by("resume@2", "Done, the rollout goes on")},
		{"rollout retry app", refused, by("retry@2", "Refused, no aborted target is waiting for a retry")},
		{"rollout abort app", done, by("abort@2", "Done, the target was taken back")},
		{"rollout promote-full app", refused, by("promote-full@2", "Refused, no target is under way: there is nothing to promote")},
		{"rollout retry app", done, by("retry@2", "Done, the target starts again at the step where it was aborted")},
		{"rollout promote app", done, by("promote@3/1", "Done, step 1 is done")},
		{"rollback app --to 9.9.9", refused, by("rollback@3/9.9.9", "Refused, version 9.9.9 is not in the rollback history (status.rollbacks)")},
		{"rollback app --to 1.0.0", done, by("rollback@3/1.0.0", "Done, 1.0.0 is stable again for everybody")},
	} {
		code, out, problems := p.run(t, strings.Fields(step.command)...)
		if code != step.code || out != step.want {
			t.Fatalf("%s: exit code %d, %q, want %d, %q; %s", step.command, code, out, step.code, step.want, problems)
		}
		switch {
		case step.command == "rollout abort app":
			g.awaitAbort(t)
			if code, out, problems := p.run(t, "rollout", "status", "app", "--watch", "--timeout", "20s"); code != 1 || !strings.Contains(out, "app-1.1.0 stays out: aborted by "+olu) {
				t.Errorf("watching what was aborted: exit code %d, %s%s", code, out, problems)
			}
		case strings.Contains(step.want, "promote@3/1"):
			if code, out, problems := p.run(t, "rollout", "status", "app", "--watch", "--timeout", "20s"); code != 0 || !strings.HasSuffix(out, "1.1.0 is stable for everybody\n") {
				t.Errorf("watching what is promoted: exit code %d, %s%s", code, out, problems)
			}
		}
	}
	g.awaitRollout(t, "app", "1.0.0 is stable again", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Stable.Version == "1.0.0" && ro.Status.Outcome == v1alpha1.OutcomeRolledBack && isOut(ro)
	})
	code, out, problems := p.run(t, "rollout", "status", "app")
	for _, want := range []string{"\n  Stable    1.0.0 sha256:", "\n  Target    none, attempt 4: RolledBack\n", "\n  rollback@3/1.0.0   by " + olu + "   Done, "} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("the status lacks %q: exit code %d\n%s%s", want, code, out, problems)
		}
	}
	p.as(t, g.danaName)
	if code, _, problems := p.run(t, "rollout", "abort", "app"); code != 2 || !strings.Contains(problems, "cannot patch resource \"rollouts\"") {
		t.Errorf("a developer aborts: exit code %d, %s", code, problems)
	}
	// Who may patch and has none of the verbs is told so by admission.
	paul := "paul-" + g.ns
	g.must(t, g.admin.Create(ctx(t), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "patcher"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"rollouts"}, Verbs: []string{"patch", "get", "list", "watch"}}},
	}))
	g.bind(t, paul, "Role", "patcher")
	p.as(t, paul)
	want := paul + " may not abort: ask for verb abort on rollouts in namespace " + g.ns + " (ClusterRole miniprogram-operator has it)"
	if code, out, problems := p.run(t, "rollout", "abort", "app"); code != 2 || out != "" || !strings.Contains(problems, want) {
		t.Errorf("a patcher aborts: exit code %d, %q, %q, want %q", code, out, problems, want)
	}
}

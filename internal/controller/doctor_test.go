package controller_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// wants has the plugin look, and compares its exit code and lines of its output.
func (p *plugin) wants(t *testing.T, code int, lines ...string) {
	t.Helper()
	var got int
	var out, problems string
	eventually(t, "what the doctor says", func() string {
		got, out, problems = p.run(t, "doctor")
		for _, line := range lines {
			if !strings.Contains(out, line) {
				return "it lacks\n" + line + "\nin\n" + out + problems
			}
		}
		return ""
	})
	if got != code {
		t.Errorf("exit code %d, want %d:\n%s%s", got, code, out, problems)
	}
}

// A group is looked at by its administrator, who sees all, and by a developer, who is told
// what is not known to him. What is missing is told until it is there.
func TestTheDoctorOfAGroup(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	boss := "boss-" + g.ns
	g.bind(t, boss, "ClusterRole", "admin")
	g.awaitRight(t, boss, "list", "rollouts")
	g.program(t, "app")
	g.version(t, "app", "1.0.0") // without its ConfigMap
	g.version(t, "app", "2.0.0", func(v *v1alpha1.MiniProgramVersion) {
		v.Spec.Source = v1alpha1.BundleSource{HTTP: &v1alpha1.HTTPSource{URL: "https://example.com/app.zip", SecretRef: &v1alpha1.SecretReference{Name: "pull"}}}
	})
	p := g.plugin(t, boss)
	p.wants(t, 1,
		"\nSources\n  ✓ the manager may read configmaps here, one by one\n  ✓ the manager may read secrets here, one by one\n",
		"  ✗ no ResourceQuota bounds what the group creates\n",
		"  ✗ Secret pull, which a version names: it does not exist\n      kubectl create secret docker-registry NAME -n "+g.ns+" ",
		"  ✗ ConfigMap app-1.0.0/bundle.zip, which a version names: it does not exist\n",
		"  ! whether host apps take MiniProgram app is not known: you may not ask: hostapps are forbidden to you\n",
		"  ✗ app-1.0.0 waits: ",
	)
	g.must(t, g.dana.Create(ctx(t), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "pull"}, StringData: map[string]string{"token": "t"}}))
	p.wants(t, 1, "  ✗ Secret pull, which a version names: it names no host: ")
	g.configMap(t, "app-1.0.0", archive(t, "app 1.0.0"))
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	waits := "app-1.0.0 waits for role quality"
	p.wants(t, 1, "  ! "+waits+", which nobody in the group holds; whether somebody does in the whole cluster is not known: ")
	p.as(t, "dana-"+g.ns)
	p.wants(t, 1,
		"  ! whether the manager may read secrets here is not known: you may not ask: localsubjectaccessreviews are forbidden to you\n",
		"  ! "+waits+": who holds it is not known: you may not ask: rolebindings are forbidden to you\n",
	)
	// The platform's administrators see the whole of it.
	g.must(t, p.cp.WriteKubeconfig(p.kubeconfig, p.cp.Admin()))
	p.wants(t, 1,
		"  ✓ host app "+g.host+" takes MiniProgram app\n",
		"  ✓ covered by ReviewPolicy ",
		"  ✗ "+waits+", which nobody holds for MiniProgram app\n      kubectl create role review-quality -n "+g.ns+" --verb=approve --resource=miniprograms.miniprogram.dev/review-quality --resource-name=app\n",
	)
	g.letApprove(t, g.rosaName, "quality", "app")
	p.wants(t, 1, "  ✓ "+waits+", which User "+g.rosaName+" may decide in\n")
	change(t, g, g.admin, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.HostApps = []string{"nowhere"} })
	p.wants(t, 1, "  ✗ MiniProgram app: host app nowhere does not exist: ")
	// A group that lacks nothing.
	change(t, g, g.admin, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.HostApps = []string{g.host} })
	g.remove(t, "app-2.0.0")
	g.must(t, g.admin.Create(ctx(t), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "group"}}))
	p.wants(t, 0, "\n0 missing, 0 not known\n")
}

func TestTheDoctorOfNoGroup(t *testing.T) {
	g := newGroup(t, "quality")
	p := g.plugin(t, "stranger-"+g.ns)
	if code, out, problems := p.run(t, "doctor"); code != 2 || out != "" || !strings.Contains(problems, "reading group "+g.ns+": ") {
		t.Errorf("a stranger: exit code %d, %q, %s", code, out, problems)
	}
	g.must(t, p.cp.WriteKubeconfig(p.kubeconfig, p.cp.Admin()))
	nowhere := *p.group
	nowhere.ns = "nowhere-" + g.ns
	p.group = &nowhere
	p.wants(t, 1, "Group nowhere-"+g.ns+"\n  ✗ namespace nowhere-"+g.ns+" does not exist\n")
}

// The tests' installation has no Deployments, and its manager, in the tests' process, leads
// without a lease.
func TestTheDoctorOfAnInstallation(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	p := g.plugin(t, "stranger-"+g.ns)
	everywhere := func(code int, want ...string) {
		t.Helper()
		nobody := *p.group
		nobody.ns = ""
		everywhere := &plugin{group: &nobody, binary: p.binary, kubeconfig: p.kubeconfig}
		everywhere.wants(t, code, want...)
	}
	everywhere(0, // nothing is known to be missing
		"Kinds and admission\n  ✓ the cluster serves all kinds of miniprogram.dev/v1alpha1\n",
		"  ! whether the admission policies are there is not known: you may not ask: validatingadmissionpolicies are forbidden to you\n",
	)
	g.must(t, p.cp.WriteKubeconfig(p.kubeconfig, p.cp.Admin()))
	everywhere(1,
		"  ✓ all admission policies and bindings are there\n  ✓ the manager has proved that they bite\n",
		"  ✗ Deployment miniprogram-manager does not exist in namespace miniprogram-system\n",
		"  ✗ no manager has ever led: ",
		" in ConfigMap miniprogram-trusted-keys\n",
		"  ✓ ReviewPolicy "+g.ns+" is ready\n", "  ✓ HostApp "+g.host+" is ready\n",
	)
}

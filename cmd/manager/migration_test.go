package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
	hostclient "github.com/miniprogram-dev/miniprogram-operator/sdk/go/client"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// The registry is changed while a release is at 25 %: the artifacts are copied, manager
// and manifest service are started with the new one, and the old one is shut down. Nobody
// is asked anything anew, nobody gets anything else, and the rollout goes on.
func TestTheRegistryIsChangedInTheMiddleOfARollout(t *testing.T) {
	m := &migration{platform: newPlatform(t, "migration", v1alpha1.ApprovalRule{Role: "quality"}), plane: controlplane.ForTest(t)}
	m.prepare(t.Context(), t, m.name)
	m.letRosaReview(t)
	stable, target := m.at25Percent(t)
	before := m.rollout(t)
	reviews := m.reviews(t)

	old := m.registry
	next := registrytest.Start(t, registrytest.Options{Dir: filepath.Join(m.dir, "next")})
	// Too early: the artifacts are not there. A journal would begin anew there.
	m.restart(t, next.Host(), "--journal=false")
	elsewhere := "the artifact is at " + old + "/miniprograms/migration/app-0, and the manager publishes to " + next.Host() + "/miniprograms/migration/app-0 now, which does not have it: copy it there (kubectl miniprogram registry copy); "
	m.awaitPublished(t, target.Name, metav1.ConditionFalse, "ArtifactElsewhere: "+elsewhere)

	out := m.copies(t, old, next.Host(), 0, "--from-cluster")
	if !strings.Contains(out, "migration/app-0: 2 tags, 2 referrers, ") || !strings.Contains(out, " repositories are the same at "+next.Host()+"/miniprograms: ") {
		t.Errorf("the copy says\n%s", out)
	}
	if out := m.copies(t, old, next.Host(), 0, "--verify-only"); !strings.Contains(out, "2 tags, 2 referrers, verified") {
		t.Errorf("verifying says\n%s", out)
	}
	must(t, m.artifacts.Stop())
	m.restart(t, next.Host())
	for _, v := range []*v1alpha1.MiniProgramVersion{stable, target} {
		m.awaitPublished(t, v.Name, metav1.ConditionTrue, "Pushed: "+next.Host()+"/miniprograms/migration/app-0@"+v.Status.Artifact.Digest)
		now := m.get(t, v.Name)
		if !meta.IsStatusConditionTrue(now.Status.Conditions, v1alpha1.ConditionApproved) || now.Status.Artifact.Digest != v.Status.Artifact.Digest {
			t.Errorf("%s is %+v", v.Name, now.Status)
		}
	}
	if after := m.rollout(t); after.Status.Sequence != before.Status.Sequence || after.Status.Attempt != before.Status.Attempt || after.Status.Percent != "25%" {
		t.Errorf("the rollout moved: %d, attempt %d, %s, and was %d, attempt %d", after.Status.Sequence, after.Status.Attempt, after.Status.Percent, before.Status.Sequence, before.Status.Attempt)
	}
	if after := m.reviews(t); after != reviews {
		t.Errorf("reviews are\n%s\nand were\n%s", after, reviews)
	}
	host := m.service(t, next.Host())
	doc := m.installs(t, host, stable, target)
	if doc.Sequence != before.Status.Sequence || doc.Split == nil || doc.Split.BasisPoints != 2500 {
		t.Errorf("the document is %+v", doc)
	}
	m.promote(t, before)
	m.await(t, "the target is stable for everybody", func() string {
		if ro := m.rollout(t); ro.Status.Stable == nil || ro.Status.Stable.Digest != target.Status.Artifact.Digest || ro.Status.Target != nil {
			return "not yet: " + ro.Status.Summary
		}
		return ""
	})
	m.await(t, "the service hands it out", func() string {
		if doc := m.document(t, host); doc.Target != nil || doc.Stable.Digest != target.Status.Artifact.Digest {
			return fmt.Sprintf("%+v", doc)
		}
		return ""
	})
	// What is published now goes to the new registry alone.
	v := m.release(t, 2*programsAtOnce)
	m.awaitPublished(t, v.Name, metav1.ConditionTrue, "Pushed: "+next.Host()+"/miniprograms/migration/app-0@")
}

// migration is an installation whose registry is changed.
type migration struct {
	*platform
	plane *controlplane.ControlPlane
	rosa  client.Client
}

// letRosaReview gives somebody the right to approve app-0.
func (m *migration) letRosaReview(t *testing.T) {
	t.Helper()
	must(t, m.client.Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.name, Name: "reviewer"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"miniprograms/review-quality"}, ResourceNames: []string{"app-0"}, Verbs: []string{"approve"}},
			{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"reviews"}, Verbs: []string{"get", "patch"}},
		},
	}))
	must(t, m.client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.name, Name: "reviewer"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reviewer"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "rosa"}},
	}))
	var err error
	m.rosa, err = client.New(m.plane.User("rosa"), client.Options{Scheme: m.client.Scheme()})
	must(t, err)
}

// release publishes a version of app-0 and has it approved.
func (m *migration) release(t *testing.T, n int) *v1alpha1.MiniProgramVersion {
	t.Helper()
	v := m.version(m.name, n)
	v.Spec.Review = v1alpha1.ReviewRequested
	must(t, m.client.Create(t.Context(), v))
	m.await(t, v.Name+" is approved", func() string {
		now := m.get(t, v.Name)
		if meta.IsStatusConditionTrue(now.Status.Conditions, v1alpha1.ConditionApproved) {
			return ""
		}
		var list v1alpha1.ReviewList
		must(t, m.client.List(t.Context(), &list, client.InNamespace(m.name)))
		for i := range list.Items {
			r := &list.Items[i]
			if r.Spec.VersionRef.Name != v.Name || r.Spec.Decision != v1alpha1.DecisionPending {
				continue
			}
			before := r.DeepCopy()
			r.Spec.Decision, r.Spec.Reviewer = v1alpha1.DecisionApproved, "rosa"
			if err := m.rosa.Patch(t.Context(), r, client.MergeFrom(before)); err != nil {
				return err.Error() // her right is a moment old
			}
		}
		return "not yet: " + now.Status.Summary
	})
	return m.get(t, v.Name)
}

// at25Percent has one version stable and the next at 25 %.
func (m *migration) at25Percent(t *testing.T) (stable, target *v1alpha1.MiniProgramVersion) {
	t.Helper()
	quarter := intstr.FromInt32(25)
	steps := []v1alpha1.RolloutStep{{SetPercent: &quarter}, {Pause: &v1alpha1.PauseStep{}}}
	stable = m.release(t, 0)
	must(t, m.client.Create(t.Context(), &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.name, Name: "app-0"},
		Spec:       v1alpha1.RolloutSpec{MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app-0"}, VersionRef: v1alpha1.VersionReference{Name: stable.Name}},
	}))
	m.await(t, "the first version is stable", func() string {
		if ro := m.rollout(t); ro.Status.Stable == nil {
			return "not yet: " + ro.Status.Summary
		}
		return ""
	})
	target = m.release(t, programsAtOnce)
	ro := m.rollout(t)
	before := ro.DeepCopy()
	ro.Spec.VersionRef.Name, ro.Spec.Steps = target.Name, steps
	must(t, m.client.Patch(t.Context(), ro, client.MergeFrom(before)))
	m.await(t, "the second is at 25 %", func() string {
		ro := m.rollout(t)
		if ro.Status.Percent != "25%" || ro.Status.Published == nil || ro.Status.Published.Sequence != ro.Status.Sequence {
			return "not yet: " + ro.Status.Summary
		}
		return ""
	})
	return stable, target
}

// restart ends the manager and starts one with another registry.
func (m *migration) restart(t *testing.T, registry string, flags ...string) {
	t.Helper()
	must(t, m.manager.Stop(time.Minute))
	m.registry = registry
	m.startManager(t, flags...)
}

func (m *migration) get(t *testing.T, version string) *v1alpha1.MiniProgramVersion {
	t.Helper()
	v := &v1alpha1.MiniProgramVersion{}
	must(t, m.client.Get(t.Context(), client.ObjectKey{Namespace: m.name, Name: version}, v))
	return v
}

func (m *migration) rollout(t *testing.T) *v1alpha1.Rollout {
	t.Helper()
	ro := &v1alpha1.Rollout{}
	must(t, m.client.Get(t.Context(), client.ObjectKey{Namespace: m.name, Name: "app-0"}, ro))
	return ro
}

// reviews are all of them, with their decisions.
func (m *migration) reviews(t *testing.T) string {
	t.Helper()
	var list v1alpha1.ReviewList
	must(t, m.client.List(t.Context(), &list, client.InNamespace(m.name)))
	var lines []string
	for _, r := range list.Items {
		lines = append(lines, r.Name+" "+r.Spec.Decision)
	}
	return strings.Join(lines, "\n")
}

func (m *migration) awaitPublished(t *testing.T, version string, status metav1.ConditionStatus, want string) {
	t.Helper()
	m.await(t, version+" is Published="+string(status), func() string {
		c := meta.FindStatusCondition(m.get(t, version).Status.Conditions, v1alpha1.ConditionPublished)
		if c == nil || c.Status != status || !strings.HasPrefix(c.Reason+": "+c.Message, want) {
			return fmt.Sprintf("got %+v, want %s %s", c, status, want)
		}
		return ""
	})
}

// copies carries out the plugin, as the administrator of the cluster.
func (m *migration) copies(t *testing.T, from, to string, code int, flags ...string) string {
	t.Helper()
	binary := filepath.Join(m.dir, "kubectl-miniprogram")
	if _, err := os.Stat(binary); err != nil {
		m.builds(t, binary, "../kubectl-miniprogram")
	}
	config := filepath.Join(m.dir, "admin.kubeconfig")
	must(t, m.plane.WriteKubeconfig(config, m.plane.Admin()))
	cmd := exec.CommandContext(t.Context(), binary, append([]string{
		"registry", "copy", "--from", from + "/miniprograms", "--to", to + "/miniprograms", "--plain-http", "--kubeconfig", config,
	}, flags...)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		t.Fatalf("registry copy %v: %v\n%s", flags, err, out)
	}
	return string(out)
}

func (m *migration) builds(t *testing.T, binary, of string) {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, of)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", of, err, out)
	}
}

// service runs a manifest service with an empty cache, and returns a host app that asks it.
func (m *migration) service(t *testing.T, registry string) *hostclient.Client {
	t.Helper()
	binary := filepath.Join(m.dir, "manifest-service")
	m.builds(t, binary, "../manifest-service")
	identity, err := m.plane.ServiceAccount(t.Context(), "miniprogram-system", "miniprogram-manifest-service")
	must(t, err)
	config, keys := filepath.Join(m.dir, "service.kubeconfig"), filepath.Join(m.dir, "keys.pem")
	must(t, m.plane.WriteKubeconfig(config, identity))
	var trusted corev1.ConfigMap
	must(t, m.client.Get(t.Context(), client.ObjectKey{Namespace: "miniprogram-system", Name: "miniprogram-trusted-keys"}, &trusted))
	host := &hostclient.Client{HostApp: "wallet", Store: memory{}, HTTP: &http.Client{Timeout: 30 * time.Second}}
	var pem strings.Builder
	for _, text := range trusted.Data {
		pem.WriteString(text)
		key, err := dsse.ParsePublicKeyPEM([]byte(text))
		must(t, err)
		host.Pinned = append(host.Pinned, key)
	}
	must(t, os.WriteFile(keys, []byte(pem.String()), 0o600))
	public, err := child.KeepPort(0)
	must(t, err)
	private, err := child.KeepPort(0)
	must(t, err)
	address := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	process, err := child.Start(child.Command{
		Path: binary, Log: filepath.Join(m.dir, "service.log"),
		Args: []string{
			"-kubeconfig=" + config, "-trusted-keys=" + keys, "-blob-cache-dir=" + filepath.Join(m.dir, "blobs"), "-shutdown-delay=0s",
			"-registry=" + registry, "-registry-prefix=miniprograms", "-registry-plain-http", "-addr=" + address(public), "-private-addr=" + address(private),
		},
	})
	must(t, err)
	t.Cleanup(func() { must(t, process.Stop(10*time.Second)) })
	host.Base = "http://" + address(public)
	m.await(t, "the manifest service is ready", func() string {
		answer, err := http.Get("http://" + address(private) + "/readyz")
		if err != nil {
			return err.Error()
		}
		must(t, answer.Body.Close())
		if answer.StatusCode != http.StatusOK {
			return answer.Status + "\n" + process.LogTail(10)
		}
		return ""
	})
	return host
}

// memory is a host app's store.
type memory map[string][]byte

func (m memory) Load(_ context.Context, name string) ([]byte, error) { return m[name], nil }

func (m memory) Save(_ context.Context, name string, value []byte) error {
	m[name] = value
	return nil
}

func (m *migration) document(t *testing.T, host *hostclient.Client) *document.Release {
	t.Helper()
	verified, err := host.Fetch(t.Context(), "migration.app-0", document.ChannelRelease)
	must(t, err)
	return verified.Document
}

// installs downloads both variants of the document, which are the versions.
func (m *migration) installs(t *testing.T, host *hostclient.Client, stable, target *v1alpha1.MiniProgramVersion) *document.Release {
	t.Helper()
	doc := m.document(t, host)
	for variant, v := range map[*document.Variant]*v1alpha1.MiniProgramVersion{doc.Stable: stable, doc.Target: target} {
		if variant == nil || variant.Digest != v.Status.Artifact.Digest || variant.Archive.Digest != v.Status.Artifact.Archive.Digest {
			t.Fatalf("the document has %+v for %s", variant, v.Name)
		}
		body, err := host.Download(t.Context(), variant.Archive) // it is compared with its digest
		must(t, err)
		if n, err := io.Copy(io.Discard, body); err != nil || n != variant.Archive.Size {
			t.Errorf("%d bytes of %s came, want %d: %v", n, v.Name, variant.Archive.Size, err)
		}
		must(t, body.Close())
	}
	return doc
}

// promote ends the pause.
func (m *migration) promote(t *testing.T, ro *v1alpha1.Rollout) {
	t.Helper()
	now := m.rollout(t)
	before := now.DeepCopy()
	metav1.SetMetaDataAnnotation(&now.ObjectMeta, v1alpha1.ActionAnnotation, fmt.Sprintf("promote-full@%d", ro.Status.Attempt))
	must(t, m.client.Patch(t.Context(), now, client.MergeFrom(before)))
}

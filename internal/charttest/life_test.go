package charttest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

const (
	published = "miniprogram-published"
	group     = "shop-team"
)

// TestTheChartIsInstalledWorksIsUpgradedAndGoes is the life of an installation: what
// the chart installs runs as it says and publishes a version; an upgrade brings new
// kinds and settings, and the way back leaves those kinds alone; uninstalled, it leaves the mini programs and what was
// published; and installed again, it goes on with them.
func TestTheChartIsInstalledWorksIsUpgradedAndGoes(t *testing.T) {
	s := newSite(t)
	s.prepare(t)
	s.helm(t, "install", s.older(t), s.values(t, nil))
	if got := s.shortNames(t); slices.Contains(got, "mpr") {
		t.Fatalf("short names of Rollouts are %v: the older chart is as the newer", got)
	}
	manager := s.start(t, "manager")
	service := s.start(t, "manifest-service")
	s.publish(t)
	before := s.served(t)

	s.helm(t, "upgrade", chart(t), s.values(t, map[string]any{"runURL": "https://run.example.net", "manifestService": map[string]any{"replicas": 3}}))
	if got := s.shortNames(t); !slices.Contains(got, "mpr") {
		t.Errorf("short names of Rollouts are %v after the upgrade: it left the kinds as they were", got)
	}
	var d appsv1.Deployment
	must(t, s.admin.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "miniprogram-manifest-service"}, &d))
	if *d.Spec.Replicas != 3 {
		t.Errorf("the manifest service has %d replicas after the upgrade, want 3", *d.Spec.Replicas)
	}
	must(t, manager.Stop(patience))
	must(t, service.Stop(patience))
	manager, service = s.start(t, "manager"), s.start(t, "manifest-service")
	s.goesOn(t, "after the upgrade", before)

	s.helm(t, "upgrade", s.older(t), s.values(t, map[string]any{"crds": map[string]any{"install": false}}))
	if got := s.shortNames(t); !slices.Contains(got, "mpr") {
		t.Errorf("short names of Rollouts are %v on the way back: it took the newer kinds away", got)
	}

	must(t, manager.Stop(patience))
	must(t, service.Stop(patience))
	_, err := helm(t, s.kubeconfig, "uninstall", release, "--namespace", system)
	must(t, err)
	s.isGone(t)
	s.stays(t)

	s.helm(t, "install", chart(t), s.values(t, nil))
	s.start(t, "manifest-service")
	s.goesOn(t, "installed again", before)
}

func (s *site) helm(t *testing.T, verb, chart, values string) {
	t.Helper()
	text, err := helm(t, s.kubeconfig, verb, release, chart, "--namespace", system, "--values", values)
	must(t, err)
	if strings.Contains(text, "does not enforce") || strings.Contains(text, "No credentials") {
		t.Errorf("the notes complain of what is right:\n%s", text)
	}
}

// older is the chart as an earlier version might have been, with a kind that had no short name.
func (s *site) older(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "miniprogram-operator")
	must(t, os.CopyFS(dir, os.DirFS(chart(t))))
	path := filepath.Join(dir, "files", "crds.yaml")
	text, err := os.ReadFile(path)
	must(t, err)
	before := strings.Replace(string(text), "    shortNames:\n    - mpr\n", "", 1)
	if before == string(text) {
		t.Fatal("the kinds have no short name mpr that could be taken away")
	}
	must(t, os.WriteFile(path, []byte(before), 0o600))
	return dir
}

func (s *site) shortNames(t *testing.T) []string {
	t.Helper()
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	must(t, s.admin.Get(t.Context(), client.ObjectKey{Name: "rollouts.miniprogram.dev"}, crd))
	names, _, err := unstructured.NestedStringSlice(crd.Object, "spec", "names", "shortNames")
	must(t, err)
	return names
}

// publish takes a sample from its archive to everybody.
func (s *site) publish(t *testing.T) {
	t.Helper()
	labels := map[string]string{"chart.example.com/test": "yes"}
	must(t, s.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: group, Labels: labels}}))
	for _, object := range []client.Object{
		&v1alpha1.HostApp{ObjectMeta: metav1.ObjectMeta{Name: "wallet"}, Spec: v1alpha1.HostAppSpec{
			DisplayName: "Wallet", Availability: v1alpha1.HostAppActive, Capabilities: []string{"clipboard", "location"},
		}},
		&v1alpha1.ReviewPolicy{ObjectMeta: metav1.ObjectMeta{Name: "nobody-is-asked"}, Spec: v1alpha1.ReviewPolicySpec{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: labels}, Enforcement: v1alpha1.Enforce, Approvals: []v1alpha1.ApprovalRule{{Role: "none"}},
		}},
		&v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: group, Name: "shop"}, Spec: v1alpha1.MiniProgramSpec{
			AppID: "com.example.shop", DisplayName: "Shop", HostApps: []string{"wallet"}, Kind: "MiniProgram",
			Permissions: []v1alpha1.Permission{
				{Name: "clipboard", Reason: "to share a link"}, {Name: "location", Reason: "to find shops nearby"},
			},
		}},
		&v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: group, Name: "shop-1-0-0"}, Spec: v1alpha1.MiniProgramVersionSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "shop"}, Version: "1.0.0",
			Source: v1alpha1.BundleSource{HTTP: &v1alpha1.HTTPSource{URL: s.sources + "/shop-1.0.0.zip"}},
		}},
		&v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: group, Name: "shop"}, Spec: v1alpha1.RolloutSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "shop"}, VersionRef: v1alpha1.VersionReference{Name: "shop-1-0-0"},
		}},
	} {
		// The API server learns of new kinds, and of what policies say of them, a moment after the installation.
		await(t, fmt.Sprintf("%T %s is taken", object, object.GetName()), func() error { return s.admin.Create(t.Context(), object) })
	}
}

// document is what matters here of what host apps are told.
type document struct {
	Sequence int64
	Stable   struct {
		Version string
		Archive struct{ Digest string }
	}
}

// served is the document that the manifest service hands out, once everybody gets the
// version, and whose archive it has fetched from the registry.
func (s *site) served(t *testing.T) document {
	t.Helper()
	var found document
	await(t, "version 1.0.0 is served", func() error {
		text, err := get(t.Context(), s.publicURL()+"/v1/hosts/wallet/programs/com.example.shop")
		if err != nil {
			return fmt.Errorf("%w; %s", err, s.told(t))
		}
		var envelope struct{ Payload []byte }
		must(t, json.Unmarshal(text, &envelope))
		found = document{}
		must(t, json.Unmarshal(envelope.Payload, &found))
		if found.Stable.Version != "1.0.0" {
			return fmt.Errorf("stable is %q in %s", found.Stable.Version, envelope.Payload)
		}
		return nil
	})
	algorithm, want, _ := strings.Cut(found.Stable.Archive.Digest, ":")
	archive, err := get(t.Context(), s.publicURL()+"/v1/blobs/"+algorithm+"/"+want)
	must(t, err)
	if sum := sha256.Sum256(archive); hex.EncodeToString(sum[:]) != want {
		t.Errorf("the archive has digest %x, want %s", sum, want)
	}
	return found
}

// goesOn is about what host apps are told after something happened.
func (s *site) goesOn(t *testing.T, what string, before document) {
	t.Helper()
	if now := s.served(t); now.Stable != before.Stable || now.Sequence < before.Sequence {
		t.Errorf("%s host apps are told %+v, want %+v or a later one like it", what, now, before)
	}
}

// told is what the objects say of themselves, for when something does not come.
func (s *site) told(t *testing.T) string {
	version, rollout := &v1alpha1.MiniProgramVersion{}, &v1alpha1.Rollout{}
	_ = s.admin.Get(t.Context(), client.ObjectKey{Namespace: group, Name: "shop-1-0-0"}, version)
	_ = s.admin.Get(t.Context(), client.ObjectKey{Namespace: group, Name: "shop"}, rollout)
	var said []string
	for _, condition := range slices.Concat(version.Status.Conditions, rollout.Status.Conditions) {
		said = append(said, fmt.Sprintf("%s=%s: %s", condition.Type, condition.Status, condition.Message))
	}
	return strings.Join(said, "\n")
}

// isGone is about what an installation must not leave behind: programs and rights.
func (s *site) isGone(t *testing.T) {
	t.Helper()
	for _, object := range []client.Object{
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "miniprogram-manager"}},
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "miniprogram-manifest-service"}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "miniprogram-manifest-service"}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "miniprogram-manager"}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "miniprogram-developer"}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: published, Name: "miniprogram-manager"}},
	} {
		if err := s.admin.Get(t.Context(), client.ObjectKeyFromObject(object), object); !apierrors.IsNotFound(err) {
			t.Errorf("%T %s is still there after the uninstall: %v", object, object.GetName(), err)
		}
	}
}

// stays is about what must outlive an installation.
func (s *site) stays(t *testing.T) {
	t.Helper()
	for _, object := range []client.Object{
		&v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: group, Name: "shop"}},
		&v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: group, Name: "shop-1-0-0"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: published, Name: "shop-team.shop.rollout"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "miniprogram-signing-key"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "miniprogram-trusted-keys"}},
	} {
		if err := s.admin.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			t.Errorf("%T %s went with the uninstall: %v", object, object.GetName(), err)
		} else if object.GetDeletionTimestamp() != nil {
			t.Errorf("%T %s is going with the uninstall", object, object.GetName())
		}
	}
}

func readOK(answer *http.Response) ([]byte, error) {
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return text, err
}

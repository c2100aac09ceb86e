package admissiontest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// render builds config/default.
func (w *world) render(t *testing.T) []string {
	t.Helper()
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.plane.Kubectl(t.Context(), "", "kustomize", filepath.Join(root, "config", "default"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(out, "\n---\n")
}

func TestTheDefaultTreeIsTakenAsItIs(t *testing.T) {
	w := theWorld(t)
	deployments := []string{}
	for _, document := range w.render(t) {
		var meta metav1.PartialObjectMetadata
		if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
			t.Fatal(err)
		}
		switch meta.Kind {
		case "Deployment":
			var d appsv1.Deployment
			if err := yaml.UnmarshalStrict([]byte(document), &d); err != nil {
				t.Fatal(err)
			}
			deployments = append(deployments, d.Name)
			if err := w.as(installer).Create(t.Context(), &d, client.DryRunAll); err != nil {
				t.Errorf("creating Deployment %s: %v", d.Name, err)
			}
			if err := w.runs(t, &d); err != nil {
				t.Errorf("Deployment %s: %v", d.Name, err)
			}
		case "Service":
			var s corev1.Service
			if err := yaml.UnmarshalStrict([]byte(document), &s); err != nil {
				t.Fatal(err)
			}
			if err := w.as(installer).Create(t.Context(), &s, client.DryRunAll); err != nil {
				t.Errorf("creating Service %s: %v", s.Name, err)
			}
		}
	}
	if diff := cmp.Diff([]string{"miniprogram-manager", "miniprogram-manifest-service"}, deployments); diff != "" {
		t.Errorf("Deployments (-want +got):\n%s", diff)
	}
}

// runs creates a pod of the Deployment as a dry run: the namespace enforces the
// restricted pod security standard, which looks at pods only.
func (w *world) runs(t *testing.T, d *appsv1.Deployment) error {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, GenerateName: d.Name + "-", Labels: d.Spec.Template.Labels},
		Spec:       d.Spec.Template.Spec,
	}
	if err := w.as(installer).Create(t.Context(), pod, client.DryRunAll); err != nil {
		return err
	}
	pod = pod.DeepCopy()
	pod.Name, pod.ResourceVersion, pod.UID = "", "", ""
	pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil
	if err := w.as(installer).Create(t.Context(), pod, client.DryRunAll); err == nil {
		return fmt.Errorf("namespace %s does not enforce the restricted pod security standard", d.Namespace)
	}
	return nil
}

package admissiontest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

func TestTheSampleOfListsIsTakenAndItsDigestsAreRight(t *testing.T) {
	w := theWorld(t)
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	read := func(file string) []byte {
		text, err := os.ReadFile(filepath.Join(root, "config", "samples", "audience", file))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	digests := map[string]string{}
	for _, file := range []string{"pilot-users.yaml", "held-back.yaml"} {
		var cm corev1.ConfigMap
		if err := yaml.UnmarshalStrict(read(file), &cm); err != nil {
			t.Fatal(err)
		}
		digests[cm.Name] = fmt.Sprintf("%x", sha256.Sum256([]byte(cm.Data["keys"])))
	}
	var ro v1alpha1.Rollout
	if err := yaml.UnmarshalStrict(read("rollout.yaml"), &ro); err != nil {
		t.Fatal(err)
	}
	for _, list := range []*v1alpha1.AudienceKeys{ro.Spec.Audience.Include, ro.Spec.Audience.Exclude} {
		from := list.From[0].ConfigMap
		if digests[from.Name] != from.SHA256 || from.Key != "keys" {
			t.Errorf("ConfigMap %s has %s, the Rollout says %s", from.Name, digests[from.Name], from.SHA256)
		}
	}
	ro.Namespace, ro.Name = team, "sample"
	if err := w.as(installer).Create(t.Context(), &ro, client.DryRunAll); err != nil {
		t.Error(err)
	}
}

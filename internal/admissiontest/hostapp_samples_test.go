package admissiontest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

func TestTheSampleHostAppsAreTaken(t *testing.T) {
	w := theWorld(t)
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range []string{"hostapps/bank.yaml", "hostapps/portal.yaml", "platform/hostapp.yaml"} {
		raw, err := os.ReadFile(filepath.Join(root, "config", "samples", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range strings.Split(string(raw), "\n---\n") {
			var o unstructured.Unstructured
			if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
				t.Fatal(err)
			}
			name := o.GetKind() + " " + o.GetName()
			if o.GetKind() == "HostApp" {
				var h v1alpha1.HostApp
				if err := yaml.UnmarshalStrict([]byte(text), &h); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := w.as(installer).Create(t.Context(), &o, client.DryRunAll); client.IgnoreAlreadyExists(err) != nil {
				t.Errorf("creating %s: %v", name, err)
			}
			got = append(got, name)
		}
	}
	want := []string{"HostApp bank", "Role access-tokens-bank", "RoleBinding access-tokens-bank", "HostApp portal", "HostApp wallet"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

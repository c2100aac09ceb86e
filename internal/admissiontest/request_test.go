package admissiontest

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// request is one write to the API server. Without a namespace in its body it
// is about the team's, or about a cluster-wide object.
type request struct {
	verb, kind, name string
	body             string // YAML: an object to create, else a JSON merge patch
}

func create(kind, name, body string) request { return request{"create", kind, name, body} }

func patch(kind, name, body string) request { return request{"patch", kind, name, body} }

func patchStatus(kind, name, body string) request { return request{"patch status", kind, name, body} }

func remove(kind, name string) request { return request{"delete", kind, name, ""} }

// Bodies that are complete, to write after.
const (
	digest        = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	pendingReview = "spec:\n  miniProgramRef: {name: shop}\n  versionRef: {name: shop-1}\n  role: privacy\n  digest: " + digest
	version       = "spec:\n  miniProgramRef: {name: shop}\n  version: 2.0.0\n  source: {configMap: {name: bundle, key: bundle.zip}}"
	rollout       = "spec:\n  miniProgramRef: {name: shop}\n  versionRef: {name: shop-1}"
)

func namespaced(kind string) bool { return kind != "HostApp" && kind != "ReviewPolicy" }

// try carries out a request as a dry run and returns what would have been written.
func (w *world) try(ctx context.Context, user string, r request) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	if err := yaml.Unmarshal([]byte(r.body), &o.Object); err != nil {
		return nil, fmt.Errorf("reading the body of a request: %w", err)
	}
	o.SetName(r.name)
	switch r.kind {
	case "ConfigMap":
		o.SetAPIVersion("v1")
		if o.GetNamespace() == "" {
			o.SetNamespace(published)
		}
	default:
		o.SetAPIVersion("miniprogram.dev/v1alpha1")
		if namespaced(r.kind) {
			o.SetNamespace(team)
		}
	}
	o.SetKind(r.kind)
	c := w.as(user)
	switch r.verb {
	case "create":
		return o, c.Create(ctx, o, client.DryRunAll)
	case "delete":
		return o, c.Delete(ctx, o, client.DryRunAll)
	}
	body, err := yaml.YAMLToJSON([]byte(r.body))
	if err != nil {
		return nil, fmt.Errorf("reading the body of a request: %w", err)
	}
	change := client.RawPatch(types.MergePatchType, body)
	if r.verb == "patch status" {
		return o, c.Status().Patch(ctx, o, change, client.DryRunAll)
	}
	return o, c.Patch(ctx, o, change, client.DryRunAll)
}

// cell is one request of one user, and the whole message of its denial. An
// empty message means that it is allowed.
type cell struct {
	who  string
	do   request
	want string
}

// denied is the message with which a policy denies.
func denied(resource, name, policy, message string) string {
	group := ".miniprogram.dev"
	if resource == "configmaps" {
		group = ""
	}
	return fmt.Sprintf("%s%s %q is forbidden: ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s",
		resource, group, name, policy, policy, message)
}

// check tries every cell.
func check(t *testing.T, cells map[string]cell) {
	t.Helper()
	w := theWorld(t)
	for name, c := range cells {
		t.Run(name, func(t *testing.T) {
			_, err := w.try(t.Context(), c.who, c.do)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: %s of %s %s (-want +got):\n%s", c.who, c.do.verb, c.do.kind, c.do.name, diff)
			}
		})
	}
}

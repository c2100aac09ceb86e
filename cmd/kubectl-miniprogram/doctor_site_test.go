package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/config/crd"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

func TestWhatAnOlderKindLacks(t *testing.T) {
	schema := func(text string) (o map[string]any) {
		t.Helper()
		must(t, yaml.Unmarshal([]byte(text), &o))
		return o
	}
	const want = `{properties: {spec: {properties: {
		name: {type: string}, kind: {enum: [A, B]}, steps: {items: {properties: {percent: {}}}}, labels: {additionalProperties: {properties: {key: {}}}}}}}}`
	for name, test := range map[string]struct {
		have string
		want []string
	}{
		"nothing":       {want, nil},
		"a newer one":   {strings.Replace(want, "name:", "more: {}, name:", 1), nil},
		"a field":       {strings.Replace(want, "name: {type: string}, ", "", 1), []string{"spec.name"}},
		"a word":        {strings.Replace(want, "[A, B]", "[A]", 1), []string{"spec.kind B"}},
		"in a list":     {strings.Replace(want, "percent: {}", "", 1), []string{"spec.steps[].percent"}},
		"in a map":      {strings.Replace(want, "key: {}", "", 1), []string{"spec.labels{}.key"}},
		"all of a list": {strings.Replace(want, "steps: {items: {properties: {percent: {}}}}, ", "", 1), []string{"spec.steps"}},
		"all of it":     {"{}", []string{"spec"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, lacking(schema(want), schema(test.have))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	ours, err := crd.Read()
	must(t, err)
	for _, one := range ours {
		if fields := lacking(schemaOf(one), nil); len(fields) < 2 || one.GetName() == "" {
			t.Errorf("%s has the fields %v", one.GetName(), fields)
		}
	}
}

// TestTheDoctorSeesOldKindsAndTheRegistry asks a real API server, whose kind of Rollouts is older, and
// a real registry.
func TestTheDoctorSeesOldKindsAndTheRegistry(t *testing.T) {
	s := newStage(t)
	registry := registrytest.Start(t, registrytest.Options{BasicAuth: true})
	name := metav1.ObjectMeta{Namespace: s.namespace, Name: "miniprogram-manager"}
	labels := map[string]string{"app": "manager"}
	pod := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "manager", Image: "miniprogram-operator:dev", Args: []string{"--registry=$(REGISTRY)", "--registry-plain-http"},
	}}}}
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "miniprogram-settings"}, Data: map[string]string{"registry": registry.Host()}}
	for _, o := range []client.Object{
		&appsv1.Deployment{ObjectMeta: name, Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: pod}}, settings,
	} {
		must(t, s.client.Create(t.Context(), o))
	}
	doctor := func() string {
		t.Helper()
		code, out, problems := plugin(t, "doctor", "--kubeconfig", s.kubeconfig, "--system-namespace", s.namespace)
		if code != exitUnacceptable {
			t.Errorf("exit code %d: %s", code, problems)
		}
		return out
	}
	got := doctor()
	wants(t, got, "  ✓ the cluster serves all kinds of miniprogram.dev/v1alpha1\n", "  ✓ "+registry.Host()+" answers this machine, and asks for credentials\n")
	if strings.Contains(got, "CustomResourceDefinition") {
		t.Errorf("the kinds are of this version, and it says:\n%s", got)
	}

	kind := &unstructured.Unstructured{}
	kind.SetAPIVersion("apiextensions.k8s.io/v1")
	kind.SetKind("CustomResourceDefinition")
	must(t, s.client.Get(t.Context(), client.ObjectKey{Name: "rollouts.miniprogram.dev"}, kind))
	versions, _, err := unstructured.NestedSlice(kind.Object, "spec", "versions")
	must(t, err)
	version, is := versions[0].(map[string]any)
	if !is {
		t.Fatalf("the kind has versions %v", versions)
	}
	unstructured.RemoveNestedField(version, "schema", "openAPIV3Schema", "properties", "spec", "properties", "progressDeadlineSeconds")
	must(t, unstructured.SetNestedSlice(kind.Object, versions, "spec", "versions"))
	must(t, s.client.Update(t.Context(), kind))
	t.Cleanup(func() {
		must(t, controlplane.Apply(context.WithoutCancel(t.Context()), controlplane.ForTest(t).Admin(), "../../config/crd"))
	})
	settings.Data["registry"] = closedAddress(t)
	must(t, s.client.Update(t.Context(), settings))
	wants(t, doctor(),
		"  ✗ CustomResourceDefinition rollouts.miniprogram.dev is older than the manager: it lacks spec.progressDeadlineSeconds, which is dropped from what is written, or refused\n"+
			"      kubectl apply --server-side -f crds.yaml ",
		"  ! "+settings.Data["registry"]+" cannot be reached from this machine (dial tcp ",
	)
}

// closedAddress is one where nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	return listener.Addr().String()
}

func TestTheRegistryIsAskedOnceAndNowhereElse(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("somebody asks %s elsewhere", r.URL) }))
	defer elsewhere.Close()
	var credentials []string
	sends := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credentials = append(credentials, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
	}))
	defer sends.Close()
	got := askRegistry(t.Context(), sends.URL+"/v2/", time.Minute)
	if got.err != nil || got.status != http.StatusFound || got.host != strings.TrimPrefix(sends.URL, "http://") {
		t.Errorf("the answer is %+v", got)
	}
	if diff := cmp.Diff([]string{"GET /v2/ "}, credentials); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if got := askRegistry(t.Context(), "https://"+strings.TrimPrefix(sends.URL, "http://")+"/v2/", time.Minute); got.err == nil {
		t.Errorf("a registry without TLS is reached by https: %+v", got)
	}
}

func TestARegistryThatSaysNothingIsNotWaitedForLong(t *testing.T) {
	over := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-over:
		case <-r.Context().Done():
		case <-time.After(20 * time.Second):
		}
	}))
	defer silent.Close()
	defer close(over)
	if got := askRegistry(t.Context(), silent.URL+"/v2/", 100*time.Millisecond); !errors.Is(got.err, context.DeadlineExceeded) {
		t.Errorf("the answer is %+v", got)
	}
}

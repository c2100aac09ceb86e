package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// counted is a registry whose writing requests are counted.
type counted struct {
	host string
	mu   sync.Mutex
	sent []string
	// fault is asked before each request goes through; may be nil.
	fault func(*http.Request) *registrytest.Fault
}

func startCounted(t *testing.T, o registrytest.Options) *counted {
	t.Helper()
	c := &counted{}
	c.host = registrytest.Faulty(t, registrytest.Start(t, o).Host(), func(r *http.Request) *registrytest.Fault {
		c.mu.Lock()
		defer c.mu.Unlock()
		if r.Method == http.MethodPut || r.Method == http.MethodPost || r.Method == http.MethodPatch {
			kind := "manifest"
			if strings.Contains(r.URL.Path, "/blobs/") {
				kind = "blob"
			}
			c.sent = append(c.sent, r.Method+" "+kind)
		}
		if c.fault == nil {
			return nil
		}
		return c.fault(r)
	})
	return c
}

// take returns what was sent since it was asked last.
func (c *counted) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	sent := c.sent
	c.sent = nil
	return sent
}

func TestAPushForGitSendsWhatTheRegistryLacks(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	r := startCounted(t, registrytest.Options{})
	push := func() (int, string, string) {
		return plugin(t, "push", samples+"bundles/shop/base", "--to", r.host+"/staging/shop", "--plain-http", "--program", "shop",
			"-f", samples+"shop-team/shop.yaml", "--release-notes", "The first.", "--secret", "pull", "--submit", "--dry-run=client", "-o", "yaml")
	}
	// The bundle arrives, and its manifest does not.
	r.fault = func(q *http.Request) *registrytest.Fault {
		if q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/manifests/") {
			return &registrytest.Fault{Status: http.StatusServiceUnavailable}
		}
		return nil
	}
	code, out, problems := push()
	if code != exitFailed || out != "" || !strings.Contains(problems, "503 Service Unavailable; what has arrived is not sent again") {
		t.Fatalf("an interrupted push: exit code %d, %q, %q", code, out, problems)
	}
	want := []string{"POST blob", "PUT blob", "POST blob", "PUT blob", "PUT manifest"}
	if diff := cmp.Diff(want, r.take()); diff != "" {
		t.Errorf("sent by the interrupted push (-want +got):\n%s", diff)
	}
	r.fault = nil

	code, out, problems = push()
	if code != exitOK {
		t.Fatalf("going on: exit code %d, %q", code, problems)
	}
	if diff := cmp.Diff([]string{"PUT manifest"}, r.take()); diff != "" {
		t.Errorf("sent when it goes on (-want +got):\n%s", diff)
	}
	golden(t, "push.yaml", strings.ReplaceAll(out, r.host, "registry.example.com"))

	code, again, problems := push()
	if code != exitOK || again != out || !strings.Contains(problems, "nothing to send") {
		t.Errorf("the second push: exit code %d, %q, %q", code, again, problems)
	}
	if sent := r.take(); len(sent) > 0 {
		t.Errorf("the second push sent %v", sent)
	}

	var v v1alpha1.MiniProgramVersion
	if err := yaml.UnmarshalStrict([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	code, report, problems := plugin(t, "check", "oci://"+v.Spec.Source.OCI.Ref, "--plain-http", "-o", "json")
	_, folder, _ := plugin(t, "check", samples+"bundles/shop/base", "-o", "json")
	if code != exitOK || report != folder {
		t.Errorf("what was pushed: exit code %d, %s%s, want %s", code, report, problems, folder)
	}
}

func TestABundleWithErrorsIsNotSent(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	r := startCounted(t, registrytest.Options{})
	dir := write(t, map[string]string{"index.html": "x", ".env": "KEY=1"})
	code, out, problems := plugin(t, "push", dir, "--to", r.host+"/staging", "--plain-http", "--program", "notes", "--version", "1.0.0", "--dry-run=client", "-o", "yaml")
	if code != exitUnacceptable || out != "" || !strings.Contains(problems, "SecretFound") {
		t.Errorf("exit code %d, %q, %q", code, out, problems)
	}
	if sent := r.take(); len(sent) > 0 {
		t.Errorf("it sent %v", sent)
	}
}

func TestARegistryThatAsksForALogin(t *testing.T) {
	config := t.TempDir()
	t.Setenv("DOCKER_CONFIG", config)
	r := startCounted(t, registrytest.Options{BasicAuth: true})
	dir := write(t, map[string]string{"index.html": "x"})
	args := []string{"push", dir, "--to", r.host + "/staging", "--plain-http", "--program", "notes", "--version", "1.0.0", "--dry-run=client", "-o", "jsonpath={.spec.source.oci.ref}"}

	code, _, problems := plugin(t, args...)
	if code != exitFailed || !strings.Contains(problems, "log in with `docker login "+r.host+"`") {
		t.Errorf("without a login: exit code %d, %q", code, problems)
	}
	code, _, problems = plugin(t, "check", "oci://"+r.host+"/staging:x", "--plain-http")
	if code != exitFailed || !strings.Contains(problems, "log in with `docker login "+r.host+"`") {
		t.Errorf("a check without a login: exit code %d, %q", code, problems)
	}

	login, err := yaml.Marshal(map[string]any{"auths": map[string]any{r.host: map[string]string{"auth": "cm9ib3Q6Y29ycmVjdC1ob3JzZQ=="}}})
	if err != nil {
		t.Fatal(err)
	}
	if login, err = yaml.YAMLToJSON(login); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(config, "config.json"), string(login))
	code, ref, problems := plugin(t, args...)
	if code != exitOK {
		t.Fatalf("with a login: exit code %d, %q", code, problems)
	}
	if code, _, problems := plugin(t, "check", "oci://"+ref, "--plain-http"); code != exitOK {
		t.Errorf("a check with a login: exit code %d, %q", code, problems)
	}
}

func TestAPushCreatesTheVersionOnce(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	plane := controlplane.ForTest(t)
	if err := controlplane.Apply(t.Context(), plane.Admin(), "../../config/crd"); err != nil {
		t.Fatal(err)
	}
	namespace := plane.Namespace(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := plane.WriteKubeconfig(kubeconfig, plane.User("dora", "system:masters")); err != nil {
		t.Fatal(err)
	}
	cl, err := client.New(plane.Admin(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	r := startCounted(t, registrytest.Options{})
	dir := write(t, map[string]string{"index.html": "<p>one</p>"})
	push := func(more ...string) (int, string, string) {
		return plugin(t, append([]string{"push", dir, "--to", r.host + "/staging/notes", "--plain-http", "--program", "notes", "--version", "1.0.0",
			"--kubeconfig", kubeconfig, "-n", namespace}, more...)...)
	}

	code, _, problems := push()
	if want := "error: MiniProgram notes does not exist in namespace " + namespace + ": create it, or correct --program or -n\n"; code != exitFailed || problems != want {
		t.Errorf("without a MiniProgram: exit code %d, %q, want %q", code, problems, want)
	}
	program := &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "notes"}}
	program.Spec.AppID, program.Spec.DisplayName, program.Spec.HostApps = "com.example.notes", "Notes", []string{"wallet"}
	if err := cl.Create(t.Context(), program); err != nil {
		t.Fatal(err)
	}

	const name = "miniprogramversion.miniprogram.dev/notes-1-0-0 "
	code, out, problems := push()
	if code != exitOK || out != name+"created\n" {
		t.Fatalf("the first push: exit code %d, %q, %q", code, out, problems)
	}
	var v v1alpha1.MiniProgramVersion
	if err := cl.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "notes-1-0-0"}, &v); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(v.Spec.Source.OCI.Ref, r.host+"/staging/notes:1.0.0_") || !strings.Contains(v.Spec.Source.OCI.Ref, "@sha256:") {
		t.Errorf("the source is %s", v.Spec.Source.OCI.Ref)
	}
	want := v1alpha1.MiniProgramVersionSpec{
		MiniProgramRef: v1alpha1.MiniProgramReference{Name: "notes"}, Version: "1.0.0", Format: "Auto", SubmittedBy: "dora",
		Source: v.Spec.Source, Review: "NotRequested", Availability: "Active",
	}
	if diff := cmp.Diff(want, v.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	r.take()

	code, out, problems = push("--submit")
	if code != exitOK || out != name+"unchanged: this content is there already\n" || len(r.take()) > 0 {
		t.Errorf("the second push: exit code %d, %q, %q", code, out, problems)
	}
	if err := cl.Get(t.Context(), client.ObjectKeyFromObject(&v), &v); err != nil {
		t.Fatal(err)
	}
	want.Review = reviewRequested
	if diff := cmp.Diff(want, v.Spec); diff != "" {
		t.Errorf("spec after --submit (-want +got):\n%s", diff)
	}

	writeFile(t, filepath.Join(dir, "index.html"), "<p>two</p>")
	code, out, problems = push()
	refusal := "error: MiniProgramVersion notes-1-0-0 exists already in namespace " + namespace + ", with other content, and versions are immutable: publish this under another --version (or --name)\n"
	if code != exitUnacceptable || out != "" || problems != refusal || len(r.take()) > 0 {
		t.Errorf("other content: exit code %d, %q, %q", code, out, problems)
	}
}

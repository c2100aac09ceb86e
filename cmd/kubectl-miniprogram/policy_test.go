package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/inspection"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// shelf is a cluster and a registry with published versions, as the operator
// leaves them.
type shelf struct {
	client     client.Client
	host       string
	namespace  string
	kubeconfig string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	plane := controlplane.ForTest(t)
	must(t, controlplane.Apply(t.Context(), plane.Admin(), "../../config/crd"))
	s := &shelf{host: registrytest.Start(t, registrytest.Options{}).Host(), namespace: plane.Namespace(t), kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	must(t, plane.WriteKubeconfig(s.kubeconfig, plane.User("paula", "system:masters")))
	var err error
	s.client, err = client.New(plane.Admin(), client.Options{Scheme: scheme})
	must(t, err)
	program := &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "notes"}}
	program.Spec.AppID, program.Spec.DisplayName, program.Spec.HostApps = "com.example.notes", "Notes", []string{"wallet"}
	must(t, s.client.Create(t.Context(), program))
	return s
}

// publish makes a version of a script.
func (s *shelf) publish(t *testing.T, version, script string, judgedBy ...string) {
	t.Helper()
	data := zipped(t, map[string]string{"index.html": "<p>" + version + "</p>", "app.js": script, "app.js.map": "{}"})
	b, err := bundle.Read(bytes.NewReader(data), int64(len(data)), bundle.Expect{}, bundle.Limits{})
	must(t, err)
	known, err := inspection.Of(b, v1alpha1.Declaration{}, nil, "test")
	must(t, err)
	config := registry.ArtifactConfig{AppID: "com.example.notes", Version: version, VersionCode: 1, Format: "Web", ArchiveSHA256: b.ArchiveSHA256, ContentDigest: b.ContentDigest, Packer: "test"}
	a, err := registry.NewArtifact(s.namespace+"/notes", "Notes", config, blob(data), blob([]byte("content of "+version)), nil)
	must(t, err)
	a.Findings, err = known.Marshal()
	must(t, err)
	published, err := registry.New(registry.Options{Host: s.host, Prefix: "mini", PlainHTTP: true}).Publish(t.Context(), a)
	must(t, err)
	v := &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "notes-" + version}}
	v.Spec.MiniProgramRef.Name, v.Spec.Version = "notes", version
	v.Spec.Source.ConfigMap = &v1alpha1.ConfigMapSource{Name: "notes", Key: "bundle.zip"}
	must(t, s.client.Create(t.Context(), v))
	v.Status.Artifact = &v1alpha1.Artifact{
		Repository: published.Repository, Digest: published.Digest,
		Archive: &v1alpha1.Blob{Digest: published.Archive.Digest.String(), SizeBytes: published.Archive.Size, MediaType: published.Archive.MediaType},
	}
	v.Status.Bundle = &v1alpha1.BundleStatus{Format: "Web", SHA256: b.ArchiveSHA256, ContentDigest: b.ContentDigest, SizeBytes: b.ArchiveBytes, Files: int32(len(b.Files)), AppID: "com.example.notes", VersionCode: 1}
	for _, name := range judgedBy {
		v.Status.Policies = append(v.Status.Policies, v1alpha1.JudgedBy{Name: name, Generation: 1})
	}
	must(t, s.client.Status().Update(t.Context(), v))
}

func (s *shelf) plugin(t *testing.T, args ...string) (code int, out, problems string) {
	t.Helper()
	return plugin(t, append(args, "--kubeconfig", s.kubeconfig, "--plain-http")...)
}

func blob(data []byte) registry.Blob {
	return registry.Blob{Digest: digest.FromBytes(data).String(), Size: int64(len(data)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		f, err := w.Create(name)
		must(t, err)
		fmt.Fprint(f, text)
	}
	must(t, w.Close())
	return b.Bytes()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const strict = `apiVersion: miniprogram.dev/v1alpha1
kind: ReviewPolicy
metadata: {name: strict}
spec:
  privacy: {usedPermissions: Required}
  quality: {forbiddenText: [{pattern: debugger, message: take it out}]}
`

const located = `column 11 uses navigator.geolocation, and permission "location" is not declared, as ReviewPolicy strict asks (spec.privacy.usedPermissions): add it to the MiniProgram's spec.permissions, or remove the use`

func TestAPolicyIsTriedBeforeItIsApplied(t *testing.T) {
	s := newShelf(t)
	s.publish(t, "1.0.0", "let n = 1;\n")
	s.publish(t, "1.1.0", "let n = 1;\nlet where = navigator.geolocation.getCurrentPosition(show);\n")
	s.publish(t, "1.2.0", "let n = 1;\ndebugger;\n")
	file := filepath.Join(write(t, map[string]string{"policy.yaml": strict}), "policy.yaml")
	code, out, problems := s.plugin(t, "policy", "test", "-f", file, "-n", s.namespace, "-o", "json")
	var got trial
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitUnacceptable {
		t.Fatalf("exit code %d, %q, %q (%v)", code, out, problems, err)
	}
	for i := range got.Verdicts {
		got.Verdicts[i].Digest = ""
	}
	want := trial{Covered: 3, Objected: 2, Verdicts: []verdict{
		{"strict", s.namespace, "notes-1.1.0", "", []finding{{"SensitiveAPIUndeclared", "error", "app.js", 2, strings.Replace(located, "column 11", "column 23", 1)}}},
		{"strict", s.namespace, "notes-1.2.0", "", []finding{{"QualityTextForbidden", "error", "app.js", 2, "column 1 holds text that ReviewPolicy strict forbids (spec.quality.forbiddenText[0].pattern: debugger): take it out"}}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	code, out, _ = s.plugin(t, "policy", "test", "-f", file)
	if code != exitUnacceptable || !strings.HasSuffix(out, "\n3 versions covered, 2 would be objected to\n") || !strings.Contains(out, "app.js:2") {
		t.Errorf("as a table: exit code %d\n%s", code, out)
	}
	var list v1alpha1.ReviewPolicyList
	must(t, s.client.List(t.Context(), &list))
	for _, p := range list.Items {
		if p.Name == "strict" {
			t.Error("the policy was applied")
		}
	}
	wrong := filepath.Join(write(t, map[string]string{"policy.yaml": strings.Replace(strict, "debugger", "(", 1)}), "policy.yaml")
	if code, _, problems := s.plugin(t, "policy", "test", "-f", wrong); code != exitFailed || !strings.Contains(problems, "spec.quality.forbiddenText[0].pattern") {
		t.Errorf("a policy that is wrong: exit code %d, %q", code, problems)
	}
}

func TestAllFindingsOfAVersionAreShown(t *testing.T) {
	s := newShelf(t)
	policy := &v1alpha1.ReviewPolicy{ObjectMeta: metav1.ObjectMeta{Name: "strict-" + s.namespace}}
	policy.Spec.Enforcement, policy.Spec.Privacy = v1alpha1.Warn, &v1alpha1.PrivacyRules{UsedPermissions: v1alpha1.Required}
	must(t, s.client.Create(t.Context(), policy))
	s.publish(t, "1.0.0", "navigator.geolocation.watchPosition(show);\n", policy.Name, "gone")
	code, out, problems := s.plugin(t, "findings", "notes-1.0.0", "-n", s.namespace, "-o", "json")
	if code != exitOK {
		t.Fatalf("exit code %d, %q", code, problems)
	}
	var got report
	must(t, json.Unmarshal([]byte(out), &got))
	want := []finding{
		{"SensitiveAPIUndeclared", "warning", "app.js", 1, strings.NewReplacer("strict asks", policy.Name+" asks").Replace(located)},
		{"JunkFile", "warning", "app.js.map", 0, "a source map shows the program's source to everybody and makes the bundle larger; leave it out"},
	}
	if diff := cmp.Diff(want, got.Findings); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if code, _, problems := s.plugin(t, "findings", "notes-2.0.0", "-n", s.namespace); code != exitFailed || problems != "error: MiniProgramVersion notes-2.0.0 does not exist in namespace "+s.namespace+": correct the name or -n\n" {
		t.Errorf("a version that is not there: exit code %d, %q", code, problems)
	}
}

package controller_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
)

// npmPackage is a web bundle that nobody of this project wrote.
const npmPackage = "swagger-ui-dist@5.29.0"

// npmBundle fetches the package and makes a zip archive of its files.
func npmBundle(t *testing.T) []byte {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal("npm is missing: apt-get install npm")
		}
		t.Skip("npm is missing: apt-get install npm")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx(t), "npm", "pack", "--silent", npmPackage)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm pack: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(files) != 1 {
		t.Fatalf("npm packed %v, %v", files, err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	return zipOfTar(t, f)
}

func zipOfTar(t *testing.T, r io.Reader) []byte {
	t.Helper()
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for files := tar.NewReader(unzipped); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.Create(strings.TrimPrefix(h.Name, "package/"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, files); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAnNpmPackageBecomesAnArtifactThroughAnHTTPSource(t *testing.T) {
	data := npmBundle(t)
	g := newGroup(t, "quality")
	g.program(t, "docs")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }))
	t.Cleanup(server.Close)
	g.version(t, "docs", "5.29.0", func(v *v1alpha1.MiniProgramVersion) {
		v.Spec.Source = v1alpha1.BundleSource{HTTP: &v1alpha1.HTTPSource{URL: server.URL + "/swagger-ui.zip", SHA256: hexSum(data)}}
	})
	v := g.awaitVersion(t, "docs-5.29.0", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	if b := v.Status.Bundle; b.Format != "Web" || b.Files < 10 || b.VersionCode != 52900 {
		t.Errorf("the bundle is %s", show(b))
	}
}

func TestAnArtifactInAnotherRegistryIsASource(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	data := archive(t, "from a registry")
	blob := func(b []byte) registry.Blob {
		return registry.Blob{Digest: "sha256:" + hexSum(b), Size: int64(len(b)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
	}
	staging := registry.New(registry.Options{Host: g.registry.Host(), Prefix: "staging", PlainHTTP: true, UserAgent: "test"})
	a, err := registry.NewArtifact(g.ns+"/app", "app", registry.ArtifactConfig{AppID: "x.y.z", Version: "1.0.0", VersionCode: 1, ArchiveSHA256: "sha256:" + hexSum(data)}, blob(data), blob([]byte("content")), nil)
	g.must(t, err)
	published, err := staging.Publish(ctx(t), a)
	g.must(t, err)
	g.version(t, "app", "1.0.0", func(v *v1alpha1.MiniProgramVersion) {
		v.Spec.Source = v1alpha1.BundleSource{OCI: &v1alpha1.OCISource{Ref: published.Repository + ":1.0.0"}}
	})
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	if v.Status.Artifact.Archive.Digest != "sha256:"+hexSum(data) {
		t.Errorf("another archive was published: %s", show(v.Status.Artifact))
	}

	// What the manager itself published is nobody's source: it could be another group's.
	g.version(t, "app", "1.0.1", func(v *v1alpha1.MiniProgramVersion) {
		v.Spec.Source = v1alpha1.BundleSource{OCI: &v1alpha1.OCISource{Ref: g.registryHost() + "/miniprograms/" + g.ns + "/app:1.0.0"}}
	})
	eventually(t, "the own prefix is refused", func() string {
		var v v1alpha1.MiniProgramVersion
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.1"), &v))
		if got := condition(v.Status.Conditions, v1alpha1.ConditionStalled); !strings.HasPrefix(got, "True SourceForbidden: ") {
			return "got " + got
		}
		return ""
	})
}

func TestOtherBytesUnderTheSameVersionNeedANewVersion(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	g.approve(t, "app-1.0.0")
	g.rollout(t, "app", "1.0.0")
	stable := g.awaitRollout(t, "app", "stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Published != nil && ro.Status.Percent == "100%" })

	var v v1alpha1.MiniProgramVersion
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
	g.must(t, g.admin.Delete(ctx(t), &v))
	eventually(t, "the version is gone", func() string {
		if err := g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v); client.IgnoreNotFound(err) != nil || err == nil {
			return "it is still there"
		}
		return ""
	})
	g.configMap(t, "other-bytes", archive(t, "other bytes"))
	g.version(t, "app", "1.0.0", func(v *v1alpha1.MiniProgramVersion) {
		v.ObjectMeta = metav1.ObjectMeta{Namespace: g.ns, Name: "app-1.0.0"}
		v.Spec.Source.ConfigMap.Name = "other-bytes"
	})
	eventually(t, "the tag is taken", func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
		if got := condition(v.Status.Conditions, v1alpha1.ConditionStalled); !strings.HasPrefix(got, "True TagTaken: ") {
			return "got " + got
		}
		return ""
	})
	after := g.awaitRollout(t, "app", "still stable", func(*v1alpha1.Rollout) bool { return true })
	if after.Status.Stable.Digest != stable.Status.Stable.Digest || after.Status.Sequence != stable.Status.Sequence {
		t.Errorf("the rollout moved: %s", show(after.Status))
	}
}

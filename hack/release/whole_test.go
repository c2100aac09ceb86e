package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// TestARelease builds a release of the tree as it is, for the platform that the test
// runs on, without what make release fetches and checks itself: bills of materials.
func TestARelease(t *testing.T) {
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	assets, err := controlplane.AssetsDir()
	if err != nil {
		t.Fatal(err)
	}
	r := buildCopy(t, root, assets)
	t.Run("an API server takes the manifests", func(t *testing.T) { theManifests(t, r) })
	t.Run("the chart", func(t *testing.T) { theChart(t, r) })
	t.Run("sums are of all files", func(t *testing.T) {
		runIn(t, r.out, "sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS")
		text, err := os.ReadFile(r.file("SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		for name := range sumsOf(t, r) {
			if !strings.Contains(name, "/") && name != "SHA256SUMS" && !strings.Contains(string(text), "  "+name+"\n") {
				t.Errorf("SHA256SUMS lacks %s", name)
			}
		}
	})
	t.Run("built again in another place it is the same to the byte", func(t *testing.T) {
		again := buildCopy(t, r.root, assets) // of what was built, whoever edits meanwhile
		want, got := sumsOf(t, r), sumsOf(t, again)
		if len(want) < 6 || want["SHA256SUMS"] == "" {
			t.Errorf("the release has only %v", want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("binaries say what they are", func(t *testing.T) {
		for _, name := range append([]string{plugin}, servers...) {
			want := name + " " + r.version + ", commit " + r.revision + ", " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
			if got := run(t, r.built(r.plugins[0], name), "--version"); got != want {
				t.Errorf("%s --version = %q, want %q", name, got, want)
			}
		}
	})
	t.Run("manifests name the image by its digest", func(t *testing.T) {
		text, err := os.ReadFile(r.file("install.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		image := "image: " + r.image + ":" + r.version + "@" + r.digest.String()
		if got := strings.Count(string(text), image); got != len(servers) || strings.Contains(string(text), "miniprogram-operator:dev") {
			t.Errorf("install.yaml has %q %d times, want %d", image, got, len(servers))
		}
		for _, name := range servers { // what the Deployments start is in the image
			if !strings.Contains(string(text), "- /"+name+"\n") {
				t.Errorf("install.yaml does not start /%s", name)
			}
		}
		crds, err := os.ReadFile(r.file("crds.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(string(crds), "\nkind: CustomResourceDefinition\n"); got != 6 {
			t.Errorf("crds.yaml has %d kinds", got)
		}
	})
	t.Run("the image", func(t *testing.T) { theImage(t, r) })
}

// buildCopy copies the tree below root as it is to a folder of its own, commits it there, always
// with the same result, and builds a release.
func buildCopy(t *testing.T, root, assets string) *release {
	t.Helper()
	dir := t.TempDir()
	for _, file := range strings.Split(runIn(t, root, "git", "ls-files", "--cached", "--others", "--exclude-standard"), "\n") {
		data, err := os.ReadFile(filepath.Join(root, file))
		if os.IsNotExist(err) {
			continue // deleted, and not committed
		}
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"commit", "-q", "-m", "tree"}} {
		runIn(t, dir, "git", append([]string{"-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	}
	here := platform{runtime.GOOS, runtime.GOARCH}
	r := &release{
		version: "v0.0.1", root: dir, out: filepath.Join(dir, "dist"), image: "registry.example/miniprogram-operator", baseURL: "https://example.com",
		kubectl: filepath.Join(assets, "kubectl"), helm: helmOf(t), roots: someRoots(t),
		servers: []platform{{"linux", runtime.GOARCH}}, plugins: []platform{here},
	}
	if err := r.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.empty(); err != nil {
		t.Fatal(err)
	}
	for _, s := range r.steps() {
		if s.name == "bills of materials" {
			continue
		}
		if err := s.run(t.Context()); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
	return r
}

// someRoots is a PEM file with the certificate of a test server.
func someRoots(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	file := filepath.Join(t.TempDir(), "roots.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// sumsOf reads all files of a release, but for those on the way.
func sumsOf(t *testing.T, r *release) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for _, pattern := range []string{"*", "image/*", "image/blobs/sha256/*"} {
		files, err := filepath.Glob(r.file(pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if info, err := os.Stat(file); err != nil || info.IsDir() {
				continue
			}
			name, err := filepath.Rel(r.out, file)
			if err != nil {
				t.Fatal(err)
			}
			if sums[name], err = sumOf(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	return sums
}

// theImage copies the image to a registry with skopeo, looks at what it says there,
// unpacks its only layer, and starts both programs from it.
func theImage(t *testing.T, r *release) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal("skopeo is not installed: apt-get install skopeo")
		}
		t.Skip("skopeo is not installed")
	}
	registry := registrytest.Start(t, registrytest.Options{})
	to := "docker://" + registry.Host() + "/operator:" + r.version
	run(t, skopeo, "copy", "--all", "--preserve-digests", "--insecure-policy", "--dest-tls-verify=false", "oci:"+r.file("image")+":"+r.version, to)
	if got := run(t, skopeo, "inspect", "--tls-verify=false", "--format={{.Digest}}", "--override-os=linux", to); got != r.digest.String() {
		t.Errorf("the registry has digest %s, want %s", got, r.digest)
	}
	var config ocispec.Image
	text := run(t, skopeo, "inspect", "--tls-verify=false", "--config", "--override-os=linux", to)
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	want := ocispec.ImageConfig{User: "65532:65532", Entrypoint: []string{"/manager"}, WorkingDir: "/", Labels: r.labels()}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Error(diff)
	}
	if config.Config.Labels[ocispec.AnnotationVersion] != "v0.0.1" || config.Config.Labels[ocispec.AnnotationRevision] != r.revision || config.Architecture != runtime.GOARCH {
		t.Errorf("the image is of version %v for %s", config.Config.Labels, config.Architecture)
	}
	dir := t.TempDir()
	run(t, skopeo, "copy", "--insecure-policy", "--src-tls-verify=false", "--override-os=linux", to, "dir:"+dir)
	unpacked := unpack(t, dir)
	if runtime.GOOS == "linux" {
		for _, name := range servers {
			want := name + " " + r.version + ", commit " + r.revision
			if got := contained(t, unpacked, "/"+name, "--version"); !strings.HasPrefix(got, want) {
				t.Errorf("/%s --version = %q, want %q", name, got, want)
			}
		}
	}
}

// unpack unpacks the one layer in a folder that skopeo wrote, and requires that
// nothing else is in it than what the image needs: above all no shell.
func unpack(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest.Layers) != 1 {
		t.Fatalf("the image has %d layers", len(manifest.Layers))
	}
	layer := filepath.Join(dir, manifest.Layers[0].Digest.Encoded())
	names := strings.Split(run(t, "tar", "-tzf", layer), "\n")
	want := []string{"etc/", "etc/ssl/", "etc/ssl/certs/", "etc/ssl/certs/ca-certificates.crt", "manager", "manifest-service"}
	slices.Sort(names)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	unpacked := t.TempDir()
	run(t, "tar", "-xzf", layer, "-C", unpacked)
	if err := os.Chmod(unpacked, 0o755); err != nil {
		t.Fatal(err)
	}
	return unpacked
}

// contained runs a program with the folder as its root, read-only, as the image's
// user, as a container would. Only root can arrange that; others run it as it is.
func contained(t *testing.T, root, program string, args ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		return run(t, filepath.Join(root, program), args...)
	}
	const enter = `mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec chroot --userspec=` + user + ` "$0" "$@"`
	return run(t, "unshare", append([]string{"--mount", "sh", "-c", enter, root, program}, args...)...)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	return runIn(t, "", name, args...)
}

// runIn runs a command with times of commits that are always the same.
func runIn(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	t.Setenv("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
	t.Setenv("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
	out, err := output(context.WithoutCancel(t.Context()), dir, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(out, "\n")
}

// TestTheDockerfileSaysTheSame holds the Dockerfile, which no test can build without
// a container engine, to what the image is.
func TestTheDockerfileSaysTheSame(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.ReplaceAll(string(text), "\\\n", " ")
	stages := strings.Split(joined, "\nFROM ")
	last := strings.Split(stages[len(stages)-1], "\n")
	if last[0] != "scratch" {
		t.Errorf("the image is built on %q, want scratch", last[0])
	}
	var users, entrypoints, copied, labels []string
	for _, line := range last[1:] {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		switch fields[0] {
		case "USER":
			users = append(users, fields[1:]...)
		case "ENTRYPOINT":
			entrypoints = append(entrypoints, strings.TrimPrefix(line, "ENTRYPOINT "))
		case "COPY": // all but the last are what is copied
			for _, from := range fields[2 : len(fields)-1] {
				copied = append(copied, strings.TrimPrefix(fields[len(fields)-1], "/")+filepath.Base(from))
			}
		case "LABEL":
			for _, label := range fields[1:] {
				key, _, _ := strings.Cut(label, "=")
				labels = append(labels, key)
			}
		}
	}
	r := &release{}
	var files, keys []string
	for _, m := range r.contents(platform{"linux", "amd64"}) {
		files = append(files, m.name)
	}
	for key := range r.labels() {
		if key != ocispec.AnnotationCreated { // two builds of one commit would differ
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	slices.Sort(labels)
	got := map[string][]string{"user": users, "entrypoint": entrypoints, "files": copied, "labels": labels}
	want := map[string][]string{"user": {user}, "entrypoint": {`["` + entrypoint + `"]`}, "files": files, "labels": keys}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestTheKrewManifestSaysWhatTheArchivesAre writes archives of files that stand in for
// what would be built, and unpacks each as krew would by the manifest.
func TestTheKrewManifestSaysWhatTheArchivesAre(t *testing.T) {
	r, _ := two(t)
	r.root = r.out // LICENSE is there
	for _, p := range r.plugins {
		if err := os.MkdirAll(filepath.Dir(r.built(p, plugin)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(r.built(p, plugin), []byte("program for "+p.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []func() error{
		func() error { return r.writeArchives(t.Context()) }, func() error { return r.writeKrew(t.Context()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(r.file("miniprogram.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var got krewPlugin
	if err := yaml.UnmarshalStrict(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || got.Kind != "Plugin" || got.Metadata.Name != "miniprogram" ||
		got.Spec.Version != "v0.1.0" || len(got.Spec.ShortDescription) > 50 {
		t.Errorf("the manifest is a %s %s of %q %q: %q", got.APIVersion, got.Kind, got.Metadata.Name, got.Spec.Version, got.Spec.ShortDescription)
	}
	var names []string
	for _, p := range got.Spec.Platforms {
		name, found := strings.CutPrefix(p.URI, "https://example.com/dl/v0.1.0/")
		sum, err := sumOf(r.file(name))
		if err != nil || !found || sum != p.SHA256 {
			t.Errorf("%s has sum %s, want %s (%v)", p.URI, p.SHA256, sum, err)
		}
		names = append(names, name)
		is := platform{p.Selector.MatchLabels["os"], p.Selector.MatchLabels["arch"]}
		installed := map[string]string{}
		packed := unpacked(t, r.file(name))
		for _, f := range p.Files {
			if f.To != "." {
				t.Errorf("%s: %s goes to %q", is, f.From, f.To)
			}
			installed[f.From] = packed[f.From]
		}
		want := map[string]string{"LICENSE": "-rw-r--r-- text of LICENSE", p.Bin: "-rwxr-xr-x program for " + is.String()}
		if diff := cmp.Diff(want, installed); diff != "" {
			t.Errorf("%s has (-want +got):\n%s", is, diff)
		}
		if len(packed) != len(p.Files) {
			t.Errorf("%s: krew installs %v of %v", is, p.Files, packed)
		}
	}
	want := []string{
		"kubectl-miniprogram_v0.1.0_darwin_amd64.tar.gz", "kubectl-miniprogram_v0.1.0_darwin_arm64.tar.gz",
		"kubectl-miniprogram_v0.1.0_linux_amd64.tar.gz", "kubectl-miniprogram_v0.1.0_linux_arm64.tar.gz",
		"kubectl-miniprogram_v0.1.0_windows_amd64.zip", "kubectl-miniprogram_v0.1.0_windows_arm64.zip",
	}
	slices.Sort(names)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// unpacked are the files of an archive: mode and text by name.
func unpacked(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	read := func(name string, mode os.FileMode, r io.Reader, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = mode.String() + " " + string(text)
	}
	if strings.HasSuffix(file, ".zip") {
		archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.File {
			content, err := f.Open()
			read(f.Name, f.Mode(), content, err)
		}
		return found
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(z); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		read(h.Name, h.FileInfo().Mode(), archive, nil)
	}
}

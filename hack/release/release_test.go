package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestVersions(t *testing.T) {
	for version, want := range map[string]bool{
		"v0.1.0": true, "v10.20.30": true, "v1.0.0-rc.1": true, "v0.1.0-3-gc0ffee": true,
		"0.1.0": false, "v1.0": false, "v01.0.0": false, "c0ffee": false, "dev": false, "v1.0.0+build": false, "v1.0.0/x": false, "": false,
	} {
		if got := versionForm.MatchString(version); got != want {
			t.Errorf("%q is a release's version: %v, want %v", version, got, want)
		}
	}
}

// two is a release of which two files stand in for what would be built.
func two(t *testing.T) (*release, []member) {
	t.Helper()
	dir := t.TempDir()
	var members []member
	for name, mode := range map[string]int64{"LICENSE": 0o644, "a/b/tool": 0o755} {
		from := filepath.Join(dir, filepath.Base(name))
		// The modes and times on the disk have no part in an archive.
		if err := os.WriteFile(from, []byte("text of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
		members = append(members, member{name: name, from: from, mode: mode})
	}
	if members[0].name != "LICENSE" {
		members[0], members[1] = members[1], members[0]
	}
	return &release{version: "v0.1.0", baseURL: "https://example.com/dl", out: dir, plugins: pluginPlatforms, moment: moment{time.Unix(1795000042, 0).UTC()}}, members
}

func TestArchivesHaveOneTimeAndOneOwner(t *testing.T) {
	r, members := two(t)
	var packed bytes.Buffer
	if err := tarGz(&packed, r.moment, members); err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		Name string
		Mode int64
		Uid  int
		Time time.Time
		Text string
	}
	var got []entry
	for archive := tar.NewReader(z); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, entry{h.Name, h.Mode, h.Uid, h.ModTime.UTC(), string(text)})
	}
	at := r.moment.Time
	want := []entry{
		{"LICENSE", 0o644, 0, at, "text of LICENSE"},
		{"a/", 0o755, 0, at, ""}, {"a/b/", 0o755, 0, at, ""}, {"a/b/tool", 0o755, 0, at, "text of a/b/tool"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestZipArchives(t *testing.T) {
	r, members := two(t)
	var packed bytes.Buffer
	if err := zipped(&packed, r.moment, members); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range archive.File {
		if f.Name != members[i].name || int64(f.Mode().Perm()) != members[i].mode || !f.Modified.Equal(r.moment.Time) {
			t.Errorf("entry %d is %s, %v, %v", i, f.Name, f.Mode(), f.Modified)
		}
	}
}

func TestAFolderOfSomebodyElseIsNotEmptied(t *testing.T) {
	dir := t.TempDir()
	thesis := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(thesis, []byte("the only copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &release{out: dir}
	if err := r.empty(); err == nil || !strings.Contains(err.Error(), "no release was built there") {
		t.Errorf("empty = %v", err)
	}
	if _, err := os.Stat(thesis); err != nil {
		t.Error(err)
	}
	r = &release{out: filepath.Join(dir, "dist")}
	for range 2 { // what a release left goes
		if err := r.empty(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(r.file("old"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.empty(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(r.file("old")); err == nil {
		t.Error("a file of the last release is still there")
	}
}

func TestABillWithoutModulesIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		ok   bool
	}{
		"modules with licences": {`{"bomFormat":"CycloneDX","components":[{"evidence":{"licenses":[{"license":{"id":"MIT"}}]}}]}`, true},
		"ours and Go's without": {`{"bomFormat":"CycloneDX","components":[{"name":"std"},{"name":"github.com/miniprogram-dev/miniprogram-operator/sdk/go"}]}`, true},
		"a module without":      {`{"bomFormat":"CycloneDX","components":[{"name":"example.com/m"},{"evidence":{"licenses":[{}]}}]}`, false},
		"no module":             {`{"bomFormat":"CycloneDX","components":[]}`, false},
		"another format":        {`{"components":[{"evidence":{"licenses":[{}]}}]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "bill.json")
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := checkBill(file); (err == nil) != test.ok {
				t.Errorf("checkBill = %v", err)
			}
		})
	}
}

// git runs git in a folder.
func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	args = append([]string{"-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"}, args...)
	if _, err := output(t.Context(), dir, "git", args...); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNotCommittedIsNotReleased(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	file := filepath.Join(dir, "main.go")
	for _, text := range []string{"package main\n", "package other\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if text == "package main\n" {
			git(t, dir, "init", "-q")
			git(t, dir, "add", "-A")
			git(t, dir, "commit", "-q", "-m", "first")
			if err := new(release).look(t.Context()); err != nil {
				t.Errorf("a tree as it was committed: %v", err)
			}
		}
	}
	if err := new(release).look(t.Context()); err == nil || !strings.Contains(err.Error(), "main.go") {
		t.Errorf("a tree with a change: %v", err)
	}
	if err := (&release{changes: true}).look(t.Context()); err != nil {
		t.Errorf("to try it: %v", err)
	}
}

func TestAnImageWithoutAuthoritiesIsNotBuilt(t *testing.T) {
	r, _ := two(t)
	r.roots = filepath.Join(r.out, "LICENSE") // a file, and no certificate in it
	if err := r.writeImage(t.Context()); err == nil || !strings.Contains(err.Error(), "has no certificate") {
		t.Errorf("writeImage = %v", err)
	}
}

package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

const repository = "../.."

// generated returns what the packer makes of the bundles in this checkout.
func generated(t *testing.T) map[string][]byte {
	t.Helper()
	wanted, err := generate(os.DirFS(filepath.Join(repository, bundlesDir)))
	if err != nil {
		t.Fatal(err)
	}
	return wanted
}

// folder returns the names and contents of a folder's files.
func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = string(data)
	}
	return files
}

func TestCommittedArchivesAreWhatThePackerMakes(t *testing.T) {
	committed := folder(t, filepath.Join(repository, archivesDir))
	delete(committed, "kustomization.yaml") // written by hand: what becomes of the archives
	wanted := generated(t)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(wanted)), slices.Sorted(maps.Keys(committed))); diff != "" {
		t.Fatalf("run go run ./hack/samples: files in %s (-want +got):\n%s", archivesDir, diff)
	}
	for name, data := range wanted {
		if committed[name] != string(data) {
			t.Errorf("%s differs from its bundle; run go run ./hack/samples", name)
		}
	}
}

func TestTwoRunsWriteTheSameAndTheSecondWritesNothing(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, bundlesDir), os.DirFS(filepath.Join(repository, bundlesDir))); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, archivesDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "renamed-1.0.0.zip"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	if err := run(root, &printed); err != nil {
		t.Fatal(err)
	}
	first := folder(t, dir)
	long := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for name := range first {
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(root, io.Discard); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, folder(t, dir)); diff != "" {
		t.Errorf("second run changed files:\n%s", diff)
	}
	for name := range first {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !info.ModTime().Equal(long) {
			t.Errorf("second run wrote %s again", name)
		}
	}
	if _, stale := first["renamed-1.0.0.zip"]; stale {
		t.Error("an archive that no sample makes was left")
	}
	if got, want := printed.String(), first[sumsFile]; got != want {
		t.Errorf("printed\n%s\nwant the sums\n%s", got, want)
	}
}

func TestSumsAreThoseOfTheArchives(t *testing.T) {
	wanted := generated(t)
	var want strings.Builder
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if name != sumsFile {
			fmt.Fprintf(&want, "%x  %s\n", sha256.Sum256(wanted[name]), name)
		}
	}
	if diff := cmp.Diff(want.String(), string(wanted[sumsFile])); diff != "" {
		t.Errorf("%s (-want +got):\n%s", sumsFile, diff)
	}
}

// entry is what a zip reader sees of one file.
type entry struct {
	Name     string
	Method   uint16
	Flags    uint16
	Mode     fs.FileMode
	Modified time.Time
	Extra    int
	Content  string
}

func entries(t *testing.T, archive []byte) []entry {
	t.Helper()
	reader, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	var got []entry
	for _, file := range reader.File {
		body, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(body) // checks the CRC too
		if err != nil {
			t.Fatalf("%s: %v", file.Name, err)
		}
		got = append(got, entry{file.Name, file.Method, file.Flags, file.Mode(), file.Modified.UTC(), len(file.Extra), string(content)})
	}
	return got
}

func TestArchiveIsStoredSortedAndUndated(t *testing.T) {
	files := map[string][]byte{"b/é.txt": []byte("two"), "b.txt": []byte("one"), "a/empty": nil}
	archive, err := pack(files)
	if err != nil {
		t.Fatal(err)
	}
	epoch := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	want := []entry{
		{"a/empty", zip.Store, 0, 0o644, epoch, 0, ""},
		{"b.txt", zip.Store, 0, 0o644, epoch, 0, "one"},
		{"b/é.txt", zip.Store, 1 << 11, 0o644, epoch, 0, "two"},
	}
	if diff := cmp.Diff(want, entries(t, archive)); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
}

func TestPackedBytesNeverChange(t *testing.T) {
	archive, err := pack(map[string][]byte{"index.html": []byte("<p>hello</p>\n")})
	if err != nil {
		t.Fatal(err)
	}
	// Computed once. Another sum under a newer Go means that archive/zip writes
	// something else, and every pinned digest of a sample would change.
	const want = "34ddd7b8e685fbfb364612924eb699d003f09de0582d2f10a245b0eec6988815"
	if got := fmt.Sprintf("%x", sha256.Sum256(archive)); got != want {
		t.Errorf("sha256 %s, want %s", got, want)
	}
}

// identity is what the objects in config/samples say of an archive.
type identity struct {
	Format      bundle.Format
	AppID       string
	Version     string
	VersionCode int64
	Pages       int
	Permissions []string
}

func TestEveryArchiveIsABundleWithoutFindings(t *testing.T) {
	wanted := generated(t)
	shop := func(version string, code int64, pages int) identity {
		return identity{bundle.FormatMiniApp, "com.example.shop", version, code, pages, []string{"clipboard", "location"}}
	}
	want := map[string]identity{
		"notes-0.9.0.zip":   {Format: bundle.FormatWeb, Pages: 1},
		"shop-1.0.0.zip":    shop("1.0.0", 10000, 4),
		"shop-1.1.0.zip":    shop("1.1.0", 10100, 5),
		"shop-1.2.0.zip":    shop("1.2.0", 10200, 5),
		"transit-2.3.0.zip": {Format: bundle.FormatDimina, Pages: 5},
	}
	got := map[string]identity{}
	for name, archive := range wanted {
		if name == sumsFile {
			continue
		}
		b, err := bundle.Read(bytes.NewReader(archive), int64(len(archive)), bundle.Expect{}, bundle.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(b.Findings) > 0 {
			t.Errorf("%s has findings: %v", name, b.Findings)
		}
		got[name] = identity{b.Format, b.AppID, b.Version, b.VersionCode, len(b.Pages), b.Permissions}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("archives (-want +got):\n%s", diff)
	}
}

func TestHashedAssetsCarryTheHashOfTheirContent(t *testing.T) {
	hashed := regexp.MustCompile(`^assets/\w+-([0-9a-f]{8})\.\w+$`)
	checked := 0
	for _, file := range entries(t, generated(t)["notes-0.9.0.zip"]) {
		match := hashed.FindStringSubmatch(file.Name)
		if match == nil {
			continue
		}
		checked++
		if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(file.Content))); sum[:8] != match[1] {
			t.Errorf("%s: the content's hash begins with %s; rename it, also in index.html", file.Name, sum[:8])
		}
	}
	if checked != 2 {
		t.Errorf("found %d hashed assets, want the script and the style sheet", checked)
	}
}

func TestPagesNameOnlyFilesThatTheArchiveHolds(t *testing.T) {
	reference := regexp.MustCompile(`(?:src|href)="([^"#?{]+)"`)
	for archive, data := range generated(t) {
		if archive == sumsFile {
			continue
		}
		files := map[string]bool{}
		all := entries(t, data)
		for _, file := range all {
			files[file.Name] = true
		}
		for _, file := range all {
			if filepath.Ext(file.Name) != ".html" {
				continue
			}
			for _, match := range reference.FindAllStringSubmatch(file.Content, -1) {
				if target := filepath.ToSlash(filepath.Join(filepath.Dir(file.Name), match[1])); !files[target] {
					t.Errorf("%s: %s names %s, which is not in the archive", archive, file.Name, match[1])
				}
			}
		}
	}
}

func TestOverlays(t *testing.T) {
	base := fstest.MapFS{
		"base/app.js":        {Data: []byte("one")},
		"base/keep.txt":      {Data: []byte("keep")},
		"base/manifest.json": {Data: []byte(`{"name":"<A&B>","version":{"name":"1.0.0","code":9007199254740993},"dir":"ltr","pages":["a","b"]}`)},
		"next/app.js":        {Data: []byte("two")},
		"next/pages/c.js":    {Data: []byte("new")},
		"next/manifest.json": {Data: []byte(`{"version":{"name":"1.1.0"},"dir":null,"pages":["c"],"window":{"fullscreen":null,"title":"T"}}`)},
		"broken/app.js":      {Data: []byte("x")},
		"broken/manifest.json": {
			Data: []byte(`{`),
		},
		"linked/link": {Data: []byte("app.js"), Mode: fs.ModeSymlink},
	}
	type result struct {
		Files map[string]string
		Err   string
	}
	tests := map[string]struct {
		layers []string
		want   result
	}{
		"an overlay replaces files, adds files and patches JSON": {
			layers: []string{"base", "next"},
			want: result{Files: map[string]string{
				"app.js":     "two",
				"keep.txt":   "keep",
				"pages/c.js": "new",
				"manifest.json": `{
  "name": "<A&B>",
  "pages": [
    "c"
  ],
  "version": {
    "code": 9007199254740993,
    "name": "1.1.0"
  },
  "window": {
    "title": "T"
  }
}
`,
			}},
		},
		"a broken patch names layer and file": {
			layers: []string{"base", "broken"},
			want:   result{Err: "reading broken: patching manifest.json: reading the patch: unexpected EOF"},
		},
		"a link is refused": {
			layers: []string{"linked"},
			want:   result{Err: "reading linked: link is no regular file; a bundle holds only those"},
		},
		"a folder that is missing is an error": {
			layers: []string{"gone"},
			want:   result{Err: "reading gone: open .: file does not exist"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			files, err := merge(base, test.layers)
			var got result
			if err != nil {
				got.Err = err.Error()
			} else {
				got.Files = map[string]string{}
				for name, data := range files {
					got.Files[name] = string(data)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("merge (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnArchiveThatIsTooLargeIsRefused(t *testing.T) {
	bundles := fstest.MapFS{"notes/big.bin": {Data: make([]byte, maxArchive)}}
	for _, s := range samples {
		for _, layer := range s.layers {
			bundles[layer+"/index.html"] = &fstest.MapFile{Data: []byte("<p>")}
		}
	}
	_, err := generate(bundles)
	const want = "notes-0.9.0.zip has 102611 bytes, more than 102400; make its images or scripts smaller"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

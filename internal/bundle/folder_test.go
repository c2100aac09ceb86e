package bundle_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// packable is a folder whose walking order is not its packing order ("a.txt" comes
// before "a/b"), with content that deflate shortens and content that it does not.
var packable = map[string]string{
	"index.html": strings.Repeat("<p>Open every day from eight to six.</p>\n", 4000),
	"a/b.js":     "let a = 1\n",
	"a.txt":      "short",
	"é.txt":      "",
}

func folder(files map[string]string) fstest.MapFS {
	made := fstest.MapFS{}
	for name, content := range files {
		made[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return made
}

func zipped(t *testing.T, fsys fs.FS, method bundle.Method) []byte {
	t.Helper()
	var out bytes.Buffer
	left, err := bundle.Zip(&out, fsys, method)
	if err != nil || len(left) > 0 {
		t.Fatalf("Zip left out %v: %v", left, err)
	}
	return out.Bytes()
}

// slowFS hands out files byte by byte.
type slowFS struct{ fs.FS }

func (s slowFS) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	if info, serr := fs.Stat(s.FS, name); err != nil || serr != nil || info.IsDir() {
		return f, err
	}
	return slowFile{f, iotest.OneByteReader(f)}, nil
}

type slowFile struct {
	fs.File
	r io.Reader
}

func (s slowFile) Read(p []byte) (int, error) { return s.r.Read(p) }

// backwardsFS lists folders from the end.
type backwardsFS struct{ fs.FS }

func (b backwardsFS) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(b.FS, name)
	slices.Reverse(entries)
	return entries, err
}

func TestAFolderIsPackedToTheSameBytesEverywhere(t *testing.T) {
	dated := fstest.MapFS{"empty": {Mode: fs.ModeDir | 0o700}}
	for name, file := range folder(packable) {
		dated[name] = &fstest.MapFile{Data: file.Data, Mode: 0o755, ModTime: time.Unix(1_700_000_000, 5), Sys: name}
	}
	dir := t.TempDir()
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(packable))) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(packable[name]), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, method := range []bundle.Method{bundle.Stored, bundle.Deflated} {
		want := zipped(t, folder(packable), method)
		for name, other := range map[string]fs.FS{
			"again":                       folder(packable),
			"other times, modes, folders": dated,
			"read byte by byte":           slowFS{folder(packable)},
			"walked backwards":            backwardsFS{folder(packable)},
			"from a disk":                 os.DirFS(dir),
		} {
			if !bytes.Equal(want, zipped(t, other, method)) {
				t.Errorf("method %d, %s: other bytes", method, name)
			}
		}
	}
}

func TestPackedBytesStayTheSame(t *testing.T) {
	// Computed once. Another sum means that archive/zip or klauspost/compress write
	// something else: folders that were pushed before are then pushed anew.
	want := map[bundle.Method]string{
		bundle.Stored:   "d7149a9139d586f1569a2d195e7de9ba2e42723c19c66d7860d8527160fffa3e",
		bundle.Deflated: "55de19505d97d832e9f5bc0a2e4577c22bd06b51b0ee3bd49691c4e3497e48d3",
	}
	got := map[bundle.Method]string{}
	for method := range want {
		got[method] = fmt.Sprintf("%x", sha256.Sum256(zipped(t, folder(packable), method)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sha256 by method (-want +got):\n%s", diff)
	}
}

func TestWhatIsPackedIsAccepted(t *testing.T) {
	type entry struct {
		Name   string
		Method uint16
		Text   string
	}
	want := map[bundle.Method][]entry{
		bundle.Stored:   {{"a.txt", 0, "short"}, {"a/b.js", 0, "let a = 1\n"}, {"index.html", 0, packable["index.html"]}, {"é.txt", 0, ""}},
		bundle.Deflated: {{"a.txt", 0, "short"}, {"a/b.js", 0, "let a = 1\n"}, {"index.html", 8, packable["index.html"]}, {"é.txt", 0, ""}},
	}
	digests := map[string]bool{}
	for method, entries := range want {
		data := zipped(t, folder(packable), method)
		b, err := read(data, bundle.Expect{}, bundle.Limits{Ratio: 1000})
		if err != nil {
			t.Fatal(err)
		}
		digests[b.ContentDigest] = true
		r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		var got []entry
		for _, f := range r.File {
			body, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, entry{f.Name, f.Method, string(text)})
		}
		if diff := cmp.Diff(entries, got); diff != "" {
			t.Errorf("method %d (-want +got):\n%s", method, diff)
		}
	}
	if len(digests) != 1 {
		t.Errorf("the content has the digests %v", slices.Sorted(maps.Keys(digests)))
	}
}

func TestWhatIsLeftOutIsReported(t *testing.T) {
	files := maps.Clone(packable)
	for _, name := range []string{".git/config", "a/.git", "a/.DS_Store", "__MACOSX/a", ".svn/entries"} {
		files[name] = "x"
	}
	var out bytes.Buffer
	got, err := bundle.Zip(&out, folder(files), bundle.Stored)
	if err != nil {
		t.Fatal(err)
	}
	const history = "it belongs to version control and would show the program's history to everybody; the "
	const macOS = "it was left by macOS and is of no use to the mini program; the "
	junk := func(file, message string) bundle.Finding {
		return bundle.Finding{Rule: "JunkFile", Severity: bundle.SeverityWarning, File: file, Message: message + " is left out of the archive"}
	}
	want := []bundle.Finding{
		junk(".git/", history+"folder"), junk(".svn/", history+"folder"), junk("__MACOSX/", macOS+"folder"),
		junk("a/.DS_Store", macOS+"file"), junk("a/.git", history+"file"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if !bytes.Equal(out.Bytes(), zipped(t, folder(packable), bundle.Stored)) {
		t.Error("what was left out is in the archive")
	}
}

func TestWhatIsNoFileIsRefusedByName(t *testing.T) {
	files := folder(packable)
	files["a/link.js"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("b.js")}
	files["queue"] = &fstest.MapFile{Mode: fs.ModeNamedPipe}
	var out bytes.Buffer
	_, err := bundle.Zip(&out, files, bundle.Stored)
	var check *bundle.CheckError
	if !errors.As(err, &check) {
		t.Fatalf("got %v, want a *CheckError", err)
	}
	want := &bundle.CheckError{Findings: []bundle.Finding{
		{Rule: "ZipFileType", Severity: bundle.SeverityError, File: "a/link.js", Message: "it is a symbolic link, and a bundle holds regular files only; put the file itself there"},
		{Rule: "ZipFileType", Severity: bundle.SeverityError, File: "queue", Message: "it is neither a regular file nor a folder; remove it"},
	}}
	if diff := cmp.Diff(want, check); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if out.Len() > 0 {
		t.Errorf("%d bytes were written", out.Len())
	}
}

func TestANameThatIsNoUTF8IsRefused(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"index.html", "caf\xe9.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := bundle.Zip(io.Discard, os.DirFS(dir), bundle.Deflated)
	const want = `NameEncoding: the name is not valid UTF-8; rename it (caf\xe9.txt)`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// growingFS hands out another content each time.
type growingFS struct {
	fstest.MapFS
	opened int
}

func (g *growingFS) Open(name string) (fs.File, error) {
	if name == "index.html" {
		g.opened++
		g.MapFS[name] = &fstest.MapFile{Data: bytes.Repeat([]byte("x"), g.opened)}
	}
	return g.MapFS.Open(name)
}

func TestAFileThatChangesMeanwhileIsAnError(t *testing.T) {
	_, err := bundle.Zip(io.Discard, &growingFS{MapFS: folder(packable)}, bundle.Deflated)
	const want = "packing index.html: the file changed while it was packed; pack again when nothing writes to the folder"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWhatWasSeenOfARefusedBundleIsTold(t *testing.T) {
	manifest := func(version string) string {
		return `{"app_id": "com.example.shop", "version": {"name": ` + version + `, "code": 1}}`
	}
	shop := map[string]string{"app.js": "", "app.css": "", "pages/a.js": "", "manifest.json": manifest(`"1.0.0"`)}
	for name, test := range map[string]struct {
		data []byte
		want bundle.Seen
	}{
		"no zip":      {data: []byte("hello")},
		"no manifest": {data: zipped(t, folder(map[string]string{"main/logic.js": ""}), bundle.Stored), want: bundle.Seen{Format: bundle.FormatDimina}},
		"a manifest that lacks much": {
			data: zipped(t, folder(shop), bundle.Stored),
			want: bundle.Seen{Format: bundle.FormatMiniApp, AppID: "com.example.shop", Version: "1.0.0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(test.data, bundle.Expect{}, bundle.Limits{})
			var check *bundle.CheckError
			if !errors.As(err, &check) {
				t.Fatalf("got %v, want a *CheckError", err)
			}
			if whole := check.Seen.ContentDigest; test.want.Format != "" && !strings.HasPrefix(whole, "sha256:") {
				t.Errorf("the content digest is %q", whole)
			}
			check.Seen.ContentDigest = ""
			if diff := cmp.Diff(test.want, check.Seen); diff != "" {
				t.Errorf("seen (-want +got):\n%s", diff)
			}
		})
	}
}

package bundle_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// accepted are archives that Read accepts; each has something that readers are
// known to disagree about in other archives.
var accepted = map[string][]byte{
	"MiniApp":                shop.zip(),
	"Dimina":                 radio.zip(),
	"game":                   game.zip(),
	"Web":                    site.zip(),
	"awkward":                awkward.zip(),
	"a comment":              archive{members: []member{page}, comment: "PK\x01\x02 PK\x03\x04"}.bytes(),
	"an archive":             with(member{name: "a.zip", content: string(zipOf("index.html", "other"))}),
	"descriptors":            archive{members: []member{{name: "index.html", content: "1", deflate: true, descriptor: 12}, {name: "a", content: "2", descriptor: 16}, {name: "b", content: "3", deflate: true, descriptor: 16}}}.bytes(),
	"a folder":               archive{members: []member{page, {name: "a/"}, {name: "a/b", content: "1"}, {name: "c/", attrs: 0o040755<<16 | 0x10}}}.bytes(),
	"extra fields":           with(member{name: "é", content: "1", extra: "UT\x05\x00\x01\x00\x00\x00\x00" + string(put(nil, 0x7075, 7, "\x01", uint32(0x0e048d3e), "é")), localExtra: "\x00\x00"}),
	"a signature as content": with(member{name: "PK", content: "PK\x05\x06", extra: "UT\x04\x00PK\x05\x06"}),
}

func TestGoListsAndReadsWhatIsAcceptedTheSame(t *testing.T) {
	for name, data := range accepted {
		t.Run(name, func(t *testing.T) {
			b, err := read(data, bundle.Expect{}, bundle.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			sameAsGo(t, data, b)
		})
	}
}

// testingT is a test, or a check of a property.
type testingT interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// sameAsGo fails the test if archive/zip sees other files in data than b, which
// Read made of it, or if WriteTar does not write what ContentDigest says.
func sameAsGo(t testingT, data []byte, b *bundle.Bundle) {
	t.Helper()
	ours := files{}
	for _, f := range b.Files {
		r, err := b.Open(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || int64(len(content)) != f.Size {
			t.Fatalf("%s has %d bytes (%v), want %d", f.Path, len(content), err, f.Size)
		}
		ours[f.Path] = string(content)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatalf("Read accepts what archive/zip does not: %v", err)
	}
	theirs := files{}
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		if _, twice := theirs[f.Name]; twice {
			t.Fatalf("archive/zip lists %q twice", f.Name)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatalf("archive/zip does not open %q: %v", f.Name, err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("archive/zip does not read %q: %v", f.Name, err)
		}
		theirs[f.Name] = string(content)
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Fatalf("files (-archive/zip +Read):\n%s", diff)
	}
	if digest, size := tarOf(t, b); digest != b.ContentDigest || size != b.ContentBytes {
		t.Fatalf("WriteTar wrote %s of %d bytes, Read said %s of %d", digest, size, b.ContentDigest, b.ContentBytes)
	}
}

// seen are the archives that Read accepted in the tests that ran, by digest.
var seen = map[[32]byte]sample{}

// sample is an archive, and how Read came to accept it.
type sample struct {
	data   []byte
	want   bundle.Expect
	limits bundle.Limits
}

// remember keeps an accepted archive for the comparison with other programs.
func remember(data []byte, want bundle.Expect, limits bundle.Limits) {
	if len(data) <= 1<<20 {
		seen[sha256.Sum256(data)] = sample{bytes.Clone(data), want, limits}
	}
}

// This file sorts last among the tests, so that all others have run: what they
// found to be accepted is compared here, in two runs of other programs rather than
// in hundreds.
func TestOtherProgramsListWhatIsAcceptedTheSame(t *testing.T) {
	for _, data := range append(corpus(t), slices.Collect(maps.Values(accepted))...) {
		if b, err := read(data, bundle.Expect{}, bundle.Limits{}); err == nil {
			sameAsGo(t, data, b)
		}
	}
	dir := t.TempDir()
	want := map[string]listing{}
	for sum, s := range seen {
		name := hex.EncodeToString(sum[:8]) + ".zip"
		if err := os.WriteFile(filepath.Join(dir, name), s.data, 0o600); err != nil {
			t.Fatal(err)
		}
		want[name] = listed(t, s)
	}
	t.Logf("%d archives are compared", len(want))
	for program, list := range map[string]func(*testing.T, string) map[string]listing{"python3": pythonLists, "unzip": infoZIPLists} {
		t.Run(program, func(t *testing.T) {
			if _, err := exec.LookPath(program); err != nil {
				if os.Getenv("REQUIRE_TOOLS") == "1" {
					t.Fatalf("%s is required with REQUIRE_TOOLS=1: %v", program, err)
				}
				t.Skipf("%s is not installed", program)
			}
			got := list(t, dir)
			for name := range want {
				if diff := cmp.Diff(want[name], got[name]); diff != "" {
					t.Errorf("files (-Read +%s) of %q:\n%s", program, seenAs(name), diff)
				}
			}
		})
	}
}

// listing is what a reader sees: the names of the files in the archive's order,
// and the digest of all their contents in that order.
type listing struct {
	Names  []string
	Digest string
}

// listed returns what Read sees. It keeps no order, which is archive/zip's.
func listed(t *testing.T, s sample) listing {
	t.Helper()
	b, err := bundle.Read(bytes.NewReader(s.data), int64(len(s.data)), s.want, s.limits)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(s.data), int64(len(s.data)))
	if err != nil {
		t.Fatal(err)
	}
	list, sum := listing{Names: []string{}}, sha256.New()
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		list.Names = append(list.Names, f.Name)
		r, err := b.Open(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(sum, r); err != nil {
			t.Fatal(err)
		}
	}
	if len(list.Names) != len(b.Files) {
		t.Fatalf("archive/zip lists %q, Read %v", list.Names, b.Files)
	}
	list.Digest = hex.EncodeToString(sum.Sum(nil))
	return list
}

// seenAs returns the archive that was written under that name.
func seenAs(name string) []byte {
	for sum, s := range seen {
		if hex.EncodeToString(sum[:8])+".zip" == name {
			return s.data
		}
	}
	return nil
}

func pythonLists(t *testing.T, dir string) map[string]listing {
	t.Helper()
	const script = `
import hashlib, json, os, sys, zipfile
found = {}
for name in os.listdir(sys.argv[1]):
    names, digest = [], hashlib.sha256()
    try:
        with zipfile.ZipFile(os.path.join(sys.argv[1], name)) as z:
            for i in z.infolist():
                content = z.read(i)
                if len(content) != i.file_size: raise Exception("%r has another size than is listed" % i.filename)
                if i.is_dir(): continue
                names.append(i.filename)
                digest.update(content)
        found[name] = {"Names": names, "Digest": digest.hexdigest()}
    except Exception as e:
        found[name] = {"Names": [repr(e)]}
print(json.dumps(found))
`
	cmd := exec.CommandContext(t.Context(), "python3", "-c", script, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]listing
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func infoZIPLists(t *testing.T, dir string) map[string]listing {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	unzip := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), "unzip", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C.UTF-8", "UNZIP=", "UNZIPOPT=", "ZIPINFO=", "ZIPINFOOPT=")
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil {
			return []byte(fmt.Sprintf("%s%v: %s\n", out, err, complaint.Bytes()))
		}
		return out
	}
	got := map[string]listing{}
	for _, e := range entries {
		list := listing{Names: []string{}}
		for line := range strings.Lines(string(unzip("-Z1", e.Name()))) {
			if line = strings.TrimSuffix(line, "\n"); !strings.HasSuffix(line, "/") {
				list.Names = append(list.Names, line)
			}
		}
		sum := sha256.Sum256(unzip("-p", e.Name()))
		list.Digest = hex.EncodeToString(sum[:])
		got[e.Name()] = list
	}
	return got
}

// corpus returns the archives that fuzzing found worth keeping.
func corpus(t *testing.T) [][]byte {
	t.Helper()
	const dir = "testdata/fuzz/FuzzRead"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		quoted := strings.TrimSuffix(strings.TrimPrefix(lines[len(lines)-1], "[]byte("), ")")
		data, err := strconv.Unquote(quoted)
		if err != nil || lines[0] != "go test fuzz v1" || len(lines) != 2 {
			t.Fatalf("%s is not one value of a corpus: %v", e.Name(), err)
		}
		all = append(all, []byte(data))
	}
	return all
}

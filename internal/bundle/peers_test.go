package bundle_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// sameAsGo fails the test if archive/zip sees other files in data than b, which
// Read made of it, or if WriteTar does not write what ContentDigest says.
func sameAsGo(t *testing.T, data []byte, b *bundle.Bundle) {
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

func TestPythonListsWhatIsAcceptedTheSame(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal("python3 is required with REQUIRE_TOOLS=1: ", err)
		}
		t.Skip("python3 is not installed")
	}
	dir := t.TempDir()
	want := map[string]map[string]int64{}
	for name, data := range accepted {
		b, err := read(data, bundle.Expect{}, bundle.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		want[name] = map[string]int64{}
		for _, f := range b.Files {
			want[name][f.Path] = f.Size
		}
	}
	const script = `
import json, os, sys, zipfile
found = {}
for name in os.listdir(sys.argv[1]):
    with zipfile.ZipFile(os.path.join(sys.argv[1], name)) as z:
        files = [i for i in z.infolist() if not i.is_dir()]
        assert len(set(i.filename for i in files)) == len(files), name
        found[name] = {i.filename: len(z.read(i)) for i in files}
print(json.dumps(found))
`
	cmd := exec.CommandContext(t.Context(), python, "-c", script, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]map[string]int64
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files and sizes (-Read +zipfile):\n%s", diff)
	}
}

func TestEveryRuleIsInTheTableOnceWithItsMeaning(t *testing.T) {
	want := strings.Fields(`ZipStructure ZipSpanned ZipEncrypted ZipMethod ZipHeaderMismatch ZipOverlap ZipChecksum ZipSize ZipFileType
		LimitArchive LimitExpanded LimitEntries LimitRatio NameEncoding NameTraversal NameCharacters NameLength NameCollision LayoutRoot LayoutMissing
		ManifestJSON ManifestField AppIDMismatch VersionMismatch PageMissing PageExternal IconMissing WidgetMissing PermissionUndeclared SecretFound JunkFile`)
	var got []string
	for _, rule := range bundle.Rules {
		got = append(got, rule.Code)
		if rule.Meaning == "" || strings.HasSuffix(rule.Meaning, ".") {
			t.Errorf("%s means %q, want one sentence without a full stop", rule.Code, rule.Meaning)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

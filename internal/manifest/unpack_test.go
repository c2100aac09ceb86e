package manifest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// tarOf is a tar of files, as they stand there.
func tarOf(t testing.TB, headers ...*tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, strings.NewReader(strings.Repeat("x", int(h.Size))), h.Size); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func plain(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}
}

func compressed(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Every sample is packed as the manager packs it, and each file comes out as it went in.
func TestWhatTheManagerPacksIsUnpacked(t *testing.T) {
	for _, name := range []string{"shop-1.0.0.zip", "transit-2.3.0.zip"} {
		t.Run(name, func(t *testing.T) {
			archive, err := os.ReadFile("../../config/samples/archives/" + name)
			if err != nil {
				t.Fatal(err)
			}
			b, err := bundle.Read(bytes.NewReader(archive), int64(len(archive)), bundle.Expect{}, bundle.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var layer, expanded bytes.Buffer
			if err := b.WriteContent(&layer); err != nil {
				t.Fatal(err)
			}
			key, _ := parseHex(strings.TrimPrefix(b.ContentDigest, "sha256:"))
			files, size, err := unpack(&expanded, &layer, key, maxUnpacked)
			if err != nil || size != int64(expanded.Len()) || len(files) != len(b.Files) {
				t.Fatalf("%d files of %d, %d bytes of %d, %v", len(files), len(b.Files), expanded.Len(), size, err)
			}
			for _, f := range b.Files {
				r, err := b.Open(f.Path)
				if err != nil {
					t.Fatal(err)
				}
				want, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				at := files[f.Path]
				if got := expanded.Bytes()[at.offset:][:at.size]; !bytes.Equal(got, want) {
					t.Errorf("%s has %q, want %q", f.Path, got, want)
				}
			}
		})
	}
}

func TestUnpacking(t *testing.T) {
	good := tarOf(t, plain("a.txt", 3), plain("long/"+strings.Repeat("n", 200), 700), plain("z", 0))
	many := make([]*tar.Header, maxUnpackedFiles+1)
	for i := range many {
		many[i] = plain(fmt.Sprint("f", i), 0)
	}
	sparse := func() []byte { // a record of the kind with which GNU tar says what is left out
		h := plain("hole", 512)
		h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{"comment.gnus": "x"}
		return bytes.ReplaceAll(tarOf(t, h), []byte("comment.gnus=x"), []byte("GNU.sparse.a=x"))
	}
	for name, test := range map[string]struct {
		tar   []byte
		layer []byte // unset: tar, compressed
		most  int64
		want  string // of the error
		local bool   // the error is no mismatch
	}{
		"good":              {tar: good, most: int64(len(good))},
		"one byte too long": {tar: good, most: int64(len(good)) - 1, want: fmt.Sprintf("its files have more than %d bytes together", len(good)-1), local: true},
		"a bomb":            {tar: bytes.Repeat([]byte{0}, 1<<20), most: 4096, want: "its files have more than 4096 bytes together", local: true},
		"a path outside":    {tar: tarOf(t, plain("../a", 1)), most: 1 << 20, want: `"../a" is no plain path below the root`},
		"an absolute path":  {tar: tarOf(t, plain("/etc/passwd", 1)), most: 1 << 20, want: `"/etc/passwd" is no plain path below the root`},
		"a path through":    {tar: tarOf(t, plain("a/../b", 1)), most: 1 << 20, want: `"a/../b" is no plain path below the root`},
		"the root":          {tar: tarOf(t, plain(".", 1)), most: 1 << 20, want: `"." is no plain path below the root`},
		"a link":            {tar: tarOf(t, &tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "/etc/passwd"}), most: 1 << 20, want: `"a" is no plain file`},
		"a hard link":       {tar: tarOf(t, &tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "b"}), most: 1 << 20, want: `"a" is no plain file`},
		"a folder":          {tar: tarOf(t, &tar.Header{Typeflag: tar.TypeDir, Name: "a/"}), most: 1 << 20, want: `"a/" is no plain file`},
		"a device":          {tar: tarOf(t, &tar.Header{Typeflag: tar.TypeChar, Name: "a"}), most: 1 << 20, want: `"a" is no plain file`},
		"a file twice":      {tar: tarOf(t, plain("a", 1), plain("a", 2)), most: 1 << 20, want: `"a" is there twice`},
		"too many files":    {tar: tarOf(t, many...), most: 64 << 20, want: "it has more than 20000 files"},
		"cut off":           {tar: good[:514], most: 1 << 20, want: "unexpected EOF"},
		"no tar":            {tar: []byte(strings.Repeat("x", 1024)), most: 1 << 20, want: "invalid tar header"},
		"no zstd":           {tar: good, layer: good, most: 1 << 20, want: "magic number mismatch"},
		"other bytes":       {tar: good, layer: compressed(t, tarOf(t, plain("b.txt", 3))), most: 1 << 20, want: "the tar in it is sha256:"},
		"bytes behind it":   {tar: good, layer: compressed(t, append(bytes.Clone(good), 0)), most: 1 << 20, want: "the tar in it is sha256:"},
		"a hole":            {tar: sparse(), most: 1 << 20, want: `"hole" is no plain file`},
	} {
		t.Run(name, func(t *testing.T) {
			layer := test.layer
			if layer == nil {
				layer = compressed(t, test.tar)
			}
			var out bytes.Buffer
			files, size, err := unpack(&out, bytes.NewReader(layer), sha256.Sum256(test.tar), test.most)
			if int64(out.Len()) > test.most+1 {
				t.Errorf("%d bytes were written, at most %d are allowed", out.Len(), test.most)
			}
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) || files != nil || errors.Is(err, errMismatch) == test.local {
					t.Errorf("got %v, %v, want %s", files, err, test.want)
				}
				return
			}
			want := map[string]span{"a.txt": {512, 3}, "long/" + strings.Repeat("n", 200): {2560, 700}, "z": {4096, 0}}
			if diff := cmp.Diff(want, files, cmp.AllowUnexported(span{})); diff != "" || err != nil || size != int64(len(test.tar)) || !bytes.Equal(out.Bytes(), test.tar) {
				t.Errorf("%v, %d bytes (-want +got):\n%s", err, size, diff)
			}
		})
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAFullDiskIsNoDamageOfTheLayer(t *testing.T) {
	data := tarOf(t, plain("a", 1))
	_, _, err := unpack(full{}, bytes.NewReader(compressed(t, data)), sha256.Sum256(data), 1<<20)
	if err == nil || err.Error() != "no space left" || errors.Is(err, errMismatch) {
		t.Errorf("got %v", err)
	}
}

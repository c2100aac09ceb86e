package bundle_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// tarOf returns digest and size of the canonical tar.
func tarOf(t testingT, b *bundle.Bundle) (string, int64) {
	t.Helper()
	var out bytes.Buffer
	if err := b.WriteTar(&out); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(out.Bytes())
	return "sha256:" + hex.EncodeToString(sum[:]), int64(out.Len())
}

// awkward has names that USTAR holds as they are, split, and not at all.
var awkward = files{
	"index.html": "<!doctype html>", "empty": "", "图片/标志.png": "\x89PNG", strings.Repeat("a", 90) + "/" + strings.Repeat("b", 90): "split",
	strings.Repeat("c", 150): "too long to split", "block": strings.Repeat("x", 512),
}

func TestTheCanonicalTarNeverChanges(t *testing.T) {
	b, err := read(awkward.zip(), bundle.Expect{}, bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	// Artifacts in registries are found by this digest. If it differs, the
	// code is wrong, or a new Go version writes tar otherwise.
	const want = "sha256:f760f8da696af1a93bf89decaad506dc50e1fb0a76a4a454e0abf7c9fa621d2a"
	if b.ContentDigest != want || b.ContentBytes != 8704 {
		t.Errorf("content is %s of %d bytes, want %s of 8704", b.ContentDigest, b.ContentBytes, want)
	}
	if digest, size := tarOf(t, b); digest != b.ContentDigest || size != b.ContentBytes {
		t.Errorf("WriteTar wrote %s of %d bytes, Read said %s of %d", digest, size, b.ContentDigest, b.ContentBytes)
	}
}

func TestTheTarHoldsTheFilesOnlyAndNothingOfTheMachine(t *testing.T) {
	a := archive{members: []member{{name: "z/"}, {name: "z/b", content: "2"}, page, {name: "a", content: "1", attrs: 0o100777 << 16}}}
	b, err := read(a.bytes(), bundle.Expect{}, bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := b.WriteTar(&out); err != nil {
		t.Fatal(err)
	}
	type item struct {
		Name, Content, Owner, Group string
		Mode, Time                  int64
		UID, GID                    int
		Type                        byte
		Format                      tar.Format
	}
	var got []item
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, item{h.Name, string(content), h.Uname, h.Gname, h.Mode, h.ModTime.Unix(), h.Uid, h.Gid, h.Typeflag, h.Format})
	}
	plain := func(name, content string) item {
		return item{Name: name, Content: content, Mode: 0o644, Type: tar.TypeReg, Format: tar.FormatUSTAR}
	}
	want := []item{plain("a", "1"), plain("index.html", page.content), plain("z/b", "2")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tar (-want +got):\n%s", diff)
	}
}

func TestTheSameFilesHaveTheSameContentDigestHoweverTheyWereZipped(t *testing.T) {
	var members []member
	for path, content := range radio {
		members = append(members, member{name: path, content: content})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	variants := map[string]func([]member) archive{
		"stored":        func(m []member) archive { return archive{members: m} },
		"other order":   func(m []member) archive { slices.Reverse(m); return archive{members: m} },
		"with a folder": func(m []member) archive { return archive{members: append(m, member{name: "main/"})} },
		"a comment":     func(m []member) archive { return archive{members: m, comment: "built on Monday"} },
		"descriptors": func(m []member) archive {
			for i := range m {
				m[i].deflate, m[i].descriptor = true, 12+4*(i%2)
			}
			return archive{members: m}
		},
		"best compression": func(m []member) archive {
			for i := range m {
				m[i].deflate, m[i].level, m[i].extra, m[i].attrs = true, 9, "UT\x05\x00\x01\x00\x00\x00\x00", 0o100600<<16
			}
			return archive{members: m}
		},
	}
	want, err := read(radio.zip(), bundle.Expect{}, bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, vary := range variants {
		t.Run(name, func(t *testing.T) {
			got, err := read(vary(slices.Clone(members)).bytes(), bundle.Expect{}, bundle.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got.ContentDigest != want.ContentDigest || got.ContentBytes != want.ContentBytes {
				t.Errorf("content is %s of %d bytes, want %s of %d", got.ContentDigest, got.ContentBytes, want.ContentDigest, want.ContentBytes)
			}
			if got.ArchiveSHA256 == want.ArchiveSHA256 {
				t.Error("the archives do not differ, so this shows nothing")
			}
		})
	}
}

func TestTheCompressedContentIsTheTarAndTheSameEachTime(t *testing.T) {
	b, err := read(awkward.zip(), bundle.Expect{}, bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var plain, first, second bytes.Buffer
	for w, write := range map[*bytes.Buffer]func(io.Writer) error{&plain: b.WriteTar, &first: b.WriteContent, &second: b.WriteContent} {
		if err := write(w); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("WriteContent wrote different bytes the second time")
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	expanded, err := z.DecodeAll(first.Bytes(), nil)
	if err != nil || !bytes.Equal(expanded, plain.Bytes()) {
		t.Errorf("WriteContent expands to %d bytes (%v), want the %d of WriteTar", len(expanded), err, plain.Len())
	}
}

func TestOpenReadsOneFileAndChecksIt(t *testing.T) {
	data := radio.zip()
	b, err := read(data, bundle.Expect{}, bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range radio {
		r, err := b.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want || r.Close() != nil {
			t.Errorf("%s holds %q (%v), want %q", path, got, err, want)
		}
	}
	if _, err := b.Open("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of no file: %v, want fs.ErrNotExist", err)
	}
	// Change one byte of the first file's content, as a writer of the same
	// file would.
	for i := 30 + len("main/app-config.json"); i < 60+len("main/app-config.json"); i++ {
		data[i] ^= 0xff
	}
	r, err := b.Open("main/app-config.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); err == nil {
		t.Error("a changed archive was read without an error")
	}
	if err := b.WriteTar(io.Discard); err == nil || !strings.HasPrefix(err.Error(), "expanding main/app-config.json: ") {
		t.Errorf("WriteTar of a changed archive: %v, want an error that names the file", err)
	}
	if err := b.WriteContent(io.Discard); err == nil {
		t.Error("WriteContent of a changed archive: no error")
	}
}

// brokenDisk fails from a certain call of ReadAt on.
type brokenDisk struct {
	data  []byte
	calls *int // still to succeed
	err   error
}

func (d brokenDisk) ReadAt(p []byte, off int64) (int, error) {
	if *d.calls--; *d.calls < 0 {
		return 0, d.err
	}
	return bytes.NewReader(d.data).ReadAt(p, off)
}

func TestErrorsOfTheDiskAreNotTheDevelopersFault(t *testing.T) {
	failure := errors.New("input/output error")
	descriptors := archive{members: []member{{name: "index.html", content: "1", deflate: true, descriptor: 16}}}.bytes()
	for name, data := range map[string][]byte{
		"a good bundle": shop.zip(), "data descriptors": descriptors,
		"no zip": []byte("hello, this is no zip archive"), "two end records": append(descriptors, descriptors[len(descriptors)-22:]...),
		"a prefix": archive{members: []member{page}, prefix: "#!/bin/sh"}.bytes(),
	} {
		t.Run(name, func(t *testing.T) {
			for calls := 0; ; calls++ {
				left := calls
				_, err := bundle.Read(brokenDisk{data, &left, failure}, int64(len(data)), bundle.Expect{}, bundle.Limits{})
				if left >= 0 {
					break // it was never asked again
				}
				if !errors.Is(err, failure) || err.Error() != failure.Error() {
					t.Fatalf("a disk that fails after %d reads: %v, want its own error", calls, err)
				}
			}
		})
	}
	data := shop.zip()
	_, err := bundle.Read(bytes.NewReader(data), int64(len(data))+1, bundle.Expect{}, bundle.Limits{})
	var check *bundle.CheckError
	if !errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &check) {
		t.Errorf("an archive shorter than said: %v, want io.ErrUnexpectedEOF", err)
	}
}

// fullDisk takes so many bytes.
type fullDisk struct{ left int }

var errFull = errors.New("no space left")

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left -= len(p); d.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestErrorsOfTheWriterComeBack(t *testing.T) {
	b, err := read(shop.zip(), bundle.Expect{}, bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for left := 0; left < int(b.ContentBytes); left += 256 {
		if err := b.WriteTar(&fullDisk{left}); !errors.Is(err, errFull) {
			t.Errorf("WriteTar with %d bytes left: %v", left, err)
		}
	}
	if err := b.WriteContent(&fullDisk{10}); !errors.Is(err, errFull) {
		t.Errorf("WriteContent: %v", err)
	}
}

func TestArchivesOfGosOwnWriterAreAccepted(t *testing.T) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for path, content := range radio {
		method := zip.Deflate
		if strings.HasSuffix(path, ".png") {
			method = zip.Store
		}
		f, err := w.CreateHeader(&zip.FileHeader{Name: path, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, content); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Create("static/"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if found := findingsOf(t, out.Bytes(), bundle.Expect{}, bundle.Limits{}); found != nil {
		t.Errorf("findings %v, want none", found)
	}
}

func TestACheckErrorNamesItsFirstFindings(t *testing.T) {
	_, err := read(zipOf("index.html", "", "../a", "", "../b", "", "../c", "", "../d", ""), bundle.Expect{}, bundle.Limits{})
	const rule = `NameTraversal: the name has the part ".."; rename the file so that it is a plain path below the bundle's root`
	want := rule + " (../a); " + rule + " (../b); " + rule + " (../c); and 1 more"
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
}

func TestAnUnknownFormatIsTheCallersMistake(t *testing.T) {
	_, err := read(site.zip(), bundle.Expect{Format: "Docker"}, bundle.Limits{})
	var check *bundle.CheckError
	if err == nil || errors.As(err, &check) || err.Error() != `reading a bundle: unknown format "Docker"` {
		t.Errorf("error is %v", err)
	}
}

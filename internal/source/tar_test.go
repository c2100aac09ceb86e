package source

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

const page = "<!doctype html><title>shop</title>"

// long needs an extended header in a tar.
var long = strings.Repeat("long-name-", 12) + "é.js"

func file(name, text string) tarItem {
	return tarItem{tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(text)), Mode: 0o755, Uid: 1000, Uname: "dana", ModTime: time.Unix(1_700_000_000, 0)}, text}
}

func folder(name string) tarItem {
	return tarItem{header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o700}}
}

func entryOf(flag byte, name string) tarItem {
	return tarItem{header: tar.Header{Typeflag: flag, Name: name, Linkname: "index.html"}}
}

func withRecord(record, value string) tarItem {
	f := file("index.html", page)
	f.header.Format, f.header.PAXRecords = tar.FormatPAX, map[string]string{record: value}
	return f
}

type tarItem struct {
	header tar.Header
	text   string
}

func tarOf(t testing.TB, items ...tarItem) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, item := range items {
		if err := w.WriteHeader(&item.header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, item.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstandard(t testing.TB, data []byte, options ...zstd.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, options...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarLayer(mediaType, title string, data []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if title != "" {
		d.Annotations = map[string]string{ocispec.AnnotationTitle: title}
	}
	return d
}

// rewrite changes bytes of a tar's first header and mends its checksum.
func rewrite(data []byte, at int, text string) []byte {
	data = bytes.Clone(data)
	copy(data[at:], text)
	copy(data[148:156], "        ")
	sum := 0
	for _, b := range data[:512] {
		sum += int(b)
	}
	copy(data[148:], fmt.Sprintf("%06o\x00 ", sum))
	return data
}

// The archive is the same whatever order, owner and time the tar has, however it
// is compressed, and in all releases to come: hence the digest here.
func TestATarLayerBecomesAnArchiveOfItsFiles(t *testing.T) {
	const want = "sha256:235768b69e886401ab7412796937b9a7bd5dfe4d10b424d50fe2cd4ce386c4af"
	plain := tarOf(t, folder("./"), file("./index.html", page), folder("./js/"), file("./js/"+long, "x"), file("./empty", ""))
	other := tarOf(t,
		tarItem{header: tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "a commit"}}},
		file("empty", ""), folder("js"), file("js/"+long, "x"), withRecord("SCHILY.xattr.user.x", "y"))
	for name, layer := range map[string]struct {
		mediaType, title, madeOf string
		data                     []byte
	}{
		"a tar":                          {"application/vnd.oci.image.layer.v1.tar", "", "tar", plain},
		"a tar of another make":          {"application/x-tar", "", "tar", other},
		"a tar of GNU's make":            {"application/octet-stream", "app.tar", "tar", append(bytes.Clone(plain), make([]byte, 20*512)...)},
		"gzip":                           {"application/vnd.oci.image.layer.v1.tar+gzip", "", "tar+gzip", gzipped(t, plain)},
		"gzip as Docker has it":          {"application/vnd.docker.image.rootfs.diff.tar.gzip", "", "tar+gzip", gzipped(t, other)},
		"gzip of somebody's own type":    {"application/vnd.example.bundle+tar+gzip", "", "tar+gzip", gzipped(t, plain)},
		"gzip by its title":              {"application/octet-stream", "App.TGZ", "tar+gzip", gzipped(t, plain)},
		"zstd":                           {"application/vnd.oci.image.layer.v1.tar+zstd", "", "tar+zstd", zstandard(t, plain)},
		"zstd by its title":              {"application/octet-stream", "app.tar.zst", "tar+zstd", zstandard(t, plain)},
		"zstd with the greatest window":  {"application/vnd.example.tar+zstd", "", "tar+zstd", zstandard(t, plain, zstd.WithWindowSize(maxWindow))},
		"an archive that is a bundle is": {"application/vnd.oci.image.layer.v1.tar+gzip", "app.zip.txt", "tar+gzip", gzipped(t, plain)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			desc := tarLayer(layer.mediaType, layer.title, layer.data)
			s := newShelf(t, manifestOf(tarLayer("text/plain", "", []byte("notes")), desc))
			s.blobs[desc.Digest.String()] = layer.data
			host := s.start(t)
			f, err := newOCI(t, Limits{Dir: dir}).Fetch(t.Context(), host+"/team/app:1.0", nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("files that a crash would leave behind: %v, %v", left, err)
			}
			got := []string{f.SHA256, f.MadeOf, f.Origin, f.Resolved}
			origin := "oci://" + host + "/team/app@" + s.digest() + "#" + layer.madeOf + "=" + desc.Digest.String()
			t.Log(f.SHA256)
			if diff := cmp.Diff([]string{want, layer.madeOf, origin, s.digest()}, got); diff != "" {
				t.Error(diff)
			}
			b, err := bundle.Read(f, f.Size, bundle.Expect{}, bundle.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			files := []bundle.File{{Path: "empty"}, {Path: "index.html", Size: int64(len(page))}, {Path: "js/" + long, Size: 1}}
			if diff := cmp.Diff(files, b.Files); diff != "" {
				t.Error(diff)
			}
			if b.ArchiveSHA256 != f.SHA256 {
				t.Errorf("the archive has %s, said was %s", b.ArchiveSHA256, f.SHA256)
			}
			readAndClose(t, f)
		})
	}
}

func TestTarLayersThatAreNotAccepted(t *testing.T) {
	index := file("index.html", page)
	whole := tarOf(t, index)
	zeros := strings.Repeat("\x00", 4<<20)
	many := []tarItem{index, file("a", ""), file("b", "")}
	pack := "; pack the folder anew, and push the file as it is"
	for name, tt := range map[string]struct {
		data   []byte
		p      packing
		limits Limits
		want   bundle.Finding
	}{
		"a symbolic link":          {data: tarOf(t, entryOf(tar.TypeSymlink, "a")), want: fault(TarFileType, "a", "it is a symbolic link, and a bundle holds regular files and folders only; put the file itself there")},
		"a hard link":              {data: tarOf(t, index, entryOf(tar.TypeLink, "a")), want: fault(TarFileType, "a", "it is a hard link, and a bundle holds regular files and folders only; put the file itself there")},
		"a device":                 {data: tarOf(t, entryOf(tar.TypeChar, "dev/null")), want: fault(TarFileType, "dev/null", "it is a device, and a bundle holds regular files and folders only; put the file itself there")},
		"another device":           {data: tarOf(t, entryOf(tar.TypeBlock, "sda")), want: fault(TarFileType, "sda", "it is a device, and a bundle holds regular files and folders only; put the file itself there")},
		"a named pipe":             {data: tarOf(t, entryOf(tar.TypeFifo, "p")), want: fault(TarFileType, "p", "it is a named pipe, and a bundle holds regular files and folders only; put the file itself there")},
		"a reserved type":          {data: rewrite(whole, 156, "7"), want: fault(TarFileType, "index.html", "it is an entry of the unknown type '7', and a bundle holds regular files and folders only; put the file itself there")},
		"a file with holes":        {data: sparse(t), want: fault(TarFileType, "index.html", "the file is stored with holes; pack it without --sparse")},
		"a file as GNU cuts holes": {data: gnuSparse(t), want: fault(TarFileType, "index.html", "it is a file stored with holes, and a bundle holds regular files and folders only; put the file itself there")},
		"a record with the size":   {data: paxSize(t), want: fault(TarStructure, "index.html", `the file has the extended header "size", which is not followed; pack it without`)},
		"a record of a vendor":     {data: tarOf(t, withRecord("VENDOR.x", "y")), want: fault(TarStructure, "index.html", `the file has the extended header "VENDOR.x", which is not followed; pack it without`)},
		"a global name": {data: tarOf(t, tarItem{header: tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "g", PAXRecords: map[string]string{"path": "evil"}}}, index),
			want: fault(TarStructure, "", `the tar layer has a global header with "path", which would hold for all files after it; pack it without`)},
		"a name twice":          {data: tarOf(t, index, file("./index.html", "x")), want: fault(nameCollision, "index.html", "the name is in the tar layer twice; pack the folder anew, without adding to an old archive")},
		"a file and a folder":   {data: tarOf(t, folder("a/"), file("a", "x")), want: fault(nameCollision, "a", "the name is in the tar layer twice; pack the folder anew, without adding to an old archive")},
		"a long name":           {data: tarOf(t, file(strings.Repeat("x", maxTarName+1), "")), want: fault(nameLength, strings.Repeat("x", maxTarName), "the name has 1026 bytes, allowed are 1024; shorten it")},
		"no name":               {data: rewrite(whole, 0, "\x00"), want: fault(TarStructure, "", "an entry has no name; pack the folder anew")},
		"a file like a folder":  {data: rewrite(whole, 0, "index.htm/"), want: fault(TarStructure, "index.htm/", "the name of a file ends with a slash; pack the folder anew")},
		"a folder with content": {data: rewrite(whole, 156, "5"), want: fault(TarStructure, "index.html", "the folder has content; pack the folder anew")},
		"an unprintable name":   {data: tarOf(t, entryOf(tar.TypeFifo, "a\nb")), want: fault(TarFileType, `"a\nb"`, "it is a named pipe, and a bundle holds regular files and folders only; put the file itself there")},
		"a negative size":       {data: rewrite(whole, 124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), want: fault(TarStructure, "", `the tar layer cannot be read after "the beginning": archive/tar: invalid tar header`+pack)},
		"a size without bounds": {data: rewrite(whole, 124, "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff"), want: fault(TarStructure, "", `the tar layer cannot be read after "index.html": unexpected EOF`+pack)},
		"a wrong checksum":      {data: append([]byte("x"), whole[1:]...), want: fault(TarStructure, "", `the tar layer cannot be read after "the beginning": archive/tar: invalid tar header`+pack)},
		"no tar":                {data: []byte("this is no tar"), want: fault(TarStructure, "", `the tar layer cannot be read after "the beginning": unexpected EOF`+pack)},
		"nothing":               {data: nil, want: fault(TarStructure, "", "the tar layer ends without its end mark: a part is missing; pack the folder anew")},
		"no end mark":           {data: whole[:1024], want: fault(TarStructure, "", "the tar layer ends without its end mark: a part is missing; pack the folder anew")},
		"half an end mark":      {data: whole[:1536], want: fault(TarStructure, "", "the tar layer ends without its end mark: a part is missing; pack the folder anew")},
		"a tar after a tar":     {data: append(bytes.Clone(whole), whole...), want: fault(TarStructure, "", "the tar layer goes on after its end mark; pack the folder anew, as one archive")},
		"no gzip":               {data: whole, p: packedGzip, want: fault(TarStructure, "", `the tar layer cannot be read after "the beginning": gzip: invalid header`+pack)},
		"two gzip members":      {data: append(gzipped(t, whole), gzipped(t, nil)...), p: packedGzip, want: fault(TarStructure, "", "the layer goes on after its compressed tar; push it as one stream, and nothing after it")},
		"a tar in two members":  {data: append(gzipped(t, whole[:512]), gzipped(t, whole[512:])...), p: packedGzip, want: fault(TarStructure, "", `the tar layer cannot be read after "index.html": unexpected EOF`+pack)},
		"a cut gzip":            {data: cutLast(gzipped(t, whole), 4), p: packedGzip, want: fault(TarStructure, "", `the tar layer cannot be read after "the end mark": unexpected EOF`+pack)},
		"no zstd":               {data: whole, p: packedZstd, want: fault(TarStructure, "", `the tar layer cannot be read after "the beginning": invalid input: magic number mismatch`+pack)},
		"something after zstd":  {data: append(zstandard(t, whole), "junk"...), p: packedZstd, want: fault(TarStructure, "", `the tar layer cannot be read after "the end mark": invalid input: magic number mismatch`+pack)},
		"a window of 16 MiB":    {data: zstandard(t, []byte(zeros+zeros), zstd.WithWindowSize(2*maxWindow)), p: packedZstd, want: fault(TarStructure, "", `the tar layer cannot be read after "the beginning": window size exceeded`+pack)},
		"a bomb":                {data: gzipped(t, tarOf(t, file("a", zeros))), p: packedGzip, want: fault(limitRatio, "", "the tar layer expands to more than 200 times its size, the most that is allowed; remove files that hold almost nothing but repetitions")},
		"a bomb behind the end": {data: gzipped(t, append(bytes.Clone(whole), zeros...)), p: packedGzip, want: fault(limitRatio, "", "the tar layer expands to more than 200 times its size, the most that is allowed; remove files that hold almost nothing but repetitions")},
		"one byte too many":     {data: whole, limits: Limits{MaxExpandedBytes: int64(len(whole)) - 1}, want: fault(limitExpanded, "", "the tar layer expands to more than 2047 bytes, the most that is allowed; leave out what the mini program does not need, or load large files at run time")},
		"one file too many":     {data: tarOf(t, many...), limits: Limits{MaxEntries: 2}, want: fault(limitEntries, "", "the tar layer holds more than 2 files and folders, the most that is allowed; bundle small files together")},
		"a small ratio of a bomb": {data: zstandard(t, tarOf(t, file("a", zeros))), p: packedZstd, limits: Limits{MaxRatio: 2},
			want: fault(limitRatio, "", "the tar layer expands to more than 2 times its size, the most that is allowed; remove files that hold almost nothing but repetitions")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := unpack(bufio.NewReader(bytes.NewReader(tt.data)), int64(len(tt.data)), tt.p, io.Discard, tt.limits.withDefaults())
			var check *bundle.CheckError
			if !errors.As(err, &check) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff([]bundle.Finding{tt.want}, check.Findings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func fault(rule, file, message string) bundle.Finding {
	return bundle.Finding{Rule: rule, Severity: bundle.SeverityError, File: file, Message: message}
}

func cutLast(data []byte, n int) []byte { return data[:len(data)-n] }

// paxSize is a tar whose extended header says how large its file is.
func paxSize(t testing.TB) []byte {
	t.Helper()
	return rawPAX(t, [][2]string{{"size", "34"}}, tarOf(t, file("index.html", page)))
}

// sparse is a tar whose file has holes, in the form of PAX.
func sparse(t testing.TB) []byte {
	t.Helper()
	return rawPAX(t, [][2]string{
		{"GNU.sparse.major", "0"}, {"GNU.sparse.minor", "1"}, {"GNU.sparse.name", "index.html"},
		{"GNU.sparse.size", "34"}, {"GNU.sparse.numblocks", "2"}, {"GNU.sparse.map", "0,1,33,1"},
	}, tarOf(t, file("index.html", "ab")))
}

// gnuSparse is a tar whose file has holes, in GNU's older form: without any map
// it is one hole.
func gnuSparse(t testing.TB) []byte {
	t.Helper()
	data := tarOf(t, file("index.html", ""))
	copy(data[257:265], "ustar  \x00")
	return rewrite(rewrite(data, 156, "S"), 483, "00000000042\x00")
}

// rawPAX puts an extended header before a tar.
func rawPAX(t testing.TB, records [][2]string, before []byte) []byte {
	t.Helper()
	var text string
	for _, r := range records {
		rest := " " + r[0] + "=" + r[1] + "\n"
		size := len(rest) + 1
		for size != len(rest)+len(fmt.Sprint(size)) { // the size counts its own digits
			size++
		}
		text += fmt.Sprint(size) + rest
	}
	header := rewrite(cutLast(tarOf(t, file("x", text)), 1024), 156, "x")
	return append(header, before...)
}

// Whatever a tar layer holds: what is made of it is a zip whose structure
// bundle.Read finds no fault in, however wrong its names may be.
func FuzzTarLayer(f *testing.F) {
	whole := tarOf(f, folder("./"), file("./index.html", page), file("js/"+long, "x"))
	f.Add(whole, 0)
	f.Add(gzipped(f, whole), 1)
	f.Add(zstandard(f, whole), 2)
	f.Add(sparse(f), 0)
	f.Add(gnuSparse(f), 0)
	f.Add(paxSize(f), 0)
	f.Add(tarOf(f, file("../up", "x"), entryOf(tar.TypeSymlink, "a")), 0)
	f.Fuzz(func(t *testing.T, data []byte, which int) {
		p := []packing{packedTar, packedGzip, packedZstd}[uint(which)%3]
		layer, err := spool(t.TempDir(), bytes.NewReader(data), int64(len(data)), "")
		if err != nil {
			t.Fatal(err)
		}
		l := Limits{Dir: t.TempDir(), MaxExpandedBytes: 1 << 20}.withDefaults()
		made, err := zipOfTar(t.Context(), layer, p, l)
		var check *bundle.CheckError
		if errors.As(err, &check) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer made.Close()
		_, err = bundle.Read(made, made.Size, bundle.Expect{Format: bundle.FormatWeb}, bundle.Limits{})
		if err == nil {
			return
		}
		if !errors.As(err, &check) {
			t.Fatal(err)
		}
		for _, finding := range check.Findings {
			if strings.HasPrefix(finding.Rule, "Zip") || strings.HasPrefix(finding.Rule, "Limit") {
				t.Errorf("the archive that was made has the fault %s", finding)
			}
		}
	})
}

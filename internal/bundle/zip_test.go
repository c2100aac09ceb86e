package bundle_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// page is the smallest web bundle.
var page = member{name: "index.html", content: "<!doctype html><title>Shop</title>", deflate: true}

// with returns an archive of page and one more.
func with(m member) []byte { return archive{members: []member{page, m}}.bytes() }

func read(data []byte, want bundle.Expect, limits bundle.Limits) (*bundle.Bundle, error) {
	b, err := bundle.Read(bytes.NewReader(data), int64(len(data)), want, limits)
	if err == nil {
		remember(data, want, limits)
	}
	return b, err
}

// findingsOf returns what Read found to be wrong with data, or fails the test.
func findingsOf(t *testing.T, data []byte, want bundle.Expect, limits bundle.Limits) []bundle.Finding {
	t.Helper()
	b, err := read(data, want, limits)
	if err == nil {
		return b.Findings
	}
	var check *bundle.CheckError
	if !errors.As(err, &check) {
		t.Fatalf("Read: %v, want a *CheckError", err)
	}
	return check.Findings
}

func fail(rule, file, message string) []bundle.Finding {
	return []bundle.Finding{{Rule: rule, Severity: bundle.SeverityError, File: file, Message: message}}
}

const (
	tool     = "; create the archive anew with a common zip tool"
	rebuild  = "; build or upload the archive again"
	zip64    = "the archive uses zip64, which bundles do not need; create it without (a zip tool that writes to a pipe may add it)"
	twoEnds  = "the archive has two end records, so that it can be read in two ways" + tool
	split    = "the archive is one part of an archive that was split into several; create it as one file"
	notAZip  = "the file is not a zip archive: "
	upload   = "; upload the .zip or .ma file that your build produces"
	disagree = "the file's own header and the central directory do not agree on its "
	twoWays  = ", so that it can be read in two ways" + tool
)

func TestArchivesWithABrokenStructureAreRefused(t *testing.T) {
	good := archive{members: []member{page}}.bytes()
	for name, test := range map[string]struct {
		data []byte
		want []bundle.Finding
	}{
		"an empty file": {nil, fail("ZipStructure", "", notAZip+"it is empty"+upload)},
		"a tar.gz": {[]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00"), fail("ZipStructure", "",
			notAZip+"it is compressed with gzip (a .tar.gz or .tgz file)"+upload)},
		"zstd":         {[]byte("\x28\xb5\x2f\xfd\x00"), fail("ZipStructure", "", notAZip+"it is compressed with zstd"+upload)},
		"a RAR":        {[]byte("Rar!\x1a\x07\x01\x00"), fail("ZipStructure", "", notAZip+"it is a RAR archive"+upload)},
		"a 7-Zip":      {[]byte("7z\xbc\xaf\x27\x1c\x00"), fail("ZipStructure", "", notAZip+"it is a 7-Zip archive"+upload)},
		"a plain tar":  {[]byte(strings.Repeat("\x00", 257) + "ustar\x00" + strings.Repeat("\x00", 250)), fail("ZipStructure", "", notAZip+"it is a tar archive"+upload)},
		"a login page": {[]byte("\n<!DOCTYPE html><html>"), fail("ZipStructure", "", notAZip+"it is an HTML page (often an error or login page of the server that it was fetched from)"+upload)},
		"an API error": {[]byte(`{"error":"no"}`), fail("ZipStructure", "", notAZip+"it looks like JSON (often an error message of the server that it was fetched from)"+upload)},
		"text":         {[]byte("hello\x00"), fail("ZipStructure", "", notAZip+`it has no end record and begins with "hello\x00"`+upload)},
		"a zip without its end": {good[:len(good)-30], fail("ZipStructure", "",
			"the archive is cut off: it begins like a zip archive and has no end record; build or upload it again")},
		"an end record without its end": {good[:len(good)-3], fail("ZipStructure", "",
			"the archive is cut off: its end record lacks the last 3 bytes; build or upload it again")},
		"a comment that is longer than the file": {archive{members: []member{page}, commentLen: to(uint16(7))}.bytes(), fail("ZipStructure", "",
			"the archive is cut off: its end record lacks the last 7 bytes; build or upload it again")},
		"bytes behind the end": {archive{members: []member{page}, trailer: "extra"}.bytes(), fail("ZipStructure", "", "5 bytes follow the end of the archive"+tool)},
		"a prefix, offsets moved with it": {archive{members: []member{page}, prefix: "#!/bin/sh\n"}.bytes(), fail("ZipStructure", "",
			"10 bytes stand before the archive's first file"+tool)},
		"a prefix, offsets as before": {append([]byte("#!/bin/sh\n"), good...), fail("ZipStructure", "",
			"10 bytes stand before the archive's first file or between its central directory and its end record"+tool)},
		"two end records in a row": {append(bytes.Clone(good), good[len(good)-22:]...), fail("ZipStructure", "", twoEnds)},
		"a second end record whose comment holds the first": {
			archive{members: []member{page}, behind: string(put(nil, "PK\x05\x06", 0, 0, 0, 0, uint32(0), uint32(0), 22))}.bytes(), fail("ZipStructure", "", twoEnds)},
		"an end record in a file whose comment is the rest of the archive": {
			with(member{name: "a", content: string(put(nil, "PK\x05\x06", 0, 0, 0, 0, uint32(0), uint32(0), 56+47+22))}), fail("ZipStructure", "", twoEnds)},
		"an end record inside the comment": {archive{members: []member{page}, comment: string(good[len(good)-22:])}.bytes(), fail("ZipStructure", "", twoEnds)},
		"half an end record inside the comment": {archive{members: []member{page}, comment: "PK\x05\x06"}.bytes(), fail("ZipStructure", "",
			"the archive is cut off: its end record lacks the last 18 bytes; build or upload it again")},
		"two whole archives in a row": {append(bytes.Clone(good), good...), fail("ZipStructure", "", twoEnds)},
		"bytes between central directory and end record": {archive{members: []member{page}, behind: "x"}.bytes(), fail("ZipStructure", "",
			"1 bytes stand before the archive's first file or between its central directory and its end record"+tool)},
		"a signing block": {archive{members: []member{page}, gap: "Sig Block 42"}.bytes(), fail("ZipStructure", "index.html",
			"12 bytes behind this file belong to no file (a deleted file, or a signing block, which bundles may not have)"+tool)},
		"a hole between two files": {with(member{name: "a.js", content: "1", before: "gone"}), fail("ZipStructure", "index.html",
			"4 bytes behind this file belong to no file (a deleted file, or a signing block, which bundles may not have)"+tool)},
		"a central directory behind the end record": {archive{members: []member{page}, cdAt: to(uint32(5000))}.bytes(), fail("ZipStructure", "",
			"the end record says that the central directory ends at byte 5056, after the end record itself (byte 132): the archive is cut off or damaged; build or upload it again")},
		"fewer entries counted than listed": {archive{members: []member{page, {name: "a.js"}}, entries: to(uint16(1))}.bytes(), fail("ZipStructure", "",
			"the central directory holds 50 bytes more than the 1 files and folders that the end record counts"+tool)},
		"more entries counted than listed": {archive{members: []member{page}, entries: to(uint16(2))}.bytes(), fail("ZipStructure", "",
			"record 2 of the central directory is not readable"+rebuild)},
		"a central directory of something else": {archive{members: []member{page}, behind: strings.Repeat("x", 56), cdAt: to(uint32(132)), cdSize: to(uint32(56))}.bytes(),
			fail("ZipStructure", "", "record 1 of the central directory is not readable"+rebuild)},
		"a zip64 end record": {archive{members: []member{page}, behind: "PK\x06\x07" + strings.Repeat("\x00", 16)}.bytes(), fail("ZipStructure", "", zip64)},
		"zip64 counts":       {archive{members: []member{page}, entries: to(uint16(0xffff))}.bytes(), fail("ZipStructure", "", zip64)},
		"a zip64 directory":  {archive{members: []member{page}, cdAt: to(uint32(0xffffffff))}.bytes(), fail("ZipStructure", "", zip64)},
		"zip64 sizes of a file": {with(member{name: "a.js", content: "1", deflate: true, size: to(uint32(0xffffffff)),
			extra: string(put(nil, 1, 8, uint32(1), uint32(0)))}), fail("ZipStructure", "a.js", zip64)},
		"a zip64 size without a value":       {with(member{name: "a.js", content: "1", deflate: true, size: to(uint32(0xffffffff))}), fail("ZipStructure", "a.js", zip64)},
		"a zip64 offset without a value":     {with(member{name: "a.js", at: to(uint32(0xffffffff))}), fail("ZipStructure", "a.js", zip64)},
		"zip64 sizes that do not apply":      {with(member{name: "a.js", extra: string(put(nil, 1, 0))}), fail("ZipStructure", "a.js", zip64)},
		"zip64 sizes in the local header":    {with(member{name: "a.js", localExtra: string(put(nil, 1, 0))}), fail("ZipStructure", "a.js", zip64)},
		"an extra field beyond its header":   {with(member{name: "a.js", extra: string(put(nil, 0x5455, 9))}), fail("ZipStructure", "a.js", "an extra field (0x5455) is longer than the header that holds it"+tool)},
		"an offset outside":                  {with(member{name: "a.js", at: to(uint32(9999))}), fail("ZipStructure", "a.js", "the file is said to be at byte 9999, where it is not"+rebuild)},
		"an offset where no header is":       {with(member{name: "a.js", at: to(uint32(1))}), fail("ZipStructure", "a.js", "the file is said to be at byte 1, where it is not"+rebuild)},
		"no signature at a header":           {bytes.Replace(good, []byte("PK\x03\x04"), []byte("PK\x03\x05"), 1), fail("ZipStructure", "index.html", "the file is said to be at byte 0, where it is not"+rebuild)},
		"content that is longer than all":    {with(member{name: "a.js", content: "1", deflate: true, packedSize: to(uint32(100))}), fail("ZipStructure", "a.js", "the file is said to be at byte 76, where it is not"+rebuild)},
		"content that reaches the directory": {with(member{name: "a.js", packed: []byte("1234"), content: "1234", at: to(uint32(78)), noLocal: true}), fail("ZipStructure", "a.js", "the file is said to be at byte 78, where it is not"+rebuild)},

		"the first part of a split archive":     {[]byte("PK\x07\x08PK\x03\x04"), fail("ZipSpanned", "", split)},
		"the last part of a split archive":      {archive{members: []member{page}, disk: 1}.bytes(), fail("ZipSpanned", "", split)},
		"entries on another part":               {archive{members: []member{page}, entriesHere: to(uint16(0))}.bytes(), fail("ZipSpanned", "", split)},
		"a file on another part":                {with(member{name: "a.js", disk: 1}), fail("ZipSpanned", "a.js", "the file is said to be in another part of a split archive; create the archive as one file")},
		"the marker of a split archive of one":  {archive{members: []member{page}, prefix: "PK00"}.bytes(), fail("ZipSpanned", "", "the archive was made as one part of a split archive; create it as one file")},
		"the marker of the first of many parts": {archive{members: []member{page}, prefix: "PK\x07\x08"}.bytes(), fail("ZipSpanned", "", "the archive was made as one part of a split archive; create it as one file")},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, findingsOf(t, test.data, bundle.Expect{}, bundle.Limits{})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFilesThatCouldBeReadInTwoWaysAreRefused(t *testing.T) {
	script := member{name: "a.js", content: "alert(1)", deflate: true}
	lie := func(change func(*member)) []byte {
		m := script
		change(&m)
		return with(m)
	}
	descriptor := "the data descriptor behind the file and the central directory do not agree" + twoWays
	unicodePath := "the file carries a second name in its Unicode Path field, so that zip tools would not agree what it is called" + tool
	const encrypted = "the file is encrypted; create the archive without a password"
	for name, test := range map[string]struct {
		data []byte
		want []bundle.Finding
	}{
		"another name":            {lie(func(m *member) { m.localName = "b.js" }), fail("ZipHeaderMismatch", "a.js", disagree+"name"+twoWays)},
		"a longer name":           {lie(func(m *member) { m.localName = "a.js.exe" }), fail("ZipHeaderMismatch", "a.js", disagree+"name"+twoWays)},
		"other flags":             {lie(func(m *member) { m.localFlags = to(uint16(2)) }), fail("ZipHeaderMismatch", "a.js", disagree+"flags"+twoWays)},
		"another method":          {lie(func(m *member) { m.localMethod = to(uint16(0)) }), fail("ZipHeaderMismatch", "a.js", disagree+"compression method"+twoWays)},
		"another time":            {lie(func(m *member) { m.localTime = 1 }), fail("ZipHeaderMismatch", "a.js", disagree+"time"+twoWays)},
		"another checksum":        {lie(func(m *member) { m.localCRC = to(uint32(1)) }), fail("ZipHeaderMismatch", "a.js", disagree+"checksum"+twoWays)},
		"no checksum":             {lie(func(m *member) { m.localCRC = to(uint32(0)) }), fail("ZipHeaderMismatch", "a.js", disagree+"checksum"+twoWays)},
		"another packed size":     {lie(func(m *member) { m.localPacked = to(uint32(1)) }), fail("ZipHeaderMismatch", "a.js", disagree+"size in the archive"+twoWays)},
		"another size":            {lie(func(m *member) { m.localSize = to(uint32(1)) }), fail("ZipHeaderMismatch", "a.js", disagree+"expanded size"+twoWays)},
		"a descriptor that lies":  {lie(func(m *member) { m.descriptor, m.descCRC = 16, to(uint32(1)) }), fail("ZipHeaderMismatch", "a.js", descriptor)},
		"a bare descriptor, lies": {lie(func(m *member) { m.descriptor, m.descCRC = 12, to(uint32(1)) }), fail("ZipHeaderMismatch", "a.js", descriptor)},
		"no descriptor":           {lie(func(m *member) { m.flags = 1 << 3 }), fail("ZipHeaderMismatch", "a.js", descriptor)},
		"a size beside a descriptor": {lie(func(m *member) { m.descriptor, m.localSize = 16, to(uint32(1)) }),
			fail("ZipHeaderMismatch", "a.js", disagree+"expanded size"+twoWays)},
		"a second name":      {lie(func(m *member) { m.extra = string(put(nil, 0x7075, 9, "\x01", uint32(0x1e1d2a4a), "b.js")) }), fail("ZipHeaderMismatch", "a.js", unicodePath)},
		"half a second name": {lie(func(m *member) { m.localExtra = string(put(nil, 0x7075, 1, "\x01")) }), fail("ZipHeaderMismatch", "a.js", unicodePath)},

		"the same bytes twice": {with(member{name: "copy.html", content: page.content, deflate: true, at: to(uint32(0)), noLocal: true}),
			fail("ZipHeaderMismatch", "copy.html", disagree+"name"+twoWays)},
		"a file inside another file's content": {overlapping(), fail("ZipOverlap", "inner.js", `the file shares bytes of the archive with "outer.js"`+tool)},

		"encrypted":        {lie(func(m *member) { m.flags = 1 }), fail("ZipEncrypted", "a.js", encrypted)},
		"encrypted by AES": {lie(func(m *member) { m.method = to(uint16(99)) }), fail("ZipEncrypted", "a.js", encrypted)},
		"strong encrypted": {lie(func(m *member) { m.flags = 1 << 6 }), fail("ZipEncrypted", "a.js", encrypted)},
		"masked headers":   {lie(func(m *member) { m.flags = 1 << 13 }), fail("ZipEncrypted", "a.js", encrypted)},
		"bzip2":            {lie(func(m *member) { m.method = to(uint16(12)) }), fail("ZipMethod", "a.js", "the file is compressed with method 12; use deflate (8) or none (0)")},
		"deflate64":        {lie(func(m *member) { m.method = to(uint16(9)) }), fail("ZipMethod", "a.js", "the file is compressed with method 9; use deflate (8) or none (0)")},

		"damaged content":      {lie(func(m *member) { m.packed = []byte{0xff, 1, 2, 3} }), fail("ZipChecksum", "a.js", "the file cannot be expanded: its compressed content is damaged"+rebuild)},
		"content cut off":      {lie(func(m *member) { m.packed = deflated(m.content, 0)[:4] }), fail("ZipChecksum", "a.js", "the file cannot be expanded: its compressed content is damaged"+rebuild)},
		"a wrong checksum":     {lie(func(m *member) { m.crc = to(uint32(7)) }), fail("ZipChecksum", "a.js", "the file cannot be expanded: its content has another checksum than the archive says"+rebuild)},
		"a checksum of zero":   {lie(func(m *member) { m.crc = to(uint32(0)) }), fail("ZipChecksum", "a.js", "the file cannot be expanded: its content has another checksum than the archive says"+rebuild)},
		"fewer bytes":          {lie(func(m *member) { m.size = to(uint32(9)) }), fail("ZipSize", "a.js", "the file cannot be expanded: it expands to fewer bytes than the archive says"+rebuild)},
		"more bytes":           {lie(func(m *member) { m.size = to(uint32(7)) }), fail("ZipSize", "a.js", "the file cannot be expanded: it expands to more bytes than the archive says"+rebuild)},
		"bytes behind deflate": {lie(func(m *member) { m.packed = append(deflated(m.content, 0), "hidden"...) }), fail("ZipSize", "a.js", "the file cannot be expanded: bytes follow its compressed content"+rebuild)},
		"stored in two sizes":  {with(member{name: "a.js", content: "1", size: to(uint32(9))}), fail("ZipSize", "a.js", "the file is stored without compression, but has 1 bytes in the archive and 9 expanded"+tool)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, findingsOf(t, test.data, bundle.Expect{}, bundle.Limits{})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// overlapping returns an archive in which the stored content of one file holds
// the header and content of another, and both are listed.
func overlapping() []byte {
	inner := archive{members: []member{{name: "inner.js", content: "alert(1)"}}}.bytes()
	// Cut central directory and end record off.
	inner = inner[:bytes.Index(inner, []byte("PK\x01\x02"))]
	start := len(archive{members: []member{page}}.bytes()) - 56 - 22 // behind page
	outer := member{name: "outer.js", content: string(inner)}
	return archive{members: []member{page, outer,
		{name: "inner.js", content: "alert(1)", noLocal: true, at: to(uint32(start + 30 + len(outer.name)))}}}.bytes()
}

func TestOnlyRegularFilesAndFoldersAreAccepted(t *testing.T) {
	const (
		link     = "the entry is a symbolic link; put the file itself into the archive (zip does that without -y)"
		special  = "the entry is a device or another special file; a bundle holds regular files and folders only"
		noSlash  = "the entry is marked as a folder, but its name does not end in a slash" + tool
		notAFile = "the name ends in a slash like a folder's, but the entry is a file" + tool
	)
	for name, test := range map[string]struct {
		member member
		want   []bundle.Finding
	}{
		"a regular file":             {member{name: "a", attrs: 0o100644 << 16}, nil},
		"a file without a mode":      {member{name: "a", attrs: 0x20}, nil},
		"a folder":                   {member{name: "a/", attrs: 0o040755<<16 | 0x10}, nil},
		"a folder without a mode":    {member{name: "a/"}, nil},
		"a symbolic link":            {member{name: "a", content: "/etc/passwd", attrs: 0o120777 << 16}, fail("ZipFileType", "a", link)},
		"a character device":         {member{name: "a", attrs: 0o020666 << 16}, fail("ZipFileType", "a", special)},
		"a block device":             {member{name: "a", attrs: 0o060666 << 16}, fail("ZipFileType", "a", special)},
		"a pipe":                     {member{name: "a", attrs: 0o010666 << 16}, fail("ZipFileType", "a", special)},
		"a socket":                   {member{name: "a", attrs: 0o140666 << 16}, fail("ZipFileType", "a", special)},
		"a volume label":             {member{name: "a", attrs: 0x08}, fail("ZipFileType", "a", special)},
		"a folder by mode only":      {member{name: "a", attrs: 0o040755 << 16}, fail("ZipFileType", "a", noSlash)},
		"a folder by DOS only":       {member{name: "a", attrs: 0x10}, fail("ZipFileType", "a", noSlash)},
		"a file named like a folder": {member{name: "a/", attrs: 0o100644 << 16}, fail("ZipFileType", "a/", notAFile)},
		"a folder with content":      {member{name: "a/", content: "x"}, fail("ZipFileType", "a/", notAFile)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, findingsOf(t, with(test.member), bundle.Expect{}, bundle.Limits{})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLimitsHoldBeforeAnythingIsExpanded(t *testing.T) {
	small := bundle.Limits{ArchiveBytes: 1000, ExpandedBytes: 5000, Entries: 3, Ratio: 10, ManifestBytes: 30}
	bomb := with(member{name: "bomb", content: strings.Repeat("\x00", 4900), deflate: true})
	bigBomb := with(member{name: "bomb", content: strings.Repeat("\x00", 1<<20), deflate: true})
	// How well Go's compressor does is not what is tested.
	tooStrong := func(expanded int, data []byte, allowed int) []bundle.Finding {
		return fail("LimitRatio", "", fmt.Sprintf("the files are %d times as large as the archive, allowed is %d times; remove files that hold almost nothing but repetitions",
			(expanded+len(page.content)+len(data)-1)/len(data), allowed))
	}
	for name, test := range map[string]struct {
		data   []byte
		limits bundle.Limits
		want   []bundle.Finding
	}{
		"an archive as large as allowed": {archive{members: []member{page}, comment: strings.Repeat("x", 1000-154)}.bytes(), small, nil},
		"a byte too large": {archive{members: []member{page}, comment: strings.Repeat("x", 1001-154)}.bytes(), small, fail("LimitArchive", "",
			"the archive has 1001 bytes, allowed are 1000 bytes; leave out what the mini program does not need, or load large files at run time")},
		"as many entries as allowed": {zipOf("index.html", "", "a", "", "b", ""), small, nil},
		"an entry too many": {zipOf("index.html", "", "a", "", "b", "", "c", ""), small, fail("LimitEntries", "",
			"the archive holds 4 files and folders, allowed are 3; bundle small files together")},
		"as many bytes as allowed": {with(member{name: "a", content: strings.Repeat("\x00", 5000-len(page.content)), deflate: true}), bundle.Limits{ExpandedBytes: 5000}, nil},
		"a byte too many": {with(member{name: "a", content: strings.Repeat("\x00", 5001-len(page.content)), deflate: true}), bundle.Limits{ExpandedBytes: 5000}, fail("LimitExpanded", "",
			"the files have 5001 bytes together, allowed are 5000 bytes; leave out what the mini program does not need, or load large files at run time")},
		"a bomb":                      {bomb, small, tooStrong(4900, bomb, 10)},
		"a bomb for the usual limits": {bigBomb, bundle.Limits{}, tooStrong(1<<20, bigBomb, 200)},
		"a bomb that lies about its size": {with(member{name: "bomb", content: strings.Repeat("\x00", 1<<20), deflate: true, size: to(uint32(100))}), bundle.Limits{}, fail("ZipSize", "bomb",
			"the file cannot be expanded: it expands to more bytes than the archive says"+rebuild)},
		"a manifest as large as allowed": {zipOf("index.html", "", "manifest.json", `{"name":"`+strings.Repeat("x", 19)+`"}`), small, nil},
		"a manifest too large": {zipOf("index.html", "", "manifest.json", `{"name":"`+strings.Repeat("x", 20)+`"}`), small, fail("ManifestJSON", "manifest.json",
			"the manifest has 31 bytes, allowed are 30 bytes; move data into files of their own")},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, findingsOf(t, test.data, bundle.Expect{}, test.limits)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheRatioIsOfAllFilesToTheArchive(t *testing.T) {
	data := with(member{name: "a", content: strings.Repeat("\x00", 1<<20), deflate: true})
	expanded := 1<<20 + len(page.content)
	ratio := (expanded + len(data) - 1) / len(data)
	if got := findingsOf(t, data, bundle.Expect{}, bundle.Limits{Ratio: int64(ratio)}); got != nil {
		t.Errorf("findings with ratio %d: %v, want none", ratio, got)
	}
	want := fail("LimitRatio", "", fmt.Sprintf("the files are %d times as large as the archive, allowed is %d times; remove files that hold almost nothing but repetitions", ratio, ratio-1))
	if diff := cmp.Diff(want, findingsOf(t, data, bundle.Expect{}, bundle.Limits{Ratio: int64(ratio - 1)})); diff != "" {
		t.Errorf("findings with a ratio of one less (-want +got):\n%s", diff)
	}
}

func TestTheDefaultLimitsAreThoseOfTheDesign(t *testing.T) {
	want := bundle.Limits{ArchiveBytes: 33554432, ExpandedBytes: 134217728, Entries: 10000, Ratio: 200, ManifestBytes: 262144}
	if got := bundle.DefaultLimits(); got != want {
		t.Errorf("DefaultLimits() = %+v, want %+v", got, want)
	}
}

func TestLargeSizesAreShownInUnitsThatPeopleKnow(t *testing.T) {
	_, err := bundle.Read(bytes.NewReader(nil), 40<<20, bundle.Expect{}, bundle.Limits{})
	want := "LimitArchive: the archive has 40.0 MiB (41943040 bytes), allowed are 32.0 MiB (33554432 bytes); leave out what the mini program does not need, or load large files at run time"
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
	_, err = read(zipOf("index.html", "", "manifest.json", strings.Repeat(" ", 256<<10+1)), bundle.Expect{}, bundle.Limits{Ratio: 10000})
	want = "ManifestJSON: the manifest has 256.0 KiB (262145 bytes), allowed are 256.0 KiB (262144 bytes); move data into files of their own (manifest.json)"
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
}

package bundle_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// script is the file that the tests of one file's headers lie about.
var script = member{name: "a.js", content: "alert(1)", deflate: true}

// lie returns an archive of page and of script with changes.
func lie(change func(*member)) []byte {
	m := script
	change(&m)
	return with(m)
}

// nothing is what a compressor makes of no bytes.
var nothing = string(deflated("", 0))

func checkTable(t *testing.T, tests map[string]hostile) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, findingsOf(t, test.data, bundle.Expect{}, bundle.Limits{})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// hostile is an archive and what is wrong with it; nil where it just passes.
type hostile struct {
	data []byte
	want []bundle.Finding
}

func TestZip64IsRefusedWhereverItStands(t *testing.T) {
	const full = uint32(0xffffffff)
	sizes := string(put(nil, 1, 16, uint32(len(script.content)), uint32(0), uint32(10), uint32(0)))
	// A record and a locator that say what the end record says.
	record := func(at uint32) string {
		return string(put(nil, "PK\x06\x06", uint32(44), uint32(0), 45, 45, uint32(0), uint32(0), uint32(1), uint32(0), uint32(1), uint32(0), uint32(56), uint32(0), uint32(76), uint32(0),
			"PK\x06\x07", uint32(0), at, uint32(0), uint32(1)))
	}
	checkTable(t, map[string]hostile{
		"beside sizes that need none":      {archive{members: []member{page}, behind: record(132)}.bytes(), fail("ZipStructure", "", zip64)},
		"instead of the number of entries": {archive{members: []member{page}, behind: record(132), entries: to(uint16(0xffff))}.bytes(), fail("ZipStructure", "", zip64)},
		"instead of the directory's size":  {archive{members: []member{page}, behind: record(132), cdSize: to(full)}.bytes(), fail("ZipStructure", "", zip64)},
		"instead of the directory's place": {archive{members: []member{page}, behind: record(132), cdAt: to(full)}.bytes(), fail("ZipStructure", "", zip64)},
		"a locator in a file's comment":    {archive{members: []member{{name: "index.html", comment: "PK\x06\x07" + strings.Repeat("\x00", 16)}}}.bytes(), fail("ZipStructure", "", zip64)},
		"a locator elsewhere in a comment": {archive{members: []member{{name: "index.html", comment: "PK\x06\x07" + strings.Repeat("\x00", 17)}}}.bytes(), nil},
		"the record without a locator":     {archive{members: []member{page}, behind: record(132)[:56]}.bytes(), fail("ZipStructure", "", "56 bytes stand before the archive's first file or between its central directory and its end record"+tool)},
		"sizes in both headers":            {lie(func(m *member) { m.size, m.packedSize, m.extra = to(full), to(full), sizes }), fail("ZipStructure", "a.js", zip64)},
		"sizes in the directory only":      {lie(func(m *member) { m.ownExtra = to(sizes) }), fail("ZipStructure", "a.js", zip64)},
		"sizes in the local header only":   {lie(func(m *member) { m.localExtra = sizes }), fail("ZipStructure", "a.js", zip64)},
		"sizes of the local header":        {lie(func(m *member) { m.localSize, m.localPacked, m.localExtra = to(full), to(full), sizes }), fail("ZipHeaderMismatch", "a.js", disagree+"size in the archive"+twoWays)},
		"a packed size of all ones":        {lie(func(m *member) { m.packedSize = to(full) }), fail("ZipStructure", "a.js", zip64)},
		"sizes behind another field":       {lie(func(m *member) { m.extra = string(put(nil, 0x5455, 1, "\x00")) + sizes }), fail("ZipStructure", "a.js", zip64)},
		"a descriptor with sizes of 8 bytes": {lie(func(m *member) {
			m.descriptor, m.descSize, m.descTail = 16, to(uint32(0)), string(put(nil, uint32(8), uint32(0)))
		}),
			fail("ZipHeaderMismatch", "a.js", "the data descriptor behind the file and the central directory do not agree"+twoWays)},
	})
}

func TestDataDescriptorsMustRepeatTheCentralDirectory(t *testing.T) {
	wrong := fail("ZipHeaderMismatch", "a.js", "the data descriptor behind the file and the central directory do not agree"+twoWays)
	looks := fail("ZipStructure", "a.js", "the file is stored with its size only behind it, and its content looks like that place; compress it, or create the archive anew with a common zip tool")
	gap := func(n int) []bundle.Finding {
		return fail("ZipStructure", "a.js", fmt.Sprintf("%d bytes behind this file belong to no file (a deleted file, or a signing block, which bundles may not have)", n)+tool)
	}
	tests := map[string]hostile{
		// Content whose checksum is the signature itself: both readings of the descriptor are tried.
		"a checksum like the signature, with": {lie(func(m *member) { m.content, m.descriptor = signatureSum, 16 }), nil},
		"a checksum like the signature, bare": {lie(func(m *member) { m.content, m.descriptor = signatureSum, 12 }), wrong},
		"headers that know it all": {lie(func(m *member) {
			m.descriptor, m.localCRC = 16, to(crc32.ChecksumIEEE([]byte(script.content)))
			m.localSize = to(uint32(8))
		}), nil},
		"no descriptor before the directory": {lie(func(m *member) { m.flags = 1 << 3 }), wrong},
		"more behind it":                     {lie(func(m *member) { m.descriptor, m.descTail = 16, "more" }), gap(4)},
		"stored, with a signature inside":    {lie(func(m *member) { m.deflate, m.content, m.descriptor = false, "alert(1)PK\x07\x08", 16 }), looks},
		"stored, with a signature far inside": {lie(func(m *member) {
			m.deflate, m.content, m.descriptor = false, strings.Repeat("x", 16<<10-2)+"PK\x07\x08"+strings.Repeat("x", 9), 12
		}), looks},
		"stored, with a signature before":   {lie(func(m *member) { m.deflate, m.content = false, "alert(1)PK\x07\x08" }), nil},
		"deflated, with a signature inside": {lie(func(m *member) { m.content, m.descriptor, m.level = "alert(1)PK\x07\x08", 16, -2 }), nil},
		"stored, with most of a signature":  {lie(func(m *member) { m.deflate, m.content, m.descriptor = false, "alert(1)PK\x07", 16 }), nil},
	}
	for _, length := range []int{12, 16} {
		for what, change := range map[string]func(*member){
			"right values":        func(*member) {},
			"another checksum":    func(m *member) { m.descCRC = to(uint32(1)) },
			"another packed size": func(m *member) { m.descPacked = to(uint32(1)) },
			"another size":        func(m *member) { m.descSize = to(uint32(1)) },
		} {
			want := wrong
			if what == "right values" {
				want = nil
			}
			tests[fmt.Sprintf("%s in %d bytes", what, length)] = hostile{lie(func(m *member) { m.descriptor = length; change(m) }), want}
		}
	}
	checkTable(t, tests)
}

// signatureSum is content whose CRC-32 is the signature of a data descriptor.
var signatureSum = withSum(binary.LittleEndian.Uint32([]byte("PK\x07\x08")))

// withSum returns four bytes of that CRC-32, which is a bijection on them.
func withSum(sum uint32) string {
	table := crc32.MakeTable(crc32.IEEE)
	state := ^sum
	var content [4]byte
	// Backwards: the upper byte of the state tells which row was used.
	for range content {
		for row, value := range table {
			if value>>24 == state>>24 {
				state = (state^value)<<8 | uint32(row)
				break
			}
		}
	}
	binary.LittleEndian.PutUint32(content[:], ^state)
	return string(content[:])
}

func TestFeaturesThatReadersDoNotShareAreRefused(t *testing.T) {
	needs := func(version, flags int) []bundle.Finding {
		return fail("ZipMethod", "a.js", fmt.Sprintf("the file needs zip features that bundles may not use (version %d, flags 0x%04x)", version, flags)+tool)
	}
	encrypted := fail("ZipEncrypted", "a.js", "the file is encrypted; create the archive without a password")
	tests := map[string]hostile{
		"version 45":               {lie(func(m *member) { m.version = 45 }), nil},
		"version 46":               {lie(func(m *member) { m.version = 46 }), needs(46, 0)},
		"version 20 of a system":   {lie(func(m *member) { m.version = 2<<8 | 20 }), needs(532, 0)},
		"the levels of deflate":    {lie(func(m *member) { m.flags = 3 << 1 }), nil},
		"UTF-8 without need":       {lie(func(m *member) { m.flags = 1 << 11 }), nil},
		"strongly encrypted":       {lie(func(m *member) { m.flags = 1<<6 | 1 }), encrypted},
		"encrypted, headers too":   {lie(func(m *member) { m.flags = 1<<13 | 1<<6 | 1 }), encrypted},
		"encrypted in one header":  {lie(func(m *member) { m.localFlags = to(uint16(1)) }), fail("ZipHeaderMismatch", "a.js", disagree+"flags"+twoWays)},
		"UTF-8 in one header":      {lie(func(m *member) { m.localFlags = to(uint16(1 << 11)) }), fail("ZipHeaderMismatch", "a.js", disagree+"flags"+twoWays)},
		"a descriptor in one only": {lie(func(m *member) { m.localFlags = to(uint16(1 << 3)) }), fail("ZipHeaderMismatch", "a.js", disagree+"flags"+twoWays)},
	}
	for _, bit := range []int{4, 5, 7, 8, 9, 10, 12, 14, 15} {
		tests[fmt.Sprintf("flag %d", bit)] = hostile{lie(func(m *member) { m.flags = 1 << bit }), needs(20, 1<<bit)}
	}
	for _, method := range []int{1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 14, 93, 95, 98} {
		tests[fmt.Sprintf("method %d", method)] = hostile{lie(func(m *member) { m.method = to(uint16(method)) }),
			fail("ZipMethod", "a.js", fmt.Sprintf("the file is compressed with method %d; use deflate (8) or none (0)", method))}
	}
	checkTable(t, tests)
}

func TestNothingButItsNameSaysWhatAFileIsCalled(t *testing.T) {
	second := fail("ZipHeaderMismatch", "a.js", "the file carries a second name in its Unicode Path field, so that zip tools would not agree what it is called"+tool)
	link := func(tag string) []bundle.Finding {
		return fail("ZipFileType", "a.js", "an extra field ("+tag+") can make the file a link or a device for some zip tools"+tool)
	}
	field := func(name string) string {
		return string(put(nil, 0x7075, 5+len(name), "\x01", crc32.ChecksumIEEE([]byte("a.js")), name))
	}
	checkTable(t, map[string]hostile{
		"the same name again":              {lie(func(m *member) { m.extra = field("a.js") }), nil},
		"another name":                     {lie(func(m *member) { m.extra = field("b.js") }), second},
		"another name in the directory":    {lie(func(m *member) { m.ownExtra = to(field("b.js")) }), second},
		"another name in the local header": {lie(func(m *member) { m.localExtra = field("b.js") }), second},
		"another name behind the same":     {lie(func(m *member) { m.extra = field("a.js") + field("../a.js") }), second},
		"no name":                          {lie(func(m *member) { m.extra = field("") }), second},
		"a name that ends in NUL":          {lie(func(m *member) { m.extra = field("a.js\x00") }), second},
		"a link of ASi":                    {lie(func(m *member) { m.extra = string(put(nil, 0x756e, 4, uint32(0))) }), link("0x756e")},
		"a link of PKWARE":                 {lie(func(m *member) { m.localExtra = string(put(nil, 0x000d, 4, uint32(0))) }), link("0x000d")},
		"attributes of libarchive":         {lie(func(m *member) { m.localExtra = string(put(nil, 0x6c78, 4, uint32(0))) }), link("0x6c78")},
		"times and owners": {lie(func(m *member) {
			m.extra = string(put(nil, 0x5455, 5, "\x01", uint32(1), 0x7875, 11, "\x01\x04", uint32(0), "\x04", uint32(0)))
		}), nil},
		"padding that is no field":          {lie(func(m *member) { m.localExtra = "\x00\x00\x00" }), nil},
		"a comment that is a name":          {lie(func(m *member) { m.comment = "b.js" }), nil},
		"a field as long as the header":     {lie(func(m *member) { m.extra = string(put(nil, 0x5455, 0)) }), nil},
		"a field longer than the header":    {lie(func(m *member) { m.localExtra = string(put(nil, 0x5455, 1)) }), fail("ZipStructure", "a.js", "an extra field (0x5455) is longer than the header that holds it"+tool)},
		"a name that the local header cuts": {lie(func(m *member) { m.localName = "a.j" }), fail("ZipHeaderMismatch", "a.js", disagree+"name"+twoWays)},
	})
}

func TestFoldersHoldNothing(t *testing.T) {
	packed := fail("ZipFileType", "a/", "what is packed for the folder does not expand to nothing"+tool)
	held := fail("ZipFileType", "a/", "the name ends in a slash like a folder's, but the entry is a file"+tool)
	folder := func(change func(*member)) []byte {
		m := member{name: "a/"}
		change(&m)
		return with(m)
	}
	checkTable(t, map[string]hostile{
		"nothing, compressed":        {folder(func(m *member) { m.deflate = true }), nil},
		"less than nothing":          {folder(func(m *member) { m.method = to(uint16(8)) }), packed},
		"a descriptor":               {folder(func(m *member) { m.deflate, m.descriptor = true, 16 }), nil},
		"content":                    {folder(func(m *member) { m.content = "x" }), held},
		"content, said to be none":   {folder(func(m *member) { m.deflate, m.packed, m.content = true, deflated("evil", 0), "" }), packed},
		"bytes behind nothing":       {folder(func(m *member) { m.deflate, m.packed = true, []byte(nothing+"evil") }), packed},
		"no deflate at all":          {folder(func(m *member) { m.deflate, m.packed = true, []byte("evil") }), packed},
		"the checksum of something":  {folder(func(m *member) { m.crc = to(uint32(1)) }), held},
		"stored, packed but no size": {folder(func(m *member) { m.content, m.size, m.crc = "evil", to(uint32(0)), to(uint32(0)) }), fail("ZipSize", "a/", "the file is stored without compression, but has 4 bytes in the archive and 0 expanded"+tool)},
	})
}

func TestBytesThatAreSharedMakeNoBomb(t *testing.T) {
	const files = 20
	// Many names for the same bytes: one local header cannot have two names.
	same := archive{members: []member{page}}
	var differ []bundle.Finding
	for i := range files {
		name := fmt.Sprintf("copy-%02d", i)
		same.members = append(same.members, member{name: name, content: page.content, deflate: true, noLocal: true, at: to(uint32(0))})
		differ = append(differ, fail("ZipHeaderMismatch", name, disagree+"name"+twoWays)...)
	}
	// Each file's content begins as stored block that quotes the next file's
	// header, and goes on with that file's content.
	quoted, overlaps := quotedOverlap(files), []bundle.Finding(nil)
	for i := 1; i < files; i++ {
		overlaps = append(overlaps, fail("ZipOverlap", fmt.Sprintf("%02d", i), fmt.Sprintf(`the file shares bytes of the archive with "%02d"`, 0)+tool)...)
	}
	checkTable(t, map[string]hostile{
		"many names for one file": {same.bytes(), differ},
		"headers quoted":          {quoted, overlaps},
		"one byte shared":         {sharing(1), fail("ZipOverlap", "b.js", `the file shares bytes of the archive with "a.js"`+tool)},
		"no byte shared":          {sharing(0), nil},
	})
}

// sharing returns an archive in which the header of the second file begins n
// bytes before the end of the first one's content.
func sharing(n int) []byte {
	content := "12345678PK"[:10-2+n]
	if n == 0 {
		content = "12345678"
	}
	a := archive{members: []member{{name: "index.html"}, {name: "a.js", content: content}, {name: "b.js", content: "1"}}}
	if n > 0 {
		// a.js ends in the P that b.js begins with.
		a.members[1].packed = []byte(content[:len(content)-n])
		a.members[1].packedSize = to(uint32(len(content)))
	}
	return a.bytes()
}

// quotedOverlap returns an archive of many files that expand to more than its
// size, for each holds all that follow.
func quotedOverlap(files int) []byte {
	type part struct {
		header, content string
		packed          []byte
	}
	parts := make([]part, files)
	var content string
	var packed []byte
	for i := files - 1; i >= 0; i-- {
		if i == files-1 {
			content, packed = strings.Repeat("0", 500), deflated(strings.Repeat("0", 500), 0)
		} else {
			next := parts[i+1].header
			block := put([]byte{0}, len(next), uint16(^len(next)), next)
			packed = append(block, packed...)
			content = next + content
		}
		header := put(nil, "PK\x03\x04", 20, 0, 8, 0, 0x21, crc32.ChecksumIEEE([]byte(content)), uint32(len(packed)), uint32(len(content)), 2, 0, fmt.Sprintf("%02d", i))
		parts[i] = part{string(header), content, bytes.Clone(packed)}
	}
	a := archive{members: []member{page}}
	at := uint32(len(archive{members: []member{page}}.bytes()) - 56 - 22)
	for i, p := range parts {
		a.members = append(a.members, member{name: fmt.Sprintf("%02d", i), content: p.content, deflate: true, packed: p.packed, noLocal: i > 0, at: to(at)})
		at += uint32(len(p.header)) + 5
	}
	return a.bytes()
}

func TestNamesBeyondASCIIAreNotOfDOS(t *testing.T) {
	oem := fail("NameEncoding", "caf\u00e9", "the archive says that it was made on DOS, and unzip then reads names beyond ASCII in an old code page although they are UTF-8; create it with zip tools of Linux or macOS (python3 -m zipfile does), or use a name of ASCII characters")
	tests := map[string]hostile{}
	for system := range uint16(20) {
		for _, version := range []uint16{20, 50, 63} {
			var want []bundle.Finding
			if system == 0 || system == 6 || system == 11 && version == 50 {
				want = oem
			}
			tests[fmt.Sprintf("system %d, version %d", system, version)] = hostile{with(member{name: "caf\u00e9", madeBy: system<<8 | version}), want}
			tests[fmt.Sprintf("system %d, version %d, ASCII", system, version)] = hostile{with(member{name: "cafe", madeBy: system<<8 | version}), nil}
		}
	}
	checkTable(t, tests)
}

func TestALinkIsALinkWhateverSystemItIsFrom(t *testing.T) {
	link := fail("ZipFileType", "a.js", "the entry is a symbolic link; put the file itself into the archive (zip does that without -y)")
	tests := map[string]hostile{}
	for system := range uint16(20) {
		tests[fmt.Sprintf("a link of system %d", system)] = hostile{lie(func(m *member) { m.attrs, m.madeBy = 0o120777<<16, system<<8|20 }), link}
		tests[fmt.Sprintf("a file of system %d", system)] = hostile{lie(func(m *member) { m.attrs, m.madeBy = 0o100644<<16|0x20, system<<8|20 }), nil}
	}
	checkTable(t, tests)
}

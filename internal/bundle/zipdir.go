package bundle

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

const (
	centralLen = 46

	methodStored  = 0
	methodDeflate = 8
	methodAES     = 99

	flagEncrypted    = 1 << 0
	flagDescriptor   = 1 << 3
	flagStrong       = 1 << 6
	flagUTF8         = 1 << 11
	flagMaskedHeader = 1 << 13
	// Bits 1 and 2 only tell the deflate level.
	flagsKnown     = 1<<1 | 1<<2 | flagDescriptor | flagUTF8
	flagsEncrypted = flagEncrypted | flagStrong | flagMaskedHeader

	// maxVersion is the newest APPNOTE version that common readers open: deflate
	// needs 20, and 45 is what some tools write whenever they know zip64. Info-ZIP
	// passes over what needs more than 46.
	maxVersion = 45

	extraZip64       = 0x0001
	extraPKUnix      = 0x000d // may hold where a link leads
	extraASiUnix     = 0x756e // a Unix mode, and where a link leads
	extraAttributes  = 0x6c78 // libarchive's copy of the external attributes
	extraUnicodePath = 0x7075
)

// entry is one record of the central directory. Sizes fit 32 bits, since zip64
// is refused, and are wide to be added without care.
type entry struct {
	name    string
	flags   uint16
	method  uint16
	stamp   uint32 // DOS time and date, only compared
	crc     uint32
	packed  int64  // size in the archive
	size    int64  // size expanded
	at      int64  // local header
	data    int64  // content; set by checkLocal
	madeBy  uint16 // version, and in its upper byte the system
	version uint16 // needed; its upper byte is a system, which no tool sets
	attrs   uint32
}

// isDir: in a zip archive a folder is what ends in a slash.
func (e *entry) isDir() bool { return strings.HasSuffix(e.name, "/") }

// readDirectory reads the central directory, which must hold exactly the
// entries that the end record counts, and checks each entry on its own.
func readDirectory(src source, end endRecord, limits Limits, found *findings) ([]entry, error) {
	if end.entries > limits.Entries {
		found.fail(ruleLimitEntries, "", "the archive holds %d files and folders, allowed are %d; bundle small files together", end.entries, limits.Entries)
		return nil, nil
	}
	r := bufio.NewReaderSize(src.section(end.cdAt, end.cdSize), 64<<10)
	var entries []entry
	left := end.cdSize
	for n := range end.entries {
		var e entry
		used, err := readCentral(r, &e, found)
		if err != nil {
			if cause := asIOError(err); cause != nil {
				return nil, cause
			}
			found.fail(ruleZipStructure, "", "record %d of the central directory is not readable; build or upload the archive again", n+1)
			return nil, nil
		}
		left -= used
		checkEntry(&e, found)
		if checkName(&e, found) {
			entries = append(entries, e)
		}
	}
	if left != 0 {
		found.fail(ruleZipStructure, "", "the central directory holds %d bytes more than the %d files and folders that the end record counts; %s", left, end.entries, adviceZipTool)
	}
	return entries, nil
}

var errNoCentral = errors.New("no central directory record")

// readCentral reads one record and returns its length.
func readCentral(r io.Reader, e *entry, found *findings) (int64, error) {
	var head [centralLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	if string(head[:4]) != sigCentral {
		return 0, errNoCentral
	}
	le := binary.LittleEndian
	nameLen, extraLen, commentLen := int(le.Uint16(head[28:])), int(le.Uint16(head[30:])), int(le.Uint16(head[32:]))
	rest := make([]byte, nameLen+extraLen+commentLen)
	if _, err := io.ReadFull(r, rest); err != nil {
		return 0, err
	}
	*e = entry{
		name:    string(rest[:nameLen]),
		madeBy:  le.Uint16(head[4:]),
		version: le.Uint16(head[6:]),
		flags:   le.Uint16(head[8:]),
		method:  le.Uint16(head[10:]),
		stamp:   le.Uint32(head[12:]),
		crc:     le.Uint32(head[16:]),
		packed:  int64(le.Uint32(head[20:])),
		size:    int64(le.Uint32(head[24:])),
		attrs:   le.Uint32(head[38:]),
		at:      int64(le.Uint32(head[42:])),
	}
	if le.Uint16(head[34:]) != 0 {
		found.fail(ruleZipSpanned, e.name, "the file is said to be in another part of a split archive; create the archive as one file")
	}
	if e.packed == 0xffffffff || e.size == 0xffffffff || e.at == 0xffffffff {
		found.fail(ruleZipStructure, e.name, adviceZip64)
	} else {
		checkExtra(e, rest[nameLen:nameLen+extraLen], found)
	}
	return int64(centralLen + len(rest)), nil
}

// checkExtra walks extra fields, of the central or the local header. All are
// ignored but those that would change what the file is.
func checkExtra(e *entry, extra []byte, found *findings) {
	for len(extra) >= 4 {
		tag, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if n > len(extra)-4 {
			found.fail(ruleZipStructure, e.name, "an extra field (0x%04x) is longer than the header that holds it; %s", tag, adviceZipTool)
			return
		}
		value := extra[4 : 4+n]
		switch tag {
		case extraZip64:
			found.fail(ruleZipStructure, e.name, adviceZip64)
			return
		case extraPKUnix, extraASiUnix, extraAttributes:
			found.fail(ruleZipFileType, e.name, "an extra field (0x%04x) can make the file a link or a device for some zip tools; %s", tag, adviceZipTool)
			return
		case extraUnicodePath:
			if len(value) < 5 || string(value[5:]) != e.name {
				found.fail(ruleZipHeaderMismatch, e.name, "the file carries a second name in its Unicode Path field, so that zip tools would not agree what it is called; %s", adviceZipTool)
				return
			}
		}
		extra = extra[4+n:]
	}
}

// checkEntry checks what the central directory says about one file.
func checkEntry(e *entry, found *findings) {
	switch {
	case e.flags&flagsEncrypted != 0 || e.method == methodAES:
		found.fail(ruleZipEncrypted, e.name, "the file is encrypted; create the archive without a password")
	case e.method != methodStored && e.method != methodDeflate:
		found.fail(ruleZipMethod, e.name, "the file is compressed with method %d; use deflate (8) or none (0)", e.method)
	case e.flags&^flagsKnown != 0 || e.version > maxVersion:
		found.fail(ruleZipMethod, e.name, "the file needs zip features that bundles may not use (version %d, flags 0x%04x); %s", e.version, e.flags, adviceZipTool)
	case e.method == methodStored && e.packed != e.size:
		found.fail(ruleZipSize, e.name, "the file is stored without compression, but has %d bytes in the archive and %d expanded; %s", e.packed, e.size, adviceZipTool)
	}
	checkFileType(e, found)
}

// checkFileType looks at the Unix mode whatever system the archive says it is
// from: some tools apply it in any case.
func checkFileType(e *entry, found *findings) {
	const (
		unixType, unixRegular, unixDir, unixLink = 0o170000, 0o100000, 0o040000, 0o120000
		dosVolume, dosDir                        = 0x08, 0x10
	)
	mode := e.attrs >> 16 & unixType
	switch {
	case mode == unixLink:
		found.fail(ruleZipFileType, e.name, "the entry is a symbolic link; put the file itself into the archive (zip does that without -y)")
	case mode != 0 && mode != unixRegular && mode != unixDir || e.attrs&dosVolume != 0:
		found.fail(ruleZipFileType, e.name, "the entry is a device or another special file; a bundle holds regular files and folders only")
	case !e.isDir() && (mode == unixDir || e.attrs&dosDir != 0):
		found.fail(ruleZipFileType, e.name, "the entry is marked as a folder, but its name does not end in a slash; %s", adviceZipTool)
	case e.isDir() && (mode == unixRegular || e.size != 0 || e.crc != 0):
		found.fail(ruleZipFileType, e.name, "the name ends in a slash like a folder's, but the entry is a file; %s", adviceZipTool)
	}
}

package bundle

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Signatures of APPNOTE.TXT 6.3.
const (
	sigLocal      = "PK\x03\x04"
	sigCentral    = "PK\x01\x02"
	sigEnd        = "PK\x05\x06"
	sigLocator64  = "PK\x06\x07"
	sigDescriptor = "PK\x07\x08"
	sigOnePart    = "PK00"
)

const (
	endLen        = 22
	locator64Len  = 20
	maxComment    = 1<<16 - 1
	adviceZipTool = "create the archive anew with a common zip tool"
	adviceZip64   = "the archive uses zip64, which bundles do not need; create it without (a zip tool that writes to a pipe may add it)"
)

// endRecord is what the end of central directory record says.
type endRecord struct {
	at      int64 // where the record itself begins
	entries int
	cdAt    int64
	cdSize  int64
}

// readEnd finds the end record and checks that it is the only one, that it is
// the last thing in the file and that the central directory ends at it.
func readEnd(src source, found *findings) (endRecord, error) {
	tail := make([]byte, min(src.size, endLen+maxComment))
	tailAt := src.size - int64(len(tail))
	if _, err := src.ReadAt(tail, tailAt); err != nil {
		return endRecord{}, err
	}
	// Readers search backwards, so the last signature is the one that counts.
	i := bytes.LastIndex(tail, []byte(sigEnd))
	if i < 0 {
		return endRecord{}, notZip(src, tail, found)
	}
	checkEndExact(tail, i, found)
	if found.errors > 0 {
		return endRecord{}, nil
	}
	rec := tail[i:]
	end := endRecord{
		at:      tailAt + int64(i),
		entries: int(binary.LittleEndian.Uint16(rec[10:])),
		cdSize:  int64(binary.LittleEndian.Uint32(rec[12:])),
		cdAt:    int64(binary.LittleEndian.Uint32(rec[16:])),
	}
	hasLocator := i >= locator64Len && bytes.HasPrefix(tail[i-locator64Len:], []byte(sigLocator64))
	sentinel := end.entries == 0xffff || end.cdSize == 0xffffffff || end.cdAt == 0xffffffff
	disk, cdDisk := binary.LittleEndian.Uint16(rec[4:]), binary.LittleEndian.Uint16(rec[6:])
	here := int(binary.LittleEndian.Uint16(rec[8:]))
	switch {
	case hasLocator || sentinel:
		found.fail(ruleZipStructure, "", adviceZip64)
	case disk != 0 || cdDisk != 0 || here != end.entries:
		found.fail(ruleZipSpanned, "", "the archive is one part of an archive that was split into several; create it as one file")
	case end.cdAt+end.cdSize != end.at:
		return endRecord{}, misplacedDirectory(src, end, found)
	}
	return end, nil
}

// checkEndExact checks that the record at tail[i:] and its comment reach the
// end of the file exactly, and that no other record does.
func checkEndExact(tail []byte, i int, found *findings) {
	missing := missingBytes(tail[i:])
	switch {
	case missing > 0:
		found.fail(ruleZipStructure, "", "the archive is cut off: its end record lacks the last %d bytes; build or upload it again", missing)
		return
	case missing < 0:
		found.fail(ruleZipStructure, "", "%d bytes follow the end of the archive; %s", -missing, adviceZipTool)
		return
	}
	for j := bytes.LastIndex(tail[:i], []byte(sigEnd)); j >= 0; j = bytes.LastIndex(tail[:j], []byte(sigEnd)) {
		if missingBytes(tail[j:]) == 0 {
			found.fail(ruleZipStructure, "", "the archive has two end records, so that it can be read in two ways; %s", adviceZipTool)
			return
		}
	}
}

// missingBytes says how many bytes the end record at the start of b and its
// comment lack; negative when bytes follow.
func missingBytes(b []byte) int {
	if len(b) < endLen {
		return endLen - len(b)
	}
	return endLen + int(binary.LittleEndian.Uint16(b[20:])) - len(b)
}

// misplacedDirectory tells why a central directory that does not end at the end
// record might be where it is.
func misplacedDirectory(src source, end endRecord, found *findings) error {
	cdEnd := end.cdAt + end.cdSize
	if cdEnd > end.at {
		found.fail(ruleZipStructure, "", "the end record says that the central directory ends at byte %d, after the end record itself (byte %d): the archive is cut off or damaged; build or upload it again",
			cdEnd, end.at)
		return nil
	}
	var sig [4]byte
	if _, err := src.ReadAt(sig[:], cdEnd); err != nil {
		return err
	}
	if string(sig[:]) == sigEnd {
		found.fail(ruleZipStructure, "", "the archive has two end records, so that it can be read in two ways; %s", adviceZipTool)
		return nil
	}
	found.fail(ruleZipStructure, "", "%d bytes stand before the archive's first file or between its central directory and its end record; %s",
		end.at-cdEnd, adviceZipTool)
	return nil
}

// notZip says in plain words what a file without an end record is.
func notZip(src source, tail []byte, found *findings) error {
	head := make([]byte, min(src.size, 512))
	if _, err := src.ReadAt(head, 0); err != nil {
		return err
	}
	const plain = "the file is not a zip archive: %s; upload the .zip or .ma file that your build produces"
	switch {
	case len(tail) == 0:
		found.fail(ruleZipStructure, "", plain, "it is empty")
	case bytes.HasPrefix(head, []byte(sigDescriptor)):
		found.fail(ruleZipSpanned, "", "the archive is one part of an archive that was split into several; create it as one file")
	case bytes.HasPrefix(head, []byte(sigLocal)):
		found.fail(ruleZipStructure, "", "the archive is cut off: it begins like a zip archive and has no end record; build or upload it again")
	default:
		found.fail(ruleZipStructure, "", plain, guessType(head))
	}
	return nil
}

// guessType names what people upload by mistake.
func guessType(head []byte) string {
	text := bytes.ToLower(bytes.TrimSpace(head))
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return "it is compressed with gzip (a .tar.gz or .tgz file)"
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		return "it is compressed with zstd"
	case bytes.HasPrefix(head, []byte("Rar!")):
		return "it is a RAR archive"
	case bytes.HasPrefix(head, []byte("7z\xbc\xaf\x27\x1c")):
		return "it is a 7-Zip archive"
	case len(head) > 262 && bytes.Equal(head[257:262], []byte("ustar")):
		return "it is a tar archive"
	case bytes.HasPrefix(text, []byte("<!doctype html")), bytes.HasPrefix(text, []byte("<html")):
		return "it is an HTML page (often an error or login page of the server that it was fetched from)"
	case bytes.HasPrefix(text, []byte("{")), bytes.HasPrefix(text, []byte("[")):
		return "it looks like JSON (often an error message of the server that it was fetched from)"
	default:
		return fmt.Sprintf("it has no end record and begins with %s", quote(string(head[:min(len(head), 16)])))
	}
}

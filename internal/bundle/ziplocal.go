package bundle

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

const localLen = 30

// checkLocals compares every local header with the central directory, fills in
// where the contents are, and checks that the files cover the archive up to the
// central directory: no byte belongs to none or to two of them.
func checkLocals(src source, entries []entry, end endRecord, found *findings) error {
	ranges := make([]span, 0, len(entries))
	for i := range entries {
		s, ok, err := checkLocal(src, &entries[i], end.cdAt, found)
		if err != nil {
			return err
		}
		if ok {
			ranges = append(ranges, s)
		}
	}
	if found.errors > 0 {
		return nil
	}
	return checkTiling(src, ranges, end.cdAt, found)
}

// span is the part of the archive that one entry takes, from its local header
// to the end of its content or data descriptor.
type span struct {
	name     string
	from, to int64
}

// checkLocal checks the local header of e; limit is where the central directory
// begins.
func checkLocal(src source, e *entry, limit int64, found *findings) (span, bool, error) {
	const outside = "the file is said to be at byte %d, where it is not; build or upload the archive again"
	if e.at+localLen > limit {
		found.fail(ruleZipStructure, e.name, outside, e.at)
		return span{}, false, nil
	}
	var head [localLen]byte
	if _, err := src.ReadAt(head[:], e.at); err != nil {
		return span{}, false, err
	}
	nameLen, extraLen := int64(binary.LittleEndian.Uint16(head[26:])), int64(binary.LittleEndian.Uint16(head[28:]))
	e.data = e.at + localLen + nameLen + extraLen
	if string(head[:4]) != sigLocal || e.data+e.packed > limit {
		found.fail(ruleZipStructure, e.name, outside, e.at)
		return span{}, false, nil
	}
	rest := make([]byte, nameLen+extraLen)
	if _, err := src.ReadAt(rest, e.at+localLen); err != nil {
		return span{}, false, err
	}
	if field := localDifference(e, head[:], rest[:nameLen]); field != "" {
		found.fail(ruleZipHeaderMismatch, e.name, "the file's own header and the central directory do not agree on its %s, so that it can be read in two ways; %s", field, adviceZipTool)
		return span{}, false, nil
	}
	before := found.errors
	checkExtra(e, rest[nameLen:], found)
	s := span{name: e.name, from: e.at, to: e.data + e.packed}
	if e.flags&flagDescriptor != 0 {
		n, err := descriptorLen(src, e, limit)
		if err != nil {
			return span{}, false, err
		}
		if n == 0 {
			found.fail(ruleZipHeaderMismatch, e.name, "the data descriptor behind the file and the central directory do not agree, so that it can be read in two ways; %s", adviceZipTool)
		}
		s.to += n
		if err := checkStoredEnd(src, e, found); err != nil {
			return span{}, false, err
		}
	}
	return s, found.errors == before, nil
}

// localDifference names what differs, or returns "". With a data descriptor the
// writer did not know checksum and sizes yet and may leave zero.
func localDifference(e *entry, head, name []byte) string {
	le := binary.LittleEndian
	differs := func(local uint32, central int64) bool {
		return int64(local) != central && (e.flags&flagDescriptor == 0 || local != 0)
	}
	switch {
	case string(name) != e.name:
		return "name"
	case le.Uint16(head[6:]) != e.flags:
		return "flags"
	case le.Uint16(head[8:]) != e.method:
		return "compression method"
	case le.Uint32(head[10:]) != e.stamp:
		return "time"
	case differs(le.Uint32(head[14:]), int64(e.crc)):
		return "checksum"
	case differs(le.Uint32(head[18:]), e.packed):
		return "size in the archive"
	case differs(le.Uint32(head[22:]), e.size):
		return "expanded size"
	}
	return ""
}

// descriptorLen returns the length of the data descriptor behind e, which may
// begin with a signature, or 0 if it does not repeat the central directory.
func descriptorLen(src source, e *entry, limit int64) (int64, error) {
	buf := make([]byte, min(16, limit-(e.data+e.packed)))
	if _, err := src.ReadAt(buf, e.data+e.packed); err != nil {
		return 0, err
	}
	want := binary.LittleEndian.AppendUint32(nil, e.crc)
	want = binary.LittleEndian.AppendUint32(want, uint32(e.packed))
	want = binary.LittleEndian.AppendUint32(want, uint32(e.size))
	length := int64(len(want))
	if bytes.HasPrefix(buf, []byte(sigDescriptor)) {
		buf, length = buf[4:], length+4
	}
	if !bytes.HasPrefix(buf, want) {
		return 0, nil
	}
	return length, nil
}

// checkStoredEnd refuses stored content that holds a descriptor's signature
// before a descriptor: who reads the archive as a stream looks for the first one
// to learn where the content ends.
func checkStoredEnd(src source, e *entry, found *findings) error {
	if e.method != methodStored {
		return nil
	}
	const overlap = int64(len(sigDescriptor) - 1)
	buf := make([]byte, 16<<10)
	for at := e.data; at < e.data+e.packed; at += int64(len(buf)) - overlap {
		part := buf[:min(int64(len(buf)), e.data+e.packed-at)]
		if _, err := src.ReadAt(part, at); err != nil {
			return err
		}
		if bytes.Contains(part, []byte(sigDescriptor)) {
			found.fail(ruleZipStructure, e.name, "the file is stored with its size only behind it, and its content looks like that place; compress it, or %s", adviceZipTool)
			return nil
		}
	}
	return nil
}

// checkTiling checks that the ranges follow each other from the first byte to
// limit, where the central directory begins.
func checkTiling(src source, ranges []span, limit int64, found *findings) error {
	slices.SortFunc(ranges, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.name, b.name))
	})
	var reached int64
	last := ""
	for _, s := range ranges {
		switch {
		case s.from < reached:
			found.fail(ruleZipOverlap, s.name, "the file shares bytes of the archive with %s; %s", quote(last), adviceZipTool)
		case s.from > reached:
			if err := gap(src, reached, s.from, last, found); err != nil {
				return err
			}
		}
		if s.to > reached {
			reached, last = s.to, s.name
		}
	}
	if reached < limit {
		return gap(src, reached, limit, last, found)
	}
	return nil
}

// gap reports bytes that belong to no file: other readers may find some there.
func gap(src source, from, to int64, after string, found *findings) error {
	if from > 0 {
		found.fail(ruleZipStructure, after, "%d bytes behind this file belong to no file (a deleted file, or a signing block, which bundles may not have); %s", to-from, adviceZipTool)
		return nil
	}
	marker := make([]byte, min(4, to))
	if _, err := src.ReadAt(marker, 0); err != nil {
		return err
	}
	if to == 4 && (string(marker) == sigDescriptor || string(marker) == sigOnePart) {
		found.fail(ruleZipSpanned, "", "the archive was made as one part of a split archive; create it as one file")
		return nil
	}
	found.fail(ruleZipStructure, "", "%d bytes stand before the archive's first file; %s", to, adviceZipTool)
	return nil
}

package bundle_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// member is one file of an archive that a test builds byte by byte. What is
// zero is written as a correct writer would.
type member struct {
	name    string
	content string
	deflate bool
	level   int // of deflate; 0 is the default

	flags      uint16
	descriptor int // 0 none, 12 without signature, 16 with
	attrs      uint32
	extra      string // in both headers
	comment    string
	madeBy     uint16 // 0 is Unix
	disk       uint16
	version    uint16

	// Lies: what one of the places says instead.
	packed      []byte // bytes in the archive
	packedSize  *uint32
	size        *uint32
	crc         *uint32
	method      *uint16
	localName   string
	localMethod *uint16
	localFlags  *uint16
	localTime   uint16
	localCRC    *uint32
	localPacked *uint32
	localSize   *uint32
	localExtra  string
	ownExtra    *string // of the central directory, instead of extra
	descCRC     *uint32
	descPacked  *uint32
	descSize    *uint32
	descTail    string
	at          *uint32
	noLocal     bool // only in the central directory
	before      string
}

// archive is a zip file with its lies.
type archive struct {
	members []member
	prefix  string
	gap     string // before the central directory
	behind  string // between central directory and end record
	comment string
	trailer string

	entries, entriesHere *uint16
	disk                 uint16
	cdAt, cdSize         *uint32
	commentLen           *uint16
}

func to[T any](v T) *T { return &v }

func or[T any](p *T, v T) T {
	if p != nil {
		return *p
	}
	return v
}

func (m member) pack() (data []byte, method uint16) {
	switch {
	case m.packed != nil:
		data = m.packed
	case m.deflate:
		data = deflated(m.content, m.level)
	default:
		data = []byte(m.content)
	}
	if m.deflate {
		method = 8
	}
	return data, or(m.method, method)
}

func deflated(content string, level int) []byte {
	if level == 0 {
		level = flate.DefaultCompression
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		panic(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// put appends numbers, little endian, and strings.
func put(b []byte, values ...any) []byte {
	for _, v := range values {
		switch v := v.(type) {
		case string:
			b = append(b, v...)
		case []byte:
			b = append(b, v...)
		case uint16:
			b = binary.LittleEndian.AppendUint16(b, v)
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, v)
		case int:
			b = binary.LittleEndian.AppendUint16(b, uint16(v))
		}
	}
	return b
}

func (a archive) bytes() []byte {
	out := []byte(a.prefix)
	var central []byte
	for _, m := range a.members {
		data, method := m.pack()
		crc := or(m.crc, crc32.ChecksumIEEE([]byte(m.content)))
		size, packed := or(m.size, uint32(len(m.content))), or(m.packedSize, uint32(len(data)))
		flags := m.flags
		for i := range len(m.name) {
			if m.name[i] >= 0x80 && flags == 0 {
				flags |= 1 << 11
			}
		}
		if flags == 0xffff { // no UTF-8 flag although it is needed
			flags = 0
		}
		localCRC, localPacked, localSize := crc, packed, size
		if m.descriptor > 0 {
			flags |= 1 << 3
			localCRC, localPacked, localSize = 0, 0, 0
		}
		version := m.version
		if version == 0 {
			version = 20
		}
		out = append(out, m.before...)
		at := uint32(len(out))
		if !m.noLocal {
			localName := m.name
			if m.localName != "" {
				localName = m.localName
			}
			localExtra := m.extra + m.localExtra
			out = put(out, "PK\x03\x04", version, or(m.localFlags, flags), or(m.localMethod, method), m.localTime, uint16(0x21),
				or(m.localCRC, localCRC), or(m.localPacked, localPacked), or(m.localSize, localSize),
				len(localName), len(localExtra), localName, localExtra, data)
			if m.descriptor == 16 {
				out = put(out, "PK\x07\x08")
			}
			if m.descriptor > 0 {
				out = put(out, or(m.descCRC, crc), or(m.descPacked, packed), or(m.descSize, size), m.descTail)
			}
		}
		madeBy, extra := m.madeBy, or(m.ownExtra, m.extra)
		if madeBy == 0 {
			madeBy = 3<<8 | 20
		}
		central = put(central, "PK\x01\x02", madeBy, version, flags, method, uint16(0), uint16(0x21), crc, packed, size,
			len(m.name), len(extra), len(m.comment), m.disk, uint16(0), m.attrs, or(m.at, at), m.name, extra, m.comment)
	}
	out = append(out, a.gap...)
	cdAt := uint32(len(out))
	out = put(out, central, a.behind)
	count := uint16(len(a.members))
	return put(out, "PK\x05\x06", a.disk, a.disk, or(a.entriesHere, or(a.entries, count)), or(a.entries, count),
		or(a.cdSize, uint32(len(central))), or(a.cdAt, cdAt), or(a.commentLen, uint16(len(a.comment))), a.comment, a.trailer)
}

// zipOf builds a correct archive of pairs of name and content.
func zipOf(pairs ...string) []byte {
	var a archive
	for i := 0; i < len(pairs); i += 2 {
		a.members = append(a.members, member{name: pairs[i], content: pairs[i+1], deflate: true})
	}
	return a.bytes()
}

package source

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// storeZip writes the entries as a zip archive, their content taken from expanded.
// The bytes depend on names and content only: entries are sorted, nothing is
// compressed, owner and time are fixed. It is written out here, and not with
// archive/zip, so that no release of Go changes them.
func storeZip(entries []tarEntry, expanded io.ReaderAt, dir string) (*Fetched, error) {
	slices.SortFunc(entries, func(a, b tarEntry) int { return cmp.Compare(a.name, b.name) })
	f, err := keep(dir, func(w io.Writer) error {
		z := &zipStore{w: bufio.NewWriter(w)}
		for _, e := range entries {
			if err := z.add(e, expanded); err != nil {
				return err
			}
		}
		return z.finish()
	})
	if err != nil {
		return nil, fmt.Errorf("writing the archive of a tar layer: %w", err)
	}
	return f, nil
}

// zipStore writes a zip archive (APPNOTE 6.3.10) without compression.
type zipStore struct {
	w         *bufio.Writer
	written   int64
	directory []byte
	entries   int
}

const (
	zipDate     = 1<<5 | 1 // 1 January 1980, the first day of MS-DOS
	zipVersion  = 20
	zipUnix     = 3 << 8
	zipUTF8     = 1 << 11
	fileMode    = 0o100644
	folderMode  = 0o040755
	dosFolder   = 0x10
	localHeader = 0x04034b50
	dirHeader   = 0x02014b50
	endHeader   = 0x06054b50
)

func (z *zipStore) add(e tarEntry, expanded io.ReaderAt) error {
	var flags uint16
	if utf8.ValidString(e.name) && strings.ContainsFunc(e.name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		flags = zipUTF8
	}
	attributes := uint32(fileMode) << 16
	if strings.HasSuffix(e.name, "/") {
		attributes = folderMode<<16 | dosFolder
	}
	le := binary.LittleEndian
	common := le.AppendUint16(nil, zipVersion)
	common = le.AppendUint16(common, flags)
	common = le.AppendUint16(common, 0) // stored
	common = le.AppendUint16(common, 0) // midnight
	common = le.AppendUint16(common, zipDate)
	common = le.AppendUint32(common, e.crc)
	common = le.AppendUint32(common, uint32(e.size)) // as stored
	common = le.AppendUint32(common, uint32(e.size))
	common = le.AppendUint16(common, uint16(len(e.name)))
	common = le.AppendUint16(common, 0) // no extra fields

	z.directory = le.AppendUint32(z.directory, dirHeader)
	z.directory = le.AppendUint16(z.directory, zipUnix|zipVersion)
	z.directory = append(z.directory, common...)
	z.directory = append(z.directory, make([]byte, 6)...) // no comment, first disk, no text
	z.directory = le.AppendUint32(z.directory, attributes)
	z.directory = le.AppendUint32(z.directory, uint32(z.written))
	z.directory = append(z.directory, e.name...)
	z.entries++

	header := append(le.AppendUint32(nil, localHeader), common...)
	if err := z.write(append(header, e.name...)); err != nil {
		return err
	}
	n, err := io.Copy(z.w, io.NewSectionReader(expanded, e.offset, e.size))
	z.written += n
	return err
}

func (z *zipStore) finish() error {
	le := binary.LittleEndian
	end := le.AppendUint32(nil, endHeader)
	end = le.AppendUint32(end, 0) // one disk
	end = le.AppendUint16(end, uint16(z.entries))
	end = le.AppendUint16(end, uint16(z.entries))
	end = le.AppendUint32(end, uint32(len(z.directory)))
	end = le.AppendUint32(end, uint32(z.written))
	end = le.AppendUint16(end, 0) // no comment
	if err := z.write(append(z.directory, end...)); err != nil {
		return err
	}
	return z.w.Flush()
}

func (z *zipStore) write(b []byte) error {
	n, err := z.w.Write(b)
	z.written += int64(n)
	return err
}

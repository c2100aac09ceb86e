package main

import (
	"archive/zip"
	"bytes"
	"hash/crc32"
	"maps"
	"slices"
)

const (
	// dosEpoch is 1980-01-01, the first day that zip's MS-DOS date can say:
	// year since 1980 from bit 9, month from bit 5, day from bit 0.
	dosEpoch = 0<<9 | 1<<5 | 1

	// flagUTF8 is general purpose bit 11 (APPNOTE.TXT 4.4.4). Without it names
	// outside ASCII are read as code page 437.
	flagUTF8 = 1 << 11

	// versionNeeded and versionMadeBy: 1.0 is enough for stored files; the upper
	// byte 3 is Unix, whose modes stand in the external attributes.
	versionNeeded = 10
	versionMadeBy = 3<<8 | 20

	// regular0644 is S_IFREG | 0644 in the upper half, as Info-ZIP writes it.
	regular0644 = 0o100644 << 16
)

// pack returns a zip archive of the files: stored, sorted by name, without
// folders, extra fields, data descriptors or comment.
func pack(files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		data := files[name]
		// CreateRaw writes the header as given: CreateHeader would add a data
		// descriptor and an extra field with the time.
		entry, err := w.CreateRaw(&zip.FileHeader{
			Name:               name,
			Method:             zip.Store,
			Flags:              nameFlags(name),
			CreatorVersion:     versionMadeBy,
			ReaderVersion:      versionNeeded,
			ModifiedDate:       dosEpoch,
			ExternalAttrs:      regular0644,
			CRC32:              crc32.ChecksumIEEE(data),
			CompressedSize64:   uint64(len(data)),
			UncompressedSize64: uint64(len(data)),
		})
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// nameFlags is flagUTF8 for a name that is not plain ASCII.
func nameFlags(name string) uint16 {
	for i := range len(name) {
		if name[i] >= 0x80 {
			return flagUTF8
		}
	}
	return 0
}

package source

import (
	"archive/tar"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// Rules of a tar layer, beside those of package bundle that fit it too.
const (
	// TarStructure: the layer cannot be unpacked, is not a tar from its first byte
	// to its last, or says something that this reader does not follow.
	TarStructure = "TarStructure"
	// TarFileType: an entry is neither a regular file nor a folder.
	TarFileType = "TarFileType"
)

// What bundle.Read calls the same.
const (
	limitExpanded = "LimitExpanded"
	limitEntries  = "LimitEntries"
	limitRatio    = "LimitRatio"
	nameLength    = "NameLength"
	nameCollision = "NameCollision"
)

const (
	// maxTarName is what bundle.Read takes, with one slash at the end.
	maxTarName = 1024 + 1
	// leastExpanded is what a layer may expand to whatever its ratio: a small tar
	// is mostly padding.
	leastExpanded = 1 << 20
	// endMark are the zero bytes that a tar ends with.
	endMark = 1024
)

// tarEntry is a file or folder of a tar layer. The content of a file lies in the
// expanded file from offset on.
type tarEntry struct {
	name         string // of a folder: with a slash at the end
	offset, size int64
	crc          uint32
}

// bad is a fault of the layer itself: reading the same bytes again finds it again.
func bad(rule, file, format string, args ...any) error {
	if len(file) > maxTarName {
		file = file[:maxTarName]
	}
	if shown := strconv.QuoteToGraphic(file); shown != `"`+file+`"` {
		file = shown
	}
	return &bundle.CheckError{Findings: []bundle.Finding{{
		Rule: rule, Severity: bundle.SeverityError, File: file, Message: fmt.Sprintf(format, args...),
	}}}
}

// localError is a fault of this machine, not of the layer.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// readTar reads a whole tar, writes the files' content to into, one after the
// other, and returns its entries in their order. What a tar can say beyond names
// and content of files and folders is refused, unless it is of no consequence,
// as owners and times are. The names are those of bundle.Read to judge.
func readTar(stream io.Reader, into io.Writer, l Limits) ([]tarEntry, error) {
	zeros := &zeroCounter{r: stream}
	reader := tar.NewReader(zeros)
	var entries []tarEntry
	seen := map[string]bool{}
	var offset int64
	last := "the beginning"
	for {
		zeros.run = 0
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return entries, zeros.checkEnd()
		}
		// Names that leave the root are told with all others that are wrong.
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return nil, explainTar(err, last)
		}
		e, skip, err := readHeader(header)
		if err != nil {
			return nil, err
		}
		if skip {
			continue
		}
		if len(entries) == l.MaxEntries {
			return nil, bad(limitEntries, "", "the tar layer holds more than %d files and folders, the most that is allowed; bundle small files together", l.MaxEntries)
		}
		plain := strings.TrimSuffix(e.name, "/")
		if seen[plain] {
			return nil, bad(nameCollision, e.name, "the name is in the tar layer twice; pack the folder anew, without adding to an old archive")
		}
		seen[plain] = true
		sum := crc32.NewIEEE()
		if _, err := io.Copy(io.MultiWriter(localWriter{into}, sum), reader); err != nil {
			return nil, explainTar(err, e.name)
		}
		e.offset, e.crc = offset, sum.Sum32()
		offset += e.size
		entries = append(entries, e)
		last = e.name
	}
}

// readHeader returns the entry of a header. skip says that it stands for nothing
// in the bundle: the root itself, or a comment.
func readHeader(h *tar.Header) (e tarEntry, skip bool, err error) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		for record := range h.PAXRecords {
			if record != "comment" { // which git writes
				return e, false, bad(TarStructure, "", "the tar layer has a global header with %q, which would hold for all files after it; pack it without", record)
			}
		}
		return e, true, nil
	}
	for _, record := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		switch {
		case strings.HasPrefix(record, "GNU.sparse."):
			return e, false, bad(TarFileType, h.Name, "the file is stored with holes; pack it without --sparse")
		case !harmless(record):
			return e, false, bad(TarStructure, h.Name, "the file has the extended header %q, which is not followed; pack it without", record)
		}
	}
	name := strings.TrimPrefix(h.Name, "./")
	if h.Typeflag == tar.TypeDir && (name == "" || name == ".") {
		return e, true, nil
	}
	switch kind := kindOf(h.Typeflag); {
	case kind != "":
		return e, false, bad(TarFileType, h.Name, "it is %s, and a bundle holds regular files and folders only; put the file itself there", kind)
	case len(h.Name) > maxTarName:
		return e, false, bad(nameLength, name, "the name has %d bytes, allowed are 1024; shorten it", len(h.Name))
	case name == "":
		return e, false, bad(TarStructure, "", "an entry has no name; pack the folder anew")
	case h.Typeflag == tar.TypeReg && strings.HasSuffix(name, "/"):
		return e, false, bad(TarStructure, name, "the name of a file ends with a slash; pack the folder anew")
	case h.Typeflag == tar.TypeDir && h.Size != 0:
		return e, false, bad(TarStructure, name, "the folder has content; pack the folder anew")
	case h.Typeflag == tar.TypeDir:
		name = strings.TrimSuffix(name, "/") + "/"
	}
	return tarEntry{name: name, size: h.Size}, false, nil
}

// harmless are the extended headers that change nothing about name and content,
// but for path, which is how all long names are told.
func harmless(record string) bool {
	switch record {
	case "path", "comment", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "LIBARCHIVE.creationtime":
		return true
	}
	return strings.HasPrefix(record, "SCHILY.xattr.") || strings.HasPrefix(record, "LIBARCHIVE.xattr.")
}

// kindOf names what is no file and no folder.
func kindOf(flag byte) string {
	switch flag {
	case tar.TypeReg, tar.TypeDir:
		return ""
	case tar.TypeSymlink:
		return "a symbolic link"
	case tar.TypeLink:
		return "a hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a named pipe"
	case tar.TypeGNUSparse:
		return "a file stored with holes"
	}
	return fmt.Sprintf("an entry of the unknown type %q", flag)
}

// explainTar tells a fault of the layer from all others.
func explainTar(err error, after string) error {
	if _, ok := errors.AsType[*localError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*bundle.CheckError](err); ok {
		return err
	}
	return bad(TarStructure, "", "the tar layer cannot be read after %s: %s; pack the folder anew, and push the file as it is", strconv.QuoteToGraphic(after), err)
}

// zeroCounter counts the zero bytes since the last that was none.
type zeroCounter struct {
	r   io.Reader
	run int
}

func (z *zeroCounter) Read(p []byte) (int, error) {
	n, err := z.r.Read(p)
	for _, b := range p[:n] {
		if b == 0 {
			z.run++
		} else {
			z.run = 0
		}
	}
	return n, err
}

// checkEnd requires the end mark, and after it nothing but padding.
func (z *zeroCounter) checkEnd() error {
	if z.run < endMark {
		return bad(TarStructure, "", "the tar layer ends without its end mark: a part is missing; pack the folder anew")
	}
	n, err := io.Copy(io.Discard, z)
	if err != nil {
		return explainTar(err, "the end mark")
	}
	if int64(z.run) < n+endMark {
		return bad(TarStructure, "", "the tar layer goes on after its end mark; pack the folder anew, as one archive")
	}
	return nil
}

type localWriter struct{ w io.Writer }

func (w localWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		err = &localError{err}
	}
	return n, err
}

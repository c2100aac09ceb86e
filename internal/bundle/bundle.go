package bundle

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
)

// Format is how a bundle is laid out.
type Format string

const (
	// FormatAuto tells the format by the files at the root. Only in Expect.
	FormatAuto Format = "Auto"
	// FormatMiniApp is W3C MiniApp Packaging and Manifest.
	FormatMiniApp Format = "MiniApp"
	// FormatDimina is the compiled output that Dimina containers run.
	FormatDimina Format = "Dimina"
	// FormatWeb is a static web bundle.
	FormatWeb Format = "Web"
)

// Declared is what the mini program declares beside its bundle.
type Declared struct {
	// Permissions are names as in the manifest's req_permissions.
	Permissions []string
}

// Expect is what the objects say about a bundle. What is zero is not compared.
type Expect struct {
	// Format, when empty, is FormatAuto.
	Format Format
	// AppID is compared exactly. Formats whose manifest carries none take it from here.
	AppID string
	// Version is compared exactly with the manifest's version name.
	Version string
	// VersionCode is compared with the manifest's.
	VersionCode int64
	// Declared, when set, must hold every permission that the manifest requests.
	Declared *Declared
}

// File is one regular file of a bundle.
type File struct {
	// Path has slashes and is relative to the archive's root.
	Path string
	// Size is in bytes, expanded.
	Size int64
}

// Bundle is a checked bundle. It keeps the archive's io.ReaderAt, which
// Open, WriteTar and WriteContent read again.
type Bundle struct {
	// Format is never FormatAuto.
	Format Format
	// AppID, Version and VersionCode are the manifest's, or those of Expect
	// where the format carries none.
	AppID       string
	Version     string
	VersionCode int64
	// Name is what the manifest calls the program; empty when it does not.
	Name string
	// Pages are the page routes in the manifest's order; for Web, index.html.
	Pages []string
	// EntryPage is the page that opens first; for a Dimina mini game, "game".
	EntryPage string
	// Permissions are those that the manifest requests, in its order and each once.
	Permissions []string
	// ArchiveSHA256 is "sha256:" and the hex digest of the archive as it came.
	ArchiveSHA256 string
	// ArchiveBytes is the archive's size.
	ArchiveBytes int64
	// ContentDigest is "sha256:" and the hex digest of what WriteTar writes.
	ContentDigest string
	// ContentBytes is the size of what WriteTar writes.
	ContentBytes int64
	// Files are sorted by the bytes of Path.
	Files []File
	// Findings are the warnings, sorted by file, rule and message; at most 100.
	Findings []Finding

	src     source
	entries []entry // files only, sorted as Files
	byPath  map[string]int
}

// Read checks the archive of size bytes and returns what it holds.
//
// The error is a *CheckError when the bundle itself is not acceptable; that is
// permanent. Errors of the archive's ReadAt are returned as they are. Limits
// that are zero take their defaults.
//
// Checks stop after each stage that found errors: first the zip structure and
// the names, then sizes, then content, and at last layout and manifest, so that
// nothing is read on the word of a header that is already known to be wrong.
func Read(archive io.ReaderAt, size int64, want Expect, limits Limits) (*Bundle, error) {
	want.Format = cmp.Or(want.Format, FormatAuto)
	if !slices.Contains([]Format{FormatAuto, FormatMiniApp, FormatDimina, FormatWeb}, want.Format) {
		return nil, fmt.Errorf("reading a bundle: unknown format %q", want.Format)
	}
	limits = limits.orDefaults()
	b := &Bundle{src: source{archive, size}, ArchiveBytes: size}
	found := new(findings)
	err := b.read(want, limits, found)
	if cause := asIOError(err); cause != nil {
		return nil, cause
	}
	if err == nil {
		err = found.err()
	}
	if bad, ok := errors.AsType[*CheckError](err); ok {
		bad.Seen = Seen{Format: b.Format, AppID: b.AppID, Version: b.Version, ContentDigest: b.ContentDigest}
	}
	if err != nil {
		return nil, err
	}
	b.Findings = found.sorted()
	return b, nil
}

// read runs the stages. It returns an error only for what is not about the
// bundle itself.
func (b *Bundle) read(want Expect, limits Limits, found *findings) error {
	checkArchiveSize(b.ArchiveBytes, limits, found)
	if found.errors > 0 {
		return nil
	}
	all, err := readStructure(b.src, limits, found)
	if err != nil || found.errors > 0 {
		return err
	}
	checkExpanded(all, b.ArchiveBytes, limits, found)
	if found.errors > 0 {
		return nil
	}
	b.index(all)
	if err := checkFolders(b.src, all, found); err != nil || found.errors > 0 {
		return err
	}
	if err := b.digest(found); err != nil || b.damaged(found) {
		return err
	}
	return b.readLayout(want, limits, found)
}

// readStructure returns the entries of an archive whose headers are in order.
func readStructure(src source, limits Limits, found *findings) ([]entry, error) {
	end, err := readEnd(src, found)
	if err != nil || found.errors > 0 {
		return nil, err
	}
	entries, err := readDirectory(src, end, limits, found)
	if err != nil {
		return nil, err
	}
	checkCollisions(entries, found)
	if found.errors > 0 {
		return nil, nil
	}
	return entries, checkLocals(src, entries, end, found)
}

// index keeps the files, sorted; folders count for nothing from here on.
func (b *Bundle) index(all []entry) {
	for _, e := range all {
		if !e.isDir() {
			b.entries = append(b.entries, e)
		}
	}
	slices.SortFunc(b.entries, func(x, y entry) int { return cmp.Compare(x.name, y.name) })
	b.byPath = make(map[string]int, len(b.entries))
	b.Files = make([]File, len(b.entries))
	for i, e := range b.entries {
		b.byPath[e.name] = i
		b.Files[i] = File{Path: e.name, Size: e.size}
	}
}

// checkFolders checks that what is packed for a folder expands to nothing. Some
// writers compress the nothing that a folder holds; any more would be bytes that
// belong to the archive and not to the content.
func checkFolders(src source, all []entry, found *findings) error {
	var file fileReader
	for i := range all {
		e := &all[i]
		if !e.isDir() || e.method == methodStored {
			continue
		}
		err := file.reset(src, e)
		if err == nil {
			_, err = io.Copy(io.Discard, &file)
		}
		if asIOError(err) != nil {
			return err
		}
		if err != nil {
			found.fail(ruleZipFileType, e.name, "what is packed for the folder does not expand to nothing; %s", adviceZipTool)
		}
	}
	return nil
}

// digest expands every file once: checks its content, looks for secrets and
// computes both digests.
func (b *Bundle) digest(found *findings) error {
	archive := &countingHash{Hash: sha256.New()}
	if _, err := io.Copy(archive, b.src.section(0, b.src.size)); err != nil {
		return err
	}
	b.ArchiveSHA256 = archive.digest()

	checkFileNames(b.entries, found)
	content := &countingHash{Hash: sha256.New()}
	err := writeTar(content, b.src, b.entries, &secretScan{found: found})
	if err != nil {
		return b.contentFinding(err, found)
	}
	b.ContentDigest, b.ContentBytes = content.digest(), content.written
	return nil
}

// contentFinding turns damage in one file into its finding.
func (b *Bundle) contentFinding(err error, found *findings) error {
	var failed *fileError
	if asIOError(err) != nil || !errors.As(err, &failed) {
		return err
	}
	rule := ruleZipSize
	if errors.Is(err, errChecksum) || errors.Is(err, errDeflate) {
		rule = ruleZipChecksum
	}
	found.fail(rule, failed.path, "the file cannot be expanded: %v; build or upload the archive again", failed.err)
	return nil
}

// damaged says whether some file could not be expanded. Errors about secrets
// leave the manifest readable, so that both are told at once.
func (b *Bundle) damaged(found *findings) bool {
	return found.errors > 0 && b.ContentDigest == ""
}

// countingHash is a SHA-256 that knows how much it was given.
type countingHash struct {
	hash.Hash
	written int64
}

func (c *countingHash) Write(p []byte) (int, error) {
	c.written += int64(len(p))
	return c.Hash.Write(p)
}

func (c *countingHash) digest() string {
	return "sha256:" + hex.EncodeToString(c.Sum(nil))
}

// Command samples packs the mini programs below config/samples/bundles into
// the archives that config/samples serves to a cluster.
//
//	go run ./hack/samples            # in the repository's root: writes config/samples/archives
//	go run ./hack/samples -root DIR  # the same for a checkout elsewhere
//
// An archive's bytes depend on the files' names and content only: entries are
// stored, never deflated (what deflate writes changes between Go releases),
// sorted by name, dated 1980-01-01 and mode 0644. So the archives are committed,
// and a second run changes nothing.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	bundlesDir  = "config/samples/bundles"
	archivesDir = "config/samples/archives"
	sumsFile    = "SHA256SUMS"

	// maxArchive keeps every archive far below what a ConfigMap holds (1 MiB,
	// with base64 a quarter less).
	maxArchive = 100 << 10
)

// sample is one archive: its file name and the folders below bundlesDir that
// it is made of, base first.
type sample struct {
	archive string
	layers  []string
}

// samples are sorted by archive name, as SHA256SUMS lists them.
var samples = []sample{
	{"notes-0.9.0.zip", []string{"notes"}},
	{"shop-1.0.0.zip", []string{"shop/base"}},
	{"shop-1.1.0.zip", []string{"shop/base", "shop/overlay-1.1.0"}},
	{"shop-1.2.0.zip", []string{"shop/base", "shop/overlay-1.1.0", "shop/overlay-1.2.0"}},
	{"transit-2.3.0.zip", []string{"transit"}},
}

func main() {
	root := flag.String("root", ".", "the repository's root folder")
	flag.Parse()
	if err := run(*root, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "samples:", err)
		os.Exit(1)
	}
}

// run writes all archives and SHA256SUMS of the checkout at root and prints
// the sums to out. Files that hold the right bytes are not written, archives
// that no sample makes are removed.
func run(root string, out io.Writer) error {
	wanted, err := generate(os.DirFS(filepath.Join(root, bundlesDir)))
	if err != nil {
		return err
	}
	dir := filepath.Join(root, archivesDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, data := range wanted {
		if err := writeChanged(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	if err := removeOthers(dir, wanted); err != nil {
		return err
	}
	_, err = out.Write(wanted[sumsFile])
	return err
}

// generate returns the content of archivesDir by file name: every archive,
// and SHA256SUMS in the form that sha256sum --check reads.
func generate(bundles fs.FS) (map[string][]byte, error) {
	wanted := make(map[string][]byte, len(samples)+1)
	var sums bytes.Buffer
	for _, s := range samples {
		files, err := merge(bundles, s.layers)
		if err != nil {
			return nil, fmt.Errorf("collecting %s: %w", s.archive, err)
		}
		archive, err := pack(files)
		if err != nil {
			return nil, fmt.Errorf("packing %s: %w", s.archive, err)
		}
		if len(archive) > maxArchive {
			return nil, fmt.Errorf("%s has %d bytes, more than %d; make its images or scripts smaller", s.archive, len(archive), maxArchive)
		}
		wanted[s.archive] = archive
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(archive), s.archive)
	}
	wanted[sumsFile] = sums.Bytes()
	return wanted, nil
}

// writeChanged writes data unless the file holds it already, so that a run
// without changes leaves times alone.
func writeChanged(path string, data []byte) error {
	present, err := os.ReadFile(path)
	if err == nil && bytes.Equal(present, data) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// removeOthers removes the zip archives in dir that are not wanted: those of
// samples that were renamed or dropped.
func removeOthers(dir string, wanted map[string][]byte) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if _, keep := wanted[entry.Name()]; keep || filepath.Ext(entry.Name()) != ".zip" {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

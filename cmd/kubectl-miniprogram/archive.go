package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// ociScheme begins a PATH that names an artifact in a registry.
const ociScheme = "oci://"

// archive is an open archive; who opened it closes it.
type archive struct {
	io.ReaderAt
	size int64
	name string // as the user knows it
	// leftOut is what a folder holds beside the bundle.
	leftOut []bundle.Finding
	// bounds changes the limits that the archive is read with. May be nil.
	bounds func(bundle.Limits) bundle.Limits
	close  func() error
}

// Close frees what holds the archive. Nothing was written that could be lost.
func (a *archive) Close() { _ = a.close() }

// open opens what path names. It fails with a *bundle.CheckError where that can
// be no bundle whatever it holds.
func open(ctx context.Context, path string, limits bundle.Limits, plainHTTP bool) (*archive, error) {
	if ref, is := strings.CutPrefix(path, ociScheme); is {
		return openOCI(ctx, ref, limits, plainHTTP)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("opening the bundle: %w", err)
	case info.IsDir():
		return packFolder(path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("opening the bundle: %s is neither a folder nor a file: name a folder or an archive", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the bundle: %w", err)
	}
	return &archive{ReaderAt: file, size: info.Size(), name: path, close: file.Close}, nil
}

// packFolder packs a folder into a temporary file.
func packFolder(path string) (_ *archive, err error) {
	file, err := os.CreateTemp("", "miniprogram-*.zip")
	if err != nil {
		return nil, fmt.Errorf("making a temporary file: %w", err)
	}
	a := &archive{ReaderAt: file, name: path, close: func() error { return errors.Join(file.Close(), os.Remove(file.Name())) }}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if a.leftOut, err = bundle.Zip(file, os.DirFS(path), bundle.Deflated); err != nil {
		return nil, fmt.Errorf("packing folder %s: %w", path, err)
	}
	if a.size, err = file.Seek(0, io.SeekCurrent); err != nil {
		return nil, fmt.Errorf("packing folder %s: %w", path, err)
	}
	return a, nil
}

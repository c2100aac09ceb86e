package main

import (
	"bytes"
	"fmt"
	"testing/fstest"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// pack returns a zip archive of the files: stored, for a sample's digest must
// outlive every change of a compressor.
func pack(files map[string][]byte) ([]byte, error) {
	folder := fstest.MapFS{}
	for name, data := range files {
		folder[name] = &fstest.MapFile{Data: data}
	}
	var out bytes.Buffer
	leftOut, err := bundle.Zip(&out, folder, bundle.Stored)
	if err != nil {
		return nil, err
	}
	if len(leftOut) > 0 {
		return nil, fmt.Errorf("%s: a sample holds nothing that is left out", leftOut[0])
	}
	return out.Bytes(), nil
}

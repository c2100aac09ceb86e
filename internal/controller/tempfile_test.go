package controller

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// A manager that is killed removes nothing, so there must be nothing to remove.
func TestPackedContentLeavesNoFileBehind(t *testing.T) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	f, err := w.Create("index.html")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "<!doctype html><title>x</title>"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Read(bytes.NewReader(archive.Bytes()), int64(archive.Len()), bundle.Expect{Format: "Web", Version: "1.0.0"}, bundle.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	r := &MiniProgramVersionReconciler{TempDir: t.TempDir()}
	p, err := r.packContent(b)
	if err != nil {
		t.Fatal(err)
	}
	defer p.remove()
	if left, err := os.ReadDir(r.TempDir); err != nil || len(left) != 0 {
		t.Errorf("in the folder: %v, %v", left, err)
	}
	for range 2 { // a push that is tried again reads it again
		body, err := p.blob.Open()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, body); err != nil || n != p.blob.Size || n == 0 {
			t.Errorf("read %d bytes of %d: %v", n, p.blob.Size, err)
		}
	}
}

package main

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if err := os.MkdirAll(dir, 0o700); err != nil { // what demos made before
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "old.pem"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	var reader string // of the folder as it was a change ago
	for _, want := range []map[string]string{{"a.pem": "1"}, {"a.pem": "2", "b.pem": "1"}, {"b.pem": "1"}, {"c.pem": "3"}} {
		if err := writeFolder(dir, maps.Clone(want)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, readFolder(t, dir)); diff != "" {
			t.Error(diff)
		}
		if reader != "" {
			if _, err := os.Stat(reader); err != nil {
				t.Errorf("the folder before is gone while somebody may read it: %v", err)
			}
		}
		var err error
		if reader, err = filepath.EvalSymlinks(dir); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 3 { // the link, its folder, the one before
		t.Errorf("%d entries are left: %v", len(left), left)
	}
}

func readFolder(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = string(text)
	}
	return files
}

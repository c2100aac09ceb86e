package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
)

// merge returns the files of the layers by name, slash-separated and relative
// to their layer. A later layer's file replaces an earlier one of the same
// name; a .json file is instead applied to it as a JSON merge patch (RFC 7396),
// so that an overlay names only what it changes.
func merge(bundles fs.FS, layers []string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, layer := range layers {
		sub, err := fs.Sub(bundles, layer)
		if err != nil {
			return nil, err
		}
		if err := addLayer(files, sub); err != nil {
			return nil, fmt.Errorf("reading %s: %w", layer, err)
		}
	}
	return files, nil
}

func addLayer(files map[string][]byte, layer fs.FS) error {
	return fs.WalkDir(layer, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file; a bundle holds only those", name)
		}
		data, err := fs.ReadFile(layer, name)
		if err != nil {
			return err
		}
		if below, ok := files[name]; ok && path.Ext(name) == ".json" {
			if data, err = patchJSON(below, data); err != nil {
				return fmt.Errorf("patching %s: %w", name, err)
			}
		}
		files[name] = data
		return nil
	})
}

// patchJSON applies an RFC 7396 merge patch. The result is indented by two
// spaces, with members sorted by name.
func patchJSON(document, patch []byte) ([]byte, error) {
	var target, change any
	if err := decode(document, &target); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	if err := decode(patch, &change); err != nil {
		return nil, fmt.Errorf("reading the patch: %w", err)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(mergePatch(target, change)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// decode keeps numbers as they are written: a float would change large ones.
func decode(data []byte, into *any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// mergePatch is the function of RFC 7396, section 2: objects merge member by
// member, null removes one, anything else replaces.
func mergePatch(target, patch any) any {
	change, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged, ok := target.(map[string]any)
	if !ok {
		merged = map[string]any{}
	}
	for name, value := range change {
		if value == nil {
			delete(merged, name)
			continue
		}
		merged[name] = mergePatch(merged[name], value)
	}
	return merged
}

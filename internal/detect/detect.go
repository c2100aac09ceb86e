package detect

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Use is one place in a bundle's scripts that uses a sensitive API.
type Use struct {
	API        string `json:"api"`        // as the table calls it, e.g. "wx.getLocation", "my.chooseImage", "navigator.geolocation"
	Permission string `json:"permission"` // what a mini program must declare for it, e.g. "location"
	File       string `json:"file"`
	Line       int    `json:"line"`   // from 1
	Column     int    `json:"column"` // from 1, in characters: minified code is one line
}

// maxPlaces bounds the places of one API in one file: who reads them needs to
// know that there are more, not where the thousandth is.
const maxPlaces = 100

// Scan returns the uses in one file, in order of place; of each API the first
// 100. The name decides how it is read: .js, .mjs and .cjs are scripts, and .html
// and .htm have scripts and handlers in them. Other files have none. It keeps
// nothing of src, does not change it, and may be called at once by many.
func Scan(name string, src []byte) []Use {
	scan := scanners[strings.ToLower(path.Ext(name))]
	if scan == nil {
		return nil
	}
	return located(name, src, scan(src))
}

// Reads tells whether Scan reads files of this name at all.
func Reads(name string) bool { return scanners[strings.ToLower(path.Ext(name))] != nil }

// scanners by the ending of a file's name.
var scanners = map[string]func([]byte) []place{
	".js": scanScript, ".mjs": scanScript, ".cjs": scanScript, ".html": scanHTML, ".htm": scanHTML,
}

// place is a use as the scanner of scripts finds it: an offset in the source.
type place struct {
	offset int
	api    int32 // index into the table
}

// located puts places in order, bounds them, and counts their lines and columns.
func located(name string, src []byte, found []place) []Use {
	slices.SortFunc(found, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.api, b.api))
	})
	found = slices.Compact(found)
	t := loaded()
	places := map[int32]int{}
	var uses []Use
	at, line, lineStart := 0, 1, 0
	column, counted := 1, 0
	for _, p := range found {
		if places[p.api]++; places[p.api] > maxPlaces {
			continue
		}
		for {
			end := bytes.IndexByte(src[at:p.offset], '\n')
			if end < 0 {
				break
			}
			at += end + 1
			line, lineStart, column, counted = line+1, at, 1, at
		}
		at = p.offset
		counted = max(counted, lineStart)
		column += utf8.RuneCount(src[counted:p.offset])
		counted = p.offset
		api := t.APIs[p.api]
		uses = append(uses, Use{API: api.API, Permission: api.Permission, File: name, Line: line, Column: column})
	}
	return uses
}

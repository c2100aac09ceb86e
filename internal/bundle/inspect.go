package bundle

import (
	"bytes"
	"regexp"
	"strings"
)

// keyMarker begins every PEM block.
var keyMarker = []byte("-----BEGIN ")

// keyWindow is how much behind a marker is looked at: headers of an encrypted
// key and the first line of its content fit.
const keyWindow = 1024

// maxMarkers bounds the markers that are looked at in one archive, for each
// costs time. The scan helps against mistakes; who wants to hide a key can.
const maxMarkers = 10_000

// privateKey matches the beginning of a private key: the label and at least 40
// characters of content, also inside a string literal of a script. The label
// alone is no secret: libraries that read keys contain it.
var privateKey = regexp.MustCompile(`^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----` +
	`[\s\\rn"'+,]*` + // line breaks, as they are and as in literals
	`(?:[A-Za-z-]+: [^\r\n\\]*[\s\\rn"'+,]+)*` + // headers
	`[A-Za-z0-9+/]{40}`)

// secretScan finds private keys in files of any size with a small buffer.
type secretScan struct {
	found   *findings
	path    string
	kept    []byte // not yet judged
	done    bool   // this file has its finding
	markers int    // looked at in all files
}

func (s *secretScan) begin(path string) {
	s.path, s.kept, s.done = path, s.kept[:0], false
}

func (s *secretScan) more(part []byte) {
	if s.done || s.markers >= maxMarkers {
		return
	}
	s.kept = append(s.kept, part...)
	s.scan(false)
}

func (s *secretScan) end() {
	if !s.done && s.markers < maxMarkers {
		s.scan(true)
	}
}

// scan judges every marker with its window, and keeps what needs more bytes.
func (s *secretScan) scan(last bool) {
	rest := s.kept
	for {
		i := bytes.Index(rest, keyMarker)
		if i < 0 {
			// A marker may begin in the last bytes.
			rest = rest[max(0, len(rest)-len(keyMarker)+1):]
			break
		}
		rest = rest[i:]
		if len(rest) < keyWindow && !last {
			break
		}
		s.markers++
		if privateKey.Match(rest[:min(len(rest), keyWindow)]) {
			s.done = true
			s.found.fail(ruleSecretFound, s.path, "the file holds a private key; remove it, and replace the key, for whoever gets the bundle has it")
			return
		}
		if s.markers >= maxMarkers {
			return
		}
		rest = rest[len(keyMarker):]
	}
	s.kept = append(s.kept[:0], rest...)
}

// checkFileNames finds files that are told by name: environment files, which
// hold secrets, and what tools leave behind.
func checkFileNames(entries []entry, found *findings) {
	for i := range entries {
		path := entries[i].name
		base := path[strings.LastIndexByte(path, '/')+1:]
		switch {
		case strings.HasPrefix(base, ".env"):
			found.fail(ruleSecretFound, path, "environment files hold secrets and are of no use to a mini program; leave the file out")
		case isJunk(path):
			found.junk(path, "the file was left by macOS and is of no use to the mini program; leave it out (zip -X -x '*.DS_Store' '__MACOSX/*')")
		case strings.HasSuffix(base, ".map"):
			found.junk(path, "a source map shows the program's source to everybody and makes the bundle larger; leave it out")
		}
	}
}

// isJunk tells what macOS adds to an archive.
func isJunk(path string) bool {
	return strings.HasPrefix(path, "__MACOSX/") || path == ".DS_Store" || strings.HasSuffix(path, "/.DS_Store")
}

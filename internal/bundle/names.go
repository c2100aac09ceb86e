package bundle

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const (
	maxPartBytes = 255
	maxPathBytes = 1024
	maxDepth     = 32
)

// checkName checks one entry's name on its own; false when it is not fit to be
// worked with any further.
func checkName(e *entry, found *findings) bool {
	name := e.name
	before := found.errors
	path := strings.TrimSuffix(name, "/")
	switch {
	case !utf8.ValidString(name):
		found.fail(ruleNameEncoding, name, "the name is not valid UTF-8; rename the file, or create the archive with a tool that writes UTF-8 names")
	case e.flags&flagUTF8 == 0 && !isASCII(name):
		found.fail(ruleNameEncoding, name, "the name is not marked as UTF-8, so that zip tools read it differently; use a tool that sets the UTF-8 flag (python3 -m zipfile does, zip often does not), or a name of ASCII characters")
	case !isASCII(name) && isOEM(e.madeBy):
		found.fail(ruleNameEncoding, name, "the archive says that it was made on DOS, and unzip then reads names beyond ASCII in an old code page although they are UTF-8; create it with zip tools of Linux or macOS (python3 -m zipfile does), or use a name of ASCII characters")
	default:
		checkPath(name, path, found)
	}
	if longest, depth := measure(path); len(path) > maxPathBytes || longest > maxPartBytes || depth > maxDepth {
		found.fail(ruleNameLength, name, "the name has %d bytes (allowed %d), its longest part %d (allowed %d), and %d levels (allowed %d); shorten it",
			len(path), maxPathBytes, longest, maxPartBytes, depth, maxDepth)
	}
	return found.errors == before
}

// isOEM tells for which systems Info-ZIP takes names to be in the code page of
// DOS, whatever the UTF-8 flag says.
func isOEM(madeBy uint16) bool {
	const fat, hpfs, ntfs = 0, 6, 11
	system, version := madeBy>>8, madeBy&0xff
	return system == fat || system == hpfs || system == ntfs && version == 50
}

// checkPath checks that the name is a plain path below the root, of allowed
// characters. path is the name without the slash that ends a folder's.
func checkPath(name, path string, found *findings) {
	const traversal = "the name %s; rename the file so that it is a plain path below the bundle's root"
	switch {
	case path == "":
		found.fail(ruleNameTraversal, name, traversal, "is empty")
		return
	case strings.HasPrefix(name, "/"):
		found.fail(ruleNameTraversal, name, traversal, "is an absolute path")
		return
	case strings.Contains(name, `\`):
		found.fail(ruleNameTraversal, name, traversal, "holds a backslash, which some systems take for a separator")
		return
	case len(name) >= 2 && name[1] == ':' && isASCIILetter(name[0]):
		found.fail(ruleNameTraversal, name, traversal, "begins with a drive")
		return
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			found.fail(ruleNameTraversal, name, traversal, fmt.Sprintf("has the part %q", part))
			return
		}
	}
	for part := range strings.SplitSeq(path, "/") {
		if i := strings.IndexFunc(part, forbidden); i >= 0 {
			r, _ := utf8.DecodeRuneInString(part[i:])
			found.fail(ruleNameCharacters, name, "the name holds %U, which W3C MiniApp Packaging forbids in names; rename the file", r)
			return
		}
		if message := unfit(part); message != "" {
			found.fail(ruleNameCharacters, name, "%s; rename the file", message)
			return
		}
	}
}

// versionSuffix is how VMS numbers a file's versions. Info-ZIP drops it.
var versionSuffix = regexp.MustCompile(`;[0-9]+$`)

// unfit says why a part of a name would not be the same on every system, or "".
func unfit(part string) string {
	if i := strings.IndexFunc(part, unseen); i >= 0 {
		r, _ := utf8.DecodeRuneInString(part[i:])
		return fmt.Sprintf("the name holds %U, which cannot be seen or turns the direction of what stands beside it", r)
	}
	part = strings.Map(withoutIgnorable, part)
	switch {
	case part == "":
		return "a part of the name holds nothing that can be seen"
	case strings.HasSuffix(part, "."):
		return "a part of the name ends in a full stop, which some systems drop"
	case strings.HasSuffix(part, " "):
		return "a part of the name ends in a space, which some systems drop"
	case versionSuffix.MatchString(part):
		return "a part of the name ends in a semicolon and a number, which some zip tools drop"
	case isDevice(part):
		return "a part of the name is that of a device on Windows"
	}
	return ""
}

// isDevice tells the names that Windows keeps for devices, whatever extension follows.
func isDevice(part string) bool {
	base, _, _ := strings.Cut(part, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	if slices.Contains([]string{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}, base) {
		return true
	}
	port, ok := strings.CutPrefix(base, "COM")
	if !ok {
		port, ok = strings.CutPrefix(base, "LPT")
	}
	// The superscripts are digits of Latin-1, which Windows takes for such.
	return ok && slices.Contains([]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³"}, port)
}

// unseenRanges are code points that a person does not see, or that change how
// others are seen: names that differ in them only look the same. The joiners
// (U+200C, U+200D) and variation selectors are not among them, for scripts and
// emoji need them; see ignorable.
var unseenRanges = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00ad, Hi: 0x00ad, Stride: 1}, // soft hyphen
		{Lo: 0x061c, Hi: 0x061c, Stride: 1}, // Arabic letter mark
		{Lo: 0x115f, Hi: 0x1160, Stride: 1}, // Hangul fillers
		{Lo: 0x17b4, Hi: 0x17b5, Stride: 1}, // Khmer inherent vowels
		{Lo: 0x180e, Hi: 0x180e, Stride: 1}, // Mongolian vowel separator
		{Lo: 0x200b, Hi: 0x200b, Stride: 1}, // zero width space
		{Lo: 0x200e, Hi: 0x200f, Stride: 1}, // direction marks
		{Lo: 0x2028, Hi: 0x202e, Stride: 1}, // line and paragraph separators, directions
		{Lo: 0x2060, Hi: 0x206f, Stride: 1}, // word joiner, invisible operators, isolates
		{Lo: 0x3164, Hi: 0x3164, Stride: 1}, // Hangul filler
		{Lo: 0xfeff, Hi: 0xfeff, Stride: 1}, // byte order mark
		{Lo: 0xffa0, Hi: 0xffa0, Stride: 1}, // halfwidth Hangul filler
	},
	R32: []unicode.Range32{
		{Lo: 0x1bca0, Hi: 0x1bca3, Stride: 1}, // shorthand format controls
		{Lo: 0x1d173, Hi: 0x1d17a, Stride: 1}, // musical format controls
		{Lo: 0xe0000, Hi: 0xe00ff, Stride: 1}, // tags
	},
	LatinOffset: 1,
}

func unseen(r rune) bool { return unicode.Is(unseenRanges, r) }

// ignorable tells the invisible code points that names may hold: they do not
// make two names different.
func ignorable(r rune) bool {
	return r == '\u200c' || r == '\u200d' || unicode.Is(unicode.Variation_Selector, r)
}

func withoutIgnorable(r rune) rune {
	if ignorable(r) {
		return -1
	}
	return r
}

// forbiddenRanges are the code points that W3C MiniApp Packaging forbids in file
// and path names, but for the separator and the full stop. Its non-character
// code points are computed in forbidden.
var forbiddenRanges = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x0000, Hi: 0x001f, Stride: 1}, // C0 controls
		{Lo: 0x0022, Hi: 0x0022, Stride: 1}, // quotation mark
		{Lo: 0x002a, Hi: 0x002a, Stride: 1}, // asterisk
		{Lo: 0x003a, Hi: 0x003a, Stride: 1}, // colon
		{Lo: 0x003c, Hi: 0x003c, Stride: 1}, // less-than sign
		{Lo: 0x003e, Hi: 0x003e, Stride: 1}, // greater-than sign
		{Lo: 0x005c, Hi: 0x005c, Stride: 1}, // reverse solidus
		{Lo: 0x007c, Hi: 0x007c, Stride: 1}, // vertical line
		{Lo: 0x007f, Hi: 0x009f, Stride: 1}, // DEL and C1 controls
		{Lo: 0xe000, Hi: 0xf8ff, Stride: 1}, // private use
		{Lo: 0xfdd0, Hi: 0xfdef, Stride: 1}, // non-characters
		{Lo: 0xfff0, Hi: 0xffff, Stride: 1}, // specials
	},
	R32: []unicode.Range32{
		{Lo: 0xe0001, Hi: 0xe0001, Stride: 1},  // language tag
		{Lo: 0xe007f, Hi: 0xe007f, Stride: 1},  // cancel tag
		{Lo: 0xf0000, Hi: 0x10ffff, Stride: 1}, // supplementary private use
	},
	LatinOffset: 9,
}

func forbidden(r rune) bool {
	// The last two code points of every plane are no characters.
	return r&0xfffe == 0xfffe || unicode.Is(forbiddenRanges, r)
}

// checkCollisions checks that no two names, of files or of folders above them,
// become the same after Unicode canonical caseless matching (the Unicode
// Standard, definition D145) without the code points that cannot be seen, and
// that no file has the name of a folder.
func checkCollisions(entries []entry, found *findings) {
	seen := make(map[string]spelling, len(entries))
	for i := range entries {
		e := &entries[i]
		path := strings.TrimSuffix(e.name, "/")
		if other, ok := claim(seen, e, path, folded(path)); !ok {
			found.fail(ruleNameCollision, e.name, "the name collides with %s: many file systems ignore case and Unicode form, and a file cannot be a folder too; rename one of them", quote(other))
		}
	}
}

// folded returns what is the same for paths that some file systems take for the
// same.
func folded(path string) string {
	if isASCII(path) {
		return strings.ToUpper(path)
	}
	path = norm.NFD.String(strings.Map(withoutIgnorable, path))
	return norm.NFC.String(strings.Map(foldRune, cases.Fold().String(path)))
}

// foldRune returns the smallest letter that differs from r in case only.
// cases.Fold leaves some apart, as the two cases of Cherokee. The Greek iota has
// a mark among its cases, which would move and join others.
func foldRune(r rune) rune {
	smallest := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		if unicode.Is(unicode.Mn, smallest) || other < smallest && !unicode.Is(unicode.Mn, other) {
			smallest = other
		}
	}
	return smallest
}

// spelling is how a path was written first, and what it was.
type spelling struct {
	path     string
	dir      bool
	explicit bool // an entry of its own, not only above one
}

// claim enters path and the folders above it; key is the folded path, with as
// many parts. It returns the other spelling when there is one.
func claim(seen map[string]spelling, e *entry, path, key string) (string, bool) {
	pathAt, keyAt := 0, 0
	for {
		p, k := strings.IndexByte(path[pathAt:], '/'), strings.IndexByte(key[keyAt:], '/')
		if p < 0 || k < 0 {
			break
		}
		pathAt, keyAt = pathAt+p+1, keyAt+k+1
		dir := spelling{path: path[:pathAt-1], dir: true}
		old, ok := seen[key[:keyAt-1]]
		if !ok {
			seen[key[:keyAt-1]] = dir
		} else if old.path != dir.path || !old.dir {
			return old.path, false
		}
	}
	own := spelling{path: path, dir: e.isDir(), explicit: true}
	if old, ok := seen[key]; ok && (old.path != own.path || old.dir != own.dir || old.explicit) {
		return old.path, false
	}
	seen[key] = own
	return "", true
}

// measure returns the longest part of a path in bytes and the number of parts.
func measure(path string) (longest, depth int) {
	for part := range strings.SplitSeq(path, "/") {
		longest, depth = max(longest, len(part)), depth+1
	}
	return longest, depth
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isASCIILetter(b byte) bool {
	return 'a' <= b|0x20 && b|0x20 <= 'z'
}

package bundle

import (
	"strings"
)

// has says whether the bundle has a file at path.
func (b *Bundle) has(path string) bool {
	_, ok := b.byPath[path]
	return ok
}

// hasBelow says whether the bundle has a file below the folder dir, which ends
// in a slash.
func (b *Bundle) hasBelow(dir string) bool {
	for _, f := range b.Files {
		if strings.HasPrefix(f.Path, dir) {
			return true
		}
	}
	return false
}

// requirement is what a format asks for below its root: a file, or a folder
// with any file when it ends in a slash.
type requirement string

func (b *Bundle) meets(root string, r requirement) bool {
	if strings.HasSuffix(string(r), "/") {
		return b.hasBelow(root + string(r))
	}
	return b.has(root + string(r))
}

// layouts are the formats in the order in which Auto prefers them.
var layouts = []struct {
	format   Format
	requires []requirement
}{
	{FormatDimina, []requirement{"main/app-config.json", "main/logic.js"}},
	{FormatMiniApp, []requirement{"manifest.json", "app.js", "app.css", "pages/"}},
	{FormatWeb, []requirement{"index.html"}},
}

const allFormats = "a MiniApp has manifest.json, app.js, app.css and pages/, a Dimina bundle main/app-config.json and main/logic.js, a web bundle index.html"

// readLayout finds the format and its root, checks that what it requires is
// there, and reads the manifest.
func (b *Bundle) readLayout(want Expect, limits Limits, found *findings) error {
	wrapper := b.wrapper()
	format, root := b.recognize(want, wrapper)
	if format == "" {
		b.unrecognized(want, wrapper, found)
		return nil
	}
	b.Format = format
	missing := false
	for _, r := range requirements(format) {
		if !b.meets(root, r) {
			missing = true
			found.fail(ruleLayoutMissing, root+string(r), "a %s bundle needs %s at its root; add it, or set another format", format, r)
		}
	}
	if missing {
		return nil
	}
	b.AppID, b.Version, b.VersionCode = want.AppID, want.Version, want.VersionCode
	check := manifestCheck{bundle: b, want: want, limits: limits, found: found}
	switch format {
	case FormatMiniApp:
		return check.miniApp()
	case FormatDimina:
		return check.dimina(root)
	default:
		return check.web()
	}
}

// recognize returns the format, or "" when the files are in none of the
// places where it could be; root is "" or ends in a slash.
func (b *Bundle) recognize(want Expect, wrapper string) (format Format, root string) {
	diminaRoot := ""
	// Dimina containers keep a program in a folder named after it.
	if want.AppID != "" && wrapper == want.AppID+"/" {
		diminaRoot = wrapper
	}
	if want.Format != FormatAuto {
		if want.Format == FormatDimina {
			root = diminaRoot
		}
		if !b.meetsAny(root, want.Format) {
			return "", ""
		}
		return want.Format, root
	}
	switch {
	case b.meetsAny(diminaRoot, FormatDimina):
		return FormatDimina, diminaRoot
	case b.meetsAll("", FormatMiniApp):
		return FormatMiniApp, ""
	case b.meetsAll("", FormatWeb):
		return FormatWeb, ""
	// Nearly a MiniApp: say what it lacks rather than that it is nothing.
	case b.has("manifest.json") && (b.has("app.js") || b.has("app.css") || b.hasBelow("pages/")):
		return FormatMiniApp, ""
	}
	return "", ""
}

// unrecognized says why no format fits.
func (b *Bundle) unrecognized(want Expect, wrapper string, found *findings) {
	switch {
	case len(b.Files) == 0:
		found.fail(ruleLayoutMissing, "", "the archive holds no files; %s", allFormats)
	case wrapper != "" && b.meetsAny(wrapper, FormatDimina) && want.AppID != "":
		found.fail(ruleLayoutRoot, "", "all files are below %s; zip the content of that folder instead (only a folder named after the app ID, %s/, may stand around a Dimina bundle)",
			showPath(wrapper), want.AppID)
	case wrapper != "":
		found.fail(ruleLayoutRoot, "", "all files are below %s; zip the content of that folder instead", showPath(wrapper))
	case want.Format == FormatAuto:
		found.fail(ruleLayoutMissing, "", "the files at the root are of no known format: %s", allFormats)
	default:
		for _, r := range requirements(want.Format) {
			found.fail(ruleLayoutMissing, string(r), "a %s bundle needs %s at its root; add it, or set another format", want.Format, r)
		}
	}
}

func requirements(format Format) []requirement {
	for _, l := range layouts {
		if l.format == format {
			return l.requires
		}
	}
	return nil
}

// meetsAll says whether everything that format requires is below root.
func (b *Bundle) meetsAll(root string, format Format) bool {
	for _, r := range requirements(format) {
		if !b.meets(root, r) {
			return false
		}
	}
	return true
}

// meetsAny says whether something that format requires is below root.
func (b *Bundle) meetsAny(root string, format Format) bool {
	for _, r := range requirements(format) {
		if b.meets(root, r) {
			return true
		}
	}
	return false
}

// wrapper returns the folder, with its slash, that all files but macOS's own are
// below; "" when there is none.
func (b *Bundle) wrapper() string {
	found := ""
	for _, f := range b.Files {
		if isJunk(f.Path) {
			continue
		}
		i := strings.IndexByte(f.Path, '/')
		if i < 0 || found != "" && f.Path[:i+1] != found {
			return ""
		}
		found = f.Path[:i+1]
	}
	return found
}

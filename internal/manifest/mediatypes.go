package manifest

import (
	"path"
	"strings"
)

// mediaTypes say by a file's extension what it is. The table is fixed, so that a
// version is the same on every machine, and nothing is ever guessed from the bytes.
// Text is UTF-8, as the W3C's packaging asks for.
var mediaTypes = map[string]string{
	"css": "text/css; charset=utf-8", "csv": "text/csv; charset=utf-8", "htm": typeHTML, "html": typeHTML,
	"js": typeScript, "cjs": typeScript, "mjs": typeScript, "md": typeText, "txt": typeText, "vtt": "text/vtt; charset=utf-8",
	"json": "application/json", "map": "application/json", "webmanifest": "application/manifest+json",
	"pdf": "application/pdf", "wasm": "application/wasm", "xhtml": "application/xhtml+xml", "xml": "application/xml",
	"avif": "image/avif", "bmp": "image/bmp", "gif": "image/gif", "ico": "image/x-icon", "jpeg": "image/jpeg", "jpg": "image/jpeg",
	"png": "image/png", "svg": "image/svg+xml", "webp": "image/webp",
	"otf": "font/otf", "ttf": "font/ttf", "woff": "font/woff", "woff2": "font/woff2",
	"aac": "audio/aac", "flac": "audio/flac", "m4a": "audio/mp4", "mp3": "audio/mpeg", "oga": "audio/ogg", "ogg": "audio/ogg", "wav": "audio/wav",
	"m4v": "video/mp4", "mp4": "video/mp4", "ogv": "video/ogg", "webm": "video/webm",
}

const (
	typeHTML   = "text/html; charset=utf-8"
	typeScript = "text/javascript; charset=utf-8"
	typeText   = "text/plain; charset=utf-8"
)

// mediaTypeOf is a file's, and whether browsers open it as a page, with the policy
// that it was sent with.
func mediaTypeOf(name string) (mediaType string, isPage bool) {
	extension := strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))
	switch extension {
	case "htm", "html", "xhtml", "xml", "svg", "pdf":
		isPage = true
	}
	if known := mediaTypes[extension]; known != "" {
		return known, isPage
	}
	return octets, false
}

package bundle_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// parts are what names are made of: all that readers may take for something else.
var parts = []string{
	"a", "A", "b.js", "pages", "index.html", "manifest.json", ".", "..", "", "con", "~", "#U0041", "-x", "a;1", "a b", " a", "a ", "a.",
	"caf\u00e9", "cafe\u0301", "\u0130", "\u0131", "stra\u00dfe", "\u6807\u5fd7", "\U0001f642", "\u200d", "\u202e", "\\", "a:b", "*", "?", "[a]", "%41", "\x1b", "\xe9", "`", "'", "^",
}

// fine are those that are accepted.
var fine = []string{"b.js", "pages", "x", "app.css", "~", "#U0041", "-x", "a b", " c", "stra\u00dfe", "caf\u00e9", "\u0130", "\u6807\u5fd7", "\U0001f642", "[a]", "%41", "`", "'", "^", "?", "\u0645\u06cc\u200c\u062e", "\u2764\ufe0f", "\u0301x", "\U000e0100x", "\u3000y"}

// drawName mostly returns what is accepted.
func drawName(t *rapid.T) string {
	from := parts
	if rapid.IntRange(0, 9).Draw(t, "strange") > 0 {
		from = fine
	}
	name := rapid.SampledFrom(from).Draw(t, "name")
	for range rapid.IntRange(0, 2).Draw(t, "depth") {
		name += "/" + rapid.SampledFrom(fine).Draw(t, "below")
	}
	if rapid.IntRange(0, 7).Draw(t, "folder") == 0 {
		name += "/"
	}
	return name
}

var drawContent = rapid.OneOf(
	rapid.SampledFrom([]string{"", "x", "PK\x05\x06", "PK\x07\x08PK\x03\x04", signatureSum, "line\r\nline\n\x1a", string(zipOf("index.html", "other"))}),
	rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")) }),
)

// fields are extra fields, of which readers know more and less.
var fields = []string{
	"", "UT\x05\x00\x01\x00\x00\x00\x00", "\x00\x00", string(put(nil, 0x7875, 11, "\x01\x04", uint32(0), "\x04", uint32(0))),
	string(put(nil, 0x7075, 9, "\x01", uint32(0), "b.js")), string(put(nil, 0x000a, 4, uint32(0))), string(put(nil, 0x4453, 4, uint32(9))),
	string(put(nil, 0x0005, 4, uint32(9))), string(put(nil, 0x2605, 4, uint32(9))), string(put(nil, 0x334d, 6, "\x01\x02\x03\x04\x05\x06")), string(put(nil, 0xcafe, 0)),
}

// drawMember returns a file that most often is in order and seldom plain.
func drawMember(t *rapid.T) member {
	m := member{
		name: drawName(t), deflate: rapid.Bool().Draw(t, "deflate"), level: rapid.SampledFrom([]int{0, 1, 9, -2}).Draw(t, "level"),
		descriptor: rapid.SampledFrom([]int{0, 0, 12, 16}).Draw(t, "descriptor"), version: rapid.SampledFrom([]uint16{10, 20, 20, 20, 45, 45, 46}).Draw(t, "version"),
		madeBy:  rapid.Uint16Range(1, 0x14ff).Draw(t, "made by"),
		attrs:   rapid.SampledFrom([]uint32{0, 0, 0x20, 0x21, 0o100644 << 16, 0o100755<<16 | 1, 0o104777 << 16, 0xff00, 0o120777 << 16, 0o777 << 16, 0x07}).Draw(t, "attributes"),
		extra:   rapid.SampledFrom(fields).Draw(t, "extra"),
		comment: rapid.SampledFrom([]string{"", "", "note", "PK\x01\x02", "\xff\n  12 b.js"}).Draw(t, "comment"),
	}
	if m.name != "" && m.name[len(m.name)-1] != '/' {
		m.content = drawContent.Draw(t, "content")
	}
	if rapid.IntRange(0, 3).Draw(t, "local field") == 0 {
		m.localExtra = rapid.SampledFrom(fields).Draw(t, "local extra")
	}
	if rapid.IntRange(0, 3).Draw(t, "level flags") == 0 {
		m.flags = rapid.Uint16Range(0, 3).Draw(t, "level") << 1
	}
	return m
}

// change makes one change that a writer by mistake, or with intent, might make.
func change(t *rapid.T, data []byte) []byte {
	data = bytes.Clone(data)
	at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
	switch rapid.IntRange(0, 4).Draw(t, "change") {
	case 0:
		data[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	case 1:
		data[at] = rapid.Byte().Draw(t, "byte")
	case 2:
		data = append(data[:at], data[min(len(data), at+rapid.IntRange(1, 30).Draw(t, "fewer")):]...)
	case 3:
		from := rapid.IntRange(0, len(data)-1).Draw(t, "from")
		copy(data[at:], data[from:min(len(data), from+46)])
	default:
		data = append(data[:at:at], append([]byte("PK\x05\x06"), data[at:]...)...)
	}
	return data
}

func TestArchivesMadeAtRandomAreReadAsByOthersOrRefused(t *testing.T) {
	acceptedOnes, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		a := archive{members: []member{page}, comment: rapid.SampledFrom([]string{"", "", "PK\x03\x04", "a\nb"}).Draw(t, "comment")}
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			a.members = append(a.members, drawMember(t))
		}
		data := a.bytes()
		for range 4 {
			b, err := bundle.Read(bytes.NewReader(data), int64(len(data)), bundle.Expect{}, bundle.Limits{})
			if err == nil {
				acceptedOnes++
				sameAsGo(t, data, b)
				remember(data, bundle.Expect{}, bundle.Limits{})
			} else {
				refused++
			}
			data = change(t, data)
		}
	})
	if acceptedOnes < 10 || refused < 10 {
		t.Errorf("%d archives were accepted and %d refused, want many of both", acceptedOnes, refused)
	}
}

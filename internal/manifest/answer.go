package manifest

import (
	"strconv"
	"sync"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// answerBuffers are those in which answers to resolve are written: an answer about many
// programs is long, and most of what it costs were else the room for it.
var answerBuffers sync.Pool

func answerBuffer() *[]byte {
	if kept, ok := answerBuffers.Get().(*[]byte); ok {
		return kept
	}
	return new([]byte)
}

var typeJSON = []string{"application/json"}

// append writes what encoding/json would of the answer, without a look at types and
// with what is the same for every user from the entry. base begins URLs, as it stands
// within a string of JSON. (TestAnswersAreWrittenAsEncodingJSONDoes compares.)
func (found *resolution) append(out []byte, base string) []byte {
	out = appendField(out, `{"appID":`, found.appID)
	out = appendField(out, `,"channel":`, found.channel)
	out = appendField(out, `,"action":`, string(found.action))
	if found.variant != nil {
		text := found.entry.text(found.variant)
		out = append(append(append(append(append(out, text.before...), base...), text.between...), base...), text.after...)
	}
	if found.entry != nil {
		out = appendField(out, `,"envelopeDigest":`, found.entry.digest)
	}
	out = appendField(out, `,"reason":`, found.reason)
	if found.entry != nil {
		out = strconv.AppendInt(append(out, `,"sequence":`...), found.entry.seen.Sequence, 10)
	}
	if found.bucket >= 0 {
		out = strconv.AppendInt(append(out, `,"bucket":`...), int64(found.bucket), 10)
	}
	return append(out, '}')
}

// variantText is what answers say of a variant: all but the beginning of its two URLs.
type variantText struct{ before, between, after string }

// text is that of a variant of the entry's document. That of stable and of target is
// made when it is first asked for, and kept.
func (e *entry) text(v *document.Variant) *variantText {
	var kept *variantText
	switch v {
	case e.doc.Stable:
		if kept = e.texts[0].Load(); kept == nil {
			kept = textOf(v)
			e.texts[0].Store(kept)
		}
	case e.doc.Target:
		if kept = e.texts[1].Load(); kept == nil {
			kept = textOf(v)
			e.texts[1].Store(kept)
		}
	default: // a fallback: few ask
		kept = textOf(v)
	}
	return kept
}

func textOf(v *document.Variant) *variantText {
	before := appendKnown(nil, `,"version":`, v.Version)
	before = appendKnown(before, `,"digest":`, v.Digest)
	before = appendKnown(before, `,"contentDigest":`, v.ContentDigest)
	before = appendBlob(append(before, `,"archive":`...), &v.Archive)
	between := appendBlob([]byte(blobPath(v.Archive.Digest)+`"},"content":`), &v.Content)
	return &variantText{string(before), string(between), blobPath(v.Content.Digest) + `"}`}
}

// appendBlob writes a blob up to where its URL begins.
func appendBlob(out []byte, b *document.Blob) []byte {
	out = appendField(out, `{"digest":`, b.Digest)
	out = strconv.AppendInt(append(out, `,"size":`...), b.Size, 10)
	return append(appendKnown(out, `,"mediaType":`, b.MediaType), `,"url":"`...)
}

// appendKnown leaves out what is empty.
func appendKnown(out []byte, key, value string) []byte {
	if value == "" {
		return out
	}
	return appendField(out, key, value)
}

func appendField(out []byte, key, value string) []byte {
	return append(append(append(append(out, key...), '"'), jsonInside(value)...), '"')
}

// jsonInside is a text as it stands between the quotation marks of a string of JSON.
func jsonInside(value string) string {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			text, err := marshal(value)
			if err != nil {
				panic("a string is always JSON: " + err.Error())
			}
			return string(text[1 : len(text)-1])
		}
	}
	return value
}

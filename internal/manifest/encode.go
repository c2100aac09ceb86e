package manifest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// minCompressed is below which a body is not worth compressing, in bytes.
const minCompressed = 512

// encoded is a body in each encoding that pays, with the headers that go with
// it, made once and served often. What is seen of it never changes.
type encoded struct {
	contentType []string
	identity    body
	gzip, zstd  onDemand
	// once: it is served a single time, and not worth to be compressed.
	once bool
}

// onDemand is a body that is made when somebody first asks for it: most of what is
// published is asked for in one encoding, and some of it never.
type onDemand struct {
	once sync.Once
	body *body // nil: not worth it
}

// of is raw in the coding; nil: not worth it.
func (c *onDemand) of(raw *body, coding string, compress func([]byte) []byte) *body {
	c.once.Do(func() {
		if len(raw.bytes) >= minCompressed {
			c.body = worthwhile(raw, compress(raw.bytes), coding)
		}
	})
	return c.body
}

// body is a body in one encoding. The headers are slices because that is what
// http.Header holds: nothing is allocated for a request.
type body struct {
	bytes                  []byte
	etag, length, encoding []string
}

var (
	zstdEncoder = sync.OnceValue(newZstdEncoder)

	varyEncoding = []string{"Accept-Encoding"}
	noSniff      = []string{"nosniff"}
)

func newZstdEncoder() *zstd.Encoder {
	// Documents are small: a small window keeps decoders small, and one encoder is enough,
	// for each document is encoded once.
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10))
	if err != nil {
		panic("the options of the zstd encoder are constants: " + err.Error())
	}
	return e
}

// encode takes over raw. Its tag is frozen: host apps make it by themselves of what they have.
func encode(contentType string, raw []byte) *encoded {
	e := &encoded{contentType: []string{contentType}}
	sum := sha256.Sum256(raw)
	tag := base64.RawURLEncoding.EncodeToString(sum[:16])
	e.identity = body{bytes: raw, etag: []string{`"` + tag + `"`}, length: lengthOf(raw)}
	return e
}

func zstandard(raw []byte) []byte { return zstdEncoder().EncodeAll(raw, nil) }

// gzipWriter is kept because making one takes longer than a document does.
var gzipWriter = struct {
	sync.Mutex
	*gzip.Writer
}{Writer: gzip.NewWriter(nil)}

func gzipped(raw []byte) []byte {
	gzipWriter.Lock()
	defer gzipWriter.Unlock()
	var buffer bytes.Buffer
	gzipWriter.Reset(&buffer)
	// Writing to memory does not fail.
	_, _ = gzipWriter.Write(raw)
	_ = gzipWriter.Close()
	return buffer.Bytes()
}

// worthwhile returns the compressed body if it saves at least a tenth.
func worthwhile(raw *body, compressed []byte, coding string) *body {
	if len(compressed)*10 > len(raw.bytes)*9 {
		return nil
	}
	return bodyIn(raw, compressed, coding)
}

func bodyIn(raw *body, compressed []byte, coding string) *body {
	return &body{
		// The encoders leave room that nobody needs.
		bytes: bytes.Clone(compressed), length: lengthOf(compressed), encoding: []string{coding},
		// A tag names bytes, so each encoding has its own (RFC 9110, section 8.8.3).
		etag: []string{strings.TrimSuffix(raw.etag[0], `"`) + "-" + coding + `"`},
	}
}

func lengthOf(b []byte) []string { return []string{strconv.Itoa(len(b))} }

// serve answers with the encoding that the client prefers, or with 304.
func (e *encoded) serve(w http.ResponseWriter, r *http.Request, cacheControl []string) {
	b := e.choose(r.Header["Accept-Encoding"])
	h := w.Header()
	h["Cache-Control"] = cacheControl
	h["Etag"] = b.etag
	if others := h["Vary"]; others == nil {
		h["Vary"] = varyEncoding
	} else {
		h["Vary"] = slices.Concat(others, varyEncoding)
	}
	if matchesAny(r.Header["If-None-Match"], b.etag[0]) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h["Content-Type"] = e.contentType
	h["Content-Length"] = b.length
	h["X-Content-Type-Options"] = noSniff
	if b.encoding != nil {
		h["Content-Encoding"] = b.encoding
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.bytes) // the client has gone: nobody to tell
	}
}

func (e *encoded) choose(accept []string) *body {
	best := &e.identity
	if len(accept) == 0 {
		return best
	}
	q := accepted(accept)
	quality := q.identity
	// The smaller encoding is tried first, and identity needs to be preferred explicitly.
	if !e.once && q.zstd > 0 && q.zstd >= quality {
		if b := e.zstd.of(&e.identity, "zstd", zstandard); b != nil {
			best, quality = b, q.zstd
		}
	}
	if !e.once && q.gzip > 0 && (q.gzip > quality || best == &e.identity && q.gzip >= quality) {
		if b := e.gzip.of(&e.identity, "gzip", gzipped); b != nil {
			best = b
		}
	}
	if best == &e.identity && q.noIdentity {
		return e.asked(q)
	}
	return best
}

// asked compresses what does not pay, for who does not take it as it is. Who takes
// nothing that there is gets it as it is all the same (RFC 9110, section 12.1).
func (e *encoded) asked(q qualities) *body {
	switch {
	case q.zstd > 0 && q.zstd >= q.gzip:
		return bodyIn(&e.identity, zstandard(e.identity.bytes), "zstd")
	case q.gzip > 0:
		return bodyIn(&e.identity, gzipped(e.identity.bytes), "gzip")
	}
	return &e.identity
}

// qualities are the weights of an Accept-Encoding header, in thousandths. What
// is not mentioned has weight 0.
type qualities struct {
	gzip, zstd, identity int
	// noIdentity: a body as it is would not be taken.
	noIdentity bool
}

// accepted reads Accept-Encoding (RFC 9110, section 12.5.3).
func accepted(headers []string) qualities {
	const unset = -1
	q, star := qualities{gzip: unset, zstd: unset, identity: unset}, unset
	for _, header := range headers {
		for item := range strings.SplitSeq(header, ",") {
			coding, parameters, _ := strings.Cut(item, ";")
			weight := weightOf(parameters)
			switch coding = strings.TrimSpace(coding); {
			case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
				q.gzip = weight
			case strings.EqualFold(coding, "zstd"):
				q.zstd = weight
			case strings.EqualFold(coding, "identity"):
				q.identity = weight
			case coding == "*":
				star = weight
			}
		}
	}
	q.noIdentity = q.identity == 0 || q.identity == unset && star == 0
	if q.gzip == unset {
		q.gzip = max(star, 0)
	}
	if q.zstd == unset {
		q.zstd = max(star, 0)
	}
	q.identity = max(q.identity, 0)
	return q
}

// weightOf reads "q=0.5" as 500. What cannot be read is 0: not accepted.
func weightOf(parameters string) int {
	name, value, found := strings.Cut(strings.TrimSpace(parameters), "=")
	if !found {
		return 1000
	}
	weight, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if !strings.EqualFold(strings.TrimSpace(name), "q") || err != nil || !(weight >= 0 && weight <= 1) {
		return 0
	}
	return int(weight * 1000)
}

// matchesAny reads If-None-Match with the weak comparison (RFC 9110, section
// 13.1.2). Our tags have no commas, so that splitting by them is enough.
func matchesAny(headers []string, etag string) bool {
	for _, header := range headers {
		for tag := range strings.SplitSeq(header, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}

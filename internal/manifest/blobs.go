package manifest

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"time"
)

const (
	// slowestClient is the rate in bytes a second below which a download is cut off.
	slowestClient = 8 << 10
	// octets is the media type of a blob whose document does not say.
	octets = "application/octet-stream"
)

// getBlob answers with a blob that a document in service names. Ranges and
// If-Range are those of RFC 9110, Repr-Digest that of RFC 9530.
func (s *Service) getBlob(w http.ResponseWriter, r *http.Request) *Problem {
	key, ok := parseHex(r.PathValue("hex"))
	if !ok {
		return problem(CodeInvalidRequest, "a blob's address ends in the 64 lower-case hexadecimal digits of its SHA-256")
	}
	refs := alive(s.store.current.Load().blobs.find(key), s.options.Now())
	if len(refs) == 0 {
		return problem(CodeUnknownBlob, "no document in service names sha256:%x", key)
	}
	// The server's own limits are for small answers, and the registry may need its time first: the
	// one on reading would end the request. A connection that has no deadlines needs no longer ones.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(blobTimeout + time.Minute))
	file, size, err := s.blobs.open(r.Context(), key, refs)
	if err != nil {
		return blobProblem(r.Context(), key, err)
	}
	defer func() { _ = file.Close() }() // only read
	patience := time.Minute + time.Duration(size/slowestClient)*time.Second
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))

	h := w.Header()
	h["Cache-Control"] = cacheForever
	h.Set("Etag", `"`+hex.EncodeToString(key[:])+`"`)
	h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(key[:])+":")
	h.Set("Content-Type", cmp.Or(refs[0].mediaType, octets))
	h["X-Content-Type-Options"] = noSniff
	// Blobs are made by many people: a browser that is sent to one must not run it here.
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	return serveRange(w, r, file, "blob", size)
}

func blobProblem(ctx context.Context, key blobKey, err error) *Problem {
	switch {
	case errors.Is(err, errMismatch):
		return problem(CodeBlobMismatch, "sha256:%x is not served until the registry has its bytes again", key).because(err)
	case ctx.Err() != nil: // the client has gone, nobody reads this
		return problem(CodeRegistryUnavailable, "the request ended before sha256:%x was there", key)
	default:
		return problem(CodeRegistryUnavailable, "sha256:%x cannot be had at present: try again in a while", key).because(err)
	}
}

package manifest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// serveRange answers with the content, or with the ranges of it that are asked for. What
// its headers say is of the content alone: a refusal is a problem, which no cache between
// may keep in its place.
func serveRange(w http.ResponseWriter, r *http.Request, content io.ReadSeeker, what string, size int64) *Problem {
	if asked := r.Header.Get("Range"); asked != "" && !strings.HasPrefix(asked, "bytes=") {
		r = r.Clone(r.Context())
		r.Header.Del("Range") // a unit that is not known counts as none (RFC 9110, section 14.2)
	}
	ranges := &rangeWriter{ResponseWriter: w}
	http.ServeContent(ranges, r, "", time.Time{}, content)
	switch ranges.refused {
	case http.StatusRequestedRangeNotSatisfiable:
		w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		return problem(CodeRangeNotSatisfiable, "the %s has %d bytes", what, size)
	case http.StatusPreconditionFailed:
		return problem(CodePreconditionFailed, "the %s has another tag than the header If-Match asks for", what)
	}
	return nil
}

// rangeWriter holds back what http.ServeContent refuses in its own words, so that it can be
// refused as everything else.
type rangeWriter struct {
	http.ResponseWriter
	// refused is the status of the refusal; 0: there is none.
	refused int
}

// WriteHeader passes on every status but a refusal. A range of nothing is one, too: there is
// no Content-Range that could tell of it.
func (w *rangeWriter) WriteHeader(status int) {
	switch {
	case status == http.StatusPartialContent && w.Header().Get("Content-Length") == "0":
		w.refused = http.StatusRequestedRangeNotSatisfiable
		w.Header().Del("Accept-Ranges")
	case status == http.StatusRequestedRangeNotSatisfiable || status == http.StatusPreconditionFailed:
		w.refused = status
	default:
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *rangeWriter) Write(b []byte) (int, error) {
	if w.refused != 0 {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// ReadFrom lets the kernel copy the file to the connection.
func (w *rangeWriter) ReadFrom(r io.Reader) (int64, error) {
	if w.refused != 0 {
		return io.Copy(io.Discard, r)
	}
	return io.Copy(w.ResponseWriter, r)
}

// Unwrap is for http.ResponseController.
func (w *rangeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

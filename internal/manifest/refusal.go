package manifest

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// unread is what metrics call the route of requests that net/http could not read.
const unread = "unread"

// connKey is where the context of a request has its connection.
type connKey struct{}

// tellRefusals has a problem answered where net/http refuses a request by itself, in plain
// text: it has no hook for that. What it writes on a connection while no handler has the
// request can only be such a refusal. (The connection is one that the lane handed over: those
// with TLS are none, for net/http speaks HTTP/2 on its own type alone.)
func tellRefusals(server *http.Server, count func(status int)) {
	handler := server.Handler
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	}
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		handed, ok := conn.(*handedConn)
		if !ok {
			return
		}
		switch state {
		case http.StateNew:
			handed.count = count
			handed.unread.Store(true)
		case http.StateIdle: // the answer is out
			handed.unread.Store(true)
		default:
		}
	}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handed, ok := r.Context().Value(connKey{}).(*handedConn); ok {
			handed.unread.Store(false)
		}
		handler.ServeHTTP(w, r)
	})
}

// Write passes on what net/http writes, but for its refusals.
func (c *handedConn) Write(b []byte) (int, error) {
	if c.unread.Load() {
		if p := refusalOf(b); p != nil {
			c.count(p.Status)
			if _, err := c.TCPConn.Write(p.raw(http.MethodGet)); err != nil {
				return 0, err
			}
			return len(b), nil
		}
	}
	return c.TCPConn.Write(b)
}

// refusalOf is what a client is told instead of a refusal in plain text. Nil: it is none.
func refusalOf(text []byte) *Problem {
	line, rest, _ := bytes.Cut(text, []byte("\r\n"))
	status, isAnswer := strings.CutPrefix(string(line), "HTTP/1.1 ")
	status, _, _ = strings.Cut(status, " ")
	code, err := strconv.Atoi(status)
	if !isAnswer || err != nil || code < 400 {
		return nil
	}
	switch code {
	case http.StatusRequestHeaderFieldsTooLarge:
		return problem(CodeHeadersTooLarge, "the request line and the headers may have %d bytes together", maxHeaderBytes)
	case http.StatusNotImplemented:
		return problem(CodeUnknownTransferCoding, "of transfer codings only chunked is known, alone and once")
	case http.StatusExpectationFailed:
		return problem(CodeUnknownExpectation, "the header Expect may only be 100-continue")
	case http.StatusHTTPVersionNotSupported:
		return problem(CodeUnknownVersion, "the versions are HTTP/1.0 and HTTP/1.1, and HTTP/2 over TLS")
	}
	// Its words are fixed ones, and never those of the request.
	_, body, _ := bytes.Cut(rest, []byte("\r\n\r\n"))
	if _, why, has := strings.Cut(string(body), ": "); has {
		return problem(CodeMalformedRequest, "the request cannot be read as HTTP/1.1: %s", why)
	}
	return problem(CodeMalformedRequest, "the request cannot be read as HTTP/1.1")
}

package registrytest

import (
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Fault is what happens to one request instead of its answer. Exactly one of
// Status, Drop, DropAnswer, Hang, CutUpload, CutAfter and Header alone is set.
type Fault struct {
	// Status is answered, with Header and Body, without asking the upstream.
	Status int
	// Header alone takes the place of those headers of the upstream's answer.
	Header http.Header
	Body   string
	// Drop closes the connection without an answer, before the upstream saw
	// the request.
	Drop bool
	// DropAnswer lets the upstream do what was asked and then closes the
	// connection without an answer: the client cannot know that it succeeded.
	DropAnswer bool
	// Hang never answers; the request ends when the client gives up or the test
	// is over.
	Hang bool
	// CutUpload passes the request to the upstream with no more than so many bytes of
	// its body, and closes both connections while the upstream waits for the rest.
	CutUpload int64
	// CutAfter passes the upstream's answer on and closes the connection after
	// so many bytes of its body.
	CutAfter int64
}

// Faulty runs a reverse proxy before the upstream, a host and port such as
// Registry.Host, until the end of the test, and returns its own host and port. Each
// request goes through unless the function returns a fault for it. The function
// may be called concurrently.
func Faulty(t testing.TB, upstream string, fault func(*http.Request) *Fault) string {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: upstream}
	quiet := log.New(io.Discard, "", 0) // cut connections are what was asked for
	over := make(chan struct{})
	pass := func(modify func(*http.Response) error) http.Handler {
		return &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				// The registry makes absolute links with the host that it sees:
				// they have to lead through this proxy.
				r.Out.Host = r.In.Host
			},
			ModifyResponse: modify,
			// So that a cut answer was seen up to the cut.
			FlushInterval: -1,
			ErrorLog:      quiet,
		}
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch f := fault(r); {
		case f == nil:
			pass(nil).ServeHTTP(w, r)
		case f.Status != 0:
			f.answer(w)
		case f.Drop:
			panic(http.ErrAbortHandler)
		case f.DropAnswer:
			pass(nil).ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case f.Hang:
			select {
			case <-r.Context().Done():
			case <-over:
			}
			panic(http.ErrAbortHandler)
		case f.CutUpload > 0:
			r.Body = &cutBody{ReadCloser: r.Body, left: f.CutUpload}
			pass(nil).ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case f.CutAfter > 0:
			pass(cutAfter(f.CutAfter)).ServeHTTP(w, r)
		default:
			pass(instead(f.Header)).ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = quiet
	server.Config.ReadHeaderTimeout = time.Minute
	server.Start()
	t.Cleanup(func() {
		close(over)
		server.CloseClientConnections()
		server.Close()
	})
	return strings.TrimPrefix(server.URL, "http://")
}

func (f *Fault) answer(w http.ResponseWriter) {
	for name, values := range f.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(f.Status)
	// A client that is gone already has its fault.
	_, _ = io.WriteString(w, f.Body)
}

// instead puts headers into an answer.
func instead(header http.Header) func(*http.Response) error {
	return func(r *http.Response) error {
		maps.Copy(r.Header, header)
		return nil
	}
}

// cutAfter lets the body of an answer fail after so many bytes, upon which the
// proxy closes the client's connection.
func cutAfter(bytes int64) func(*http.Response) error {
	return func(r *http.Response) error {
		r.Body = &cutBody{ReadCloser: r.Body, left: bytes}
		return nil
	}
}

// cutBody is a body, of a request or of an answer, that fails after so many bytes.
type cutBody struct {
	io.ReadCloser
	left int64
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

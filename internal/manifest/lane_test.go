package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// asked sends a request on a connection of its own and returns the answer, without its date.
func asked(t *testing.T, address, raw string) answer {
	t.Helper()
	conn := connect(t, address)
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(raw, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.ParseTime(response.Header.Get("Date")); err != nil {
		t.Errorf("the date: %v", err)
	}
	response.Header.Del("Date")
	return answer{Status: response.StatusCode, Header: response.Header, Body: string(text)}
}

// The same request is answered the same in the lane and by net/http, to which the tests'
// own server hands everything.
func TestTheLaneAnswersAsNetHTTPDoes(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop(withTarget(500)))
	f.publish(shop(func(r *document.Release) {
		r.AppID, r.Rollout.Name = "com.example.long", "long"
		r.Listing.DisplayName = strings.Repeat("long ", 20)
		for i := range 400 {
			r.AlsoServed = append(r.AlsoServed, "sha256:"+hex64(fmt.Sprint(i)))
		}
	}))
	if size := len(f.get("/v1/hosts/wallet/programs/com.example.long").Body); size <= keptAnswer {
		t.Fatalf("the long document has %d bytes only", size)
	}
	lane, other := f.listening(t), strings.TrimPrefix(f.server.URL, "http://")
	tag := f.get(shopPath).Header.Get("Etag")
	resolve := func(body string) string {
		return fmt.Sprintf("POST /v1/hosts/wallet/resolve HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	for name, raw := range map[string]string{
		"a document":              "GET " + shopPath + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"a compressed document":   "GET " + shopPath + " HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n",
		"a long document":         "GET /v1/hosts/wallet/programs/com.example.long HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n",
		"headers of a document":   "HEAD " + shopPath + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"what is not modified":    "GET " + shopPath + " HTTP/1.1\r\nhost: a\r\nif-none-match: " + tag + "\r\n\r\n",
		"a list":                  "GET /v1/hosts/wallet/programs HTTP/1.1\r\nHost: a:80\r\n\r\n",
		"a channel":               "GET " + shopPath + "?channel=release HTTP/1.1\r\nHost: a\r\n\r\n",
		"a channel that is none":  "GET " + shopPath + "?channel=x&channel= HTTP/1.1\r\nHost: a\r\n\r\n",
		"an unknown host app":     "GET /v1/hosts/nobody/programs HTTP/1.1\r\nHost: a\r\n\r\n",
		"headers of a problem":    "HEAD /v1/hosts/nobody/programs HTTP/1.1\r\nHost: a\r\n\r\n",
		"an unknown program":      "GET /v1/hosts/wallet/programs/com.example.none HTTP/1.1\r\nHost: a\r\n\r\n",
		"something below one":     "GET " + shopPath + "/x HTTP/1.1\r\nHost: a\r\n\r\n",
		"a decision":              resolve(resolveBody),
		"a decision about nobody": resolve("{}"),
		"no JSON":                 resolve("nothing"),
	} {
		t.Run(name, func(t *testing.T) {
			var p plainRequest
			p.header = http.Header{}
			if !p.parse([]byte(raw)) {
				t.Error("it is not for the lane")
			}
			if diff := cmp.Diff(asked(t, other, raw), asked(t, lane, raw)); diff != "" {
				t.Errorf("answer (-net/http +lane):\n%s", diff)
			}
		})
	}
}

// A connection stays in the lane while requests are plain; from the first that is not it is
// net/http's, which answers that one and all that follow.
func TestAConnectionGoesOverToNetHTTPOnce(t *testing.T) {
	var who []string
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, plain := w.(*plainWriter)
		who = append(who, fmt.Sprintf("%s %s %t", r.Method, r.RequestURI, plain))
		_, _ = io.WriteString(w, "ok")
	})}
	l := listen(t)
	fast := newLane(l, server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(fast) }()
	conn := connect(t, l.Addr().String())
	reader := bufio.NewReader(conn)
	for _, target := range []string{"/v1/hosts/a/programs", "/v1/hosts/a/programs/b", "/v1/blobs/x", "/v1/hosts/a/programs"} {
		if _, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(response.Body); err != nil || string(text) != "ok" || response.ContentLength != 2 {
			t.Errorf("%s: %q with length %d, %v", target, text, response.ContentLength, err)
		}
	}
	want := []string{"GET /v1/hosts/a/programs true", "GET /v1/hosts/a/programs/b true", "GET /v1/blobs/x false", "GET /v1/hosts/a/programs false"}
	if diff := cmp.Diff(want, who); diff != "" {
		t.Errorf("answered by the lane (-want +got):\n%s", diff)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	fast.wait()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("the server ended with %v", err)
	}
}

// When all ends, connections that rest are closed, and what was asked is answered.
func TestTheEndOfTheLaneLosesNoRequest(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "slow" {
			began <- struct{}{}
			<-goOn
		}
		_, _ = io.WriteString(w, "ok")
	})}
	l := listen(t)
	fast := newLane(l, server)
	ended := make(chan struct{})
	go func() {
		_ = server.Serve(fast)
		fast.wait()
		close(ended)
	}()
	const plain = "GET /v1/hosts/a/programs HTTP/1.1\r\nHost: a\r\n\r\n"
	resting := connect(t, l.Addr().String())
	restingReader := bufio.NewReader(resting)
	if _, err := io.WriteString(resting, plain); err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadResponse(restingReader, nil); err != nil {
		t.Fatal(err)
	}
	busy := connect(t, l.Addr().String())
	if _, err := io.WriteString(busy, strings.Replace(plain, "programs", "programs?slow", 1)); err != nil {
		t.Fatal(err)
	}
	<-began
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(restingReader); err != nil {
		t.Errorf("the connection that rests ends with %v", err)
	}
	select {
	case <-ended:
		t.Fatal("the end does not wait for who is being answered")
	default:
	}
	close(goOn)
	response, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("the request under way: %v, %v", response, err)
	}
	<-ended
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

// FuzzPlain compares what the lane accepts with how net/http reads the same bytes.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{
		"GET " + shopPath + " HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n",
		"HEAD /v1/hosts/a/programs?channel=trial HTTP/1.1\r\nhost: a:80\r\nX-A:\tb \r\n\r\n",
		"POST /v1/hosts/a/resolve HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
		"POST /v1/hosts/a/resolve HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
		"GET /v1/hosts/a/programs HTTP/1.1\r\nHost: a\r\n b\r\nHost: c\r\n\r\n",
		"GET /v1/hosts/a/programs/../b HTTP/1.1\r\nHost: a\nX: y\r\nConnection: close\r\n\r\n",
		"GET /v1/hosts/a/programs HTTP/1.1\r\nHost: a\r\n\r\nGET /v1/hosts/a/programs HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /v1/hosts/a/programs HTTP/1.1\r\nHost: a\r\nX-A: b\r\nX-A: c\r\n\r\n",
		"GET /v1/hosts/a/programs HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := plainRequest{header: http.Header{}}
		if !p.parse(bytes.Clone(raw)) {
			return
		}
		reader := bufio.NewReader(bytes.NewReader(raw))
		r, err := http.ReadRequest(reader)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Close || len(r.TransferEncoding) > 0 || r.Trailer != nil {
			t.Fatalf("net/http reads %v, close %t, %v, %v", r.TransferEncoding, r.Close, r.Trailer, err)
		}
		if left, err := io.ReadAll(reader); err != nil || len(left) > 0 {
			t.Errorf("net/http leaves %q, %v", left, err)
		}
		type read struct {
			Method, Target, Path, Query, Host, Body string
			Header                                  http.Header
		}
		want := read{r.Method, r.RequestURI, r.URL.Path, r.URL.RawQuery, r.Host, string(body), r.Header}
		got := read{p.method, p.target, p.path, p.query, p.host, string(p.body), p.header}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("read (-net/http +lane):\n%s", diff)
		}
	})
}

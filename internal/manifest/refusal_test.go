package manifest

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// lastAnswer is the last one of all that comes on a connection.
func lastAnswer(t *testing.T, address, raw string) answer {
	t.Helper()
	conn := connect(t, address)
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	var last answer
	for reader := bufio.NewReader(conn); ; {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return last
		}
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.Close {
			response.Header.Set("Connection", "close")
		}
		if _, err := http.ParseTime(response.Header.Get("Date")); err != nil {
			t.Errorf("the date: %v", err)
		}
		response.Header.Del("Date")
		last = answer{Status: response.StatusCode, Header: response.Header, Body: string(text)}
	}
}

func TestWhatCannotBeReadIsAnsweredWithAProblem(t *testing.T) {
	const (
		malformed = `{"title":"The request cannot be read","status":400,"detail":"the request cannot be read as HTTP/1.1%s","code":"MalformedRequest"}`
		headers   = `{"title":"The request's headers are too large","status":431,"detail":"the request line and the headers may have 16384 bytes together","code":"HeadersTooLarge"}`
		coding    = `{"title":"The request's transfer coding is not known","status":501,"detail":"of transfer codings only chunked is known, alone and once","code":"UnknownTransferCoding"}`
		expect    = `{"title":"What the request expects is not known","status":417,"detail":"the header Expect may only be 100-continue","code":"UnknownExpectation"}`
		version   = `{"title":"The version of HTTP is not known","status":505,"detail":"the versions are HTTP/1.0 and HTTP/1.1, and HTTP/2 over TLS","code":"UnknownVersion"}`
	)
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop())
	address := f.listening(t)
	plain := "GET " + shopPath + " HTTP/1.1\r\nHost: a\r\n\r\n"
	keys := "GET /v1/keys HTTP/1.1\r\nHost: a\r\n\r\n"
	post := "POST /v1/hosts/wallet/resolve HTTP/1.1\r\nHost: a\r\n"
	for name, test := range map[string]struct {
		raw    string
		status int
		want   string
	}{
		"no HTTP":                         {"\x16\x03\x01\x02\x00" + keys, 400, fmt.Sprintf(malformed, "")},
		"no host":                         {"GET /v1/keys HTTP/1.1\r\n\r\n", 400, fmt.Sprintf(malformed, ": missing required Host header")},
		"two hosts":                       {"GET /v1/keys HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, fmt.Sprintf(malformed, "")},
		"a host that is none":             {"GET /v1/keys HTTP/1.1\r\nHost: a b\r\n\r\n", 400, fmt.Sprintf(malformed, ": malformed Host header")},
		"a NUL in a header":               {"GET /v1/keys HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400, fmt.Sprintf(malformed, "")},
		"two lengths":                     {post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n12", 400, fmt.Sprintf(malformed, "")},
		"large headers":                   {"GET /v1/keys HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 2*maxHeaderBytes) + "\r\n\r\n", 431, headers},
		"another coding":                  {post + "Transfer-Encoding: gzip\r\n\r\n", 501, coding},
		"another expectation":             {"GET /v1/keys HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n", 417, expect},
		"another version":                 {"GET /v1/keys HTTP/3.7\r\nHost: a\r\n\r\n", 505, version},
		"after an answer of the lane":     {plain + "no HTTP\r\n\r\n", 400, fmt.Sprintf(malformed, "")},
		"after an answer of net/http":     {keys + "no HTTP\r\n\r\n", 400, fmt.Sprintf(malformed, "")},
		"after two of each, in one piece": {plain + keys + plain + keys + "no HTTP\r\n\r\n", 400, fmt.Sprintf(malformed, "")},
	} {
		t.Run(name, func(t *testing.T) {
			counted := f.service.metrics.requests.WithLabelValues(unread, fmt.Sprint(test.status))
			before := testutil.ToFloat64(counted)
			got := lastAnswer(t, address, test.raw)
			want := answer{Status: test.status, Header: problemHeader(test.want, "Connection", "close"), Body: test.want}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if err := c.validateJSON("/components/schemas/Problem", []byte(got.Body)); err != nil {
				t.Error(err)
			}
			if got := testutil.ToFloat64(counted) - before; got != 1 {
				t.Errorf("counted %v times, want once", got)
			}
		})
	}
}

// What names no path is told so in our words, and leads nowhere.
func TestATargetThatIsNoPathIsAnsweredWithAProblem(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	address := f.listening(t)
	want := `{"title":"There is nothing at this address","status":404,"detail":"no address of this service has this path","code":"NotFound"}`
	for _, line := range []string{"CONNECT mini.example.com:443", "GET *", "GET http://a?user=+4915112345678", "GET a:b?user=+4915112345678", "PUT http://a"} {
		got := lastAnswer(t, address, line+" HTTP/1.1\r\nHost: a\r\n\r\n")
		if diff := cmp.Diff(answer{Status: 404, Header: problemHeader(want), Body: want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}

// What a handler writes is nobody's refusal, whatever it looks like.
func TestABlobThatLooksLikeARefusalIsHandedOutAsItIs(t *testing.T) {
	one := "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"
	for name, text := range map[string]string{"one": one, "many": strings.Repeat(one+strings.Repeat(" ", 4<<10-len(one)), 20)} {
		t.Run(name, func(t *testing.T) {
			digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text)))
			f := newFixture(t)
			f.hostApp(wallet())
			f.publish(shop(func(r *document.Release) { r.Stable.Archive = document.Blob{Digest: digest, Size: int64(len(text))} }))
			f.source.set(digest, text)
			f.get(blobPath(digest)) // who hangs up, as lastAnswer does, does not wait for the registry
			address := f.listening(t)
			raw := "GET " + blobPath(digest) + " HTTP/1.1\r\nHost: a\r\n\r\n"
			if got := lastAnswer(t, address, raw+raw); got.Status != 200 || got.Body != text {
				t.Errorf("answer %d with %d bytes, want %d", got.Status, len(got.Body), len(text))
			}
			if got := lastAnswer(t, address, raw+"GET /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.Contains(got.Body, CodeNotFound) {
				t.Errorf("a handler's own problem is %d %s", got.Status, got.Body)
			}
		})
	}
}

func TestRefusalOf(t *testing.T) {
	for _, text := range []string{"", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "400", "HTTP/1.1 x\r\n\r\n", "HTTP/1.0 400 Bad Request\r\n\r\n"} {
		if p := refusalOf([]byte(text)); p != nil {
			t.Errorf("%q is taken for a refusal: %+v", text, p)
		}
	}
}

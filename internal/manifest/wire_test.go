package manifest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// listening serves on a socket, with limits that a test may make shorter.
func (f *fixture) listening(t *testing.T, adjust ...func(*http.Server)) string {
	t.Helper()
	server := f.service.server(f.service.Handler())
	for _, a := range adjust {
		a(server)
	}
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- serving(server, l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func connect(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		t.Fatalf("the connection is a %T", conn)
	}
	return tcp
}

// statuses are those of all answers to what is sent on one connection.
func statuses(t *testing.T, address, raw string) []int {
	t.Helper()
	conn := connect(t, address)
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	all := []int{}
	reader := bufio.NewReader(conn)
	for {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return all
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		all = append(all, response.StatusCode)
	}
}

// What a proxy in front may take for one request and the service for two, or the other way,
// is one request, or none: nobody's request can hide behind that of somebody else.
func TestNoRequestHidesInAnother(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop())
	address := f.listening(t)
	const hidden = "GET /v1/keys HTTP/1.1\r\nHost: a\r\n\r\n"
	body := `{"user":"u","programs":[{"appID":"com.example.shop"}]}`
	post := func(headers, rest string) string {
		return "POST /v1/hosts/wallet/resolve HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + headers + "\r\n" + rest
	}
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	for name, test := range map[string]struct {
		raw  string
		want []int
	}{
		"two good requests":                       {post(length, body) + hidden, []int{200, 200}},
		"a length and chunks":                     {post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+hidden), []int{400}},
		"chunks and a length":                     {post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", chunked+hidden), []int{200}},
		"chunks alone, and something behind":      {post("Transfer-Encoding: chunked\r\n", chunked+hidden), []int{200}},
		"two lengths":                             {post(length+"Content-Length: 0\r\n", body+hidden), []int{400}},
		"two lengths in one header":               {post(fmt.Sprintf("Content-Length: %d, 0\r\n", len(body)), body+hidden), []int{400}},
		"a length with a sign":                    {post(fmt.Sprintf("Content-Length: +%d\r\n", len(body)), body+hidden), []int{400}},
		"a negative length":                       {post("Content-Length: -1\r\n", hidden), []int{400}},
		"a length in hexadecimal":                 {post("Content-Length: 0x10\r\n", body+hidden), []int{400}},
		"a space before the colon":                {post("Content-Length : 0\r\n", hidden), []int{400}},
		"chunks in another spelling":              {post("Transfer-Encoding: xchunked\r\n", chunked+hidden), []int{501}},
		"chunks and another coding":               {post("Transfer-Encoding: chunked, identity\r\n", chunked+hidden), []int{501}},
		"a coding twice":                          {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked+hidden), []int{501}},
		"a folded header":                         {post("Transfer-Encoding:\r\n chunked\r\n", chunked+hidden), []int{200}},
		"a folded header that hides another":      {post("X-A: b\r\n Content-Length: 0\r\n"+length, body), []int{200}},
		"a header behind a line feed alone":       {post("X-A: b\nTransfer-Encoding: chunked\r\n", chunked+hidden), []int{200}},
		"a header behind a carriage return alone": {post("X-A: b\rTransfer-Encoding: chunked\r\n"+length, body+hidden), []int{400}},
		"a NUL":                                   {post("X-A: b\x00\r\n"+length, body+hidden), []int{400}},
		"two hosts":                               {"GET /v1/keys HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + hidden, []int{400}},
		"no host":                                 {"GET /v1/keys HTTP/1.1\r\n\r\n" + hidden, []int{400}},
		"a body of a GET that looks like one":     {fmt.Sprintf("GET /v1/keys HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden), []int{200}},
		"an old client's chunks":                  {"POST /v1/hosts/wallet/resolve HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + hidden, []int{415}},
		"a chunk with an extension":               {post("Transfer-Encoding: chunked\r\n", strings.Replace(chunked, "\r\n", ";a=b\r\n", 1)+hidden), []int{200}},
		"an extension that a line feed ends":      {post("Transfer-Encoding: chunked\r\n", strings.Replace(chunked, "\r\n", ";a\n", 1)+hidden), []int{400}},
		"a trailer that is a header":              {post("Transfer-Encoding: chunked\r\n", strings.Replace(chunked, "0\r\n\r\n", "0\r\nContent-Length: 1\r\n\r\n", 1)+hidden), []int{200}},
		"a chunk of a size that is none":          {post("Transfer-Encoding: chunked\r\n", "-1\r\n"+hidden), []int{400}},
		"a body that ends early":                  {post("Content-Length: 100\r\n", body), []int{400}},
		"more headers than there may be":          {post("X-A: "+strings.Repeat("b", 2*maxHeaderBytes)+"\r\n"+length, body+hidden), []int{431}},
		"a body that is too large, one behind it": {post(fmt.Sprintf("Content-Length: %d\r\n", 1<<20), strings.Repeat(" ", 1<<20)+hidden), []int{413}},
		"a method that there is not":              {"BREW /v1/keys HTTP/1.1\r\nHost: a\r\n\r\n" + hidden, []int{405, 200}},
		"no HTTP":                                 {"\x16\x03\x01\x02\x00" + hidden, []int{400}},
		"a request line with something behind it": {"GET /v1/keys HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n" + hidden, []int{400}},
		"a version that there is not":             {"GET /v1/keys HTTP/3.7\r\nHost: a\r\n\r\n" + hidden, []int{505}},
		"a good one, and one with both behind it": {"GET " + shopPath + " HTTP/1.1\r\nHost: a\r\n\r\n" + post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", chunked+hidden), []int{200, 200}},
		"a body of a GET of the lane":             {fmt.Sprintf("GET %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", shopPath, len(hidden), hidden), []int{200}},
		"a lane's line that a line feed ends":     {"GET " + shopPath + " HTTP/1.1\nHost: a\r\n\r\n" + hidden, []int{200, 200}},
		"a path that leads out":                   {"GET /v1/hosts/../keys HTTP/1.1\r\nHost: a\r\n\r\n" + hidden, []int{404, 200}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, statuses(t, address, test.raw)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheLimitsOfAConnection(t *testing.T) {
	type limits struct {
		header, read, write, idle time.Duration
		headerBytes               int
	}
	s := newFixture(t).service.server(http.NotFoundHandler())
	want := limits{5 * time.Second, 15 * time.Second, 30 * time.Second, 2 * time.Minute, 16 << 10}
	if got := (limits{s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout, s.MaxHeaderBytes}); got != want {
		t.Errorf("the limits are %+v, want %+v", got, want)
	}
}

// hurried has limits that end a test soon.
func hurried(s *http.Server) {
	s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
	s.WriteTimeout = 3 * s.ReadTimeout // who never sends all is to be told so
}

// Each of these clients takes a connection and gives as little as it can for it. It is
// thrown out, and meanwhile all others are served.
func TestSlowClientsAreThrownOut(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop(withTarget(500)))
	address := f.listening(t, hurried)
	head := "POST /v1/hosts/wallet/resolve HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
	for name, client := range map[string]struct {
		first string
		// drip is sent again and again for as long as the connection lasts.
		drip string
		want []int
	}{
		"one that never asks":              {want: []int{}},
		"one whose headers never end":      {first: head, drip: "X-A: b\r\n", want: []int{}},
		"one whose body never ends":        {first: head + "Content-Length: 60000\r\n\r\n", drip: " ", want: []int{400}},
		"one whose chunks never end":       {first: head + "Transfer-Encoding: chunked\r\n\r\n", drip: "1\r\n \r\n", want: []int{400}},
		"one that asked once and stays on": {first: "GET /v1/keys HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{200}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, address)
			if _, err := io.WriteString(conn, client.first); err != nil {
				t.Fatal(err)
			}
			ended := make(chan []int)
			go func() {
				got := []int{}
				reader := bufio.NewReader(conn)
				for {
					response, err := http.ReadResponse(reader, nil)
					if err != nil {
						break
					}
					_, _ = io.Copy(io.Discard, response.Body)
					got = append(got, response.StatusCode)
				}
				ended <- got
			}()
			drip := time.NewTicker(20 * time.Millisecond)
			defer drip.Stop()
			for {
				select {
				case got := <-ended:
					if !slices.Equal(got, client.want) {
						t.Errorf("answers %v, want %v", got, client.want)
					}
					return
				case <-drip.C:
					_, _ = io.WriteString(conn, client.drip) // the end of the connection is seen by who reads
					if status, _, err := fetch(new(http.Client), "http://"+address+shopPath); status != 200 {
						t.Fatalf("another client meanwhile: %d %v", status, err)
					}
				}
			}
		})
	}
}

// A client that asks and asks and never reads fills the buffers between, and is then
// given up.
func TestAClientThatNeverReadsIsThrownOut(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop(withTarget(500)))
	closed := make(chan struct{})
	address := f.listening(t, hurried, func(s *http.Server) {
		s.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				close(closed)
			}
		}
	})
	conn := connect(t, address)
	asking := strings.Repeat("GET "+shopPath+" HTTP/1.1\r\nHost: a\r\n\r\n", 100)
	go func() {
		for {
			if _, err := io.WriteString(conn, asking); err != nil {
				return
			}
		}
	}()
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Error("the connection lasts on")
	}
}

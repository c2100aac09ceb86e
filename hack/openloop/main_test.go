//go:build linux

package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// A server that stands still is late for all that was due meanwhile, and not only for
// those few requests that it has.
func TestAStallCountsForAllThatWasDue(t *testing.T) {
	const rate, stall, connections = 1000, 300 * time.Millisecond, 4
	var one sync.Mutex
	served := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		one.Lock()
		defer one.Unlock()
		if served++; served == connections+50 {
			<-time.After(stall)
		}
	}))
	defer server.Close()
	address := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
	c, err := dial(address, connections, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	took, err := c.load(rate, 600)
	if err != nil {
		t.Fatal(err)
	}
	late := 0
	for _, d := range took {
		if d > stall/3 {
			late++
		}
	}
	if least := int(rate * (stall - stall/3).Seconds()); late < least-10 {
		t.Errorf("%d requests were late by more than %s, want at least %d", late, stall/3, least)
	}
}

func TestHowLongAnAnswerIs(t *testing.T) {
	for name, test := range map[string]struct {
		text    string
		want    int
		problem string
	}{
		"not yet known": {text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"},
		"a body":        {text: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", want: 40},
		"no body":       {text: "HTTP/1.1 304 Not Modified\r\nContent-Length: 200\r\n\r\n", want: 50},
		"chunks":        {text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", problem: "an answer has no Content-Length"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := sizeOf([]byte(test.text))
			problem := ""
			if err != nil {
				problem = err.Error()
			}
			if got != test.want || problem != test.problem {
				t.Errorf("%d, %q, want %d, %q", got, problem, test.want, test.problem)
			}
		})
	}
}

func TestQuantiles(t *testing.T) {
	var sorted []time.Duration
	for i := range 100 {
		sorted = append(sorted, time.Duration(i))
	}
	for share, want := range map[float64]time.Duration{0: 0, 0.5: 50, 0.99: 99, 1: 99} {
		if got := quantile(sorted, share); got != want {
			t.Errorf("quantile %v is %d, want %d", share, got, want)
		}
	}
}

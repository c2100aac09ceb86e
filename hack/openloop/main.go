//go:build linux

// Command openloop sends one HTTP/1.1 request again and again at a constant rate,
// and tells how long answers took.
//
//	openloop -addr 127.0.0.1:8080 -rate 20000 -connections 64 -for 5s < request
//
// The model is open: the request with number n is due at n divided by the rate,
// whatever became of those before it. It is sent on a connection that is free, or
// waits for one, and its time counts from when it was due and not from when it was
// sent. So a server that stops for a second has a second in its latencies for every
// request that was due meanwhile, and not one slow request for each connection
// (which is called coordinated omission).
//
// One thread does it all without ever sleeping, for a timer would add a
// millisecond to what is measured in parts of one: give it a core of its own.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"
)

// result is what is printed, as JSON.
type result struct {
	Requests  int     `json:"requests"`
	PerSecond float64 `json:"perSecond"`
	P50Ms     float64 `json:"p50Ms"`
	P99Ms     float64 `json:"p99Ms"`
	MaxMs     float64 `json:"maxMs"`
}

func main() {
	addr := flag.String("addr", "", "`address` and port of the server")
	rate := flag.Float64("rate", 1000, "requests a second")
	connections := flag.Int("connections", 64, "connections")
	lasting := flag.Duration("for", 5*time.Second, "how long, after a second that does not count")
	flag.Parse()
	r, err := run(*addr, *rate, *connections, *lasting)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "openloop:", err)
		os.Exit(1)
	}
}

func run(addr string, rate float64, connections int, lasting time.Duration) (*result, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	request, err := io.ReadAll(os.Stdin)
	if err != nil {
		return nil, err
	}
	if rate <= 0 || connections < 1 || lasting <= 0 || len(request) == 0 {
		return nil, errors.New("a request, a rate, connections and a time are needed")
	}
	runtime.LockOSThread()
	c, err := dial(to, connections, request)
	if err != nil {
		return nil, err
	}
	const warmUp = time.Second
	all := int(rate * (warmUp + lasting).Seconds())
	first := int(rate * warmUp.Seconds())
	took, err := c.load(rate, all)
	if err != nil {
		return nil, err
	}
	// Up to the last answer, for a server that falls behind has a lower rate than what is asked of it.
	end := time.Duration(0)
	for n, t := range took {
		end = max(end, due(n, rate)+t)
	}
	took = took[first:]
	slices.Sort(took)
	return &result{
		Requests: len(took), PerSecond: float64(all) / end.Seconds(),
		P50Ms: milliseconds(quantile(took, 0.5)), P99Ms: milliseconds(quantile(took, 0.99)), MaxMs: milliseconds(took[len(took)-1]),
	}, nil
}

// due is when the request with number n is to be sent.
func due(n int, rate float64) time.Duration {
	return time.Duration(float64(n) / rate * float64(time.Second))
}

// quantile is the least of sorted times that a share of them does not exceed.
func quantile(sorted []time.Duration, share float64) time.Duration {
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

package manifest

import (
	"container/list"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits are how often one client address may ask, in requests a second. Zero: as
// often as it likes. What it may in five seconds may come at once. One address can
// hide a whole mobile network.
type Limits struct{ Resolve, Explain, Reports, Events int }

// DefaultLimits are meant to be noticed by programs that have gone wild and by
// nobody else.
func DefaultLimits() Limits { return Limits{Resolve: 500, Explain: 5, Reports: 200, Events: 50} }

// limited is what limits are for, as flags and metrics call it.
type limited string

const (
	limitResolve limited = "resolve"
	limitExplain limited = "explain"
	limitReports limited = "reports"
	limitEvents  limited = "events"
)

const (
	// burstSeconds is for how many seconds' worth of requests may come at once.
	burstSeconds = 5
	// maxAddresses bounds how many client addresses are remembered. Whoever asked
	// longest ago is forgotten first, and may then ask as if for the first time.
	maxAddresses = 1 << 15
	// maxRate bounds a limit, so that five seconds' worth is a number.
	maxRate = 1_000_000
)

func (l *Limits) of(what limited) *int {
	switch what {
	case limitResolve:
		return &l.Resolve
	case limitExplain:
		return &l.Explain
	case limitReports:
		return &l.Reports
	case limitEvents:
		return &l.Events
	}
	return nil
}

var allLimited = []limited{limitResolve, limitExplain, limitReports, limitEvents}

// MarshalText writes what UnmarshalText reads.
func (l Limits) MarshalText() ([]byte, error) {
	var parts []string
	for _, what := range allLimited {
		parts = append(parts, string(what)+"="+strconv.Itoa(*l.of(what)))
	}
	return []byte(strings.Join(parts, ",")), nil
}

// UnmarshalText reads a list such as "resolve=100,explain=0". What it does not name
// stays as it is.
func (l *Limits) UnmarshalText(text []byte) error {
	for item := range strings.SplitSeq(string(text), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		limit := l.of(limited(name))
		if limit == nil {
			return fmt.Errorf("there is no limit %q: there are resolve, explain, reports and events", name)
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > maxRate {
			return fmt.Errorf("%s must be a whole number of requests a second from 0 (no limit) to %d", name, maxRate)
		}
		*limit = n
	}
	return nil
}

// clients remembers how much each client address asked for of late.
type clients struct {
	limits Limits
	max    int
	mu     sync.Mutex
	byNet  map[netip.Prefix]*list.Element
	latest *list.List // of *client, who asked last in front
}

type client struct {
	network  netip.Prefix
	limiters map[limited]*rate.Limiter
}

func newClients(limits Limits) *clients {
	return &clients{limits: limits, max: maxAddresses, byNet: map[netip.Prefix]*list.Element{}, latest: list.New()}
}

// allow counts a request, or says how long to wait for the next that is allowed.
func (c *clients) allow(network netip.Prefix, what limited, now time.Time) (wait time.Duration) {
	limit := *c.limits.of(what)
	if limit == 0 {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.client(network).limiters
	if l[what] == nil {
		l[what] = rate.NewLimiter(rate.Limit(limit), limit*burstSeconds)
	}
	if l[what].AllowN(now, 1) {
		return 0
	}
	missing := 1 - l[what].TokensAt(now)
	return time.Duration(missing / float64(limit) * float64(time.Second))
}

func (c *clients) client(network netip.Prefix) *client {
	if e := c.byNet[network]; e != nil {
		c.latest.MoveToFront(e)
		known, _ := e.Value.(*client) // nothing else is in the list
		return known
	}
	for c.latest.Len() >= c.max {
		if oldest, ok := c.latest.Remove(c.latest.Back()).(*client); ok {
			delete(c.byNet, oldest.network)
		}
	}
	added := &client{network: network, limiters: make(map[limited]*rate.Limiter, 1)}
	c.byNet[network] = c.latest.PushFront(added)
	return added
}

// limit lets a client address ask only so often. It is asked before anything else
// is done for the request.
func (s *Service) limit(what limited, next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) *Problem {
		s.noticeProxy(r)
		network, known := s.addresses.of(r)
		if !known {
			return next(w, r)
		}
		wait := s.clients.allow(network, what, s.options.Now())
		if wait == 0 {
			return next(w, r)
		}
		s.metrics.limited.WithLabelValues(string(what)).Inc()
		allowOrigin(w, r, s.originsFor(r)) // a page may know, too
		return tooMany(wait, "too many requests come from this address")
	}
}

// tooMany asks to come back after a time, in whole seconds.
func tooMany(wait time.Duration, detail string) *Problem {
	p := problem(CodeTooManyRequests, "%s: wait for as many seconds as Retry-After says", detail)
	p.retryAfter = max(1, int(math.Ceil(wait.Seconds())))
	return p
}

// noticeProxy tells once that there seems to be a proxy that nobody trusts: the
// limits then take all its clients for one.
func (s *Service) noticeProxy(r *http.Request) {
	if len(s.addresses.proxies) > 0 || r.Header[s.addresses.header] == nil || s.toldProxy.Swap(true) {
		return
	}
	s.log.Info("Requests say that they come through a proxy, and -trusted-proxies names none: limits take all its clients for one.",
		"header", s.addresses.header)
}

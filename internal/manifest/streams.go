package manifest

import (
	"net/netip"
	"sync"
	"time"
)

// maxPending bounds what a stream keeps for a client that does not read. Beyond it
// the client is told to ask for the whole list.
const maxPending = 256

// streams are the host apps that listen for events.
type streams struct {
	metrics *metrics
	times   streamTimes
	// max bounds all, maxEach those of one client address.
	max, maxEach int
	// ended is closed when no stream may go on.
	ended chan struct{}

	mu     sync.Mutex
	count  int
	byHost map[string]map[*stream]bool
	byNet  map[netip.Prefix]int
}

// stream is one host app that listens.
type stream struct {
	host    string
	network netip.Prefix
	known   bool
	// wake has something in it when there is something to look at.
	wake chan struct{}

	mu sync.Mutex
	// changed has the newest sequence of each program that the client was not told of yet.
	changed map[string]int64
	// overflow: there was more than is kept.
	overflow bool
	id       string
}

func newStreams(most, each int, m *metrics) *streams {
	return &streams{
		metrics: m, times: usualStreamTimes, max: most, maxEach: each, ended: make(chan struct{}),
		byHost: map[string]map[*stream]bool{}, byNet: map[netip.Prefix]int{},
	}
}

// open takes a place for a stream, which close gives back.
func (x *streams) open(host string, network netip.Prefix, known bool) (*stream, *Problem) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.count >= x.max {
		p := problem(CodeBusy, "as many streams of events are open as are allowed: ask for the list from time to time instead, and try again later")
		p.retryAfter = int(about(time.Minute).Seconds())
		return nil, p
	}
	if known && x.byNet[network] >= x.maxEach {
		x.metrics.limited.WithLabelValues(string(limitEvents)).Inc()
		return nil, tooMany(about(time.Minute), "too many streams of events are open from this address")
	}
	one := &stream{host: host, network: network, known: known, wake: make(chan struct{}, 1), changed: map[string]int64{}}
	if x.byHost[host] == nil {
		x.byHost[host] = map[*stream]bool{}
	}
	x.byHost[host][one] = true
	if known {
		x.byNet[network]++
	}
	x.count++
	x.metrics.streams.Set(float64(x.count))
	return one, nil
}

func (x *streams) close(one *stream) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.byHost[one.host], one)
	if len(x.byHost[one.host]) == 0 {
		delete(x.byHost, one.host)
	}
	if one.known {
		if x.byNet[one.network]--; x.byNet[one.network] == 0 {
			delete(x.byNet, one.network)
		}
	}
	x.count--
	x.metrics.streams.Set(float64(x.count))
}

// end lets every stream end now. It is called once.
func (x *streams) end() { close(x.ended) }

// any tells whether anybody listens for a host app.
func (x *streams) any(host string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.byHost[host]) > 0
}

// tell hands each stream of a host app what changed, and wakes it also when nothing
// did, for it has to look whether its token is still one. It does not wait for clients.
func (x *streams) tell(host string, changed map[string]int64, id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for one := range x.byHost[host] {
		x.metrics.eventsDropped.Add(float64(one.add(changed, id)))
		select {
		case one.wake <- struct{}{}:
		default: // it was woken already
		}
	}
}

// add keeps what the client is to be told, the newest of each program, and returns how
// many were dropped for it.
func (s *stream) add(changed map[string]int64, id string) (dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id = id
	if s.overflow {
		return len(changed)
	}
	for appID, sequence := range changed {
		s.changed[appID] = sequence
	}
	if len(s.changed) <= maxPending {
		return 0
	}
	dropped = len(s.changed)
	s.overflow, s.changed = true, map[string]int64{}
	return dropped
}

// take returns all that waits to be told.
func (s *stream) take() (changed map[string]int64, overflow bool, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, overflow, id = s.changed, s.overflow, s.id
	s.changed, s.overflow = map[string]int64{}, false
	return changed, overflow, id
}

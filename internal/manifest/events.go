package manifest

import (
	"encoding/base64"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Types of events.
const (
	eventChanged = "changed"
	// eventReset: there may have been changes that this client was not told of.
	eventReset = "reset"
)

// event is one that host apps are sent. What has changed is in the document, which is
// signed; an event is only a reason to ask now instead of later.
type event struct {
	Type     string `json:"type"`
	AppID    string `json:"appID,omitempty"`
	Sequence int64  `json:"sequence,omitempty"`
}

// listed tells whether the list of programs has it. Events are about nothing else:
// what is hidden or blocked would be told to somebody who may not know of it.
func (p *program) listed(s slot) bool {
	return p != nil && p.block == nil && p.doc.Availability != document.Hidden && s.channel == document.ChannelRelease
}

// mark stands for all that a list has. It follows from the documents alone, so
// that every replica, also after a restart, gives the same list the same mark.
type mark [16]byte

// flip adds a program, or takes it out again.
func (m *mark) flip(p *program, s slot) {
	if !p.listed(s) {
		return
	}
	for i := range m {
		m[i] ^= p.payload[i]
	}
}

// id is the mark as the ID of an event.
func (m mark) id() string { return base64.RawURLEncoding.EncodeToString(m[:]) }

// announce tells the streams of each host app what of its list is not as it was.
func (s *Service) announce(c *change, next *snapshot) {
	touched := maps.Clone(c.touched)
	for name := range c.reconfigured {
		touched[name] = nil
	}
	for name, slots := range touched {
		before, after := c.before.hosts[name], next.hosts[name]
		if before == nil || after == nil || !s.streams.any(name) {
			continue
		}
		changed := map[string]int64{}
		compare := func(slot slot) {
			old, now := before.programs[slot], after.programs[slot]
			was, is := old.listed(slot), now.listed(slot)
			switch {
			case is && (!was || old.entry != now.entry), was && !is && now != nil:
				changed[slot.appID] = now.seen.Sequence
			case was && !is:
				changed[slot.appID] = old.seen.Sequence
			}
		}
		if c.reconfigured[name] {
			for slot := range before.programs {
				compare(slot)
			}
			for slot := range after.programs {
				compare(slot)
			}
		}
		for slot := range slots {
			compare(slot)
		}
		s.streams.tell(name, changed, after.mark.id())
	}
}

// Times of streams. Variables of a Service, so that tests need not wait.
type streamTimes struct {
	// heartbeat is how often something is sent, so that nothing between cuts the connection.
	heartbeat time.Duration
	// write is how long one write may take.
	write time.Duration
	// lifetime is about how long a stream lasts, so that replicas that were started later get their share.
	lifetime time.Duration
	// retry is about how long a client is told to wait before it connects again.
	retry time.Duration
	// leaving is the same for those whose replica ends: all of them come back at once, to the others.
	leaving time.Duration
}

var usualStreamTimes = streamTimes{
	heartbeat: 15 * time.Second, write: 10 * time.Second, lifetime: 30 * time.Minute, retry: 4 * time.Second, leaving: 10 * time.Second,
}

// about spreads what many clients do over half to one and a half times d.
func about(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }

// getEvents tells a host app, for as long as it listens, that programs which its
// list has, or had, have changed.
func (s *Service) getEvents(w http.ResponseWriter, r *http.Request, h *host) *Problem {
	if r.Method == http.MethodHead {
		beginEvents(w)
		return nil
	}
	network, known := s.addresses.of(r)
	one, p := s.streams.open(h.config.Name, network, known)
	if p != nil {
		return p
	}
	defer s.streams.close(one)
	// After the stream was opened: what changes from here on is told.
	if h = s.store.current.Load().hosts[one.host]; h == nil {
		return problem(CodeUnknownHost, "no host app has this name")
	}
	beginEvents(w)
	out := &eventWriter{w: w, control: http.NewResponseController(w), patience: s.streams.times.write}
	why := endedClient
	if out.send(s.greeting(h.mark.id(), r.Header.Get("Last-Event-ID"))) {
		why = s.follow(r, one, out)
	}
	if why == endedShutdown {
		out.send(append(appendRetry(nil, s.streams.times.leaving), '\n'))
	}
	s.metrics.streamEnds.WithLabelValues(why).Inc()
	return nil
}

func beginEvents(w http.ResponseWriter) {
	header := w.Header()
	header["Content-Type"] = []string{"text/event-stream"}
	header["Cache-Control"] = cacheNever
	header["X-Content-Type-Options"] = noSniff
	header["X-Accel-Buffering"] = []string{"no"} // nginx would keep events for itself
	w.WriteHeader(http.StatusOK)
}

// greeting is what a stream begins with: when to come back, and unless the client
// knows the list as it is, that it should ask for it once.
func (s *Service) greeting(id, last string) []byte {
	text := appendRetry(nil, s.streams.times.retry)
	if last == id {
		return append(text, "\n"...)
	}
	s.metrics.events.WithLabelValues(eventReset).Inc()
	return appendEvent(text, id, event{Type: eventReset})
}

// Why streams end: the values of a metric's label.
const (
	endedClient   = "client"   // it has gone, or took too long to read
	endedRevoked  = "revoked"  // its access token is none any more, or the host app is disabled
	endedLifetime = "lifetime" // it is to come back, to another replica perhaps
	endedShutdown = "shutdown"
)

// follow sends what happens until the stream ends, and says why it did.
func (s *Service) follow(r *http.Request, one *stream, out *eventWriter) (why string) {
	heartbeat := time.NewTicker(s.streams.times.heartbeat)
	defer heartbeat.Stop()
	lifetime := time.NewTimer(about(s.streams.times.lifetime))
	defer lifetime.Stop()
	for {
		var text []byte
		select {
		case <-r.Context().Done():
			return endedClient
		case <-s.streams.ended:
			return endedShutdown
		case <-lifetime.C:
			return endedLifetime
		case <-heartbeat.C:
			text = []byte(":\n\n")
		case <-one.wake:
			if h := s.store.current.Load().hosts[one.host]; h == nil || h.admit(r) != nil || h.config.Availability == hostAppDisabled {
				return endedRevoked
			}
			text = s.eventsOf(one.take())
		}
		if !out.send(text) {
			return endedClient
		}
	}
}

// eventsOf writes what a stream waits to tell. Only the last event has an ID: who is
// cut off before it has not heard everything, and is told so when he is back.
func (s *Service) eventsOf(changed map[string]int64, overflow bool, id string) []byte {
	if overflow {
		s.metrics.events.WithLabelValues(eventReset).Inc()
		return appendEvent(nil, id, event{Type: eventReset})
	}
	var text []byte
	appIDs := slices.Sorted(maps.Keys(changed))
	for i, appID := range appIDs {
		last := ""
		if i == len(appIDs)-1 {
			last = id
		}
		text = appendEvent(text, last, event{Type: eventChanged, AppID: appID, Sequence: changed[appID]})
	}
	s.metrics.events.WithLabelValues(eventChanged).Add(float64(len(appIDs)))
	return text
}

// appendRetry tells a client about when to come back; no two are told the same.
func appendRetry(text []byte, wait time.Duration) []byte {
	text = strconv.AppendInt(append(text, "retry: "...), about(wait).Milliseconds(), 10)
	return append(text, '\n')
}

func appendEvent(text []byte, id string, e event) []byte {
	data, err := marshal(e)
	if err != nil {
		panic("an event has only strings and a number: " + err.Error())
	}
	if id != "" {
		text = append(append(append(text, "id: "...), id...), '\n')
	}
	return append(append(append(text, "data: "...), data...), "\n\n"...)
}

// eventWriter sends at once, and gives up on who does not read.
type eventWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
}

func (o *eventWriter) send(text []byte) bool {
	if len(text) == 0 {
		return true
	}
	_ = o.control.SetWriteDeadline(time.Now().Add(o.patience)) // a connection without deadlines needs no others
	if _, err := o.w.Write(text); err != nil {
		return false
	}
	if o.control.Flush() != nil {
		return false
	}
	// With HTTP/2 a deadline that passes ends the stream, also while nothing is being written.
	_ = o.control.SetWriteDeadline(time.Time{})
	return true
}

package manifest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

const eventsPath = "/v1/hosts/wallet/events"

// listener is a host app that listens for events.
type listener struct {
	t      *testing.T
	header http.Header
	proto  string
	lines  *bufio.Reader
	close  func()
	// id is that of the last event.
	id string
}

// listen opens a stream, which must be let in.
func (f *fixture) listen(header ...string) *listener {
	f.t.Helper()
	t, ok := f.t.(*testing.T)
	if !ok {
		f.t.Fatal("only tests listen")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // else a test that fails would hang
	request, err := http.NewRequestWithContext(ctx, "GET", f.server.URL+eventsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := f.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{t: t, header: response.Header, proto: response.Proto, lines: bufio.NewReader(response.Body)}
	l.close = func() {
		cancel()
		response.Body.Close()
	}
	t.Cleanup(l.close)
	if response.StatusCode != 200 {
		t.Fatalf("status %d: %s", response.StatusCode, readAll(t, response.Body))
	}
	return l
}

// block returns the lines up to an empty one, or "end".
func (l *listener) block() string {
	l.t.Helper()
	var lines []string
	for {
		line, err := l.lines.ReadString('\n')
		if err == io.EOF && line == "" {
			return "end"
		}
		if err != nil {
			l.t.Fatalf("reading events after %q: %v", lines, err)
		}
		if line == "\n" {
			return strings.Join(lines, "\n")
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
}

// next returns the next data, without what is for the connection.
func (l *listener) next() string {
	l.t.Helper()
	for {
		block := l.block()
		if block == "end" {
			return block
		}
		data := ""
		for line := range strings.SplitSeq(block, "\n") {
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				l.id = id
			}
			if text, ok := strings.CutPrefix(line, "data: "); ok {
				data = text
			}
		}
		if data != "" {
			return data
		}
	}
}

func (l *listener) want(events ...string) {
	l.t.Helper()
	for _, want := range events {
		if got := l.next(); got != want {
			l.t.Fatalf("event %s, want %s", got, want)
		}
	}
}

func changed(appID string, sequence int64) string {
	return fmt.Sprintf(`{"type":"changed","appID":%q,"sequence":%d}`, appID, sequence)
}

const reset = `{"type":"reset"}`

// programOf is one of wallet.
func programOf(appID string, n int64, change ...func(*document.Release)) *document.Release {
	return shop(append([]func(*document.Release){sequence(n), func(r *document.Release) {
		r.AppID, r.Rollout.Name = appID, strings.TrimPrefix(appID, "com.example.")
	}}, change...)...)
}

func availability(a document.Availability) func(*document.Release) {
	return func(r *document.Release) { r.Availability = a }
}

func TestAStreamBeginsWithWhenToComeBackAndWhatToDo(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Origins = []string{"https://wallet.example.com"} }))
	f.publish(shop())
	l := f.listen("Origin", "https://wallet.example.com")
	l.header.Del("Date")
	want := http.Header{
		"Content-Type": {"text/event-stream"}, "Cache-Control": {"private, no-store"}, "X-Accel-Buffering": {"no"}, "X-Content-Type-Options": {"nosniff"},
		"Vary": {"Origin"}, "Access-Control-Allow-Origin": {"https://wallet.example.com"}, "Access-Control-Expose-Headers": corsExposed,
	}
	if diff := cmp.Diff(want, l.header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if first := l.block(); !regexp.MustCompile(`^retry: [1-9][0-9]{3}\nid: [A-Za-z0-9_-]{22}\ndata: {"type":"reset"}$`).MatchString(first) {
		t.Errorf("the first event is %q", first)
	}
	f.publish(shop(sequence(1001)))
	l.want(changed("com.example.shop", 1001))
	if got := f.do("HEAD", eventsPath, ""); got.Status != 200 || got.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD is answered %d %v", got.Status, got.Header)
	}
}

func TestEventsAreAboutWhatTheListHasOrHadAndNothingElse(t *testing.T) {
	block := func(blocks ...delivery.Block) func(*fixture) {
		return func(f *fixture) {
			f.hostApp(wallet(withTokens(newToken), func(c *delivery.HostAppConfig) {
				c.Blocks, c.Channels = blocks, []string{"release", "trial"}
			}))
		}
	}
	publish := func(releases ...*document.Release) func(*fixture) { return func(f *fixture) { f.publish(releases...) } }
	const id = "com.example.shop"
	for name, test := range map[string]struct {
		before, then []func(*fixture)
		want         []string
	}{
		"a new program":                {then: []func(*fixture){publish(programOf(id, 1001))}, want: []string{changed(id, 1001)}},
		"a changed share":              {before: []func(*fixture){publish(programOf(id, 1001))}, then: []func(*fixture){publish(programOf(id, 1002, withTarget(5000)))}, want: []string{changed(id, 1002)}},
		"one that was signed anew":     {before: []func(*fixture){publish(programOf(id, 1001))}, then: []func(*fixture){publish(programOf(id, 1001, func(r *document.Release) { r.IssuedAt = document.At(now.Add(time.Hour)) }))}, want: []string{changed(id, 1001)}},
		"a suspension":                 {before: []func(*fixture){publish(programOf(id, 1001))}, then: []func(*fixture){publish(programOf(id, 1002, availability(document.Suspended)))}, want: []string{changed(id, 1002)}},
		"a hidden program":             {then: []func(*fixture){publish(programOf(id, 1001, availability(document.Hidden)), programOf(id, 1002, availability(document.Hidden)))}},
		"one that is hidden":           {before: []func(*fixture){publish(programOf(id, 1001))}, then: []func(*fixture){publish(programOf(id, 1002, availability(document.Hidden))), publish(programOf(id, 1003, availability(document.Hidden)))}, want: []string{changed(id, 1002)}},
		"one that is shown":            {before: []func(*fixture){publish(programOf(id, 1001, availability(document.Hidden)))}, then: []func(*fixture){publish(programOf(id, 1002))}, want: []string{changed(id, 1002)}},
		"a block":                      {before: []func(*fixture){publish(programOf(id, 1001))}, then: []func(*fixture){block(delivery.Block{AppID: id, Reason: "r"}), publish(programOf(id, 1002))}, want: []string{changed(id, 1001)}},
		"a block of a digest":          {before: []func(*fixture){publish(programOf(id, 1001))}, then: []func(*fixture){block(delivery.Block{Digest: shop().Stable.Digest, Reason: "r"})}, want: []string{changed(id, 1001)}},
		"a block that is lifted":       {before: []func(*fixture){block(delivery.Block{AppID: id, Reason: "r"}), publish(programOf(id, 1001))}, then: []func(*fixture){block()}, want: []string{changed(id, 1001)}},
		"what was blocked all along":   {before: []func(*fixture){block(delivery.Block{AppID: id, Reason: "r"})}, then: []func(*fixture){publish(programOf(id, 1001)), publish(programOf(id, 1002))}},
		"what another host app gets":   {then: []func(*fixture){publish(programOf(id, 1001, func(r *document.Release) { r.HostApps = []string{"bank"} }))}},
		"what it gets no longer":       {before: []func(*fixture){publish(programOf(id, 1001))}, then: []func(*fixture){publish(programOf(id, 1002, func(r *document.Release) { r.HostApps = []string{"bank"} }))}, want: []string{changed(id, 1001)}},
		"a trial":                      {then: []func(*fixture){publish(programOf(id, 1001, func(r *document.Release) { r.Channel, r.Type = document.ChannelTrial, document.TypeTrial }))}},
		"a document that does not fit": {before: []func(*fixture){publish(programOf(id, 1001))}, then: []func(*fixture){publish(programOf(id, 1000))}},
		"other hints": {before: []func(*fixture){publish(programOf(id, 1001))}, then: []func(*fixture){func(f *fixture) {
			f.hostApp(wallet(withTokens(newToken), func(c *delivery.HostAppConfig) { c.Poll.MinSeconds = 5 }))
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			block()(f)
			f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Name = "bank" }))
			for _, do := range test.before {
				do(f)
			}
			l := f.listen("Authorization", "Bearer "+newToken)
			l.want(reset)
			for _, do := range test.then {
				do(f)
			}
			// What comes before it was all. It sorts last among what is told at once.
			f.publish(programOf("com.example.z", 9000, func(r *document.Release) { r.Stable = variant("9.0.0", 900) }))
			want := append(test.want, changed("com.example.z", 9000))
			var got []string
			for range want {
				got = append(got, l.next())
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhoMissedSomethingIsToldSoByEveryReplica(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop())
	l := f.listen()
	l.want(reset)
	f.publish(shop(sequence(1001)))
	l.want(changed("com.example.shop", 1001))
	middle := l.id
	f.publish(programOf("com.example.other", 1))
	l.want(changed("com.example.other", 1))
	l.close()

	other := newFixture(t) // another replica, which heard of everything in another order
	other.key = f.key
	other.trust(f.key)
	other.service.reloadKeys()
	other.put(f.rolloutRecord(programOf("com.example.other", 1)), f.rolloutRecord(shop(sequence(1001))))
	other.hostApp(wallet())
	for name, replica := range map[string]*fixture{"the same": f, "another": other} {
		again := replica.listen("Last-Event-ID", l.id)
		if first := again.block(); !strings.HasPrefix(first, "retry: ") || strings.Contains(first, "data") {
			t.Errorf("%s says at first %q to who has missed nothing", name, first)
		}
		for _, stale := range []string{middle, "", "x", strings.Repeat("x", 5000)} {
			late := replica.listen("Last-Event-ID", stale)
			late.want(reset)
			if late.id != l.id {
				t.Errorf("%s has the ID %s, want %s", name, late.id, l.id)
			}
		}
		next := programOf("com.example.other", 2)
		replica.put(f.rolloutRecord(next))
		again.want(changed("com.example.other", 2))
	}
}

func TestOnlyTheLastOfSeveralEventsSaysThatAllWereSent(t *testing.T) {
	f := newFixture(t)
	text := string(f.service.eventsOf(map[string]int64{"b": 2, "a": 1}, false, "ID"))
	want := "data: " + changed("a", 1) + "\n\nid: ID\ndata: " + changed("b", 2) + "\n\n"
	if text != want {
		t.Errorf("sent is %q, want %q", text, want)
	}
}

func TestAClientThatDoesNotReadIsToldToAskForTheList(t *testing.T) {
	m := newMetrics()
	x := newStreams(10, 10, m)
	one, p := x.open("wallet", netip.Prefix{}, false)
	if p != nil {
		t.Fatal(p.Detail)
	}
	for n := range int64(3 * maxPending) {
		x.tell("wallet", map[string]int64{fmt.Sprintf("com.example.p%d", n): n}, "id")
		if len(one.changed) > maxPending {
			t.Fatalf("%d programs are kept for it", len(one.changed))
		}
	}
	if changed, overflow, _ := one.take(); !overflow || len(changed) != 0 {
		t.Errorf("to be told are %d programs, overflow is %t", len(changed), overflow)
	}
	if got := testutil.ToFloat64(m.eventsDropped); got != 3*maxPending {
		t.Errorf("%v events were dropped, want %d", got, 3*maxPending)
	}
	for n := range int64(1000) { // of one program only the newest counts
		x.tell("wallet", map[string]int64{"com.example.shop": n}, "id")
	}
	changed, overflow, _ := one.take()
	if diff := cmp.Diff(map[string]int64{"com.example.shop": 999}, changed); diff != "" || overflow {
		t.Errorf("overflow is %t (-want +got):\n%s", overflow, diff)
	}
}

func TestManyChangesAtOnceAreOneReset(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	l := f.listen()
	l.want(reset)
	var updates []update
	for n := range maxPending + 1 {
		r := f.rolloutRecord(programOf(fmt.Sprintf("com.example.p%d", n), 1))
		updates = append(updates, update{name: r.Name, record: r})
	}
	f.service.store.apply(updates)
	l.want(reset)
	f.publish(shop())
	l.want(changed("com.example.shop", 1000))
}

func TestAStreamOutlivesTheTimeLimitOfAnswers(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.service.streams.times.heartbeat = 20 * time.Millisecond
	f.server = httptest.NewUnstartedServer(f.service.Handler())
	f.server.Config.WriteTimeout = 50 * time.Millisecond
	f.server.Start()
	t.Cleanup(f.server.Close)
	l := f.listen()
	l.want(reset)
	for range 15 {
		if got := l.block(); got != ":" {
			t.Fatalf("instead of a heartbeat came %q", got)
		}
	}
	f.publish(shop())
	l.want(changed("com.example.shop", 1000))
}

// With HTTP/2 a time limit of a write ends a stream that rests, too.
func TestAStreamOfHTTP2OutlivesTheTimeLimitOfAWrite(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.service.streams.times.write, f.service.streams.times.heartbeat = 2*time.Second, 3*time.Second
	f.server = httptest.NewUnstartedServer(f.service.Handler())
	f.server.EnableHTTP2 = true
	f.server.Config.WriteTimeout = time.Second
	f.server.StartTLS()
	t.Cleanup(f.server.Close)
	l := f.listen()
	if l.proto != "HTTP/2.0" {
		t.Fatalf("the stream is one of %s", l.proto)
	}
	l.want(reset)
	if got := l.block(); got != ":" {
		t.Errorf("instead of a heartbeat came %q", got)
	}
}

func TestAClientThatStopsReadingIsCutOff(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.service.streams.times.write = 20 * time.Millisecond
	connection, err := net.Dial("tcp", f.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", eventsPath)
	ended := f.service.metrics.streamEnds.WithLabelValues(endedClient)
	many := map[string]int64{}
	for n := range maxPending {
		many[fmt.Sprintf("com.example.%0*d", 50, n)] = 1
	}
	until(t, "it is never cut off", func() bool {
		f.service.streams.tell("wallet", many, "id")
		return testutil.ToFloat64(ended) > 0
	})
	if f.service.streams.any("wallet") {
		t.Error("its stream is kept")
	}
}

// One that reads nothing keeps nobody from hearing at once what changed.
func TestWhoDoesNotReadHoldsUpNobody(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.service.streams.times.write = time.Minute
	stuck, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}).DialContext(t.Context(), "tcp", f.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	fmt.Fprintf(stuck, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", eventsPath)
	until(t, "its stream does not begin", func() bool { return f.service.streams.any("wallet") })
	many := map[string]int64{}
	for n := range maxPending + 1 { // each time it is to be told a reset
		many[fmt.Sprint(n)] = 1
	}
	id := strings.Repeat("x", 60_000)
	for one := f.streamFrom("127.0.0.3/32"); ; { // until a write to it takes for ever
		f.service.streams.tell("wallet", many, id)
		before := testutil.ToFloat64(f.service.metrics.events.WithLabelValues(eventReset))
		for range 1000 {
			runtime.Gosched()
		}
		one.mu.Lock()
		waits := one.overflow
		one.mu.Unlock()
		if waits && testutil.ToFloat64(f.service.metrics.events.WithLabelValues(eventReset)) == before && before > 20 {
			break
		}
	}
	l := f.listen()
	l.want(reset)
	for n := range int64(20) {
		f.publish(shop(sequence(2000 + n)))
		l.want(changed("com.example.shop", 2000+n))
	}
	if n := testutil.ToFloat64(f.service.metrics.streams); n != 2 {
		t.Errorf("%v streams are open, want 2: the one that does not read was cut off", n)
	}
}

// streamFrom returns the stream of one address.
func (f *fixture) streamFrom(network string) *stream {
	x := f.service.streams
	x.mu.Lock()
	defer x.mu.Unlock()
	for one := range x.byHost["wallet"] {
		if one.network.String() == network {
			return one
		}
	}
	f.t.Fatalf("nobody listens from %s", network)
	return nil
}

func TestATokenThatIsTakenBackEndsItsStreams(t *testing.T) {
	for name, change := range map[string]func(*fixture){
		"the token": func(f *fixture) { f.hostApp(wallet(withTokens(newToken))) },
		"the app": func(f *fixture) {
			f.hostApp(wallet(withTokens(oldToken, newToken), func(c *delivery.HostAppConfig) { c.Availability = "Disabled" }))
		},
		"all of them": func(f *fixture) { f.hostApp(wallet(withTokens())) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.hostApp(wallet(withTokens(oldToken, newToken)))
			l := f.listen("Authorization", "Bearer "+oldToken)
			l.want(reset)
			f.hostApp(wallet(withTokens(oldToken, newToken), func(c *delivery.HostAppConfig) { c.DisplayName = "Other" })) // which is none of its business
			f.publish(shop())
			l.want(changed("com.example.shop", 1000))
			change(f)
			f.publish(shop(sequence(1001)))
			l.want("end")
			if n := testutil.ToFloat64(f.service.metrics.streamEnds.WithLabelValues(endedRevoked)); n != 1 {
				t.Errorf("%v streams ended for it, want 1", n)
			}
		})
	}
}

func TestStreamsAreAskedForTokensAsEverythingElse(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet(withTokens(newToken)))
	for _, header := range [][]string{nil, {"Authorization", "Bearer " + oldToken}} {
		if got := f.get(eventsPath, header...); got.Status != 401 {
			t.Errorf("%v is answered %d", header, got.Status)
		}
	}
	if got := f.get("/v1/hosts/nobody/events"); got.Status != 404 {
		t.Errorf("an unknown host app is answered %d", got.Status)
	}
}

func TestOnlySoManyListen(t *testing.T) {
	const busy = `{"title":"Too many ask at a time","status":503,"detail":"as many streams of events are open as are allowed: ask for the list from time to time instead, and try again later","code":"Busy"}`
	const many = `{"title":"Too many requests","status":429,"detail":"too many streams of events are open from this address: wait for as many seconds as Retry-After says","code":"TooManyRequests"}`
	f := newFixture(t, func(o *Options) {
		o.MaxStreams, o.MaxStreamsPerAddress = 3, 2
		o.TrustedProxies = proxies(t, "127.0.0.0/8")
	})
	f.hostApp(wallet())
	from := func(address string) []string { return []string{"X-Forwarded-For", address} }
	first := f.listen(from("203.0.113.9")...)
	f.listen(from("203.0.113.9")...)
	wanted := func(header []string, status int, body string) {
		t.Helper()
		got := f.get(eventsPath, header...)
		if got.Status != status || got.Body != body || got.Header.Get("Retry-After") == "" {
			t.Errorf("answer %d %s, Retry-After %q", got.Status, got.Body, got.Header.Get("Retry-After"))
		}
	}
	wanted(from("203.0.113.9"), 429, many)
	f.listen(from("2001:db8:1:2::1")...)
	wanted(from("203.0.113.10"), 503, busy)
	first.close()
	until(t, "the place is never free again", func() bool { return testutil.ToFloat64(f.service.metrics.streams) == 2 })
	f.listen(from("203.0.113.9")...) // who has gone makes room, in both
}

func TestTheEndOfTheServiceEndsStreamsAndWaitsForNone(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	o := ServeOptions{Public: listen(t), Private: listen(t)}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.service.Serve(ctx, o) }()
	f.server.URL = "http://" + o.Public.Addr().String()
	l := f.listen()
	l.want(reset)
	f.publish(shop())
	l.want(changed("com.example.shop", 1000))
	end()
	var wait int
	if last := l.block(); !regexp.MustCompile(`^retry: [0-9]+$`).MatchString(last) {
		t.Errorf("the last that it is told is %q", last)
	} else if _, err := fmt.Sscanf(last, "retry: %d", &wait); err != nil || wait < 5000 || wait > 15000 {
		t.Errorf("it is to come back after %d ms, want 5000 to 15000", wait)
	}
	l.want("end")
	if err := <-ended; err != nil {
		t.Errorf("the service ended with %v", err)
	}
	if n := testutil.ToFloat64(f.service.metrics.streamEnds.WithLabelValues(endedShutdown)); n != 1 {
		t.Errorf("%v streams ended for it, want 1", n)
	}
}

func TestAStreamEndsAfterItsLifetime(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.service.streams.times.lifetime = time.Millisecond
	f.listen().want(reset, "end")
}

// Whatever ID a client comes back with, it is told that it missed something, unless it
// has the very ID of what the list is now.
func FuzzLastEventID(f *testing.F) {
	service := newFixture(f)
	service.hostApp(wallet())
	service.publish(shop())
	s := service.service
	id := s.store.current.Load().hosts["wallet"].mark.id()
	for _, seed := range []string{"", id, id + " ", strings.ToUpper(id), "\n\ndata: x", strings.Repeat("A", 22)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, last string) {
		text := string(s.greeting(id, last))
		told := strings.HasSuffix(text, "id: "+id+"\ndata: "+reset+"\n\n")
		silent := regexp.MustCompile(`^retry: [0-9]+\n\n$`).MatchString(text)
		if told == silent || silent != (last == id) {
			t.Errorf("who was last told %q is told %q", last, text)
		}
	})
}

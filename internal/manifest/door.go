package manifest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Why a connection is turned away: the values of a metric's label.
const (
	refusedTotal   = "total"
	refusedAddress = "address"
)

const (
	// turnedAwayAtOnce connections are told why at a time; others are only closed.
	turnedAwayAtOnce = 64
	// turningAway is how long it may take to tell one.
	turningAway = 2 * time.Second
	// comeBack is about when one that was turned away may try again.
	comeBack = 10 * time.Second
)

// door counts the connections of host apps, and lets only so many in: each costs memory and
// a file descriptor for as long as it is open, whatever it asks for.
type door struct {
	metrics *metrics
	// max bounds all, maxEach those of one client address.
	max, maxEach int
	// trusts tells who is a proxy: many clients come from its one address.
	trusts func(netip.Addr) bool
	// telling has something in it for each connection that is being told why it cannot stay.
	telling chan struct{}

	// count is changed with mu only, and read by every request.
	count atomic.Int64
	mu    sync.Mutex
	byNet map[netip.Prefix]int
}

func newDoor(most, each int, trusts func(netip.Addr) bool, m *metrics) *door {
	return &door{
		metrics: m, max: most, maxEach: each, trusts: trusts, telling: make(chan struct{}, turnedAwayAtOnce), byNet: map[netip.Prefix]int{},
	}
}

// crowded tells whether three quarters of the places are taken. From then on a connection ends
// with its answer, so that those that rest do not keep the others out.
func (d *door) crowded() bool {
	return int(d.count.Load()) > d.max-d.max/4
}

// enter takes a place, which leave gives back. Without leave there is none, for the reason refused.
func (d *door) enter(from net.Addr) (leave func(), refused string) {
	tcp, ok := from.(*net.TCPAddr)
	each := ok && !d.trusts(tcp.AddrPort().Addr().Unmap())
	var of netip.Prefix
	if each {
		of = network(tcp.AddrPort().Addr().Unmap())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case int(d.count.Load()) >= d.max:
		return nil, refusedTotal
	case each && d.byNet[of] >= d.maxEach:
		return nil, refusedAddress
	}
	if each {
		d.byNet[of]++
	}
	d.metrics.connections.Set(float64(d.count.Add(1)))
	return sync.OnceFunc(func() { d.leave(of, each) }), ""
}

func (d *door) leave(of netip.Prefix, each bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if each {
		if d.byNet[of]--; d.byNet[of] == 0 {
			delete(d.byNet, of)
		}
	}
	d.metrics.connections.Set(float64(d.count.Add(-1)))
}

// guard lets the connections of a listener in by the door. With TLS, whoever has to stay out is
// only closed: to tell him would first cost a handshake.
func (d *door) guard(l net.Listener, hasTLS bool) net.Listener {
	return &guarded{Listener: l, door: d, hasTLS: hasTLS}
}

type guarded struct {
	net.Listener
	door   *door
	hasTLS bool
}

// Accept returns the next connection for which there is a place.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			return conn, nil
		}
		leave, refused := g.door.enter(conn.RemoteAddr())
		if leave != nil {
			return &guest{TCPConn: tcp, leave: leave}, nil
		}
		g.door.metrics.refused.WithLabelValues(refused).Inc()
		g.door.turnAway(tcp, refused, g.hasTLS)
	}
}

// turnAway closes a connection, and says why where that costs little.
func (d *door) turnAway(conn *net.TCPConn, refused string, hasTLS bool) {
	if !hasTLS {
		select {
		case d.telling <- struct{}{}:
			go func() {
				defer func() { <-d.telling }()
				tellWhy(conn, tooManyConnections(refused))
			}()
			return
		default:
		}
	}
	_ = conn.Close()
}

func tooManyConnections(refused string) *Problem {
	if refused == refusedAddress {
		return tooMany(about(comeBack), "too many connections are open from this address")
	}
	p := problem(CodeBusy, "as many connections are open as are allowed: try again after as many seconds as Retry-After says")
	p.retryAfter = int(about(comeBack).Seconds())
	return p
}

// tellWhy answers one request with a problem. It reads first, for a client takes an answer to
// what it has not yet asked for a fault of the connection; and it reads on for a moment, for
// bytes that nobody has read when the connection is closed take the answer with them.
func tellWhy(conn *net.TCPConn, p *Problem) {
	defer func() { _ = conn.Close() }()
	if conn.SetDeadline(time.Now().Add(turningAway)) != nil {
		return
	}
	first := make([]byte, plainBytes)
	n, err := conn.Read(first)
	if err != nil {
		return
	}
	method := http.MethodGet
	if string(first[:min(n, 5)]) == "HEAD " {
		method = http.MethodHead
	}
	if _, err := conn.Write(p.raw(method)); err != nil || conn.CloseWrite() != nil {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, maxRequestBytes))
}

// guest is a connection that has a place.
type guest struct {
	*net.TCPConn
	leave func()
}

// Close gives the place back.
func (g *guest) Close() error {
	defer g.leave()
	return g.TCPConn.Close()
}

// acceptPatiently returns the next connection. While the process, or the machine, has no file
// descriptor left for one, it waits: that passes, and ends no service.
func acceptPatiently(l net.Listener, closed <-chan struct{}) (net.Conn, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		conn, err := l.Accept()
		if err == nil || !passes(err) {
			return conn, err
		}
		select {
		case <-time.After(wait):
		case <-closed:
			return nil, err
		}
	}
}

// passes tells whether a connection may be accepted later.
func passes(err error) bool {
	for _, one := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

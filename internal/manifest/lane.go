package manifest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// lane answers what host apps ask most, documents, lists and resolve, on connections
// without TLS, with the same handler and far less work than net/http does for all that
// HTTP can be; the package comment has the figures. It knows one plain form of a request
// (see parsePlain). With the first bytes on a connection that are anything else, net/http
// gets the connection with those bytes, and keeps it: so that nothing is refused, limited
// or read in another way than there.
//
// It is the listener of the http.Server that it hands connections to.
type lane struct {
	net.Listener
	server *http.Server
	// handed has the connections for net/http, and failed why no more come.
	handed chan net.Conn
	failed chan error
	closed chan struct{}
	once   sync.Once

	mu sync.Mutex
	// idle tells of each connection here whether it waits for a request.
	idle map[*plainConn]bool
	// ended is woken when a connection has ended.
	ended *sync.Cond
}

// newLane takes connections from l until it is closed.
func newLane(l net.Listener, server *http.Server) *lane {
	n := &lane{
		Listener: l, server: server, handed: make(chan net.Conn), failed: make(chan error, 1), closed: make(chan struct{}),
		idle: map[*plainConn]bool{},
	}
	n.ended = sync.NewCond(&n.mu)
	go n.run()
	return n
}

func (n *lane) run() {
	for {
		conn, err := acceptPatiently(n.Listener, n.closed)
		if err != nil {
			n.failed <- err
			return
		}
		switch conn := conn.(type) {
		case *net.TCPConn:
			go n.serve(conn, conn)
		case *guest:
			go n.serve(conn.TCPConn, conn)
		default:
			n.hand(conn)
		}
	}
}

// Accept returns connections for net/http.
func (n *lane) Accept() (net.Conn, error) {
	select {
	case conn := <-n.handed:
		return conn, nil
	case err := <-n.failed:
		return nil, err
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *lane) hand(conn net.Conn) {
	select {
	case n.handed <- conn:
	case <-n.closed:
		_ = conn.Close() // nobody takes it any more
	}
}

// Close takes no more connections, and ends those that wait for a request. Those that
// are being answered end with the answer.
func (n *lane) Close() error {
	n.once.Do(func() { close(n.closed) })
	err := n.Listener.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	for c, isIdle := range n.idle {
		if isIdle {
			_ = c.tcp.Close() // wakes who reads from it
		}
	}
	return err
}

// wait returns when all connections have ended; Close comes first. They end by themselves within
// the limit of a write.
func (n *lane) wait() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.idle) > 0 {
		n.ended.Wait()
	}
}

// mark notes whether a connection waits for a request, and tells whether it may go on.
func (n *lane) mark(c *plainConn, isIdle bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.closed:
		return false
	default:
		n.idle[c] = isIdle
		return true
	}
}

func (n *lane) forget(c *plainConn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.idle, c)
	n.ended.Broadcast()
}

// plainConn is a connection in the lane, with what its requests use again and again.
type plainConn struct {
	tcp     *net.TCPConn
	remote  string
	buffer  [plainBytes]byte
	request http.Request
	url     url.URL
	plain   plainRequest
	body    plainBody
	writer  plainWriter
	// readBy and writeBy are the deadlines that are set.
	readBy, writeBy time.Time
}

// plainBytes is the size of the largest request in the lane.
const plainBytes = 4 << 10

// plainBody is a body that is there already.
type plainBody struct{ bytes.Reader }

// Close does nothing.
func (*plainBody) Close() error { return nil }

// serve answers requests until the connection ends, or is net/http's. It is closed with owner.
func (n *lane) serve(tcp *net.TCPConn, owner io.Closer) {
	c := &plainConn{tcp: tcp, remote: tcp.RemoteAddr().String()}
	c.plain.header, c.writer.header = http.Header{}, http.Header{}
	handedOver := false
	defer func() {
		// The handler has told of its defects; http.ErrAbortHandler is the way to end a connection.
		_ = recover()
		n.forget(c)
		if !handedOver {
			_ = owner.Close()
		}
	}()
	patience := n.server.ReadHeaderTimeout // for the first request; then the connection may rest
	for n.mark(c, true) {
		now := time.Now()
		if err := extend(&c.readBy, now, patience, tcp.SetReadDeadline); err != nil {
			return
		}
		size, err := tcp.Read(c.buffer[:])
		if err != nil {
			return
		}
		n.mark(c, false) // what was asked is answered, also while all ends
		if !c.plain.parse(c.buffer[:size]) {
			if tcp.SetDeadline(time.Time{}) == nil {
				handedOver = true
				n.forget(c)
				n.hand(&handedConn{TCPConn: tcp, owner: owner, first: bytes.Clone(c.buffer[:size])})
			}
			return
		}
		if err := extend(&c.writeBy, time.Now(), n.server.WriteTimeout, tcp.SetWriteDeadline); err != nil {
			return
		}
		c.fill()
		c.writer.begin(tcp, c.plain.method == http.MethodHead)
		n.server.Handler.ServeHTTP(&c.writer, &c.request)
		if err := c.writer.finish(); err != nil || c.writer.closes() {
			return
		}
		patience = n.server.IdleTimeout
	}
}

// extend moves a deadline where it has fallen a little behind, for doing so costs more
// than reading the clock.
func extend(by *time.Time, now time.Time, patience time.Duration, set func(time.Time) error) error {
	if patience == 0 {
		return nil
	}
	slack := min(time.Second, patience/8)
	if left := by.Sub(now); left >= patience-slack && left <= patience {
		return nil
	}
	*by = now.Add(patience)
	return set(*by)
}

// fill makes what a handler is given.
func (c *plainConn) fill() {
	p := &c.plain
	c.url = url.URL{Path: p.path, RawQuery: p.query}
	c.request = http.Request{
		Method: p.method, URL: &c.url, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: p.header, Body: http.NoBody,
		Host: p.host, RemoteAddr: c.remote, RequestURI: p.target,
	}
	if len(p.body) > 0 {
		c.body.Reset(p.body)
		c.request.Body, c.request.ContentLength = &c.body, int64(len(p.body))
	}
}

// handedConn is a connection of which the first bytes were read already.
type handedConn struct {
	*net.TCPConn
	owner io.Closer
	first []byte
	// unread: no handler has a request of it; count is told of those that net/http refuses then.
	unread atomic.Bool
	count  func(status int)
}

// Close closes it for its owner.
func (c *handedConn) Close() error { return c.owner.Close() }

func (c *handedConn) Read(b []byte) (int, error) {
	if len(c.first) == 0 {
		return c.TCPConn.Read(b)
	}
	size := copy(b, c.first)
	c.first = c.first[size:]
	return size, nil
}

// errLength is a handler that says one length and writes another.
var errLength = errors.New("the answer does not have the length that was announced")

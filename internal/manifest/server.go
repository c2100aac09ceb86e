package manifest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
)

// ServeOptions say where a Service is reached.
type ServeOptions struct {
	// Public is for host apps, Private for probes, metrics and profiles. Serve closes both.
	Public, Private net.Listener
	// TLSCert and TLSKey are PEM files for the public listener, read again when
	// they change. Empty: plain HTTP.
	TLSCert, TLSKey string
	// ShutdownDelay is how long to go on serving, not ready, after the context
	// ended, so that whoever distributes requests can take notice.
	ShutdownDelay time.Duration
	// ShutdownTimeout is how long requests may then still take. Zero: 30 s.
	ShutdownTimeout time.Duration
}

// Limits of a connection. Blobs have a write limit of their own, by their size.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
)

// Serve runs the service until the context ends, and then ends without losing a
// request: not ready first, then ShutdownDelay, then no new connections, then the
// end of what is under way. Up to then it takes over what is published.
func (s *Service) Serve(ctx context.Context, o ServeOptions) error {
	if o.ShutdownTimeout == 0 {
		o.ShutdownTimeout = 30 * time.Second
	}
	public, err := s.publicServer(ctx, &o)
	if err != nil {
		return errors.Join(err, o.Public.Close(), o.Private.Close())
	}
	private := s.server(s.PrivateHandler())
	private.WriteTimeout = 0 // profiles take as long as was asked for

	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	failed := make(chan error, 3)
	go func() { failed <- serving(public, s.door.guard(o.Public, o.TLSCert != "")) }()
	go func() { failed <- serving(private, o.Private) }()
	go func() { failed <- s.Run(background) }()
	s.log.Info("Serving.", "public", o.Public.Addr().String(), "private", o.Private.Addr().String(), "tls", o.TLSCert != "")

	running := 3
	select {
	case err = <-failed:
		running--
	case <-ctx.Done():
		s.log.Info("Ending: not ready from now on.", "delay", o.ShutdownDelay.String())
		err = s.drain(public, &o)
	}
	stop()
	err = errors.Join(err, public.Close(), private.Close())
	for range running {
		err = errors.Join(err, <-failed)
	}
	return err
}

// drain ends the public server without losing a request.
func (s *Service) drain(public *http.Server, o *ServeOptions) error {
	s.draining.Store(true)
	time.Sleep(o.ShutdownDelay)
	s.streams.end() // not earlier: who comes back now is sent elsewhere
	ctx, cancel := context.WithTimeout(context.Background(), o.ShutdownTimeout)
	defer cancel()
	if err := public.Shutdown(ctx); err != nil {
		return fmt.Errorf("waiting for requests under way: %w", err)
	}
	return nil
}

func (s *Service) server(h http.Handler) *http.Server {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// What clients do wrong with a connection is no error of ours.
		ErrorLog: log.New(nameless{s.log.V(1)}, "", 0),
	}
	tellRefusals(server, func(status int) { s.metrics.requests.WithLabelValues(unread, strconv.Itoa(status)).Inc() })
	return server
}

// nameless logs what net/http says of a connection, without the address of who has it.
type nameless struct{ logr.Logger }

var peer = regexp.MustCompile(` from (\[[^\]]*\]|[0-9.]+):[0-9]+`)

// Write implements io.Writer.
func (l nameless) Write(line []byte) (int, error) {
	l.Info(peer.ReplaceAllString(strings.TrimSpace(string(line)), " from a client"))
	return len(line), nil
}

func (s *Service) publicServer(ctx context.Context, o *ServeOptions) (*http.Server, error) {
	server := s.server(s.Handler())
	if o.TLSCert == "" {
		return server, nil
	}
	pair, err := loadPair(o.TLSCert, o.TLSKey)
	if err != nil {
		return nil, err
	}
	go pair.reloadUntil(ctx, s.options.ReloadEvery, s.log)
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	return server, nil
}

// serving serves until the server is closed, which is no error.
func serving(server *http.Server, l net.Listener) error {
	var err error
	if server.TLSConfig != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		fast := newLane(l, server)
		err = server.Serve(fast)
		fast.wait()
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving on %s: %w", l.Addr(), err)
}

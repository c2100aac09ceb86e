//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// patience is by how much the answers may be late before it is no use to go on.
const patience = 20 * time.Second

// client has the connections to one server.
type client struct {
	request []byte
	// answer is the first line of every answer, and size how long each is in bytes.
	answer []byte
	size   int
	epoll  int
	// byFD has each connection under its file descriptor.
	byFD   map[int32]*connection
	free   []*connection
	buffer []byte
}

// connection carries one request at a time.
type connection struct {
	fd int
	// number of the request that is under way, and how much of its answer is there.
	number, got int
}

// dial connects, and learns from one answer for each connection what answers are like.
func dial(to netip.AddrPort, connections int, request []byte) (*client, error) {
	epoll, err := syscall.EpollCreate1(0)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	c := &client{request: request, epoll: epoll, byFD: map[int32]*connection{}, buffer: make([]byte, 1<<20)}
	for range connections {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err != nil {
			return nil, fmt.Errorf("socket: %w", err)
		}
		if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
			return nil, fmt.Errorf("connecting to %s: %w", to, err)
		}
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
			return nil, fmt.Errorf("TCP_NODELAY: %w", err)
		}
		if err := c.learn(fd); err != nil {
			return nil, err
		}
		if err := syscall.SetNonblock(fd, true); err != nil {
			return nil, fmt.Errorf("O_NONBLOCK: %w", err)
		}
		one := &connection{fd: fd}
		c.byFD[int32(fd)] = one
		c.free = append(c.free, one)
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
		if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
			return nil, fmt.Errorf("epoll_ctl: %w", err)
		}
	}
	return c, nil
}

// learn sends the request once and reads its answer, which all others must be as long as.
func (c *client) learn(fd int) error {
	if _, err := syscall.Write(fd, c.request); err != nil {
		return fmt.Errorf("sending a request: %w", err)
	}
	got, size := 0, 0
	for size == 0 || got < size {
		n, err := syscall.Read(fd, c.buffer[got:])
		if n == 0 && err == nil {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("reading an answer: it ends after %d bytes: %w", got, err)
		}
		got += n
		if size == 0 {
			if size, err = sizeOf(c.buffer[:got]); err != nil {
				return err
			}
		}
	}
	line, _, _ := bytes.Cut(c.buffer[:got], []byte("\r\n"))
	if c.answer == nil {
		c.answer, c.size = bytes.Clone(line), size
	}
	if got != size || size != c.size || !bytes.Equal(line, c.answer) {
		return fmt.Errorf("an answer is %q with %d bytes, another %q with %d: they must be the same", line, got, c.answer, c.size)
	}
	return nil
}

// sizeOf is how long an answer is that begins so, and 0 while that is not known.
func sizeOf(beginning []byte) (int, error) {
	head, _, whole := bytes.Cut(beginning, []byte("\r\n\r\n"))
	if !whole {
		return 0, nil
	}
	size := len(head) + len("\r\n\r\n")
	if bytes.HasPrefix(head, []byte("HTTP/1.1 304 ")) { // has no body, whatever its headers say
		return size, nil
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			length, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			return size + length, err
		}
	}
	return 0, errors.New("an answer has no Content-Length")
}

// load sends so many requests at a rate, and returns how long after each was due its
// answer was there.
func (c *client) load(rate float64, all int) ([]time.Duration, error) {
	took := make([]time.Duration, all)
	events := make([]syscall.EpollEvent, len(c.byFD))
	began := time.Now()
	for next, left := 0, all; left > 0; {
		for now := time.Since(began); next < all && len(c.free) > 0 && due(next, rate) <= now; next++ {
			one := c.free[len(c.free)-1]
			c.free = c.free[:len(c.free)-1]
			one.number, one.got = next, 0
			n, err := syscall.Write(one.fd, c.request)
			if err == nil && n < len(c.request) {
				err = io.ErrShortWrite
			}
			if err != nil {
				return nil, fmt.Errorf("sending request %d: %w", next, err)
			}
		}
		ready, err := syscall.EpollWait(c.epoll, events, 0)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return nil, fmt.Errorf("epoll_wait: %w", err)
		}
		for _, event := range events[:max(0, ready)] {
			one := c.byFD[event.Fd]
			done, err := c.read(one)
			if err != nil {
				return nil, err
			}
			if !done {
				continue
			}
			took[one.number] = time.Since(began) - due(one.number, rate)
			if took[one.number] > patience {
				return nil, fmt.Errorf("answers are %s late: the server cannot bear %.0f requests a second", patience, rate)
			}
			c.free = append(c.free, one)
			left--
		}
	}
	return took, nil
}

// read takes what is there of an answer, and tells whether that was the rest.
func (c *client) read(one *connection) (bool, error) {
	n, err := syscall.Read(one.fd, c.buffer)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return false, nil
	}
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return false, fmt.Errorf("reading answer %d: %w", one.number, err)
	}
	if one.got == 0 && (n < len(c.answer) || !bytes.HasPrefix(c.buffer[:n], c.answer)) {
		return false, fmt.Errorf("answer %d is %.80q, want %q", one.number, c.buffer[:n], c.answer)
	}
	if one.got += n; one.got > c.size {
		return false, fmt.Errorf("answer %d has more than the %d bytes of the others", one.number, c.size)
	}
	return one.got == c.size, nil
}

package child

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports that FreePort gives out lie below those that systems hand to
// outgoing connections (Linux: from 32768), one of which could otherwise take a
// port in the moment before the child listens on it.
const (
	firstPort = 20000
	lastPort  = 29999
)

// FreePort returns a TCP port on which nothing listened on the loopback
// address a moment ago. Nothing reserves it: who starts a server on it should try
// again with another when the server cannot listen.
func FreePort() (int, error) {
	var last error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if last = portIsFree(port); last == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("finding a free port between %d and %d: %w", firstPort, lastPort, last)
}

// KeepPort returns the wanted port when it is free, else another one. Wanted may
// be 0.
func KeepPort(wanted int) (int, error) {
	if wanted > 0 && portIsFree(wanted) == nil {
		return wanted, nil
	}
	return FreePort()
}

func portIsFree(port int) error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return listener.Close()
}

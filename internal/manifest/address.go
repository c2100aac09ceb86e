package manifest

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Headers in which proxies say for whom they ask.
const (
	headerXForwardedFor = "X-Forwarded-For"
	headerForwarded     = "Forwarded" // RFC 7239
)

// maxHops bounds how many proxies in a row are believed.
const maxHops = 16

// addresses finds out from which network a request comes.
type addresses struct {
	// proxies are those whose word counts. Nobody else's does: everybody can send these headers.
	proxies []netip.Prefix
	// header is the one that the proxies write. The other one is what a client sent,
	// for a proxy passes on what it does not know.
	header string
}

// ParseProxies reads a list such as "10.0.0.0/8, 2001:db8::1".
func ParseProxies(list string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		p, err := netip.ParsePrefix(item)
		if a, single := netip.ParseAddr(item); single == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", item)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// checkHeader returns the canonical name of a header in which proxies say for whom they ask.
func checkHeader(name string) (string, error) {
	switch name = http.CanonicalHeaderKey(name); name {
	case "":
		return headerXForwardedFor, nil
	case headerXForwardedFor, headerForwarded:
		return name, nil
	}
	return "", fmt.Errorf("proxies tell the client's address in %s or %s, not in %s", headerXForwardedFor, headerForwarded, name)
}

func (a *addresses) trusts(address netip.Addr) bool {
	for _, p := range a.proxies {
		if p.Contains(address) {
			return true
		}
	}
	return false
}

// of returns the network of the client: an IPv4 address, or the /64 that an IPv6
// address is in, which one household has. It is not known when every address that
// is told is a proxy's: one that hides the clients says nothing about any of them.
// A proxy that writes something that is no address is taken for the client.
func (a *addresses) of(r *http.Request) (client netip.Prefix, known bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}, false // not over TCP
	}
	at := peer.Addr().Unmap()
	if !a.trusts(at) {
		return network(at), true
	}
	hops := 0
	lines := r.Header[a.header]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; hops++ {
			var element string
			// From the right, for there the nearest proxy wrote: what stands to the left of it may be anybody's.
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, element = rest[:comma], rest[comma+1:]
			} else {
				element, more = rest, false
			}
			next, ok := a.read(element)
			if !ok || hops >= maxHops {
				return network(at), true
			}
			if at = next; !a.trusts(at) {
				return network(at), true
			}
		}
	}
	return netip.Prefix{}, false
}

// network is what counts as one client.
func network(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	// It fits the address, so that it does not fail.
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// read returns the address in one element of the header.
func (a *addresses) read(element string) (netip.Addr, bool) {
	if a.header == headerForwarded {
		var ok bool
		if element, ok = forwardedFor(element); !ok {
			return netip.Addr{}, false
		}
	}
	return parseNode(strings.TrimSpace(element))
}

// forwardedFor returns what the one parameter "for" of an element says. Two of
// them say nothing: one may be in what another parameter quotes.
func forwardedFor(element string) (node string, ok bool) {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "for") {
			continue
		}
		if ok {
			return "", false
		}
		node, ok = strings.TrimSpace(value), true
	}
	if len(node) >= 2 && node[0] == '"' && node[len(node)-1] == '"' {
		node = node[1 : len(node)-1]
	}
	return node, ok
}

// parseNode reads an address with or without brackets and a port.
func parseNode(text string) (netip.Addr, bool) {
	if rest, bracketed := strings.CutPrefix(text, "["); bracketed {
		end := strings.IndexByte(rest, ']')
		if end < 0 || rest[end+1:] != "" && rest[end+1] != ':' {
			return netip.Addr{}, false
		}
		text = rest[:end]
	} else if host, _, found := strings.Cut(text, ":"); found && strings.Count(text, ":") == 1 {
		text = host
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, false
	}
	return address.Unmap().WithZone(""), true
}

package source

import "net/netip"

// notGlobal lists the address blocks that lead to no public host, from the IANA
// registries of special-purpose addresses (RFC 6890) and RFC 5771.
var notGlobal = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	// Of IPv6's global block: protocol assignments with Teredo, documentation, and
	// 6to4, which carries an IPv4 address that would escape the list above.
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// globalIPv6 is the only block of IPv6 from which public addresses are given.
// Loopback, link-local, private and NAT64 addresses are all outside.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

// isGlobal reports whether addr can belong to a public host. An IPv4 address that
// is mapped into IPv6 is judged as the IPv4 address that the kernel will dial.
func isGlobal(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Is6() && !globalIPv6.Contains(addr) {
		return false
	}
	return addr.IsValid() && !contains(notGlobal, addr)
}

// contains ignores the zone of addr, with which Prefix.Contains never matches.
func contains(nets []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, net := range nets {
		if net.Contains(addr) {
			return true
		}
	}
	return false
}

func prefixes(texts ...string) []netip.Prefix {
	nets := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		nets[i] = netip.MustParsePrefix(text)
	}
	return nets
}

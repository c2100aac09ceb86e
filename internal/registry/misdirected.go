package registry

import (
	"fmt"
	"regexp"
)

// The registry's client refuses to carry credentials and bundles to some of the places
// that a registry sends it to. Its errors have no type, and they hold addresses, whose
// queries may be secret: only the host is taken out of them.
var misdirections = []struct {
	seen *regexp.Regexp
	told string // with what seen has found
}{
	{
		regexp.MustCompile(`bearer realm host "([^"/?]*)" (?:is|resolves to) ([0-9a-fA-F.:%]+), in blocked prefix`),
		"sends its clients for tokens to %s, whose address %s is none that credentials are sent to: have it name a token service (realm) at a public address or at its own",
	},
	{
		regexp.MustCompile(`bearer realm "http://([^"/?]*)[^"]*" uses http but registry was contacted over https`),
		"sends its clients for tokens to %s over http, and is itself spoken to over https: have it name its token service (realm) with https",
	},
	{
		regexp.MustCompile(`bearer realm "[^"]*" uses unsupported scheme "([^"]*)"`),
		"sends its clients for tokens to an address with scheme %q: have it name its token service (realm) with https",
	},
	{
		regexp.MustCompile(`blob upload Location "([^"/?]*)" is on a different host than the registry`),
		"sends uploads to another host, %s, and neither credentials nor bundles are sent there: have it answer with its own address (its setting of an external host, or relative URLs)",
	},
	{
		regexp.MustCompile(`blob upload Location "([^"/?]*)" downgrades scheme from https`),
		"sends uploads to %s over http, and is itself spoken to over https: have it answer with https (relative URLs, or X-Forwarded-Proto from the proxy before it)",
	},
}

// misdirected tells where the registry has sent the client that it does not go; empty:
// something else is wrong.
func misdirected(err error) string {
	for _, m := range misdirections {
		found := m.seen.FindStringSubmatch(err.Error())
		if found == nil {
			continue
		}
		var args []any
		for _, one := range found[1:] {
			args = append(args, one)
		}
		return fmt.Sprintf(m.told, args...)
	}
	return ""
}

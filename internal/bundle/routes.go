package bundle

import (
	"regexp"
	"strings"
)

// scheme begins an absolute URL (RFC 3986, 3.1).
var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// isExternal tells what names something outside of the bundle.
func isExternal(ref string) bool {
	return scheme.MatchString(ref) || strings.HasPrefix(ref, "//")
}

// escapes tells a path with a part that leads upwards.
func escapes(path string) bool {
	return strings.HasPrefix(path, "../") || strings.Contains(path, "/../") || strings.HasSuffix(path, "/..") || path == ".."
}

// route checks the form of a page route; false when it cannot name a page of the bundle.
func (c *manifestCheck) route(m member) bool {
	switch {
	case isExternal(m.value) || escapes(m.value):
		c.found.fail(rulePageExternal, c.path, "%s is %s, which is not in the bundle; pages are files of the bundle, other sites open in a web view", m.pointer, quote(m.value))
	case strings.HasPrefix(m.value, "/"), strings.ContainsAny(m.value, "?#\\"):
		c.field(m.pointer, "is %s, but a page is a path from the root, without a slash in front, query or fragment", quote(m.value))
	default:
		return true
	}
	return false
}

// routes checks the form of page routes and that none stands twice; it returns the good ones.
func (c *manifestCheck) routes(members []member) []member {
	seen := map[string]string{}
	var good []member
	for _, m := range members {
		if c.found.full() {
			break
		}
		if first, twice := seen[m.value]; twice {
			c.field(m.pointer, "is the page %s, which %s lists already; keep one", quote(m.value), first)
			continue
		}
		seen[m.value] = m.pointer
		if c.route(m) {
			good = append(good, m)
		}
	}
	return good
}

// compareVersion compares what the manifest says with what the objects say.
func (c *manifestCheck) compareVersion(name string, code int64) {
	if c.want.Version != "" && name != "" && name != c.want.Version {
		c.found.fail(ruleVersionMismatch, c.path, "/version/name is %s, but the version that is published is %s; change one of them", quote(name), quote(c.want.Version))
	}
	if c.want.VersionCode != 0 && code != 0 && code != c.want.VersionCode {
		c.found.fail(ruleVersionMismatch, c.path, "/version/code is %d, but the version code that is published is %d; change one of them", code, c.want.VersionCode)
	}
}

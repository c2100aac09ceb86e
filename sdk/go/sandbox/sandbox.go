// Package sandbox has the response headers that fence in a mini program which a
// browser, or a web view, runs from single files: what the page may load, where it
// may send anything, who may frame it, and what of the device it never gets.
//
// The whole page is untrusted, so its policy allows inline script and is a fence
// around what leaves: the page has an opaque origin, reaches the files of its own
// version and the domains that it declared, and nothing else. Every source is an
// exact origin or a path; 'self' would let in the files of other programs on the
// same host.
package sandbox

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Page is what the headers depend on.
type Page struct {
	// Base is the URL below which the version's files are, as
	// https://run.example.com/r/com.example.shop/<digest>/.
	Base string
	// Domains are those of the version's declaration.
	Domains document.Domains
	// Ancestors are the origins of pages that may frame it. None: no page may.
	Ancestors []string
}

// Header is one header of the response.
type Header struct{ Name, Value string }

// Names of the headers whose values depend on the page.
const (
	ContentSecurityPolicy = "Content-Security-Policy"
	// ConnectionAllowlist is known to few browsers. It covers what the policy does
	// not: WebRTC, and hints to resolve or connect.
	ConnectionAllowlist = "Connection-Allowlist"
)

// The parts of a Content-Security-Policy, and of a URL pattern, end at characters
// that no origin and no base has.
var (
	goodBase   = regexp.MustCompile(`^https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?/([A-Za-z0-9._-]+/)+$`)
	goodOrigin = regexp.MustCompile(`^(https?|wss)://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)
)

// Headers returns the headers of the page's answers, in a fixed order, the same for
// the same page. The error names what is no base or no origin.
func Headers(p Page) ([]Header, error) {
	s, err := sourcesOf(&p)
	if err != nil {
		return nil, err
	}
	return []Header{
		{ContentSecurityPolicy, s.policy()},
		{ConnectionAllowlist, s.allowlist()},
		{"Permissions-Policy", nothingOfTheDevice},
		{"Referrer-Policy", "no-referrer"},
		{"Access-Control-Allow-Origin", "*"}, // an opaque origin is null, and modules and fonts are loaded by CORS
		{"Cross-Origin-Resource-Policy", "cross-origin"},
		{"X-Content-Type-Options", "nosniff"},
	}, nil
}

// sources are what both policies are made of, so that none lets through what the
// other does not.
type sources struct {
	base                              string
	connect, resource, frame, parents []string
}

func sourcesOf(p *Page) (*sources, error) {
	if !goodBase.MatchString(p.Base) {
		return nil, fmt.Errorf("%q is no base: it must be like https://run.example.com/r/com.example.shop/digest/", p.Base)
	}
	d := &p.Domains
	s := &sources{
		base:     p.Base,
		connect:  sorted(d.Request, d.Socket, d.Upload),
		resource: sorted(d.Download),
		frame:    sorted(d.WebView),
		parents:  sorted(p.Ancestors),
	}
	for _, origin := range slices.Concat(s.connect, s.resource, s.frame, s.parents) {
		if !goodOrigin.MatchString(origin) {
			return nil, fmt.Errorf("%q is no origin: it must be like https://api.example.com, without a path and without a wildcard", origin)
		}
	}
	return s, nil
}

// sorted has each origin once.
func sorted(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

// policy is the Content-Security-Policy.
func (s *sources) policy() string {
	directive := func(name string, lists ...[]string) string {
		return strings.Join(slices.Concat([]string{name}, slices.Concat(lists...)), " ")
	}
	base := []string{s.base}
	return strings.Join([]string{
		"sandbox allow-scripts allow-forms", // in the header too, so that who visits the address is fenced in as well
		"default-src 'none'",
		directive("script-src", base, []string{"'unsafe-inline'", "blob:"}),
		directive("style-src", base, []string{"'unsafe-inline'"}),
		directive("img-src", base, []string{"data:", "blob:"}, s.resource),
		directive("font-src", base, []string{"data:"}),
		directive("media-src", base, []string{"blob:"}, s.resource),
		directive("connect-src", base, s.connect),
		"worker-src blob:",
		directive("frame-src", orNone(s.frame)),
		"form-action 'none'",
		"base-uri 'none'",
		directive("frame-ancestors", orNone(s.parents)),
	}, "; ")
}

func orNone(list []string) []string {
	if len(list) == 0 {
		return []string{"'none'"}
	}
	return list
}

// allowlist is the Connection-Allowlist: an inner list of URL patterns (RFC 9651).
// What it does not name has no connection, WebRTC among it.
func (s *sources) allowlist() string {
	patterns := []string{`"` + s.base + `*"`}
	for _, origin := range sorted(s.connect, s.resource, s.frame) {
		patterns = append(patterns, `"`+origin+`/*"`)
	}
	return "(" + strings.Join(patterns, " ") + ")"
}

// nothingOfTheDevice denies what browsers ask people for: a container does such
// things for the page, after its own question.
const nothingOfTheDevice = "accelerometer=(), bluetooth=(), browsing-topics=(), camera=(), clipboard-read=(), clipboard-write=(), " +
	"compute-pressure=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), identity-credentials-get=(), idle-detection=(), " +
	"local-fonts=(), magnetometer=(), microphone=(), midi=(), otp-credentials=(), payment=(), publickey-credentials-create=(), " +
	"publickey-credentials-get=(), screen-wake-lock=(), serial=(), storage-access=(), usb=(), window-management=(), xr-spatial-tracking=()"

package bundle

import (
	"net/url"
	"path"
	"strings"
)

const webEntry = "index.html"

// web reads the web app manifest where there is one. Unlike the other formats'
// it is optional and its members are too; and a build tool's list of assets
// may have the same name, so unknown members say nothing.
func (c *manifestCheck) web() error {
	b := c.bundle
	b.Pages, b.EntryPage = []string{webEntry}, webEntry
	file := "manifest.webmanifest"
	if !b.has(file) {
		file = "manifest.json"
	}
	if !b.has(file) {
		return nil
	}
	m, ok, err := c.load(file)
	if err != nil || !ok {
		return err
	}
	b.Name = m.title("name", optional)
	if short := m.title("short_name", optional); b.Name == "" {
		b.Name = short
	}
	for icon := range c.each(m.objects("icons", optional)) {
		c.webIcon(icon)
	}
	return nil
}

// webIcon looks for an icon whose URL is relative, hence a file of the bundle.
func (c *manifestCheck) webIcon(icon object) {
	src := icon.text("src", required)
	if src == "" || isExternal(src) || strings.HasPrefix(src, "/") {
		return
	}
	ref, err := url.Parse(src)
	if err != nil {
		c.field(icon.at("src"), "is %s, which is not a URL; correct it", quote(src))
		return
	}
	if !c.bundle.has(path.Clean(ref.Path)) {
		c.found.fail(ruleIconMissing, c.path, "%s is %s, but the bundle has no such file; add it or correct the path", icon.at("src"), quote(src))
	}
}

package bundle

import (
	"regexp"
	"slices"
)

// appIDForm is what the kind MiniProgram accepts.
var appIDForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$`)

// miniApp reads manifest.json as W3C MiniApp Manifest has it.
func (c *manifestCheck) miniApp() error {
	m, ok, err := c.load("manifest.json")
	if err != nil || !ok {
		return err
	}
	b := c.bundle
	c.identity(m)
	b.Name = m.title("name", required)
	m.title("short_name", optional)
	m.text("description", optional)
	m.text("lang", optional)
	m.choice("dir", "ltr", "rtl", "auto")
	m.choice("color_scheme", "auto", "light", "dark")
	m.texts("device_type", optional)

	if p, ok := m.child("platform_version", required); ok {
		p.whole("min_code", 0, required)
		p.code("target_code")
		p.text("release_type", optional)
	}
	if w, ok := m.child("window", optional); ok {
		w.window()
	}
	for icon := range c.each(m.objects("icons", required)) {
		c.miniAppIcon(icon)
	}
	for _, page := range c.routes(m.texts("pages", required)) {
		b.Pages = append(b.Pages, page.value)
		if !b.hasRoute(page.value) {
			c.found.fail(rulePageMissing, c.path, "%s is %s, but the bundle has neither %s.html nor %s.js; add the page or remove it from the list",
				page.pointer, quote(page.value), showPath(cut(page.value, 80)), showPath(cut(page.value, 80)))
		}
	}
	if len(b.Pages) > 0 {
		b.EntryPage = b.Pages[0]
	}
	for widget := range c.each(m.objects("widgets", optional)) {
		c.miniAppWidget(widget)
	}
	c.permissions(m)
	return nil
}

// identity reads app ID and version and compares them with the objects.
func (c *manifestCheck) identity(m object) {
	b := c.bundle
	b.AppID = m.text("app_id", required)
	switch {
	case b.AppID == "":
	case !appIDForm.MatchString(b.AppID):
		c.field(m.at("app_id"), "is %s, but an app ID has 3 to 64 letters, digits, dots, underscores and hyphens, and begins with a letter or digit", quote(b.AppID))
	case c.want.AppID != "" && b.AppID != c.want.AppID:
		c.found.fail(ruleAppIDMismatch, c.path, "/app_id is %s, but the mini program's app ID is %s; build the bundle for this mini program", quote(b.AppID), quote(c.want.AppID))
	}
	b.Version, b.VersionCode = "", 0
	if v, ok := m.child("version", required); ok {
		b.Version = v.title("name", required)
		b.VersionCode = v.whole("code", 1, required)
		c.compareVersion(b.Version, b.VersionCode)
	}
}

// hasRoute says whether a page of that route is there: with or without its
// extension, as markup or as script.
func (b *Bundle) hasRoute(route string) bool {
	return b.has(route) || b.has(route+".html") || b.has(route+".js")
}

func (c *manifestCheck) miniAppIcon(icon object) {
	icon.text("label", optional)
	icon.text("sizes", optional)
	src := icon.text("src", required)
	switch {
	case src == "" || c.bundle.has(src):
	case isExternal(src) || escapes(src):
		c.found.fail(ruleIconMissing, c.path, "%s is %s, which is not in the bundle; add the icon to the bundle", icon.at("src"), quote(src))
	default:
		c.found.fail(ruleIconMissing, c.path, "%s is %s, but the bundle has no such file; add it or correct the path from the root", icon.at("src"), quote(src))
	}
}

func (c *manifestCheck) miniAppWidget(widget object) {
	widget.title("name", required)
	widget.code("min_code")
	if path := widget.text("path", required); path != "" && !c.bundle.hasRoute(path) {
		c.found.fail(ruleWidgetMissing, c.path, "%s is %s, but the bundle has neither a .html nor a .js file of that path; add the widget or remove it from the list", widget.at("path"), quote(path))
	}
}

// permissions reads req_permissions and compares them with the declaration.
func (c *manifestCheck) permissions(m object) {
	b := c.bundle
	seen := map[string]bool{}
	for p := range c.each(m.objects("req_permissions", optional)) {
		p.text("reason", optional)
		name := p.title("name", required)
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		b.Permissions = append(b.Permissions, name)
		if c.want.Declared != nil && !slices.Contains(c.want.Declared.Permissions, name) {
			c.found.fail(rulePermissionUndeclared, c.path, "%s is %s, which the mini program does not declare; add it to the MiniProgram's spec.permissions with a reason, or remove it here", p.at("name"), quote(name))
		}
	}
}

// window checks the types of the members of a window resource.
func (o object) window() {
	for _, key := range []string{"auto_design_width", "enable_pull_down_refresh", "fullscreen"} {
		o.boolean(key)
	}
	for _, key := range []string{"design_width", "on_reach_bottom_distance"} {
		o.whole(key, 0, optional)
	}
	for _, key := range []string{"background_color", "navigation_bar_background_color", "navigation_bar_title_text"} {
		o.text(key, optional)
	}
	o.choice("background_text_style", "dark", "light")
	o.choice("navigation_bar_text_style", "white", "black")
	o.choice("navigation_style", "default", "custom")
	o.choice("orientation", "portrait", "landscape")
}

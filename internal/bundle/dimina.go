package bundle

import (
	"slices"
	"strings"
)

// gameEntry is the entry of a mini game; it is no file.
const gameEntry = "game"

// dimina reads main/app-config.json below root.
func (c *manifestCheck) dimina(root string) error {
	m, ok, err := c.load(root + "main/app-config.json")
	if err != nil || !ok {
		return err
	}
	b := c.bundle
	b.Name = m.title("projectName", optional)
	app, ok := m.child("app", required)
	if !ok {
		return nil
	}
	app.choice("runtimeType", "miniProgram", "game")
	if app.members["runtimeType"] == "game" {
		// A game is its logic.js alone: the pages it lists are names only.
		b.Pages, b.EntryPage = []string{gameEntry}, gameEntry
		return nil
	}
	for _, page := range c.routes(app.texts("pages", required)) {
		c.diminaPage(page, root+"main/", page.value)
	}
	c.subpackages(app, root)
	c.diminaEntry(app)
	if bar, ok := app.child("tabBar", optional); ok {
		c.tabBar(bar, root)
	}
	return nil
}

// diminaPage checks that the compiled page is in its folder.
func (c *manifestCheck) diminaPage(page member, dir, full string) {
	c.bundle.Pages = append(c.bundle.Pages, full)
	if file := dir + strings.ReplaceAll(full, "/", "_") + ".js"; !c.bundle.has(file) {
		c.found.fail(rulePageMissing, c.path, "%s is the page %s, but the bundle has no %s; compile the program anew", page.pointer, quote(full), quote(file))
	}
}

// subpackages checks the pages below sub_<root>/. The compiler writes
// "subPackages" whatever the source says.
func (c *manifestCheck) subpackages(app object, root string) {
	for sub := range c.each(app.objects("subPackages", optional)) {
		name := strings.TrimSuffix(sub.text("root", required), "/")
		if name == "" || !c.route(member{sub.at("root"), name}) {
			continue
		}
		dir := root + "sub_" + name + "/"
		if !c.bundle.has(dir + "logic.js") {
			c.found.fail(ruleLayoutMissing, dir+"logic.js", "the subpackage %s that %s names has no logic.js; compile the program anew", quote(name), sub.at("root"))
		}
		for _, page := range c.routes(sub.texts("pages", required)) {
			c.diminaPage(page, dir, name+"/"+page.value)
		}
	}
}

// diminaEntry finds the page that opens first: entryPagePath, or the first one.
func (c *manifestCheck) diminaEntry(app object) {
	b := c.bundle
	b.EntryPage = app.text("entryPagePath", optional)
	switch {
	case b.EntryPage != "" && !slices.Contains(b.Pages, b.EntryPage):
		c.found.fail(rulePageMissing, c.path, "%s is %s, which is not in the list of pages; correct it or list the page", app.at("entryPagePath"), quote(b.EntryPage))
	case b.EntryPage == "" && len(b.Pages) > 0:
		b.EntryPage = b.Pages[0]
	}
}

// tabBar checks what the tabs name. The compiler writes icons as
// /<app ID>/<path>, whatever folder the program is in later.
func (c *manifestCheck) tabBar(bar object, root string) {
	listed := map[string]bool{"": true} // a tab needs no page
	for _, page := range c.bundle.Pages {
		listed[page] = true
	}
	for tab := range c.each(bar.objects("list", optional)) {
		if page := tab.text("pagePath", optional); !listed[page] {
			c.found.fail(rulePageMissing, c.path, "%s is %s, which is not in the list of pages; correct it or list the page", tab.at("pagePath"), quote(page))
		}
		for _, key := range []string{"iconPath", "selectedIconPath"} {
			icon := tab.text(key, optional)
			if !strings.HasPrefix(icon, "/") || isExternal(icon) {
				continue
			}
			if _, path, ok := strings.Cut(icon[1:], "/"); !ok || !c.bundle.has(root+path) {
				c.found.fail(ruleIconMissing, c.path, "%s is %s, but the bundle has no such file; compile the program anew", tab.at(key), quote(icon))
			}
		}
	}
}

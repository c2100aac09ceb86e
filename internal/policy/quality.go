package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// maxShownPattern bounds patterns and expressions of a policy in a message, in characters.
const maxShownPattern = 200

// quality holds sizes, files and descriptions against q. All limits are inclusive.
func (c *check) quality(f Facts, q *v1alpha1.QualityRules) {
	if q == nil {
		return
	}
	subject := strings.TrimSpace(f.Format + " bundle")
	if limit := q.MaxBundleBytes; limit != 0 && f.ArchiveBytes > limit {
		c.add(RuleBundleSize, "the archive of the %s has %d bytes, and ReviewPolicy %s allows at most %d (spec.quality.maxBundleBytes): compress or remove images and code that is not used",
			subject, f.ArchiveBytes, c.policy, limit)
	}
	c.sizes(f, q, subject)
	if limit := q.MaxFiles; limit != 0 && int64(f.Files) > int64(limit) {
		c.add(RuleFiles, "the %s has %d files, and ReviewPolicy %s allows at most %d (spec.quality.maxFiles): join small files or remove those that are not used",
			subject, f.Files, c.policy, limit)
	}
	if limit := q.MaxPages; limit != 0 && int64(f.Pages) > int64(limit) {
		c.add(RulePages, "the %s has %d pages, and ReviewPolicy %s allows at most %d (spec.quality.maxPages): join pages or divide the mini program",
			subject, f.Pages, c.policy, limit)
	}
	c.description(f, q)
	c.files(f, q)
	for i, t := range q.ForbiddenText {
		c.text(f, forbidden(i, t), t.Message)
	}
}

// sizes compares what files have expanded.
func (c *check) sizes(f Facts, q *v1alpha1.QualityRules, subject string) {
	for _, limit := range []struct {
		field string
		value int64
	}{{"maxContentBytes", q.MaxContentBytes}, {"maxMainBytes", q.MaxMainBytes}, {"maxSubBytes", q.MaxSubBytes}} {
		if limit.value != 0 && !c.inspected(f, "spec.quality."+limit.field) {
			return
		}
	}
	p := partsOf(f)
	if limit := q.MaxContentBytes; limit != 0 && p.content > limit {
		c.add(RuleContentSize, "the files of the %s have %d bytes together, and ReviewPolicy %s allows at most %d (spec.quality.maxContentBytes): remove what is not used, or load large files at run time",
			subject, p.content, c.policy, limit)
	}
	if limit := q.MaxMainBytes; limit != 0 && p.main > limit {
		c.add(RuleMainSize, "the files of the main bundle have %d bytes together, and ReviewPolicy %s allows at most %d (spec.quality.maxMainBytes): %s",
			p.main, c.policy, limit, p.smaller())
	}
	for _, sub := range p.subs {
		if limit := q.MaxSubBytes; limit != 0 && sub.SizeBytes > limit {
			c.at(RuleSubSize, sub.Name, 0, "the files of sub bundle %s have %d bytes together, and ReviewPolicy %s allows at most %d (spec.quality.maxSubBytes): divide the sub bundle, or remove what is not used",
				sub.Name, sub.SizeBytes, c.policy, limit)
		}
	}
}

// parts are the sizes that limits are about.
type parts struct {
	content, main int64
	subs          []SubBundle // sorted by name
	divided       bool
}

// SubBundle is one sub bundle of a Dimina bundle.
type SubBundle struct {
	// Name is that of its folder, sub_<name>.
	Name string `json:"name"`
	// SizeBytes is that of its files together, expanded.
	SizeBytes int64 `json:"sizeBytes"`
}

// partsOf adds up the files. A Dimina bundle has its parts at the root or below
// one folder named after the app ID; all others are one part.
func partsOf(f Facts) parts {
	var p parts
	for _, file := range f.Paths {
		p.content += file.SizeBytes
	}
	if f.Format != "Dimina" {
		p.main = p.content
		return p
	}
	p.divided = true
	root := diminaRoot(f.Paths)
	for _, file := range f.Paths {
		below, inside := strings.CutPrefix(file.Path, root)
		folder, _, deeper := strings.Cut(below, "/")
		switch {
		case !inside || !deeper:
		case folder == "main":
			p.main += file.SizeBytes
		case strings.HasPrefix(folder, "sub_"):
			at := slices.IndexFunc(p.subs, func(s SubBundle) bool { return s.Name == folder })
			if at < 0 {
				at = len(p.subs)
				p.subs = append(p.subs, SubBundle{Name: folder})
			}
			p.subs[at].SizeBytes += file.SizeBytes
		}
	}
	return p
}

// diminaRoot is the folder that holds main, with its slash: the one that is
// nearest to the archive's root.
func diminaRoot(files []File) string {
	const marker = "main/app-config.json"
	root, found := "", false
	for _, file := range files {
		if r, is := strings.CutSuffix(file.Path, marker); is && (r == "" || strings.HasSuffix(r, "/")) && (!found || len(r) < len(root)) {
			root, found = r, true
		}
	}
	return root
}

func (p parts) smaller() string {
	if p.divided {
		return "move pages into sub bundles, or remove what is not used"
	}
	return "remove what is not used, or load large files at run time"
}

// description tells what the MiniProgram does not say of itself.
func (c *check) description(f Facts, q *v1alpha1.QualityRules) {
	for _, field := range q.RequiredFields {
		if !isSet(f, field) {
			c.add(RuleFieldMissing, "the MiniProgram has no %s, and ReviewPolicy %s asks for it (spec.quality.requiredFields): set spec.%s of the MiniProgram",
				field, c.policy, field)
		}
	}
	for _, lang := range q.RequiredLocales {
		if !slices.ContainsFunc(f.Program.Locales, func(l LocaleFacts) bool { return strings.EqualFold(l.Lang, lang) }) {
			c.add(RuleLocaleMissing, "the MiniProgram has no names in language %q, and ReviewPolicy %s asks for them (spec.quality.requiredLocales): add an item with lang: %s to spec.locales of the MiniProgram",
				lang, c.policy, lang)
		}
	}
}

// isSet tells whether a field of a MiniProgram says something. Of the declaration
// it is what was frozen that counts. A field that this release does not know is not set.
func isSet(f Facts, field v1alpha1.RequiredField) bool {
	privacy := f.Declaration.Privacy
	if privacy == nil {
		privacy = &v1alpha1.Privacy{}
	}
	switch field {
	case "description":
		return says(f.Program.Description)
	case "icon":
		return says(f.Program.Icon)
	case "categories":
		return says(f.Program.Categories...)
	case "owners":
		return says(f.Program.Owners...)
	case "locales":
		return len(f.Program.Locales) > 0
	case "verification":
		return f.Program.Verified
	case "minimumVersion":
		return says(f.Program.MinimumVersion)
	case "permissions":
		return len(f.Declaration.Permissions) > 0
	case "domains":
		return len(domainsOf(f.Declaration)) > 0
	case "privacy.policyURL":
		return says(privacy.PolicyURL)
	case "privacy.contact":
		return says(privacy.Contact)
	case "privacy.data":
		return len(privacy.Data) > 0
	}
	return false
}

// says tells whether one of the texts is more than blanks.
func says(texts ...string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return strings.TrimSpace(s) != "" })
}

// files tells of the first file of each pattern: the others have the same remedy.
func (c *check) files(f Facts, q *v1alpha1.QualityRules) {
	if len(q.ForbiddenFiles) == 0 || !c.inspected(f, "spec.quality.forbiddenFiles") {
		return
	}
	for i, pattern := range q.ForbiddenFiles {
		first, more := "", 0
		for _, file := range f.Paths {
			switch {
			case !matchesFile(pattern, file.Path):
			case first == "":
				first = file.Path
			default:
				more++
			}
		}
		if first != "" {
			c.at(RuleFileForbidden, first, 0, "the file%s may not be in a bundle: ReviewPolicy %s forbids %s (spec.quality.forbiddenFiles[%d]): leave it out",
				andMore(more, "file"), c.policy, pattern, i)
		}
	}
}

// text tells of each file's first place of a pattern.
func (c *check) text(f Facts, t text, remedy string) {
	if remedy == "" {
		remedy = "remove it"
	}
	matches, searched := c.matches(f, t)
	if !searched {
		return
	}
	for _, m := range firstPlaces(matches) {
		c.at(RuleTextForbidden, m.File, m.Line, "column %d%s holds text that ReviewPolicy %s forbids (%s: %s): %s",
			m.Column, andMore(m.more, "place"), c.policy, t.field, cut(string(t.pattern), maxShownPattern), remedy)
	}
}

// place is the first place in a file, with the number of further ones.
type place struct {
	Match
	more int
}

func firstPlaces(matches []Match) []place {
	var places []place
	for _, m := range matches {
		at := slices.IndexFunc(places, func(p place) bool { return p.File == m.File })
		if at < 0 {
			places = append(places, place{Match: m})
			continue
		}
		places[at].more++
	}
	return places
}

// andMore tells of what is not listed.
func andMore(n int, what string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(" (and 1 more %s)", what)
	}
	return fmt.Sprintf(" (and %d more %ss)", n, what)
}

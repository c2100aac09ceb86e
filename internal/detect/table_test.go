package detect

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	permissionName = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	apiName        = regexp.MustCompile(`^(\*\.)?[A-Za-z]+(\.[A-Za-z]+)*(\([a-z]+\)|\(\{[a-z]+\}\))?$`)
	sourceAddress  = regexp.MustCompile(`^https://[a-z0-9.]+\.[a-z]+/[\w./#-]*$`)
)

func sortedOnce[T any](t *testing.T, what string, list []T, name func(T) string) {
	t.Helper()
	for i := 1; i < len(list); i++ {
		if a, b := name(list[i-1]), name(list[i]); cmp.Compare(a, b) >= 0 {
			t.Errorf("%s: %q stands before %q; sort them by name, each once", what, a, b)
		}
	}
}

func TestTheTableKeepsItsForm(t *testing.T) {
	table := Known()
	sortedOnce(t, "permissions", table.Permissions, func(p Permission) string { return p.Name })
	sortedOnce(t, "objects", table.Objects, func(o Object) string { return o.Name })
	sortedOnce(t, "apis", table.APIs, func(a API) string { return a.API })
	for _, p := range table.Permissions {
		if !permissionName.MatchString(p.Name) || p.Means == "" {
			t.Errorf("permission %+v: the name is small letters and hyphens, and means says what it is", p)
		}
		if !slices.ContainsFunc(table.APIs, func(a API) bool { return a.Permission == p.Name }) {
			t.Errorf("permission %q: no API needs it", p.Name)
		}
	}
	words := Vocabulary()
	for _, a := range table.APIs {
		if !apiName.MatchString(a.API) {
			t.Errorf("API %q: not a name that can be found in a script", a.API)
		}
		if !slices.Contains(words, a.Permission) {
			t.Errorf("API %q: the permission %q is not in the vocabulary", a.API, a.Permission)
		}
		if !sourceAddress.MatchString(a.Source) {
			t.Errorf("API %q: the source %q is no https address of a page", a.API, a.Source)
		}
	}
	if least := 190; len(table.APIs) < least {
		t.Errorf("the table has %d APIs, fewer than %d: were some lost?", len(table.APIs), least)
	}
}

// Each entry is found where its name says that it is.
func TestEveryEntryIsFound(t *testing.T) {
	for _, a := range Known().APIs {
		src := strings.Replace(a.API, "*.", "anything.", 1)
		name, argument, call := strings.Cut(strings.TrimSuffix(src, ")"), "(")
		switch member, object := strings.CutPrefix(argument, "{"); {
		case call && object:
			src = name + "({" + strings.TrimSuffix(member, "}") + ": true})"
		case call:
			src = name + "('" + argument + "')"
		case a.Written:
			src += " = () => {}"
		}
		if got := Scan("a.js", []byte(src)); len(got) != 1 || got[0].API != a.API || got[0].Permission != a.Permission {
			t.Errorf("%s: found %+v", src, got)
		}
	}
}

func TestATableThatCannotBeRead(t *testing.T) {
	_, err := parseTable([]byte("apis: [{api: wx.x, need: y}]"))
	if err == nil || !strings.HasPrefix(err.Error(), "table of sensitive APIs: ") || !strings.Contains(err.Error(), `"need"`) {
		t.Errorf("an unknown field: %v", err)
	}
}

func TestTheDocumentHasTheVocabulary(t *testing.T) {
	doc, err := os.ReadFile("../../docs/detection.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, p := range Known().Permissions {
		fmt.Fprintf(&want, "| `%s` | %s |\n", p.Name, p.Means)
	}
	if !strings.Contains(string(doc), "|---|---|\n"+want.String()+"\n") {
		t.Errorf("docs/detection.md has another table of permissions; put there:\n%s", want.String())
	}
}

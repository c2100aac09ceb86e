package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatCouldGrowWithoutCostIsNotRead(t *testing.T) {
	const (
		lists   = "a list of lists cannot be bounded: look at its items one by one, with all or exists"
		joined  = "texts cannot be joined inside map and filter: join them inside all or exists"
		objects = "objects cannot be compared: compare their fields one by one"
		written = "the pattern of matches must be written in the rule, between quotes"
	)
	tests := map[string]struct{ expression, want string }{
		// Compared with itself, this is a list of 2^26 items that cost a few hundred.
		"a list that is doubled":       {"[[1]]" + strings.Repeat(".map(l, l + l)", 26) + ".all(l, l == l)", "line 1, column 360: " + lists},
		"a list that is nested":        {"['x']" + strings.Repeat(".map(l, [l, l])", 26) + " == []", "line 1, column 385: " + lists},
		"lists that are joined":        {"(program.owners + program.owners).size() > 2", "line 1, column 17: lists cannot be joined: look at each of them"},
		"a text that is doubled":       {"['x']" + strings.Repeat(".map(v, v + v)", 26) + ".all(v, v != '')", "line 1, column 16: " + joined},
		"a text that is doubled below": {"['x'].map(v, ['y'].exists(w, w == v + v)).size() > 0", "line 1, column 37: " + joined},
		"what replaces":                {"program.name.replace('a', program.description) == ''", "line 1, column 21: function replace is not there for rules, for its cost cannot be bounded"},
		"what joins":                   {"program.owners.join(program.description) == ''", "line 1, column 20: function join is not there for rules, for its cost cannot be bounded"},
		"what has no type":             {"dyn(program).nope == 1", "line 1, column 4: function dyn is not there for rules, for its cost cannot be bounded"},
		"a map":                        {"{'a': 1}.size() == 1", "line 1, column 1: a map cannot be written in a rule: compare fields one by one"},
		"an object":                    {"policy.File{path: 'x'}.path == 'x'", "line 1, column 12: an object cannot be written in a rule: compare fields one by one"},
		"objects that are compared":    {"program == program", "line 1, column 9: " + objects},
		"lists of objects":             {"bundle.files == bundle.files", "line 1, column 14: " + objects},
		"a pattern that is computed":   {"program.name.matches(program.displayName)", "line 1, column 21: " + written},
		"a dear pattern":               {"program.name.matches('(a{200}){5}|b')", "line 1, column 21: the pattern compiles to "},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := compiledRule(tc.expression).err
			if err == nil {
				t.Fatalf("%s is read, want %q", tc.expression, tc.want)
			}
			got := err.Error()
			if strings.HasSuffix(tc.want, " ") { // a number that may differ between versions of Go
				got = got[:min(len(got), len(tc.want))]
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.expression, diff)
			}
		})
	}
}

func TestWhatIsBoundedIsRead(t *testing.T) {
	facts := Facts{
		Inspected: true, Paths: []File{{"index.html", 20}, {"lib/x.js", 10}},
		Program: ProgramFacts{Namespace: "shop-team", Categories: []string{"shopping"}, Labels: map[string]string{LabelPrefix + "money": "yes"}},
		Version: VersionFacts{Version: "1.2.3", Source: SourceFacts{Address: "registry.example.com/shop-team/app"}},
	}
	for _, expression := range []string{
		"bundle.files.map(f, f.path).exists(p, p.startsWith('lib/'))",
		"bundle.files.filter(f, f.path.endsWith('.js')).size() == 1",
		"bundle.files.map(f, f.sizeBytes) == [20, 10]",
		"bundle.files.exists_one(f, f.path.matches('(?i)^INDEX[.]'))",
		"sets.contains(['shopping', 'travel'], program.categories)",
		"'policy.miniprogram.dev/money' in program.labels && program.labels['policy.miniprogram.dev/money'] == 'yes'",
		"version.source.address.startsWith('registry.example.com/' + program.namespace + '/')",
		"program.categories.all(c, c != 'x' + program.namespace)",
		"int(version.version.split('.')[0]) >= 1 && version.version.split('.').size() == 3",
		"program.namespace.lowerAscii().trim().substring(0, 4) == 'shop' ? bundle.contentBytes <= 30 : false",
		"-1 < 2 * 3 - 4 && 7 % 4 == 3 && 8 / 2 >= 4 && !(string(1) == '2') && double(1) > 0.5",
	} {
		c := compiledRule(expression)
		if c.err != nil {
			t.Errorf("%s: %v", expression, c.err)
			continue
		}
		if holds, err := evaluate(c.program, variables(facts)); !holds || err != nil {
			t.Errorf("%s = %t, %v, want true", expression, holds, err)
		}
	}
}

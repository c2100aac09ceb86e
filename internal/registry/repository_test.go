package registry

import (
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry"
	"pgregory.net/rapid"
)

// Names as the API server takes them: of namespaces, which have no dot, and of
// mini programs.
var (
	labels     = rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?`)
	subdomains = rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(labels, 1, 4).Draw(t, "labels"), ".")
	})
)

// Whoever may push to one repository of a program must not reach another's: so
// no two programs of any groups share one.
func TestNoTwoProgramsShareARepository(t *testing.T) {
	client := clientOf("localhost:5000")
	rapid.Check(t, func(t *rapid.T) {
		a, b := labels.Draw(t, "a group"), labels.Draw(t, "another")
		one := subdomains.Draw(t, "a program")
		// Also what would read alike if the two names were joined by something that is in names.
		two := rapid.SampledFrom([]string{subdomains.Draw(t, "any"), one, strings.TrimPrefix(a+"-"+one, b+"-"), strings.TrimPrefix(a+"."+one, b+".")}).Draw(t, "a program of it")
		first, second := client.RepositoryName(a+"/"+one), client.RepositoryName(b+"/"+two)
		if (a != b || one != two) && (first == second || strings.HasPrefix(first, second+"/") || strings.HasPrefix(second, first+"/")) {
			t.Fatalf("%s/%s is in %s, and %s/%s in %s", a, one, first, b, two, second)
		}
		for _, name := range []string{first, second} {
			if err := (registry.Reference{Registry: "localhost:5000", Repository: name}).ValidateRepository(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	})
}

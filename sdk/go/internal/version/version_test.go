package version_test

import (
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/internal/version"
)

func TestVersionsAreOrderedAsNumbersBetweenDots(t *testing.T) {
	// Each list rises strictly from left to right.
	for name, rising := range map[string][]string{
		"numbers are not text":             {"8.0.9", "8.0.10", "8.1", "10"},
		"numbers beyond 64 bits":           {"1.18446744073709551615", "1.18446744073709551616"},
		"a pre-release comes before":       {"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1-rc.1"},
		"more numbers than three":          {"1.2.3", "1.2.3.1", "1.2.4"},
		"a number is before a word":        {"1-9", "1-a"},
		"hyphens belong to pre-releases":   {"1-a-a", "1-a-b"},
		"a zero in front changes nothing":  {"1.08", "1.9"},
		"a longer pre-release comes later": {"1-a", "1-a.0"},
	} {
		t.Run(name, func(t *testing.T) {
			for i, a := range rising {
				for j, b := range rising {
					want := 0
					if i < j {
						want = -1
					} else if i > j {
						want = 1
					}
					if got, ok := version.Compare(a, b); got != want || !ok {
						t.Errorf("Compare(%q, %q) = %d, %t, want %d", a, b, got, ok, want)
					}
				}
			}
		})
	}
}

func TestVersionsThatAreEqual(t *testing.T) {
	for _, pair := range [][2]string{{"8", "8.0.0"}, {"1.2+a", "1.2+b"}, {"01.2", "1.2"}, {"1-a+x.y", "1-a"}} {
		if got, ok := version.Compare(pair[0], pair[1]); got != 0 || !ok {
			t.Errorf("Compare(%q, %q) = %d, %t, want 0", pair[0], pair[1], got, ok)
		}
	}
}

func TestWhatIsNoVersionComparesWithNothing(t *testing.T) {
	for _, text := range []string{
		"", "v1", "1.", ".1", "1..2", "1.x", "1 ", "-1", "1-", "1+", "1-a..b", "1-ä", "１", "8.0.49(0x1800)",
		strings.Repeat("1", version.MaxLength+1),
	} {
		if version.Valid(text) {
			t.Errorf("%q is taken for a version", text)
		}
		if _, ok := version.Compare(text, "1"); ok {
			t.Errorf("%q compares with 1", text)
		}
		if _, ok := version.Compare("1", text); ok {
			t.Errorf("1 compares with %q", text)
		}
	}
}

package bundle_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

func TestEveryRuleIsInTheTableOnceWithItsMeaning(t *testing.T) {
	want := strings.Fields(`ZipStructure ZipSpanned ZipEncrypted ZipMethod ZipHeaderMismatch ZipOverlap ZipChecksum ZipSize ZipFileType
		LimitArchive LimitExpanded LimitEntries LimitRatio NameEncoding NameTraversal NameCharacters NameLength NameCollision LayoutRoot LayoutMissing
		ManifestJSON ManifestField AppIDMismatch VersionMismatch PageMissing PageExternal IconMissing WidgetMissing PermissionUndeclared SecretFound JunkFile`)
	var got []string
	for _, rule := range bundle.Rules {
		got = append(got, rule.Code)
		if rule.Meaning == "" || strings.HasSuffix(rule.Meaning, ".") {
			t.Errorf("%s means %q, want one sentence without a full stop", rule.Code, rule.Meaning)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

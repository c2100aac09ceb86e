package bundle_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// set returns the JSON text with the value at a pointer replaced. What is on the
// way there must exist.
func set(t *testing.T, text, pointer string, value any) string {
	t.Helper()
	var document any
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(pointer, "/")[1:]
	at := document
	for i, part := range parts {
		last := i == len(parts)-1
		switch inner := at.(type) {
		case map[string]any:
			if last {
				inner[part] = value
			}
			at = inner[part]
		case []any:
			index, err := strconv.Atoi(part)
			if err != nil || index >= len(inner) {
				t.Fatalf("%s: no %s", pointer, part)
			}
			if last {
				inner[index] = value
			}
			at = inner[index]
		default:
			t.Fatalf("%s: nothing at %s", pointer, part)
		}
	}
	out, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// kinds are a value that a member must not have, and what it must be.
var kinds = map[string]struct {
	wrong     any
	is, wants string
}{
	"text":    {7, "the number 7", "a string"},
	"switch":  {"yes", `the string "yes"`, "true or false"},
	"object":  {[]any{}, "a list", "an object"},
	"list":    {map[string]any{}, "an object", "a list"},
	"code":    {1.5, "the number 1.5", "a whole number from 0 to 9007199254740991"},
	"version": {"7", `the string "7"`, "a whole number from 1 to 9007199254740991"},
	"item":    {nil, "null", "an object"},
}

// Every member that is read has one type, and the finding names the member by
// its JSON pointer.
func TestEveryMemberThatIsReadHasItsType(t *testing.T) {
	const tabs = `/app/tabBar/list/0`
	for _, format := range []struct {
		good    files
		path    string
		members map[string]string // by pointer
		// only those whose other findings would be many more
		also map[string][]bundle.Finding
	}{
		{shop, "manifest.json", map[string]string{
			"/app_id": "text", "/name": "text", "/short_name": "text", "/description": "text", "/lang": "text", "/dir": "text", "/color_scheme": "text",
			"/device_type": "list", "/device_type/1": "text", "/version": "object", "/version/name": "text", "/version/code": "version",
			"/platform_version": "object", "/platform_version/min_code": "code", "/platform_version/target_code": "code", "/platform_version/release_type": "text",
			"/icons": "list", "/icons/0": "item", "/icons/0/src": "text", "/icons/0/sizes": "text", "/icons/0/label": "text",
			"/pages": "list", "/pages/2": "text", "/widgets": "list", "/widgets/0": "item", "/widgets/0/name": "text", "/widgets/0/path": "text", "/widgets/0/min_code": "code",
			"/req_permissions": "list", "/req_permissions/1": "item", "/req_permissions/1/name": "text", "/req_permissions/1/reason": "text",
			"/window": "object", "/window/auto_design_width": "switch", "/window/enable_pull_down_refresh": "switch", "/window/fullscreen": "switch",
			"/window/design_width": "code", "/window/on_reach_bottom_distance": "code", "/window/background_color": "text", "/window/navigation_bar_background_color": "text",
			"/window/navigation_bar_title_text": "text", "/window/background_text_style": "text", "/window/navigation_bar_text_style": "text", "/window/navigation_style": "text", "/window/orientation": "text",
		}, nil},
		{radio, "main/app-config.json", map[string]string{
			"/projectName": "text", "/app": "object", "/app/pages": "list", "/app/pages/0": "text", "/app/entryPagePath": "text", "/app/runtimeType": "text",
			"/app/subPackages": "list", "/app/subPackages/0": "item", "/app/subPackages/0/root": "text", "/app/subPackages/0/pages": "list", "/app/subPackages/0/pages/0": "text",
			"/app/tabBar": "object", "/app/tabBar/list": "list", "/app/tabBar/list/0": "item", tabs + "/pagePath": "text", tabs + "/iconPath": "text", tabs + "/selectedIconPath": "text",
		}, map[string][]bundle.Finding{
			"/app/pages": {
				{Rule: "PageMissing", Severity: "error", File: "main/app-config.json", Message: `/app/entryPagePath is "pages/about", which is not in the list of pages; correct it or list the page`},
				{Rule: "PageMissing", Severity: "error", File: "main/app-config.json", Message: `/app/tabBar/list/0/pagePath is "pages/about", which is not in the list of pages; correct it or list the page`},
			},
		}},
		{site, "manifest.webmanifest", map[string]string{
			"/name": "text", "/short_name": "text", "/icons": "list", "/icons/1": "item", "/icons/1/src": "text",
		}, nil},
	} {
		for pointer, kind := range format.members {
			t.Run(format.path+pointer, func(t *testing.T) {
				k := kinds[kind]
				manifest := set(t, format.good[format.path], pointer, k.wrong)
				want := append(fail("ManifestField", format.path, pointer+" is "+k.is+", but must be "+k.wants), format.also[pointer]...)
				got := findingsOf(t, format.good.but(files{format.path: manifest}).zip(), bundle.Expect{}, bundle.Limits{})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("findings (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// What just fits is taken.
func TestBoundsOfMembersAreTaken(t *testing.T) {
	idForm := ", but an app ID has 3 to 64 letters, digits, dots, underscores and hyphens, and begins with a letter or digit"
	code := ", but must be a whole number from 1 to 9007199254740991"
	long := strings.Repeat("a", 65)
	for _, test := range []struct {
		pointer string
		value   any
		want    string // after the pointer; "" when it fits
	}{
		{"/app_id", "abc", ""},
		{"/app_id", long[:64], ""},
		{"/app_id", "ab", ` is "ab"` + idForm},
		{"/app_id", long, " is " + strconv.Quote(long) + idForm},
		{"/app_id", "-ab", ` is "-ab"` + idForm},
		{"/app_id", "org.example.shop\n", ` is "org.example.shop\n"` + idForm},
		{"/name", strings.Repeat("\u5e97", 256), ""},
		{"/version/name", strings.Repeat("1", 256), ""},
		{"/version/name", strings.Repeat("1", 257), " has 257 characters, allowed are 256; shorten it"},
		{"/version/code", 1, ""},
		{"/version/code", int64(9007199254740991), ""},
		{"/version/code", 1e300, " is the number 1e+300" + code},
		{"/version/code", -1, " is the number -1" + code},
		{"/platform_version/min_code", 0, ""},
		{"/req_permissions/0/name", strings.Repeat("x", 256), ""},
		{"/req_permissions/0/name", strings.Repeat("x", 257), " has 257 characters, allowed are 256; shorten it"},
		{"/pages/2", "pages/pay.js", ""},
		{"/pages/2", "pages/p%61y", `PageMissing`},
	} {
		want := []bundle.Finding(nil)
		switch test.want {
		case "":
		case "PageMissing":
			want = fail("PageMissing", "manifest.json", `/pages/2 is "pages/p%61y", but the bundle has neither pages/p%61y.html nor pages/p%61y.js; add the page or remove it from the list`)
		default:
			want = fail("ManifestField", "manifest.json", test.pointer+test.want)
		}
		got := findingsOf(t, shop.but(files{"manifest.json": set(t, shopManifest, test.pointer, test.value)}).zip(), bundle.Expect{}, bundle.Limits{})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("findings with %s %v (-want +got):\n%s", test.pointer, test.value, diff)
		}
	}
}

// Members with a set of values take each of them and no other.
func TestEveryChoiceIsTaken(t *testing.T) {
	for pointer, values := range map[string][]string{
		"/dir": {"ltr", "rtl", "auto"}, "/color_scheme": {"auto", "light", "dark"},
		"/window/background_text_style": {"dark", "light"}, "/window/navigation_bar_text_style": {"white", "black"},
		"/window/navigation_style": {"default", "custom"}, "/window/orientation": {"portrait", "landscape"},
	} {
		t.Run(pointer, func(t *testing.T) {
			for _, value := range append(values, "", "LTR", "none") {
				var want []bundle.Finding
				if !strings.Contains(" "+strings.Join(values, " ")+" ", " "+value+" ") || value == "" {
					want = fail("ManifestField", "manifest.json", pointer+" is "+strconv.Quote(value)+", but must be one of "+strings.Join(values, ", "))
				}
				got := findingsOf(t, shop.but(files{"manifest.json": set(t, shopManifest, pointer, value)}).zip(), bundle.Expect{}, bundle.Limits{})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("findings with %q (-want +got):\n%s", value, diff)
				}
			}
		})
	}
}

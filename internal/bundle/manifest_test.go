package bundle_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

func TestAManifestMustBeStrictJSON(t *testing.T) {
	bad := func(message string) []bundle.Finding { return fail("ManifestJSON", "manifest.json", message) }
	for name, test := range map[string]struct {
		manifest string
		want     []bundle.Finding
	}{
		"empty":                        {"", bad("the manifest is not JSON: line 1, column 1: unexpected end of JSON input")},
		"a trailing comma":             {"{\n  \"名\": 1,\n}", bad("the manifest is not JSON: line 3, column 1: invalid character '}' looking for beginning of object key string")},
		"a comment":                    {"{} // x", bad("the manifest is not JSON: line 1, column 4: invalid character '/' after top-level value")},
		"two values":                   {"{}{}", bad("the manifest is not JSON: line 1, column 3: invalid character '{' after top-level value")},
		"a list":                       {"[]", bad("the manifest is a list, but must be a JSON object ({…})")},
		"null":                         {"null", bad("the manifest is null, but must be a JSON object ({…})")},
		"Latin-1":                      {"{\"name\":\"caf\xe9\"}", bad("the manifest is not UTF-8; save it in that encoding")},
		"a key twice":                  {strings.Replace(shopManifest, `"name": "Shop"`, `"name": "Shop", "name": "Bank"`, 1), bad(`the member "name" stands twice in its object, so that readers may see either value; keep one`)},
		"an inner key twice":           {strings.Replace(shopManifest, `"code": 12`, `"code": 12, "code": 13`, 1), bad(`the member "version.code" stands twice in its object, so that readers may see either value; keep one`)},
		"a key twice in an extension":  {strings.Replace(shopManifest, `[1, null]`, `[{"a":1,"a":2}]`, 1), bad(`the member "vendor_extension.anything[0].a" stands twice in its object, so that readers may see either value; keep one`)},
		"one key, written in two ways": {strings.Replace(shopManifest, `"name": "Shop"`, `"name": "Shop", "n\u0061me": "Bank"`, 1), bad(`the member "name" stands twice in its object, so that readers may see either value; keep one`)},
		"nested too deeply":            {strings.Repeat("[", 20000), bad("the manifest is not JSON: line 1, column 10001: invalid character '[' exceeded max depth")},
	} {
		t.Run(name, func(t *testing.T) {
			got := findingsOf(t, shop.but(files{"manifest.json": test.manifest}).zip(), bundle.Expect{}, bundle.Limits{})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMiniAppsManifestIsCheckedMemberByMember(t *testing.T) {
	field := func(message string) []bundle.Finding { return fail("ManifestField", "manifest.json", message) }
	rule := func(rule, message string) []bundle.Finding { return fail(rule, "manifest.json", message) }
	const code = ", but must be a whole number from 1 to 9007199254740991"
	const idForm = ", but an app ID has 3 to 64 letters, digits, dots, underscores and hyphens, and begins with a letter or digit"
	const noURL = ", but a page is a path from the root, without a slash in front, query or fragment"
	const outside = ", which is not in the bundle; pages are files of the bundle, other sites open in a web view"
	for name, test := range map[string]struct {
		old, new string
		want     []bundle.Finding
	}{
		"no app ID":               {`"app_id": "org.example.shop", `, ``, field("/app_id is missing; add a string")},
		"an empty app ID":         {`"app_id": "org.example.shop"`, `"app_id": ""`, field("/app_id is empty; give it a value")},
		"an app ID of no form":    {`"app_id": "org.example.shop"`, `"app_id": "../x"`, field(`/app_id is "../x"` + idForm)},
		"a number as app ID":      {`"app_id": "org.example.shop"`, `"app_id": 12`, field("/app_id is the number 12, but must be a string")},
		"no name":                 {`"name": "Shop", `, ``, field("/name is missing; add a string")},
		"a name in another case":  {`"name": "Shop", `, `"Name": "Shop", `, field("/name is missing; add a string")},
		"a long name":             {`"name": "Shop", `, `"name": "` + strings.Repeat("店", 257) + `", `, field("/name has 257 characters, allowed are 256; shorten it")},
		"a short name of no type": {`"short_name": "Shop"`, `"short_name": null`, field("/short_name is null, but must be a string")},
		"an unknown direction":    {`"dir": "ltr"`, `"dir": "up"`, field(`/dir is "up", but must be one of ltr, rtl, auto`)},
		"an unknown scheme":       {`"color_scheme": "light"`, `"color_scheme": true`, field("/color_scheme is true, but must be a string")},
		"a language list":         {`"lang": "en-US"`, `"lang": []`, field("/lang is a list, but must be a string")},
		"a description object":    {`"description": "Sells things"`, `"description": {}`, field("/description is an object, but must be a string")},
		"a device":                {`["phone", "tv"]`, `["phone", 1, ""]`, slices.Concat(field("/device_type/1 is the number 1, but must be a string"), field("/device_type/2 is empty; give it a value or remove it"))},

		"no version":                  {`"version": {"name": "1.2.0", "code": 12}, `, ``, field("/version is missing; add an object")},
		"a version as text":           {`{"name": "1.2.0", "code": 12}`, `"1.2.0"`, field(`/version is the string "1.2.0", but must be an object`)},
		"no version name":             {`{"name": "1.2.0", "code": 12}`, `{"code": 12}`, field("/version/name is missing; add a string")},
		"no version code":             {`, "code": 12}`, `}`, field("/version/code is missing; add a whole number from 1 to 9007199254740991")},
		"version code 0":              {`"code": 12`, `"code": 0`, field("/version/code is the number 0" + code)},
		"a fraction as version code":  {`"code": 12`, `"code": 1.5`, field("/version/code is the number 1.5" + code)},
		"text as version code":        {`"code": 12`, `"code": "12"`, field(`/version/code is the string "12"` + code)},
		"a version code beyond 2^53":  {`"code": 12`, `"code": 9007199254740992`, field("/version/code is the number 9007199254740992" + code)},
		"no platform version":         {`"platform_version": {"min_code": 1, "target_code": "2", "release_type": "Beta1"},`, ``, field("/platform_version is missing; add an object")},
		"no platform code":            {`"min_code": 1, `, ``, field("/platform_version/min_code is missing; add a whole number from 0 to 9007199254740991")},
		"a platform target as number": {`"target_code": "2"`, `"target_code": 2`, nil},
		"a platform target as list":   {`"target_code": "2"`, `"target_code": []`, field("/platform_version/target_code is a list, but must be a whole number from 0 to 9007199254740991")},

		"no icons":                  {`[{"src": "common/icon.png", "sizes": "48x48", "label": "A bag"}]`, `[]`, field("/icons is empty; list at least one")},
		"an icon as text":           {`[{"src": "common/icon.png", "sizes": "48x48", "label": "A bag"}]`, `["common/icon.png"]`, field(`/icons/0 is the string "common/icon.png", but must be an object`)},
		"an icon without source":    {`"src": "common/icon.png", `, ``, field("/icons/0/src is missing; add a string")},
		"an icon that is not there": {`"common/icon.png"`, `"common/Icon.png"`, rule("IconMissing", `/icons/0/src is "common/Icon.png", but the bundle has no such file; add it or correct the path from the root`)},
		"an icon from elsewhere":    {`"common/icon.png"`, `"https://cdn.example/icon.png"`, rule("IconMissing", `/icons/0/src is "https://cdn.example/icon.png", which is not in the bundle; add the icon to the bundle`)},

		"no pages":                   {`["pages/index/index", "pages/cart.html", "pages/pay"]`, `[]`, field("/pages is empty; list at least one")},
		"pages as text":              {`["pages/index/index", "pages/cart.html", "pages/pay"]`, `"pages/index/index"`, field(`/pages is the string "pages/index/index", but must be a list`)},
		"a page twice":               {`"pages/pay"]`, `"pages/index/index"]`, field(`/pages/2 is the page "pages/index/index", which /pages/0 lists already; keep one`)},
		"a page that is not there":   {`"pages/pay"`, `"pages/paid"`, rule("PageMissing", `/pages/2 is "pages/paid", but the bundle has neither pages/paid.html nor pages/paid.js; add the page or remove it from the list`)},
		"a page to fool a terminal":  {`"pages/pay"`, `"pages/\u001b[2Jp\u007fay"`, rule("PageMissing", `/pages/2 is "pages/\x1b[2Jp\x7fay", but the bundle has neither pages/\x1b[2Jp\x7fay.html nor pages/\x1b[2Jp\x7fay.js; add the page or remove it from the list`)},
		"a page from elsewhere":      {`"pages/pay"`, `"https://evil.example/pay"`, rule("PageExternal", `/pages/2 is "https://evil.example/pay"`+outside)},
		"a page of another host":     {`"pages/pay"`, `"//evil.example/pay"`, rule("PageExternal", `/pages/2 is "//evil.example/pay"`+outside)},
		"a script as page":           {`"pages/pay"`, `"javascript:alert(1)"`, rule("PageExternal", `/pages/2 is "javascript:alert(1)"`+outside)},
		"a page above the root":      {`"pages/pay"`, `"../other/pay"`, rule("PageExternal", `/pages/2 is "../other/pay"`+outside)},
		"a page above, from inside":  {`"pages/pay"`, `"pages/../../pay"`, rule("PageExternal", `/pages/2 is "pages/../../pay"`+outside)},
		"a page with a slash before": {`"pages/pay"`, `"/pages/pay"`, field(`/pages/2 is "/pages/pay"` + noURL)},
		"a page with a query":        {`"pages/pay"`, `"pages/pay?x=1"`, field(`/pages/2 is "pages/pay?x=1"` + noURL)},
		"a page with a fragment":     {`"pages/pay"`, `"pages/pay#x"`, field(`/pages/2 is "pages/pay#x"` + noURL)},

		"a widget without path":        {`"path": "widgets/offers", `, ``, field("/widgets/0/path is missing; add a string")},
		"a widget without name":        {`"name": "Offers", `, ``, field("/widgets/0/name is missing; add a string")},
		"a widget that is not there":   {`"widgets/offers"`, `"widgets/none"`, rule("WidgetMissing", `/widgets/0/path is "widgets/none", but the bundle has neither a .html nor a .js file of that path; add the widget or remove it from the list`)},
		"a permission without name":    {`{"name": "system.permission.LOCATION"}`, `{}`, field("/req_permissions/1/name is missing; add a string")},
		"a reason as number":           {`"reason": "Scans codes"`, `"reason": 1`, field("/req_permissions/0/reason is the number 1, but must be a string")},
		"a width below zero":           {`"design_width": 750`, `"design_width": -1`, field("/window/design_width is the number -1, but must be a whole number from 0 to 9007199254740991")},
		"a switch as text":             {`"fullscreen": false`, `"fullscreen": "false"`, field(`/window/fullscreen is the string "false", but must be true or false`)},
		"a style that is not known":    {`"navigation_style": "default"`, `"navigation_style": "none"`, field(`/window/navigation_style is "none", but must be one of default, custom`)},
		"a window as list":             {`"window": {"fullscreen": false, "design_width": 750, "background_color": "#fff", "navigation_style": "default"}`, `"window": []`, field("/window is a list, but must be an object")},
		"an extension of its own kind": {`"vendor_extension"`, `"vendor/ext~"`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(shopManifest, test.old) {
				t.Fatalf("the manifest holds no %s", test.old)
			}
			manifest := strings.Replace(shopManifest, test.old, test.new, 1)
			got := findingsOf(t, shop.but(files{"manifest.json": manifest}).zip(), bundle.Expect{}, bundle.Limits{})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMiniAppMustBeTheOneThatTheObjectsDescribe(t *testing.T) {
	const undeclared = ", which the mini program does not declare; add it to the MiniProgram's spec.permissions with a reason, or remove it here"
	for name, test := range map[string]struct {
		want  bundle.Expect
		found []bundle.Finding
	}{
		"another app ID":        {bundle.Expect{AppID: "org.example.bank"}, fail("AppIDMismatch", "manifest.json", `/app_id is "org.example.shop", but the mini program's app ID is "org.example.bank"; build the bundle for this mini program`)},
		"an app ID in capitals": {bundle.Expect{AppID: "org.example.Shop"}, fail("AppIDMismatch", "manifest.json", `/app_id is "org.example.shop", but the mini program's app ID is "org.example.Shop"; build the bundle for this mini program`)},
		"another version":       {bundle.Expect{Version: "1.2"}, fail("VersionMismatch", "manifest.json", `/version/name is "1.2.0", but the version that is published is "1.2"; change one of them`)},
		"another version code":  {bundle.Expect{VersionCode: 13}, fail("VersionMismatch", "manifest.json", `/version/code is 12, but the version code that is published is 13; change one of them`)},
		"no permission declared": {bundle.Expect{Declared: &bundle.Declared{}}, slices.Concat(
			fail("PermissionUndeclared", "manifest.json", `/req_permissions/0/name is "system.permission.CAMERA"`+undeclared),
			fail("PermissionUndeclared", "manifest.json", `/req_permissions/1/name is "system.permission.LOCATION"`+undeclared))},
		"one permission declared": {bundle.Expect{Declared: &bundle.Declared{Permissions: []string{"system.permission.CAMERA"}}},
			fail("PermissionUndeclared", "manifest.json", `/req_permissions/1/name is "system.permission.LOCATION"`+undeclared)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.found, findingsOf(t, shop.zip(), test.want, bundle.Limits{})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADiminaBundleHasWhatItsConfigurationNames(t *testing.T) {
	const config = "main/app-config.json"
	const anew = "; compile the program anew"
	for name, test := range map[string]struct {
		old, new string
		without  string
		want     []bundle.Finding
	}{
		"a page without script":       {without: "main/pages_about.js", want: fail("PageMissing", config, `/app/pages/1 is the page "pages/about", but the bundle has no "main/pages_about.js"`+anew)},
		"a subpackage's page":         {without: "sub_deep/er/deep_er_x.js", want: fail("PageMissing", config, `/app/subPackages/1/pages/0 is the page "deep/er/x", but the bundle has no "sub_deep/er/deep_er_x.js"`+anew)},
		"a subpackage's logic":        {without: "sub_more/logic.js", want: fail("LayoutMissing", "sub_more/logic.js", `the subpackage "more" that /app/subPackages/0/root names has no logic.js`+anew)},
		"a tab's icon":                {without: "main/static/1_tab.png", want: fail("IconMissing", config, `/app/tabBar/list/0/iconPath is "/wx1/main/static/1_tab.png", but the bundle has no such file`+anew)},
		"no application":              {old: `"app": {`, new: `"App": {`, want: fail("ManifestField", config, "/app is missing; add an object")},
		"no pages":                    {old: `"pages": ["pages/index/index", "pages/about"]`, new: `"pages": []`, want: slices.Concat(fail("ManifestField", config, "/app/pages is empty; list at least one"), fail("PageMissing", config, `/app/entryPagePath is "pages/about", which is not in the list of pages; correct it or list the page`), fail("PageMissing", config, `/app/tabBar/list/0/pagePath is "pages/about", which is not in the list of pages; correct it or list the page`))},
		"an entry that is no page":    {old: `"entryPagePath": "pages/about"`, new: `"entryPagePath": "pages/none"`, want: fail("PageMissing", config, `/app/entryPagePath is "pages/none", which is not in the list of pages; correct it or list the page`)},
		"a tab that is no page":       {old: `"pagePath": "pages/about"`, new: `"pagePath": "pages/none"`, want: fail("PageMissing", config, `/app/tabBar/list/0/pagePath is "pages/none", which is not in the list of pages; correct it or list the page`)},
		"a page from elsewhere":       {old: `"list/list"`, new: `"http://evil.example/x"`, want: fail("PageExternal", config, `/app/subPackages/0/pages/0 is "http://evil.example/x", which is not in the bundle; pages are files of the bundle, other sites open in a web view`)},
		"a subpackage above the root": {old: `"more/"`, new: `"../more/"`, want: fail("PageExternal", config, `/app/subPackages/0/root is "../more", which is not in the bundle; pages are files of the bundle, other sites open in a web view`)},
		"an unknown runtime":          {old: `"runtimeType": "miniProgram"`, new: `"runtimeType": "plugin"`, want: fail("ManifestField", config, `/app/runtimeType is "plugin", but must be one of miniProgram, game`)},
		"a key twice":                 {old: `"projectName"`, new: `"app": {}, "projectName"`, want: fail("ManifestJSON", config, `the member "app" stands twice in its object, so that readers may see either value; keep one`)},
	} {
		t.Run(name, func(t *testing.T) {
			changed := radio.but(files{config: strings.Replace(radioConfig, test.old, test.new, 1)})
			if test.without != "" {
				changed = changed.but(files{test.without: gone})
			}
			if diff := cmp.Diff(test.want, findingsOf(t, changed.zip(), bundle.Expect{}, bundle.Limits{})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAWebAppManifestIsOptionalButNotWrong(t *testing.T) {
	for name, test := range map[string]struct {
		files files
		want  []bundle.Finding
	}{
		"an icon that is not there": {site.but(files{"icons/a b.png": gone}), slices.Concat(
			fail("IconMissing", "manifest.webmanifest", `/icons/0/src is "icons/a%20b.png?v=1", but the bundle has no such file; add it or correct the path`),
			fail("IconMissing", "manifest.webmanifest", `/icons/1/src is "./icons/../icons/a%20b.png", but the bundle has no such file; add it or correct the path`))},
		"an icon of no form":              {files{"index.html": "", "manifest.json": `{"icons":[{"src":"%zz"}]}`}, fail("ManifestField", "manifest.json", `/icons/0/src is "%zz", which is not a URL; correct it`)},
		"icons as text":                   {files{"index.html": "", "manifest.json": `{"icons":"a.png"}`}, fail("ManifestField", "manifest.json", `/icons is the string "a.png", but must be a list`)},
		"a name of another type":          {files{"index.html": "", "manifest.json": `{"name":1}`}, fail("ManifestField", "manifest.json", `/name is the number 1, but must be a string`)},
		"no JSON":                         {files{"index.html": "", "manifest.json": `name: x`}, fail("ManifestJSON", "manifest.json", `the manifest is not JSON: line 1, column 2: invalid character 'a' in literal null (expecting 'u')`)},
		"the second manifest is not read": {site.but(files{"manifest.json": "no"}), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, findingsOf(t, test.files.zip(), bundle.Expect{}, bundle.Limits{})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

package bundle_test

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// files is a bundle by path.
type files map[string]string

// but returns a copy with changes; the value gone removes a file.
func (f files) but(changes files) files {
	f = maps.Clone(f)
	for path, content := range changes {
		f[path] = content
		if content == gone {
			delete(f, path)
		}
	}
	return f
}

const gone = "\x00gone"

// below returns the same files below a folder.
func (f files) below(dir string) files {
	moved := files{}
	for path, content := range f {
		moved[dir+path] = content
	}
	return moved
}

func (f files) zip() []byte {
	var pairs []string
	for _, path := range slices.Sorted(maps.Keys(f)) {
		pairs = append(pairs, path, f[path])
	}
	return zipOf(pairs...)
}

const shopManifest = `{
  "dir": "ltr", "lang": "en-US", "app_id": "org.example.shop", "name": "Shop", "short_name": "Shop",
  "version": {"name": "1.2.0", "code": 12}, "description": "Sells things", "color_scheme": "light", "device_type": ["phone", "tv"],
  "icons": [{"src": "common/icon.png", "sizes": "48x48", "label": "A bag"}],
  "platform_version": {"min_code": 1, "target_code": "2", "release_type": "Beta1"},
  "pages": ["pages/index/index", "pages/cart.html", "pages/pay"],
  "widgets": [{"name": "Offers", "path": "widgets/offers", "min_code": "2"}],
  "req_permissions": [{"name": "system.permission.CAMERA", "reason": "Scans codes"}, {"name": "system.permission.LOCATION"}, {"name": "system.permission.CAMERA"}],
  "window": {"fullscreen": false, "design_width": 750, "background_color": "#fff", "navigation_style": "default"},
  "vendor_extension": {"anything": [1, null]}
}`

var shop = files{
	"manifest.json": shopManifest, "app.js": "App({})", "app.css": "",
	"pages/index/index.html": "<p>Hi</p>", "pages/index/index.js": "Page({})", "pages/cart.html": "<p>Cart</p>", "pages/pay.js": "Page({})",
	"widgets/offers.html": "<p>Offers</p>", "common/icon.png": "\x89PNG",
}

const radioConfig = `{"app": {"pages": ["pages/index/index", "pages/about"], "entryPagePath": "pages/about", "runtimeType": "miniProgram",
  "tabBar": {"list": [{"pagePath": "pages/about", "iconPath": "/wx1/main/static/1_tab.png", "selectedIconPath": "https://cdn.example/x.png"}, {"iconPath": "static/kept.png"}]},
  "subPackages": [{"root": "more/", "pages": ["list/list"]}, {"root": "deep/er", "pages": ["x"], "independent": true}]},
  "modules": {"pages/index/index": {"root": "main"}}, "projectName": "电台"}`

var radio = files{
	"main/app-config.json": radioConfig, "main/logic.js": "modDefine()", "main/app.css": "", "main/static/1_tab.png": "\x89PNG",
	"main/pages_index_index.js": "1", "main/pages_index_index.css": "", "main/pages_about.js": "2",
	"sub_more/logic.js": "3", "sub_more/more_list_list.js": "4", "sub_deep/er/logic.js": "5", "sub_deep/er/deep_er_x.js": "6",
}

var game = files{"main/app-config.json": `{"app":{"runtimeType":"game","entryPagePath":"game","pages":["game"]},"modules":{},"projectName":"Stars"}`, "main/logic.js": "1"}

var site = files{
	"index.html": "<!doctype html>", "assets/index-1a2b.js": "1", "icons/a b.png": "\x89PNG",
	"manifest.webmanifest": `{"name":"Site","icons":[{"src":"icons/a%20b.png?v=1"},{"src":"./icons/../icons/a%20b.png"},{"src":"/base/x.png"},{"src":"https://cdn.example/x.png"},{"src":"data:,x"}]}`,
}

func TestGoodBundlesOfEachFormatAreRead(t *testing.T) {
	wxPages := []string{"pages/index/index", "pages/about", "more/list/list", "deep/er/x"}
	for name, test := range map[string]struct {
		files files
		want  bundle.Expect
		is    bundle.Bundle
	}{
		"MiniApp": {shop, bundle.Expect{}, bundle.Bundle{Format: bundle.FormatMiniApp, AppID: "org.example.shop", Version: "1.2.0", VersionCode: 12, Name: "Shop",
			Pages: []string{"pages/index/index", "pages/cart.html", "pages/pay"}, EntryPage: "pages/index/index",
			Permissions: []string{"system.permission.CAMERA", "system.permission.LOCATION"}}},
		"MiniApp, everything expected": {shop, bundle.Expect{Format: bundle.FormatMiniApp, AppID: "org.example.shop", Version: "1.2.0", VersionCode: 12,
			Declared: &bundle.Declared{Permissions: []string{"system.permission.LOCATION", "system.permission.CAMERA"}}},
			bundle.Bundle{Format: bundle.FormatMiniApp, AppID: "org.example.shop", Version: "1.2.0", VersionCode: 12, Name: "Shop",
				Pages: []string{"pages/index/index", "pages/cart.html", "pages/pay"}, EntryPage: "pages/index/index",
				Permissions: []string{"system.permission.CAMERA", "system.permission.LOCATION"}}},
		"a MiniApp with an index.html": {shop.but(files{"index.html": "", "manifest.json": "\xef\xbb\xbf" + shopManifest}), bundle.Expect{},
			bundle.Bundle{Format: bundle.FormatMiniApp, AppID: "org.example.shop", Version: "1.2.0", VersionCode: 12, Name: "Shop",
				Pages: []string{"pages/index/index", "pages/cart.html", "pages/pay"}, EntryPage: "pages/index/index",
				Permissions: []string{"system.permission.CAMERA", "system.permission.LOCATION"}}},
		"Dimina": {radio, bundle.Expect{AppID: "wx1", Version: "2.0.0", VersionCode: 7}, bundle.Bundle{Format: bundle.FormatDimina, AppID: "wx1", Version: "2.0.0", VersionCode: 7,
			Name: "电台", Pages: wxPages, EntryPage: "pages/about"}},
		"Dimina below its app ID":  {radio.below("wx1/"), bundle.Expect{AppID: "wx1"}, bundle.Bundle{Format: bundle.FormatDimina, AppID: "wx1", Name: "电台", Pages: wxPages, EntryPage: "pages/about"}},
		"Dimina beside a web page": {radio.but(files{"index.html": ""}), bundle.Expect{}, bundle.Bundle{Format: bundle.FormatDimina, Name: "电台", Pages: wxPages, EntryPage: "pages/about"}},
		"Dimina below, macOS beside": {radio.below("wx1/").but(files{"__MACOSX/wx1/._main": "x"}), bundle.Expect{AppID: "wx1", Format: bundle.FormatDimina},
			bundle.Bundle{Format: bundle.FormatDimina, AppID: "wx1", Name: "电台", Pages: wxPages, EntryPage: "pages/about",
				Findings: []bundle.Finding{{Rule: "JunkFile", Severity: "warning", File: "__MACOSX/wx1/._main", Message: macOS}}}},
		"a Dimina program without an entry": {radio.but(files{"main/app-config.json": `{"app":{"pages":["pages/about"]}}`}), bundle.Expect{},
			bundle.Bundle{Format: bundle.FormatDimina, Pages: []string{"pages/about"}, EntryPage: "pages/about"}},
		"a Dimina game":             {game, bundle.Expect{}, bundle.Bundle{Format: bundle.FormatDimina, Name: "Stars", Pages: []string{"game"}, EntryPage: "game"}},
		"Web":                       {site, bundle.Expect{AppID: "site", Version: "1.0.0", VersionCode: 1}, bundle.Bundle{Format: bundle.FormatWeb, AppID: "site", Version: "1.0.0", VersionCode: 1, Name: "Site", Pages: []string{"index.html"}, EntryPage: "index.html"}},
		"Web without a manifest":    {files{"index.html": ""}, bundle.Expect{Format: bundle.FormatWeb}, bundle.Bundle{Format: bundle.FormatWeb, Pages: []string{"index.html"}, EntryPage: "index.html"}},
		"Web with a list of assets": {files{"index.html": "", "manifest.json": `{"src/main.js":{"file":"assets/main.js","isEntry":true}}`}, bundle.Expect{}, bundle.Bundle{Format: bundle.FormatWeb, Pages: []string{"index.html"}, EntryPage: "index.html"}},
		"Web with a short name":     {files{"index.html": "", "manifest.json": `{"short_name":"S"}`}, bundle.Expect{}, bundle.Bundle{Format: bundle.FormatWeb, Name: "S", Pages: []string{"index.html"}, EntryPage: "index.html"}},
	} {
		t.Run(name, func(t *testing.T) {
			data := test.files.zip()
			got, err := read(data, test.want, bundle.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			want := test.is
			for _, path := range slices.Sorted(maps.Keys(test.files)) {
				want.Files = append(want.Files, bundle.File{Path: path, Size: int64(len(test.files[path]))})
			}
			sum := sha256.Sum256(data)
			want.ArchiveSHA256, want.ArchiveBytes = "sha256:"+hex.EncodeToString(sum[:]), int64(len(data))
			want.ContentDigest, want.ContentBytes = tarOf(t, got)
			if diff := cmp.Diff(&want, got, cmpopts.IgnoreUnexported(bundle.Bundle{})); diff != "" {
				t.Errorf("bundle (-want +got):\n%s", diff)
			}
		})
	}
}

const (
	macOS   = "the file was left by macOS and is of no use to the mini program; leave it out (zip -X -x '*.DS_Store' '__MACOSX/*')"
	anyRoot = "a MiniApp has manifest.json, app.js, app.css and pages/, a Dimina bundle main/app-config.json and main/logic.js, a web bundle index.html"
)

func lacks(format, path string) []bundle.Finding {
	return fail("LayoutMissing", path, "a "+format+" bundle needs "+strings.TrimPrefix(path, "wx1/")+" at its root; add it, or set another format")
}

func TestTheRootOfABundleMustBeTheArchivesRoot(t *testing.T) {
	inside := func(dir string) []bundle.Finding {
		return fail("LayoutRoot", "", "all files are below "+dir+"; zip the content of that folder instead")
	}
	const onlyAppID = " (only a folder named after the app ID, wx2/, may stand around a Dimina bundle)"
	for name, test := range map[string]struct {
		files files
		want  bundle.Expect
		found []bundle.Finding
	}{
		"nothing":                                             {files{}, bundle.Expect{}, fail("LayoutMissing", "", "the archive holds no files; "+anyRoot)},
		"a wrapped MiniApp":                                   {shop.below("shop/"), bundle.Expect{}, inside("shop/")},
		"a MiniApp wrapped in its ID":                         {shop.below("wx1/"), bundle.Expect{AppID: "wx1"}, inside("wx1/")},
		"a wrapped site, format given":                        {site.below("dist/"), bundle.Expect{Format: bundle.FormatWeb}, inside("dist/")},
		"Dimina in a folder, no app ID":                       {radio.below("wx1/"), bundle.Expect{}, inside("wx1/")},
		"Dimina in another one's folder":                      {radio.below("wx1/"), bundle.Expect{AppID: "wx2"}, []bundle.Finding{{Rule: "LayoutRoot", Severity: "error", Message: inside("wx1/")[0].Message + onlyAppID}}},
		"Dimina below its app ID, but a MiniApp is asked for": {radio.below("wx1/"), bundle.Expect{AppID: "wx1", Format: bundle.FormatMiniApp}, fail("LayoutRoot", "", inside("wx1/")[0].Message+" (only a folder named after the app ID, wx1/, may stand around a Dimina bundle)")},
		"nothing known":                                       {files{"readme.txt": "", "a/b": ""}, bundle.Expect{}, fail("LayoutMissing", "", "the files at the root are of no known format: "+anyRoot)},
		"a MiniApp without app.css":                           {shop.but(files{"app.css": gone}), bundle.Expect{}, lacks("MiniApp", "app.css")},
		"a MiniApp without app.js":                            {shop.but(files{"app.js": gone}), bundle.Expect{}, lacks("MiniApp", "app.js")},
		"a MiniApp without its manifest":                      {shop.but(files{"manifest.json": gone}), bundle.Expect{Format: bundle.FormatMiniApp}, lacks("MiniApp", "manifest.json")},
		"a MiniApp without pages":                             {files{"manifest.json": shopManifest, "app.js": "", "app.css": ""}, bundle.Expect{}, lacks("MiniApp", "pages/")},
		"Dimina without logic.js":                             {radio.but(files{"main/logic.js": gone}), bundle.Expect{}, lacks("Dimina", "main/logic.js")},
		"Dimina below, without logic.js":                      {radio.but(files{"main/logic.js": gone}).below("wx1/"), bundle.Expect{AppID: "wx1"}, lacks("Dimina", "wx1/main/logic.js")},
		"a site, but a MiniApp is expected":                   {files{"index.html": "", "app.js": ""}, bundle.Expect{Format: bundle.FormatMiniApp}, slices.Concat(lacks("MiniApp", "app.css"), lacks("MiniApp", "manifest.json"), lacks("MiniApp", "pages/"))},
		"a MiniApp, but a site is expected":                   {shop, bundle.Expect{Format: bundle.FormatWeb}, lacks("Web", "index.html")},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.found, findingsOf(t, test.files.zip(), test.want, bundle.Limits{})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSecretsAreErrorsAndJunkIsAWarning(t *testing.T) {
	const line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
	key := func(label string) string {
		return "-----BEGIN " + label + "-----\n" + line + "\n-----END " + label + "-----\n"
	}
	const held = "the file holds a private key; remove it, and replace the key, for whoever gets the bundle has it"
	const env = "environment files hold secrets and are of no use to a mini program; leave the file out"
	warn := func(path, message string) []bundle.Finding {
		return []bundle.Finding{{Rule: "JunkFile", Severity: bundle.SeverityWarning, File: path, Message: message}}
	}
	const sourceMap = "a source map shows the program's source to everybody and makes the bundle larger; leave it out"
	for name, test := range map[string]struct {
		path, content string
		want          []bundle.Finding
	}{
		"a PKCS #8 key":                 {"a.pem", key("PRIVATE KEY"), fail("SecretFound", "a.pem", held)},
		"an RSA key":                    {"a.txt", key("RSA PRIVATE KEY"), fail("SecretFound", "a.txt", held)},
		"an OpenSSH key":                {"id", key("OPENSSH PRIVATE KEY"), fail("SecretFound", "id", held)},
		"a PGP key":                     {"id", strings.Replace(key("PGP PRIVATE KEY BLOCK"), "\n", "\r\nVersion: GnuPG v2\r\n\r\n", 1), fail("SecretFound", "id", held)},
		"an encrypted key":              {"id", strings.Replace(key("RSA PRIVATE KEY"), "\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\n", 1), fail("SecretFound", "id", held)},
		"a key in a script":             {"a.js", `const k = "` + strings.ReplaceAll(key("PRIVATE KEY"), "\n", `\n`) + `"`, fail("SecretFound", "a.js", held)},
		"a key behind many bytes":       {"a.bin", strings.Repeat("-", 40000) + key("EC PRIVATE KEY"), fail("SecretFound", "a.bin", held)},
		"a key across two reads":        {"a.bin", strings.Repeat("x", 32<<10-5) + key("EC PRIVATE KEY"), fail("SecretFound", "a.bin", held)},
		"a key across two reads, later": {"a.bin", strings.Repeat("x", 32<<10-50) + key("EC PRIVATE KEY"), fail("SecretFound", "a.bin", held)},
		"a key behind a label":          {"a.js", `"-----BEGIN PRIVATE KEY-----";` + strings.Repeat(" ", 2000) + key("PRIVATE KEY"), fail("SecretFound", "a.js", held)},
		"two keys":                      {"a.pem", key("PRIVATE KEY") + key("PRIVATE KEY"), fail("SecretFound", "a.pem", held)},
		"the label alone":               {"a.js", `pem = "-----BEGIN PRIVATE KEY-----\n" + body + "\n-----END PRIVATE KEY-----"`, nil},
		"a certificate":                 {"a.pem", key("CERTIFICATE"), nil},
		"a public key":                  {"a.pem", key("PUBLIC KEY"), nil},
		"an environment file":           {".env", "", fail("SecretFound", ".env", env)},
		"one of a stage":                {"config/.env.production", "", fail("SecretFound", "config/.env.production", env)},
		"a script about it":             {"env.js", "", nil},
		"a folder of macOS":             {"__MACOSX/._index.html", "", warn("__MACOSX/._index.html", macOS)},
		"a file of macOS":               {".DS_Store", "", warn(".DS_Store", macOS)},
		"a file of macOS, below":        {"a/.DS_Store", "", warn("a/.DS_Store", macOS)},
		"a source map":                  {"a.js.map", "{}", warn("a.js.map", sourceMap)},
		"a name that ends likewise":     {"bitmap", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, findingsOf(t, site.but(files{test.path: test.content}).zip(), bundle.Expect{}, bundle.Limits{Ratio: 1000})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryFileWithAKeyIsNamed(t *testing.T) {
	key := "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("MIIE", 16) + "\n"
	var got []string
	for _, f := range findingsOf(t, site.but(files{"a.pem": key, "b.pem": "", "c.pem": key}).zip(), bundle.Expect{}, bundle.Limits{}) {
		got = append(got, f.Rule+" "+f.File)
	}
	if diff := cmp.Diff([]string{"SecretFound a.pem", "SecretFound c.pem"}, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

package bundle_test

import (
	"bytes"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// What Read may allocate for an archive of the fuzzer's size, all together and
// not at once: buffers, the tree of a manifest of 256 KiB, and findings.
const mayAllocate = 64 << 20

// checkPromises fails the test if Read breaks one of its promises on data. It
// says whether Read accepts it.
func checkPromises(t *testing.T, data []byte, want bundle.Expect) bool {
	t.Helper()
	first, err := readBounded(t, data, want)
	second, errAgain := readBounded(t, data, want)
	if diff := cmp.Diff(first, second, cmpopts.IgnoreUnexported(bundle.Bundle{})); diff != "" {
		t.Fatalf("the same bytes are another bundle the second time:\n%s", diff)
	}
	if err == nil && errAgain == nil {
		checkFindings(t, first.Findings, bundle.SeverityWarning)
		sameAsGo(t, data, first)
		return true
	}
	var check, again *bundle.CheckError
	if !errors.As(err, &check) || !errors.As(errAgain, &again) {
		t.Fatalf("errors %v and %v, want two *CheckError", err, errAgain)
	}
	if diff := cmp.Diff(check.Findings, again.Findings); diff != "" {
		t.Fatalf("the same bytes have other findings the second time:\n%s", diff)
	}
	if len(check.Findings) == 0 || check.Findings[0].Severity != bundle.SeverityError {
		t.Fatalf("refused with findings %v, want an error among them", check.Findings)
	}
	checkFindings(t, check.Findings, bundle.SeverityError, bundle.SeverityWarning)
	return false
}

// readBounded reads data and fails the test if that takes too much memory.
func readBounded(t *testing.T, data []byte, want bundle.Expect) (*bundle.Bundle, error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b, err := bundle.Read(bytes.NewReader(data), int64(len(data)), want, bundle.Limits{})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > mayAllocate {
		t.Fatalf("reading %d bytes allocated %d, at most %d are promised", len(data), n, mayAllocate)
	}
	return b, err
}

// checkFindings fails the test if a finding could not be shown to a person.
func checkFindings(t *testing.T, found []bundle.Finding, severities ...bundle.Severity) {
	t.Helper()
	if len(found) > 100 {
		t.Errorf("%d findings, at most 100 are promised", len(found))
	}
	for _, f := range found {
		known := slices.ContainsFunc(bundle.Rules, func(r bundle.Rule) bool { return r.Code == f.Rule })
		if !known || !slices.Contains(severities, f.Severity) {
			t.Errorf("a finding of an unknown rule or severity: %+v", f)
		}
		if f.Message == "" || len(f.Message) > 1000 || !printable(f.Message) {
			t.Errorf("a message that cannot be shown: %q", f.Message)
		}
		// Escapes may take ten bytes for one.
		if len(f.File) > 2000 || !printable(f.File) {
			t.Errorf("a path that cannot be shown: %q", f.File)
		}
	}
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) })
}

func FuzzRead(f *testing.F) {
	for _, name := range slices.Sorted(maps.Keys(accepted)) {
		f.Add(accepted[name])
	}
	f.Add([]byte(nil))
	f.Add(overlapping())
	f.Add(with(member{name: "../a", content: "1"}))
	f.Add(with(member{name: "a", content: "/etc/passwd", attrs: 0o120777 << 16}))
	f.Add(with(member{name: "a", content: strings.Repeat("\x00", 1<<16), deflate: true}))
	f.Add(archive{members: []member{page}, behind: "PK\x06\x07" + strings.Repeat("\x00", 16)}.bytes())
	f.Add(archive{members: []member{page}, prefix: "#!"}.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		checkPromises(t, data, bundle.Expect{})
	})
}

// FuzzNames builds well-formed archives around any two names, so that names get
// further than random bytes do.
func FuzzNames(f *testing.F) {
	for _, names := range [][2]string{{"a", "b"}, {"a/", "a/b"}, {"A", "a"}, {"\u00e9", "e\u0301"}, {"..", "a//b"}, {"\u0130", "i\u0307"}, {"a\x00", "\xff"}} {
		f.Add(names[0], names[1], true)
	}
	f.Fuzz(func(t *testing.T, first, second string, utf8 bool) {
		flags := uint16(0xffff)
		if utf8 {
			flags = 1 << 11
		}
		if len(first) > 2000 || len(second) > 2000 {
			return
		}
		checkPromises(t, archive{members: []member{page, {name: first, flags: flags}, {name: second, flags: flags}}}.bytes(), bundle.Expect{})
	})
}

// fuzzManifest feeds any bytes as the manifest at path of a good bundle. Files
// are stored, so that no time is lost with compression.
func fuzzManifest(f *testing.F, good files, path string, want bundle.Expect) {
	for _, manifest := range []string{good[path], "", "{}", "[]", "null", "\xef\xbb\xbf{}", `{"":{"":[`, `{"a":1,"a":2}`} {
		f.Add([]byte(manifest))
	}
	f.Fuzz(func(t *testing.T, manifest []byte) {
		a := archive{}
		for _, name := range slices.Sorted(maps.Keys(good)) {
			content := good[name]
			if name == path {
				content = string(manifest)
			}
			a.members = append(a.members, member{name: name, content: content})
		}
		checkPromises(t, a.bytes(), want)
	})
}

func FuzzMiniAppManifest(f *testing.F) {
	fuzzManifest(f, shop, "manifest.json", bundle.Expect{Format: bundle.FormatMiniApp, AppID: "org.example.shop", Version: "1.2.0", VersionCode: 12,
		Declared: &bundle.Declared{Permissions: []string{"system.permission.CAMERA"}}})
}

func FuzzDiminaConfig(f *testing.F) {
	fuzzManifest(f, radio, "main/app-config.json", bundle.Expect{Format: bundle.FormatDimina, AppID: "wx1", Version: "2.0.0", VersionCode: 7})
}

func FuzzWebManifest(f *testing.F) {
	fuzzManifest(f, site, "manifest.webmanifest", bundle.Expect{Format: bundle.FormatWeb, AppID: "site", Version: "1.0.0", VersionCode: 1})
}

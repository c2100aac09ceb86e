package bundle_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

func TestNamesAreCheckedOneByOne(t *testing.T) {
	traversal := func(file, what string) []bundle.Finding {
		return fail("NameTraversal", file, "the name "+what+"; rename the file so that it is a plain path below the bundle's root")
	}
	character := func(file, point string) []bundle.Finding {
		return fail("NameCharacters", file, "the name holds "+point+", which W3C MiniApp Packaging forbids in names; rename the file")
	}
	length := func(file string, bytes, part, levels int) []bundle.Finding {
		return fail("NameLength", file, fmt.Sprintf("the name has %d bytes (allowed 1024), its longest part %d (allowed 255), and %d levels (allowed 32); shorten it", bytes, part, levels))
	}
	unfit := func(file, why string) []bundle.Finding { return fail("NameCharacters", file, why+"; rename the file") }
	unseen := func(file, point string) []bundle.Finding {
		return unfit(file, "the name holds "+point+", which cannot be seen or turns the direction of what stands beside it")
	}
	const (
		encoding = "the name is not valid UTF-8; rename the file, or create the archive with a tool that writes UTF-8 names"
		space    = "a part of the name ends in a space, which some systems drop"
		device   = "a part of the name is that of a device on Windows"
		number   = "a part of the name ends in a semicolon and a number, which some zip tools drop"
		blank    = "a part of the name holds nothing that can be seen"
	)
	const stop = "a part of the name ends in a full stop, which some systems drop; rename the file"
	for name, test := range map[string]struct {
		path  string
		flags uint16
		want  []bundle.Finding
	}{
		"plain":             {path: "images/logo-1_(x) ~?#%&+.min.js"},
		"Chinese":           {path: "图片/标志.png"},
		"an emoji":          {path: "🙂.png"},
		"a leading dot":     {path: ".well-known/x"},
		"dots inside":       {path: "a..b/...c"},
		"as long as can be": {path: strings.Repeat("a", 255) + "/" + strings.Repeat("b", 255) + "/" + strings.Repeat("c", 255) + "/" + strings.Repeat("d", 255) + "/"},
		"as deep as can be": {path: strings.Repeat("a/", 31) + "a"},

		"Latin-1":                {path: "caf\xe9.js", want: fail("NameEncoding", `caf\xe9.js`, "the name is not valid UTF-8; rename the file, or create the archive with a tool that writes UTF-8 names")},
		"a surrogate":            {path: "\xed\xa0\x80", want: fail("NameEncoding", `\xed\xa0\x80`, "the name is not valid UTF-8; rename the file, or create the archive with a tool that writes UTF-8 names")},
		"UTF-8 without its flag": {path: "标志.png", flags: 0xffff, want: fail("NameEncoding", "标志.png", "the name is not marked as UTF-8, so that zip tools read it differently; use a tool that sets the UTF-8 flag (python3 -m zipfile does, zip often does not), or a name of ASCII characters")},

		"empty":              {path: "", want: traversal("", "is empty")},
		"the root":           {path: "/", want: traversal("/", "is empty")},
		"absolute":           {path: "/etc/passwd", want: traversal("/etc/passwd", "is an absolute path")},
		"upwards":            {path: "../evil.sh", want: traversal("../evil.sh", `has the part ".."`)},
		"upwards inside":     {path: "a/../../evil.sh", want: traversal("a/../../evil.sh", `has the part ".."`)},
		"upwards at the end": {path: "a/..", want: traversal("a/..", `has the part ".."`)},
		"upwards, a folder":  {path: "a/../", want: traversal("a/../", `has the part ".."`)},
		"here":               {path: "./a", want: traversal("./a", `has the part "."`)},
		"an empty part":      {path: "a//b", want: traversal("a//b", `has the part ""`)},
		"two slashes behind": {path: "a//", want: traversal("a//", `has the part ""`)},
		"Windows":            {path: `..\evil.exe`, want: traversal(`..\evil.exe`, "holds a backslash, which some systems take for a separator")},
		"a drive":            {path: "C:/evil.exe", want: traversal("C:/evil.exe", "begins with a drive")},
		"a share of Windows": {path: `\\server\share\x`, want: traversal(`\\server\share\x`, "holds a backslash, which some systems take for a separator")},
		"a share":            {path: "//server/share/x", want: traversal("//server/share/x", "is an absolute path")},
		"a drive's file":     {path: "c:evil.exe", want: traversal("c:evil.exe", "begins with a drive")},

		"NUL":                       {path: "a.png\x00.js", want: character(`a.png\x00.js`, "U+0000")},
		"a line break":              {path: "a\nb", want: character(`a\nb`, "U+000A")},
		"an escape sequence":        {path: "\x1b[31m", want: character(`\x1b[31m`, "U+001B")},
		"a quotation mark":          {path: `a"b`, want: character(`a"b`, "U+0022")},
		"an asterisk":               {path: "a*b", want: character("a*b", "U+002A")},
		"a colon":                   {path: "ab:c", want: character("ab:c", "U+003A")},
		"less than":                 {path: "a<b", want: character("a<b", "U+003C")},
		"greater than":              {path: "a>b", want: character("a>b", "U+003E")},
		"a bar":                     {path: "a|b", want: character("a|b", "U+007C")},
		"DEL":                       {path: "a\x7fb", want: character(`a\x7fb`, "U+007F")},
		"C1":                        {path: "a\u0085b", want: character(`a\u0085b`, "U+0085")},
		"private use":               {path: "\ue000", want: character(`\ue000`, "U+E000")},
		"the replacement character": {path: "\ufffd", want: character("\ufffd", "U+FFFD")},
		"no character":              {path: "\ufdd0", want: character(`\ufdd0`, "U+FDD0")},
		"no character, plane 1":     {path: "\U0001fffe", want: character(`\U0001fffe`, "U+1FFFE")},
		"the language tag":          {path: "\U000e0001", want: character(`\U000e0001`, "U+E0001")},
		"the cancel tag":            {path: "\U000e007f", want: character(`\U000e007f`, "U+E007F")},
		"private use, plane 15":     {path: "\U000f0000", want: character(`\U000f0000`, "U+F0000")},
		"private use, plane 16":     {path: "\U00100000", want: character(`\U00100000`, "U+100000")},
		"a full stop at the end":    {path: "a.", want: fail("NameCharacters", "a.", stop)},
		"a folder's full stop":      {path: "a./b", want: fail("NameCharacters", "a./b", stop)},

		"CP437":                      {path: "caf\x82.js", flags: 0xffff, want: fail("NameEncoding", `caf\x82.js`, encoding)},
		"CP437 that is marked UTF-8": {path: "caf\x82.js", want: fail("NameEncoding", `caf\x82.js`, encoding)},
		"an overlong slash":          {path: "..\xc0\xafa", want: fail("NameEncoding", `..\xc0\xafa`, encoding)},
		"an overlong NUL":            {path: "a\xc0\x80", want: fail("NameEncoding", `a\xc0\x80`, encoding)},
		"beyond Unicode":             {path: "\xf4\x90\x80\x80", want: fail("NameEncoding", `\xf4\x90\x80\x80`, encoding)},
		"half a character":           {path: "a\xe5\x9b", want: fail("NameEncoding", `a\xe5\x9b`, encoding)},

		"a byte order mark":         {path: "\ufeffa.js", want: unseen(`\ufeffa.js`, "U+FEFF")},
		"text turned around":        {path: "photo\u202egnp.js", want: unseen(`photo\u202egnp.js`, "U+202E")},
		"an isolate":                {path: "a\u2066b", want: unseen(`a\u2066b`, "U+2066")},
		"a mark of direction":       {path: "a/b\u200f", want: unseen(`a/b\u200f`, "U+200F")},
		"a space of no width":       {path: "a\u200bb", want: unseen(`a\u200bb`, "U+200B")},
		"a soft hyphen":             {path: "a\u00adb", want: unseen(`a\u00adb`, "U+00AD")},
		"a line separator":          {path: "a\u2028b", want: unseen(`a\u2028b`, "U+2028")},
		"a Hangul filler":           {path: "a\u3164b", want: unseen("a\u3164b", "U+3164")},
		"a tag":                     {path: "\U0001f3f4\U000e0067", want: unseen("\U0001f3f4"+`\U000e0067`, "U+E0067")},
		"only a joiner":             {path: "a/\u200d", want: unfit(`a/\u200d`, blank)},
		"an emoji of joined parts":  {path: "\U0001f469\u200d\U0001f4bb.png"},
		"a word with a non-joiner":  {path: "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.png"},
		"right to left":             {path: "\u05e9\u05dc\u05d5\u05dd.png"},
		"a space at the end":        {path: "a ", want: unfit("a ", space)},
		"a folder's space":          {path: "a /b", want: unfit("a /b", space)},
		"a space in front":          {path: " a"},
		"a stop before a joiner":    {path: "a.\u200d", want: unfit(`a.\u200d`, "a part of the name ends in a full stop, which some systems drop")},
		"a number of VMS":           {path: "app.js;1", want: unfit("app.js;1", number)},
		"a folder's number":         {path: "a;12/b", want: unfit("a;12/b", number)},
		"a semicolon":               {path: "a;b1;x"},
		"the console":               {path: "CON", want: unfit("CON", device)},
		"nothing":                   {path: "pages/nul.txt", want: unfit("pages/nul.txt", device)},
		"a device as folder":        {path: "aux/index.js", want: unfit("aux/index.js", device)},
		"a device, extensions":      {path: "prn.min.js", want: unfit("prn.min.js", device)},
		"a device, a space":         {path: "nul .txt", want: unfit("nul .txt", device)},
		"a port":                    {path: "com1.js", want: unfit("com1.js", device)},
		"a port in superscript":     {path: "LPT\u00b3", want: unfit("LPT\u00b3", device)},
		"a console's input":         {path: "conin$", want: unfit("conin$", device)},
		"a device hidden by joiner": {path: "n\u200dul", want: unfit(`n\u200dul`, device)},
		"names like devices":        {path: "console/com10/lpt/nulls/auxiliary.js"},

		"a long part": {path: strings.Repeat("a", 256), want: length(strings.Repeat("a", 200)+"…", 256, 256, 1)},
		"a long path": {path: strings.Repeat(strings.Repeat("a", 204)+"/", 5) + "b", want: length(strings.Repeat("a", 200)+"…", 1026, 204, 6)},
		"too deep":    {path: strings.Repeat("a/", 32) + "a", want: length(strings.Repeat("a/", 32)+"a", 65, 1, 33)},
	} {
		t.Run(name, func(t *testing.T) {
			got := findingsOf(t, with(member{name: test.path, flags: test.flags}), bundle.Expect{}, bundle.Limits{})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNamesThatSomeFileSystemsTakeForTheSameAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		first, second string
		collides      bool
	}{
		"the same name twice":              {"a.js", "a.js", true},
		"the same folder twice":            {"a/", "a/", true},
		"upper and lower case":             {"Logo.png", "logo.PNG", true},
		"composed and decomposed":          {"caf\u00e9", "cafe\u0301", true},
		"composed, and upper case":         {"caf\u00e9", "CAFE\u0301", true},
		"sharp s":                          {"stra\u00dfe", "STRASSE", true},
		"the Kelvin sign":                  {"\u212a", "k", true},
		"final sigma":                      {"\u03c3", "\u03c2", true},
		"folders that differ in case":      {"Pages/a", "pages/b", true},
		"deep folders that differ in case": {"x/Pages/a", "x/pages/b", true},
		"a file and a folder":              {"a", "a/", true},
		"a file and a folder above":        {"a", "a/b", true},
		"a folder above and a file":        {"a/b", "a", true},
		"a file and a folder in case":      {"A", "a/b", true},
		"a folder and a file in it":        {"a/", "a/b", false},
		"a file and its folder later":      {"a/b", "a/", false},
		"two files of a folder":            {"a/b", "a/c", false},
		"compatibility characters":         {"\ufb01", "fi", true}, // full case folding maps the ligature
		"fullwidth letters":                {"\uff21", "A", false},
		"capital sharp s":                  {"\u1e9e", "ss", true},
		"the long s":                       {"\u017f", "s", true},
		"the dotless i and i":              {"\u0131", "i", false},
		"the dotless i and I":              {"I", "\u0131", false},
		"the dotted I and i":               {"\u0130", "i", false},
		"the dotted I, decomposed":         {"\u0130", "i\u0307", true},
		"Cherokee, small and capital":      {"\uab70", "\u13a0", true},
		"marks in another order":           {"a\u0323\u0307", "a\u0307\u0323", true},
		"folds to two, marks reordered":    {"\u1fb4", "\u03b1\u0345\u0301", true},
		"an accent on another letter":      {"\u03b1\u03af", "\u03ac\u03b9", false},
		"the Angstrom sign":                {"\u212b", "\u00e5", true},
		"Hangul and its letters":           {"\uac00", "\u1100\u1161", true},
		"with a joiner and without":        {"index\u200d.js", "index.js", true},
		"with a non-joiner and without":    {"a/b", "\u200ca/c", true},
		"as text and as emoji":             {"\u2764\ufe0e", "\u2764\ufe0f", true},
		"two emoji of joined parts":        {"\U0001f469\u200d\U0001f4bb", "\U0001f468\u200d\U0001f4bb", false},
		"a folder, decomposed, and a file": {"caf\u00e9", "cafe\u0301/x", true},
		"two folders in other form":        {"caf\u00e9/x", "cafe\u0301/y", true},
		"a folder above a folder":          {"a/", "A/b/", true},
		"a folder and the same above":      {"a/b/", "a/", false},
		"different names":                  {"a", "\u00e4", false},
	} {
		t.Run(name, func(t *testing.T) {
			data := archive{members: []member{page, {name: test.first}, {name: test.second}}}.bytes()
			var want []bundle.Finding
			if test.collides {
				other := test.first
				if i := strings.LastIndex(other, "/"); i >= 0 {
					other = other[:i]
				}
				file := test.second
				if strings.ContainsRune(file, '\u200c') {
					file = strings.Trim(strconv.QuoteToGraphic(file), `"`)
				}
				want = fail("NameCollision", file, fmt.Sprintf("the name collides with %q: many file systems ignore case and Unicode form, and a file cannot be a folder too; rename one of them", other))
			}
			if diff := cmp.Diff(want, findingsOf(t, data, bundle.Expect{}, bundle.Limits{})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoLetterIsTwoFilesInItsTwoCases(t *testing.T) {
	var letters []rune
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if other := unicode.SimpleFold(r); other > r {
			letters = append(letters, r, other)
		}
	}
	if len(letters) < 2000 {
		t.Fatalf("%d letters are tried, want all of Unicode", len(letters))
	}
	for pair := range slices.Chunk(letters, 2) {
		data := archive{members: []member{{name: "index.html"}, {name: string(pair[0])}, {name: string(pair[1])}}}.bytes()
		if got := findingsOf(t, data, bundle.Expect{}, bundle.Limits{}); len(got) != 1 || got[0].Rule != "NameCollision" {
			t.Errorf("%U and %U: findings %v, want one NameCollision", pair[0], pair[1], got)
		}
	}
}

func TestAtMostAHundredFindingsAreKept(t *testing.T) {
	a := archive{members: []member{page}}
	for i := range 150 {
		a.members = append(a.members, member{name: fmt.Sprintf("../%03d", i)})
	}
	got := findingsOf(t, a.bytes(), bundle.Expect{}, bundle.Limits{})
	if len(got) != 100 || got[99].File != "../099" {
		t.Errorf("kept %d findings, the last %+v; want 100, the last ../099", len(got), got[len(got)-1])
	}
}

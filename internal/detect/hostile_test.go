package detect

import (
	"strings"
	"testing"
	"time"
)

// hostile are pieces that cost a careless reader quadratic time or its stack when
// there are many of them: nesting, chains, and what does not end.
var hostile = map[string]string{
	"parentheses":              "(",
	"braces":                   "{",
	"brackets":                 "[",
	"closing braces":           "}",
	"templates in templates":   "`${",
	"arrows":                   "a=>",
	"arrows with bodies":       "(a)=>{",
	"functions in functions":   "function f(a){",
	"classes in constructors":  "class A{constructor(a){",
	"catches":                  "try{}catch(e){",
	"members":                  "a?.b.",
	"calls of calls":           "a.b(c).",
	"sums":                     "a+",
	"choices":                  "a?",
	"indexes in indexes":       "a[",
	"objects in objects":       "{a:",
	"patterns in patterns":     "({a:{",
	"wrappers":                 "(function(a){a.b(wx)})(wx);",
	"aliases in a ring":        "b=a;a=c;c=b;a=wx;",
	"slashes":                  "/a",
	"slashes in parentheses":   "(/",
	"regular expressions":      "x=/[",
	"unknown signs":            "\\@",
	"zeros":                    "\x00",
	"bytes that are no UTF-8":  "\xff",
	"quotes behind each other": `'\`,
	"strings without end":      "'\n",
	"comments without end":     "/*",
	"comments of old pages":    "<!-- -->\n",
	"octal numbers":            "017;",
	"names behind numbers":     "3a ",
	"exponents without digits": "1e+;",
	"loops":                    "for(let a of wx)",
	"negations":                "!",
	"new":                      "new ",
	"definitions":              "d(a,'b',{get:function(){return ",
	"lists of names":           "x=['a','b','c'];wx[x[i]];",
	"getters":                  "({get a(){return ",
}

func TestHostileScriptsTakeLinearTime(t *testing.T) {
	const size = 1 << 21 // with quadratic time, some of them took minutes
	for name, piece := range hostile {
		src := []byte(strings.Repeat(piece, size/len(piece)))
		began := time.Now()
		Scan("a.js", src)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("2 MiB of %s took %s", name, took)
		}
	}
}

func TestHostilePagesTakeLinearTime(t *testing.T) {
	const size = 1 << 20
	for name, piece := range map[string]string{
		"scripts": "<script>wx.a()</script>", "open scripts": "<script>", "handlers": "<b onclick='wx.a(`'>", "open handlers": "<b onclick='", "open tags": "<b ", "comments": "<!--", "attributes": " on=x",
	} {
		began := time.Now()
		Scan("a.html", []byte("<a "+strings.Repeat(piece, size/len(piece))))
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("1 MiB of %s took %s", name, took)
		}
	}
}

func TestHostileScriptsHideNothing(t *testing.T) {
	for name, piece := range hostile {
		for _, n := range []int{1, 3, 5000} {
			src := strings.Repeat(piece, n) + "\n;wx.getLocation();\n"
			if got := found("a.js", src); !strings.Contains(strings.Join(got, " "), "wx.getLocation") {
				t.Errorf("%d × %s hide the use behind them: %q", n, name, got)
			}
		}
	}
}

// A script of several millions of tokens is not held at once: names of one part
// are known in the next.
func TestALongScriptIsReadPartByPart(t *testing.T) {
	src := "var w = wx; var o = {host: my};\n" + strings.Repeat("x(1);", maxTokens) + "\nw.getLocation(); o.host.scan(); (function (wx) { wx.scanCode() })(null);\n"
	want := "3:3 wx.getLocation,3:25 my.scan"
	if got := strings.Join(found("a.js", src), ","); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

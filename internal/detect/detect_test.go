package detect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// found says the uses in a script, each as line:column API.
func found(name, src string) []string {
	var out []string
	for _, u := range Scan(name, []byte(src)) {
		out = append(out, fmt.Sprintf("%d:%d %s", u.Line, u.Column, u.API))
	}
	return out
}

func TestFormsOfAUse(t *testing.T) {
	for name, c := range map[string]struct {
		src  string
		want string
	}{
		"a call":                     {"wx.getLocation({})", "1:4 wx.getLocation"},
		"a member in brackets":       {`wx["getLocation"]()`, "1:4 wx.getLocation"},
		"a folded name":              {`wx['get'+'Location']()`, "1:4 wx.getLocation"},
		"a name in a constant":       {`const k = 'get' + "Location"; wx[k]()`, "1:34 wx.getLocation"},
		"a template":                 {"wx[`getLocation`]()", "1:4 wx.getLocation"},
		"optional chaining":          {"wx?.getLocation?.()", "1:5 wx.getLocation"},
		"optional brackets":          {"wx?.['getLocation']", "1:6 wx.getLocation"},
		"an alias":                   {"const w = wx; w.getLocation()", "1:17 wx.getLocation"},
		"an alias that comes later":  {"function f(){ e.getLocation() }\nvar e = wx", "1:17 wx.getLocation"},
		"destructuring":              {"const {getLocation: g} = wx; g()", "1:8 wx.getLocation"},
		"destructuring of a window":  {"const {wx: {getLocation}} = window", "1:13 wx.getLocation"},
		"a parameter of a wrapper":   {"(function(e,t){e.getLocation()})(wx, 1)", "1:18 wx.getLocation"},
		"a wrapper with !":           {"!function(e){e.getLocation()}(wx)", "1:16 wx.getLocation"},
		"an arrow as wrapper":        {"(e=>e.getLocation())(wx)", "1:7 wx.getLocation"},
		"a wrapper with call":        {"(function(e){e.getLocation()}).call(this, wx)", "1:16 wx.getLocation"},
		"the global object":          {"globalThis.wx.getLocation(); window.navigator.geolocation; self['navigator'].geolocation", "1:15 wx.getLocation,1:47 navigator.geolocation,1:78 navigator.geolocation"},
		"escapes":                    {`wx.get\u004cocation(); \u0077x["\x67etLocation"]`, "1:4 wx.getLocation,1:32 wx.getLocation"},
		"a comma":                    {"(0, wx.getLocation)()", "1:8 wx.getLocation"},
		"an assignment in a call":    {"(t = wx).getLocation()", "1:10 wx.getLocation"},
		"a property":                 {"this.w = wx; x.w.getLocation()", "1:18 wx.getLocation"},
		"a function that returns it": {"function api(){ return wx } api().getLocation()", "1:35 wx.getLocation"},
		"a choice":                   {"var a = typeof wx !== 'undefined' ? wx : my; a.getLocation()", "1:48 my.getLocation,1:48 wx.getLocation"},
		"a regular expression":       {"x = a / b / wx.getLocation(); /wx.getLocation()/.test(s)", "1:16 wx.getLocation"},
		"after a syntax error":       {"function ( { ] wx.getLocation() }", "1:19 wx.getLocation"},
		"a copy":                     {"const a = {...wx}; Object.assign({}, wx).getLocation(); a.getLocation()", "1:42 wx.getLocation,1:59 wx.getLocation"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(found("a.js", c.src), ","); got != c.want {
				t.Errorf("%s\ngot  %s\nwant %s", c.src, got, c.want)
			}
		})
	}
}

func TestWhatOnlyLooksLikeAUse(t *testing.T) {
	for name, src := range map[string]string{
		"comments":          "// wx.getLocation()\n/* wx.getLocation() */",
		"a string":          "x = 'wx.getLocation()'",
		"a template":        "x = `wx.getLocation()`",
		"a regexp":          "x = /wx.getLocation/; if (a) /wx.getLocation()/.test(b)",
		"a parameter":       "function f(wx) { wx.getLocation() }",
		"an arrow":          "const f = wx => wx.getLocation(); const g = (a, {wx}) => { wx.getLocation() }",
		"a local":           "{ const wx = mock(); wx.getLocation() } function g(){ var my = {}; my.getLocation() }",
		"an import":         "import wx from './wx'; import {a as my} from 'x'; wx.getLocation(); my.getLocation()",
		"a catch":           "try {} catch (wx) { wx.getLocation() }",
		"another's member":  "a.wx.getLocation(); x = {wx: 1}; b.navigator.geolocation",
		"a mock":            "wx.getLocation = function () {}",
		"a question":        "if (typeof wx.getLocation === 'function') {}",
		"a class":           "class my { getLocation() {} }\nmy.getLocation()",
		"a method":          "x = { f(my) { my.getLocation() } }; class A { g(wx) { wx.getLocation() } }",
		"a hoisted local":   "function f(){ my.getLocation(); var my }",
		"for":               "for (const my of list) my.getLocation()\nfor (let wx of list) { wx.getLocation() }",
		"the words in JSON": `x = {"wx.getLocation": true, getLocation: 1}`,
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff([]string(nil), found("a.js", src)); diff != "" {
				t.Errorf("%s\n%s", src, diff)
			}
		})
	}
}

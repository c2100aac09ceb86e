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
		"let before a pattern":       {"function f(){let{getLocation:g}=wx}", "1:18 wx.getLocation"},
		"a pattern with a default":   {"const {getLocation = no} = wx; f = ({scanCode: s = no}) => s; f(wx)", "1:8 wx.getLocation,1:38 wx.scanCode"},
		"a template with names":      {"const w = 'Location'; wx[`get${w}`]()", "1:26 wx.getLocation"},
		"a getter of a bundler":      {"r.d(e, 'a', function () { return o }); var o = wx; t.a.scanCode()", "1:56 wx.scanCode"},
		"a getter of TypeScript":     {"Object.defineProperty(exports, 'host', { enumerable: true, get: function () { return wx } }); m.host.scanCode()", "1:102 wx.scanCode"},
		"a class that is given it":   {"new class { constructor(a) { this.b = a } f() { this.b.scanCode() } }(wx)", "1:56 wx.scanCode"},
		"a list of names":            {"['scanCode', 'x'].forEach(n => wx[n]()); for (const n of ['login', 'getLocation']) wx[n]()", "1:35 wx.scanCode,1:87 wx.getLocation"},
		"members that are copied":    {"for (const k in wx) to[k] = wx[k]; to.scanCode()", "1:39 wx.scanCode"},
		"apply and bind":             {"(function (a) { a.scanCode() }).apply(this, [wx]); (function (b) { b.login(); b.getLocation() }).bind(this)(wx)", "1:19 wx.scanCode,1:81 wx.getLocation"},
		"another frame":              {"f.contentWindow.navigator.geolocation.x()", "1:27 navigator.geolocation"},
		"a handler that is written":  {"window.ondevicemotion = f; onclick = ondevicemotion", "1:8 ondevicemotion"},
		"what is asked for":          {"var d = navigator.mediaDevices; d.getUserMedia({audio: !0, video: !1})", "1:48 navigator.mediaDevices.getUserMedia({audio})"},
		"what cannot be seen":        {"navigator.mediaDevices.getUserMedia(c)", "1:37 navigator.mediaDevices.getUserMedia({audio}),1:37 navigator.mediaDevices.getUserMedia({video})"},
		"behind an open template":    {"x = `abc\n; wx.getLocation()", "2:6 wx.getLocation"},
		"behind an open comment":     {"/* wx.getLocation()", "1:7 wx.getLocation"},
		"behind an open string":      {"x = 'a\nwx.getLocation()", "2:4 wx.getLocation"},
		"behind an HTML comment":     {"x<!--wx.getLocation()\n-->wx.scanCode()", "1:9 wx.getLocation,2:7 wx.scanCode"},
		"a module's line after code": {"a = 1\n/2/wx.getLocation()", "2:7 wx.getLocation"},
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
		"an argument":       "f(wx).getLocation()",
		"deleted":           "delete wx.getLocation",
		"another text":      "document.execCommand('bold'); addEventListener('click', f)",
		"no camera":         "navigator.mediaDevices.getUserMedia({video: false, audio: !1})",
		"a read handler":    "x = window.ondevicemotion",
		"the words in JSON": `x = {"wx.getLocation": true, getLocation: 1}`,
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff([]string(nil), found("a.js", src)); diff != "" {
				t.Errorf("%s\n%s", src, diff)
			}
		})
	}
}

func TestPages(t *testing.T) {
	for name, c := range map[string]struct {
		src  string
		want string
	}{
		"a script":                  {"<p>\n<script>\nwx.getLocation()</script>", "3:4 wx.getLocation"},
		"a script of a module":      {"<script type=module>wx.scanCode()</script><SCRIPT TYPE='Text/JavaScript'>my.scan()</SCRIPT>", "1:24 wx.scanCode,1:77 my.scan"},
		"a script of another kind":  {`<script type="application/json">wx.scanCode()</script>`, ""},
		"a handler":                 {`<b onclick="wx.scanCode()">`, "1:16 wx.scanCode"},
		"a handler without quotes":  {`<b onclick=wx.scanCode()>`, "1:15 wx.scanCode"},
		"a handler with references": {`<b onclick="f(&quot;x&quot;);wx.scanCode()">`, "1:13 wx.scanCode"},
		"a javascript: address":     {`<a href=" JavaScript:wx.scanCode()">`, "1:25 wx.scanCode"},
		"another attribute":         {`<a href="https://x.example/wx.scanCode()" title="wx.scanCode()">`, ""},
		"text and comments":         {"wx.scanCode() <!-- <script>wx.scanCode()</script> -->", ""},
		"text of a title":           {"<textarea><script>wx.scanCode()</script></textarea>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(found("a.html", c.src), ","); got != c.want {
				t.Errorf("%s\ngot  %s\nwant %s", c.src, got, c.want)
			}
		})
	}
}

func TestTheNameDecidesHowAFileIsRead(t *testing.T) {
	for name, want := range map[string]int{
		"a.js": 1, "main/logic.JS": 1, "a.mjs": 1, "a.cjs": 1, "a.html": 0, "a.HTM": 0, "a.json": 0, "a.ts": 0, "js": 0, "a.js.map": 0, "": 0,
	} {
		if got := Scan(name, []byte("wx.getLocation()")); len(got) != want {
			t.Errorf("%s: %+v, want %d", name, got, want)
		}
	}
}

func TestAUseSaysEverything(t *testing.T) {
	got := Scan("main/logic.js", []byte("// 位置\n'位置', wx.getLocation()\r\n"))
	want := []Use{{API: "wx.getLocation", Permission: "location", File: "main/logic.js", Line: 2, Column: 10}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheFirstPlacesOfAnAPIAreKept(t *testing.T) {
	got := found("a.js", strings.Repeat("wx.getLocation();", 3*maxPlaces)+"wx.scanCode()")
	if len(got) != maxPlaces+1 || got[0] != "1:4 wx.getLocation" || got[maxPlaces] != "1:5104 wx.scanCode" {
		t.Errorf("%d places: %q", len(got), got)
	}
}

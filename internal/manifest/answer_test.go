package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

func TestAnswersAreWrittenAsEncodingJSONDoes(t *testing.T) {
	blob := func(name, mediaType string, size int64) document.Blob {
		return document.Blob{Digest: "sha256:" + name, Size: size, MediaType: mediaType}
	}
	plain := document.Variant{Version: "1", Digest: "d", ContentDigest: "c", Archive: blob("a", "a/b", 1), Content: blob("b", "", 0)}
	odd := document.Variant{Version: "\xff\xc0", Digest: `a\b`, ContentDigest: `a "quoted" word`, Archive: blob("<&>'", "\u2028", -1), Content: blob("\ufffd", "ä", 1<<60)}
	of := func(stable, target document.Variant) *entry {
		return &entry{digest: "e", seen: release.Seen{Sequence: 7}, doc: &document.Release{Stable: &stable, Target: &target, Fallbacks: []document.Variant{stable}}}
	}
	known, strange := of(plain, odd), of(odd, plain)
	for name, found := range map[string]resolution{
		"nothing is known":     {appID: "a", channel: "release", action: decide.ActionNone, reason: "UnknownProgram", bucket: -1},
		"nothing is due":       {appID: "a", channel: "release", action: decide.ActionNone, reason: "r", bucket: 0, entry: known},
		"stable":               {appID: "a", channel: "trial", action: decide.ActionUpdate, reason: "r", bucket: 9999, entry: known, variant: known.doc.Stable},
		"target":               {appID: "a", channel: "trial", action: decide.ActionInstall, reason: "r", bucket: -1, entry: known, variant: known.doc.Target},
		"a fallback":           {appID: "a", channel: "trial", action: decide.ActionInstall, reason: "r", bucket: -1, entry: known, variant: &known.doc.Fallbacks[0]},
		"text that needs care": {appID: "\"\\/\b\f\n\r\t\x00\x7f", channel: "ä\u2028\u2029\U0001F600", reason: "<&>'", bucket: 1, entry: strange, variant: strange.doc.Stable},
	} {
		for _, base := range []string{"", "https://a.example/v1?b=c&d=<e>", "http://\"ä\\\n"} {
			t.Run(name+" "+base, func(t *testing.T) {
				want, err := marshal(found.answer(base))
				if err != nil {
					t.Fatal(err)
				}
				for _, when := range []string{"first", "again"} {
					if diff := cmp.Diff(string(want), string(found.append(nil, jsonInside(base)))); diff != "" {
						t.Errorf("answer, written %s (-encoding/json +ours):\n%s", when, diff)
					}
				}
			})
		}
	}
}

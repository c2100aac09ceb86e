package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
)

func TestAnswersAreWrittenAsEncodingJSONDoes(t *testing.T) {
	bucket := 0
	blob := &resolvedBlob{Digest: "sha256:a", Size: 1, MediaType: "a/b", URL: "https://a/v1?b=c&d=<e>"}
	for name, response := range map[string]resolveResponse{
		"none":        {Programs: []resolveAnswer{}},
		"nothing due": {Programs: []resolveAnswer{{AppID: "a", Channel: "release", Action: decide.ActionNone, Reason: "UnknownProgram"}}},
		"two, all known": {Programs: []resolveAnswer{
			{AppID: "a", Channel: "trial", Action: decide.ActionUpdate, Version: "1", Digest: "d", ContentDigest: "c", Archive: blob,
				Content: &resolvedBlob{Digest: "sha256:b", URL: "u"}, EnvelopeDigest: "e", Reason: "r", Sequence: -1, Bucket: &bucket},
			{AppID: "b", Sequence: 1 << 60},
		}},
		"text that needs care": {Programs: []resolveAnswer{{
			AppID: "\"\\/\b\f\n\r\t\x00\x7f", Channel: "ä\u2028\u2029\U0001F600", Version: "\xff\xc0", Reason: "<&>'", Digest: "\ufffd",
			ContentDigest: `a "quoted" word`, EnvelopeDigest: `a\b`,
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := marshal(response)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(response.append(nil))); diff != "" {
				t.Errorf("answer (-encoding/json +ours):\n%s", diff)
			}
		})
	}
}

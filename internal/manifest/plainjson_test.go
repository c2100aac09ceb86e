package manifest

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// plainBodies are what host apps send; what is not plain is left to encoding/json.
var plainBodies = map[string]bool{
	resolveBody: true,
	`{}`:        true, " {\t\"user\" : \"u\"\r\n} ": true, `{"programs":[],"attributes":{}}`: true,
	`{"attributes":{"a":"1","a":"2"},"programs":[{},{"appID":"a","installed":{}}]}`:                                 true,
	`{"programs":[{"installed":{"versionCode":9223372036854775807,"digest":"sha256:a"},"appID":"a","channel":""}]}`: true,

	``: false, `{`: false, `{"user"`: false, `{"user":`: false, `{"user":"a`: false, `{"user":"a"`: false, `{"user":"a",}`: false,
	`{"user":"a"}x`: false, `{"user":"a"}{}`: false, `null`: false, `[]`: false, `{"user":null}`: false, `{"user":1}`: false,
	`{"User":"a"}`: false, `{"user":"a","user":"b"}`: false, `{"other":"a"}`: false, `{"user":"\u0061"}`: false, `{"user":"ä"}`: false,
	"{\"user\":\"a\nb\"}": false, "{\"user\":\"\x7f\"}": false, "{\"user\":\"\xff\"}": false, `{"attributes":{"a":1}}`: false, `{"attributes":null}`: false,
	`{"programs":{}}`: false, `{"programs":[`: false, `{"programs":[{}`: false, `{"programs":[{},]}`: false, `{"programs":[null]}`: false,
	`{"programs":[{"installed":{"versionCode":01}}]}`: false, `{"programs":[{"installed":{"versionCode":-1}}]}`: false,
	`{"programs":[{"installed":{"versionCode":1.5}}]}`: false, `{"programs":[{"installed":{"versionCode":1e3}}]}`: false,
	`{"programs":[{"installed":{"versionCode":9223372036854775808}}]}`: false, `{"programs":[{"installed":{"versionCode":}}]}`: false,
	"\ufeff{}": false, "\v{}": false,
}

func TestPlainJSON(t *testing.T) {
	for body, want := range plainBodies {
		if got := new(resolveRequest).readPlain(body); got != want {
			t.Errorf("%q is plain: %v, want %v", body, got, want)
		}
	}
}

// FuzzPlainJSON compares what is read without encoding/json with what that reads.
func FuzzPlainJSON(f *testing.F) {
	for body := range plainBodies {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var got, want resolveRequest
		if !got.readPlain(body) {
			if diff := cmp.Diff(resolveRequest{}, got); diff != "" {
				t.Errorf("something is left of what was not plain (-nothing +left):\n%s", diff)
			}
			return
		}
		if err := json.Unmarshal([]byte(body), &want); err != nil {
			t.Fatalf("accepted is what encoding/json does not read: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request (-encoding/json +ours):\n%s", diff)
		}
	})
}

package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	kjson "sigs.k8s.io/json"
)

// plainBodies are what host apps send; what is not plain is left to a library.
var plainBodies = map[string]bool{
	resolveBody: true,
	`{}`:        true, " {\t\"user\" : \"u\"\r\n} ": true, `{"programs":[],"attributes":{}}`: true,
	`{"attributes":{"a":"1","b":"1"},"programs":[{},{"appID":"a","installed":{}}]}`:                                 true,
	`{"programs":[{"installed":{"versionCode":9223372036854775807,"digest":"sha256:a"},"appID":"a","channel":""}]}`: true,

	``: false, `{`: false, `{"user"`: false, `{"user":`: false, `{"user":"a`: false, `{"user":"a"`: false, `{"user":"a",}`: false,
	`{"user":"a"}x`: false, `{"user":"a"}{}`: false, `null`: false, `[]`: false, `{"user":null}`: false, `{"user":1}`: false,
	`{"User":"a"}`: false, `{"user":"a","user":"b"}`: false, `{"other":"a"}`: false, `{"user":"\u0061"}`: false, `{"user":"ä"}`: false,
	"{\"user\":\"a\nb\"}": false, "{\"user\":\"\x7f\"}": false, "{\"user\":\"\xff\"}": false, `{"attributes":{"a":1}}`: false, `{"attributes":null}`: false,
	`{"attributes":{"a":"1","a":"1"}}`: false,
	`{"programs":{}}`:                  false, `{"programs":[`: false, `{"programs":[{}`: false, `{"programs":[{},]}`: false, `{"programs":[null]}`: false,
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

// FuzzPlainJSON compares what is read without a library with what that reads.
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
		if twice, err := kjson.UnmarshalStrict([]byte(body), &want, kjson.DisallowDuplicateFields); err != nil || len(twice) > 0 {
			t.Fatalf("accepted is what the library does not read: %v, %v", err, twice)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request (-library +ours):\n%s", diff)
		}
	})
}

package document

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func preview(change ...func(*Preview)) *Preview {
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	digest := "sha256:" + strings.Repeat("ab", 32)
	p := &Preview{
		Type: TypePreview, CodeHash: HashPreviewCode(strings.Repeat("c", 22)), AppID: "com.example.shop", HostApp: "wallet",
		IssuedAt: At(at), ExpiresAt: At(at.Add(24 * time.Hour)),
		Version: PreviewVersion{
			Version: "1.3.0-rc.1", VersionCode: 10300, Digest: digest, ContentDigest: digest, Format: "Web",
			Archive: Blob{Digest: digest, Size: 1}, Content: Blob{Digest: digest, Size: 2},
			Declaration: Declaration{Permissions: []Permission{{Name: "camera", Reason: "a<b"}}},
		},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func TestAPreviewIsReadAsItWasWritten(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	want := `{"type":"miniprogram.preview/v1","codeHash":"` + HashPreviewCode(strings.Repeat("c", 22)) + `","appID":"com.example.shop","hostApp":"wallet",` +
		`"issuedAt":"2026-11-22T09:00:00Z","expiresAt":"2026-11-23T09:00:00Z","version":{"version":"1.3.0-rc.1","versionCode":10300,"digest":"` + digest +
		`","contentDigest":"` + digest + `","archive":{"digest":"` + digest + `","size":1},"content":{"digest":"` + digest + `","size":2},"format":"Web",` +
		`"declaration":{"permissions":[{"name":"camera","reason":"a<b"}],"domains":{}},"compatibility":{}}}`
	data, err := MarshalPreview(preview())
	if err != nil || string(data) != want {
		t.Fatalf("written is %s, %v\nwant %s", data, err, want)
	}
	read, err := ParsePreview(data)
	if err != nil || !reflect.DeepEqual(read, preview()) {
		t.Errorf("read is %+v, %v", read, err)
	}
	if _, err := Parse(data); err == nil {
		t.Error("a preview is read as a release")
	}
}

func TestAPreviewThatIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Preview)
		want   string
	}{
		"another type":        {func(p *Preview) { p.Type = TypeTrial }, "the document's /type must be miniprogram.preview/v1"},
		"no hash":             {func(p *Preview) { p.CodeHash = strings.Repeat("c", 22) }, "the document's /codeHash must be 32 lower-case hexadecimal digits"},
		"no app ID":           {func(p *Preview) { p.AppID = "" }, "the document's /appID must match [A-Za-z0-9][A-Za-z0-9._-]{2,63}"},
		"no host app":         {func(p *Preview) { p.HostApp = "" }, "the document's /hostApp must not be empty"},
		"no time of issue":    {func(p *Preview) { p.IssuedAt = Time{} }, "the document's /issuedAt must be a time like 2006-01-02T15:04:05Z"},
		"expired when issued": {func(p *Preview) { p.ExpiresAt = p.IssuedAt }, "the document's /expiresAt must be after issuedAt"},
		"for more than a week": {func(p *Preview) { p.ExpiresAt = At(p.IssuedAt.Add(MaxPreviewValidity + time.Second)) },
			"the document's /expiresAt must be at most 7 days after issuedAt"},
		"no digest":          {func(p *Preview) { p.Version.Digest = "" }, "the document's /version/digest must be sha256: and 64 lower-case hexadecimal digits"},
		"no content":         {func(p *Preview) { p.Version.Content.Digest = "x" }, "the document's /version/content/digest must be sha256: and 64 lower-case hexadecimal digits"},
		"what is no version": {func(p *Preview) { p.Version.Version = "latest" }, "the document's /version/version must be a version: numbers separated by dots"},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := MarshalPreview(preview(test.change))
			if err == nil || err.Error() != test.want || data != nil {
				t.Errorf("got %s, %v, want %s", data, err, test.want)
			}
		})
	}
	if _, err := ParsePreview([]byte(`{"type":"miniprogram.preview/v1","Type":"x"}`)); err == nil {
		t.Error("a member twice is read")
	}
}

// The hash is part of names in etcd, and other programs compute it.
func TestTheHashOfAPreviewCodeIsFrozen(t *testing.T) {
	const want = "e87846e6bf22773a31be741f1163fba4"
	if got := HashPreviewCode("AAECAwQFBgcICQoLDA0ODw"); got != want || !IsPreviewHash(got) {
		t.Errorf("got %s, want %s", got, want)
	}
	for code, want := range map[string]bool{"AAECAwQFBgcICQoLDA0ODw": true, "AAECAwQFBgcICQoLDA0OD": false, "AAECAwQFBgcICQoLDA0OD=": false, "": false} {
		if IsPreviewCode(code) != want {
			t.Errorf("%q: %t", code, !want)
		}
	}
}

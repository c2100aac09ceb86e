package delivery

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

func TestWhatAnnotationsAskFor(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	hash := func(n int) string { return fmt.Sprintf("%032x", n) }
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	const malformed = "the annotation must be HOSTAPP@TIME, as in wallet@2026-11-22T09:00:00Z: ask by kubectl miniprogram preview"
	for name, test := range map[string]struct {
		annotations map[string]string // by what follows the prefix
		want        []PreviewRequest
	}{
		"nothing": {},
		"two, in the order of their hashes": {
			map[string]string{hash(2): "wallet@" + at(time.Hour), hash(1): "bank@" + at(2*time.Hour)},
			[]PreviewRequest{{CodeHash: hash(1), HostApp: "bank", Expires: now.Add(2 * time.Hour)}, {CodeHash: hash(2), HostApp: "wallet", Expires: now.Add(time.Hour)}},
		},
		"another offset":   {map[string]string{hash(1): "wallet@2026-11-22T11:00:00+01:00"}, []PreviewRequest{{CodeHash: hash(1), HostApp: "wallet", Expires: now.Add(time.Hour)}}},
		"one that is over": {map[string]string{hash(1): "wallet@" + at(0)}, nil},
		"for a week":       {map[string]string{hash(1): "wallet@" + at(7*24*time.Hour)}, []PreviewRequest{{CodeHash: hash(1), HostApp: "wallet", Expires: now.Add(7 * 24 * time.Hour)}}},
		"for more than a week": {map[string]string{hash(1): "wallet@" + at(7*24*time.Hour+time.Second)},
			[]PreviewRequest{{CodeHash: hash(1), HostApp: "wallet", Expires: now.Add(7*24*time.Hour + time.Second), Refused: "a preview may last for 7 days at most: ask for an earlier end"}}},
		"without a host app": {map[string]string{hash(1): "@" + at(time.Hour)}, []PreviewRequest{{CodeHash: hash(1), Refused: malformed}}},
		"without a time":     {map[string]string{hash(1): "wallet"}, []PreviewRequest{{CodeHash: hash(1), Refused: malformed}}},
		"what is no hash":    {map[string]string{"x": "wallet@" + at(time.Hour), strings.ToUpper("ab" + hash(1)[2:]): "wallet@" + at(time.Hour)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			annotations := map[string]string{"other": "x"}
			for hash, value := range test.annotations {
				annotations[v1alpha1.PreviewAnnotationPrefix+hash] = value
			}
			if diff := cmp.Diff(test.want, PreviewRequests(annotations, now)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAVersionHasTwentyPreviewsAtMost(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	annotations := map[string]string{}
	for i := range 3 * MaxPreviews {
		name, value := PreviewAnnotation(&PreviewRequest{CodeHash: fmt.Sprintf("%032x", i), HostApp: "wallet", Expires: now.Add(time.Hour + time.Duration(i)*time.Minute)})
		annotations[name] = value
	}
	good := 0
	got := PreviewRequests(annotations, now)
	for _, r := range got {
		if r.Refused == "" {
			good++
		} else if r.Refused != "the version has 20 other previews: wait until one is over, or remove its annotation" {
			t.Errorf("%s: %s", r.CodeHash, r.Refused)
		}
	}
	if good != MaxPreviews || len(got) != 2*MaxPreviews {
		t.Errorf("%d of %d are good", good, len(got))
	}
}

func TestAPreviewSaysWhatADocumentWouldSay(t *testing.T) {
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	v := &v1alpha1.Variant{
		VersionRef: "shop-1", Version: "1.0.0", VersionCode: 10000, Format: "Web", EntryPage: "index.html", Digest: digest("a"), ContentDigest: digest("b"),
		Archive: v1alpha1.Blob{Digest: digest("c"), SizeBytes: 1}, Content: v1alpha1.Blob{Digest: digest("d"), SizeBytes: 2},
		Declaration: &v1alpha1.Declaration{Domains: &v1alpha1.Domains{Request: []v1alpha1.HTTPSOrigin{"https://a.example"}}},
	}
	got := Preview(&PreviewRequest{CodeHash: fmt.Sprintf("%032x", 1), HostApp: "wallet", Expires: at.Add(time.Hour)}, "com.example.shop", v, at)
	want := &document.Preview{
		Type: "miniprogram.preview/v1", CodeHash: fmt.Sprintf("%032x", 1), AppID: "com.example.shop", HostApp: "wallet",
		IssuedAt: document.At(at), ExpiresAt: document.At(at.Add(time.Hour)),
		Version: document.PreviewVersion{
			Version: "1.0.0", VersionCode: 10000, Format: "Web", Digest: digest("a"), ContentDigest: digest("b"),
			Archive: document.Blob{Digest: digest("c"), Size: 1}, Content: document.Blob{Digest: digest("d"), Size: 2},
			Declaration: document.Declaration{Domains: document.Domains{Request: []string{"https://a.example"}}, EntryPages: []string{"index.html"}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := document.MarshalPreview(got); err != nil {
		t.Error(err)
	}
}

package manifest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

const previewCode = "AAECAwQFBgcICQoLDA0ODw"

const previewPath = "/v1/preview/" + previewCode

// trialWallet is host app wallet, which takes trials.
func trialWallet(change ...func(*delivery.HostAppConfig)) *delivery.HostAppConfig {
	return wallet(append([]func(*delivery.HostAppConfig){func(c *delivery.HostAppConfig) {
		c.Access, c.TokenHashes, c.Channels = "Token", []string{"x"}, []string{"release", "trial"}
	}}, change...)...)
}

func previewOf(change ...func(*document.Preview)) *document.Preview {
	v := variant("1.3.0", 130)
	p := &document.Preview{
		Type: document.TypePreview, CodeHash: document.HashPreviewCode(previewCode), AppID: "com.example.shop", HostApp: "wallet",
		IssuedAt: document.At(now.Add(-time.Hour)), ExpiresAt: document.At(now.Add(time.Hour)),
		Version: document.PreviewVersion{
			Version: v.Version, VersionCode: v.VersionCode, Digest: v.Digest, ContentDigest: v.ContentDigest,
			Archive: v.Archive, Content: v.Content, Format: v.Format, Declaration: v.Declaration,
		},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

// previewRecord is the ConfigMap of a preview.
func (f *fixture) previewRecord(p *document.Preview) *record {
	f.t.Helper()
	payload, err := document.MarshalPreview(p)
	if err != nil {
		f.t.Fatal(err)
	}
	return &record{Name: delivery.PreviewConfigMap(p.CodeHash), Kind: delivery.KindPreview, Data: map[string]string{
		delivery.KeyEnvelope: signedBytes(f.t, f.key, document.PreviewPayloadType, payload), delivery.KeyRepository: "shop-team/shop",
	}}
}

// newPreviewFixture has one preview, whose archive the registry has.
func newPreviewFixture(t *testing.T, adjust ...func(*Options)) *fixture {
	t.Helper()
	f := newFixture(t, adjust...)
	f.hostApp(trialWallet())
	f.put(f.previewRecord(previewOf()))
	f.source.set("sha256:"+hex64("archive of 1.3.0"), "archive of 1.3.0")
	return f
}

func (f *fixture) wantPreview() {
	f.t.Helper()
	if got := f.get(previewPath); got.Status != http.StatusOK {
		f.t.Errorf("the preview is %d %s", got.Status, got.Body)
	}
}

func (f *fixture) wantNoPreview(path string) {
	f.t.Helper()
	body := `{"title":"There is no such preview","status":404,"detail":"no preview has this code, or none any more: ask whoever gave it to you for another","code":"UnknownPreview"}`
	if diff := cmp.Diff(answer{Status: 404, Header: problemHeader(body), Body: body}, f.get(path)); diff != "" {
		f.t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestWhoHasTheCodeGetsThePreview(t *testing.T) {
	f := newPreviewFixture(t)
	payload, err := document.MarshalPreview(previewOf())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"preview":` + string(payload) + `,"envelope":` + f.previewRecord(previewOf()).Data[delivery.KeyEnvelope] + `}`
	got := f.get(previewPath)
	if got.Status != http.StatusOK || got.Body != want {
		t.Errorf("got %d %s\nwant %s", got.Status, got.Body, want)
	}
	header := http.Header{
		"Cache-Control": {"private, no-store"}, "Content-Length": lengthOf([]byte(want)), "Content-Type": {"application/json"},
		"Etag": {etagOf([]byte(want))}, "Referrer-Policy": {"no-referrer"},
	}
	for name := range header {
		if diff := cmp.Diff(header[name], got.Header[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := f.get("/v1/blobs/sha256/" + hex64("archive of 1.3.0")); got.Status != http.StatusOK || got.Body != "archive of 1.3.0" {
		t.Errorf("its archive is %d %s", got.Status, got.Body)
	}
	if log := f.logs.text(); strings.Contains(log, previewCode) {
		t.Errorf("the log has the code: %s", log)
	}
}

func TestWhyThereIsNoPreviewIsNotTold(t *testing.T) {
	f := newPreviewFixture(t)
	for _, code := range []string{strings.Repeat("x", 22), "short", strings.Repeat("x", 23), "AAECAwQFBgcICQoLDA0O%2F_", document.HashPreviewCode(previewCode)} {
		f.wantNoPreview("/v1/preview/" + code)
	}
	host := func(change func(*delivery.HostAppConfig)) func(*fixture) {
		return func(f *fixture) { f.hostApp(trialWallet(change)) }
	}
	for name, change := range map[string]func(f *fixture){
		"the host app takes no trials any more": host(func(c *delivery.HostAppConfig) { c.Channels = nil }),
		"it asks for no tokens any more":        host(func(c *delivery.HostAppConfig) { c.Access = "" }),
		"it is disabled":                        host(func(c *delivery.HostAppConfig) { c.Availability = "Disabled" }),
		"it blocks the program":                 host(func(c *delivery.HostAppConfig) { c.Blocks = []delivery.Block{{AppID: "com.example.shop"}} }),
		"it blocks the digest": host(func(c *delivery.HostAppConfig) {
			c.Blocks = []delivery.Block{{Digest: "sha256:" + hex64("artifact of 1.3.0")}}
		}),
		"its ConfigMap is gone":        func(f *fixture) { f.remove(delivery.PreviewConfigMap(document.HashPreviewCode(previewCode))) },
		"it went while nobody watched": func(f *fixture) { f.service.store.vanishedExcept(map[string]bool{"wallet.hostapp": true}) },
		"nobody trusts the key":        func(f *fixture) { f.trust(newKey(f.t)); f.service.reloadKeys() },
	} {
		t.Run(name, func(t *testing.T) {
			f := newPreviewFixture(t)
			f.wantPreview()
			change(f)
			f.wantNoPreview(previewPath)
		})
	}
}

func TestWithAPreviewEndWhatItHandsOut(t *testing.T) {
	at := now
	f := newPreviewFixture(t, func(o *Options) { o.Now = func() time.Time { return at } })
	blob := "/v1/blobs/sha256/" + hex64("archive of 1.3.0")
	status := func(want int) {
		t.Helper()
		if got := f.get(blob); got.Status != want {
			t.Errorf("its archive is %d, want %d", got.Status, want)
		}
	}
	at = now.Add(time.Hour - time.Second)
	f.wantPreview()
	status(http.StatusOK)
	at = now.Add(time.Hour)
	f.wantNoPreview(previewPath)
	status(http.StatusNotFound)

	// What a document names, too, is handed out for its sake.
	f.publish(shop(func(r *document.Release) { r.Stable = variant("1.3.0", 130) }))
	status(http.StatusOK)
	f.remove(delivery.PreviewConfigMap(document.HashPreviewCode(previewCode)))
	status(http.StatusOK)
}

func TestAPreviewThatIsNotTakenOver(t *testing.T) {
	for name, test := range map[string]struct {
		record func(f *fixture) *record
		reason string
	}{
		"another's signature": {func(f *fixture) *record {
			f.key = newKey(f.t)
			return f.previewRecord(previewOf())
		}, reasonSignature},
		"no envelope": {func(*fixture) *record {
			return &record{Name: "x.preview", Kind: delivery.KindPreview, Data: map[string]string{}}
		}, reasonIncomplete},
		"a release": {func(f *fixture) *record {
			r := f.rolloutRecord(shop())
			r.Name, r.Kind = delivery.PreviewConfigMap(document.HashPreviewCode(previewCode)), delivery.KindPreview
			return r
		}, reasonType},
		"under another name": {func(f *fixture) *record {
			r := f.previewRecord(previewOf())
			r.Name = delivery.PreviewConfigMap(document.HashPreviewCode(strings.Repeat("y", 22)))
			return r
		}, reasonName},
		"as a release": {func(f *fixture) *record {
			r := f.previewRecord(previewOf())
			r.Name, r.Kind = shopConfigMap, delivery.KindRollout
			return r
		}, reasonType},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.hostApp(trialWallet())
			f.put(test.record(f))
			f.wantRejected(test.reason, 1)
			f.wantNoPreview(previewPath)
			f.wantNoPreview("/v1/preview/" + strings.Repeat("y", 22))
		})
	}
	t.Run("an older one", func(t *testing.T) {
		f := newPreviewFixture(t)
		f.put(f.previewRecord(previewOf(func(p *document.Preview) {
			p.IssuedAt, p.Version.Version = document.At(p.IssuedAt.Add(-time.Second)), "0.1.0"
		})))
		f.wantRejected(reasonRolledBack, 1)
		if got := f.get(previewPath); !strings.Contains(got.Body, `"version":"1.3.0"`) {
			t.Errorf("served is %s", got.Body)
		}
	})
}

func TestAPreviewOutlivesARestartAndNotItsEnd(t *testing.T) {
	f := newPreviewFixture(t, func(o *Options) { o.StateDir = t.TempDir() })
	if err := f.service.disk.flush(); err != nil {
		t.Fatal(err)
	}
	f.start()
	f.wantPreview()
	f.remove(delivery.PreviewConfigMap(document.HashPreviewCode(previewCode)))
	if err := f.service.disk.flush(); err != nil {
		t.Fatal(err)
	}
	f.start()
	f.wantNoPreview(previewPath)
}

package release_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

var issued = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

func private(t testing.TB, last byte) *ecdsa.PrivateKey {
	t.Helper()
	raw := make([]byte, 32)
	raw[31] = last
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func key(t testing.TB, last byte) dsse.Key {
	t.Helper()
	k, err := dsse.NewKey(&private(t, last).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func shop() *document.Release {
	d := "sha256:" + strings.Repeat("11", 32)
	return &document.Release{
		Type: document.TypeRelease, AppID: "com.example.shop", Channel: document.ChannelRelease, HostApps: []string{"maps", "wallet"},
		Rollout: document.Rollout{Namespace: "shop-team", Name: "shop"}, Sequence: 42,
		IssuedAt: document.At(issued), ExpiresAt: document.At(issued.AddDate(0, 0, 7)), PollSeconds: 300,
		Availability: document.Listed, MinimumVersion: "1.2.0", Decide: document.DecideHost,
		Stable: &document.Variant{Delivery: 1, Version: "1.4.2", Digest: d, ContentDigest: d,
			Archive: document.Blob{Digest: d}, Content: document.Blob{Digest: d}},
	}
}

func expect(t testing.TB) release.Expect {
	return release.Expect{AppID: "com.example.shop", Channel: "release", HostApp: "wallet",
		Keys: []dsse.Key{key(t, 7)}, Now: issued.Add(time.Hour)}
}

func envelope(t testing.TB, payloadType string, payload []byte) []byte {
	t.Helper()
	e, err := dsse.Sign(private(t, 7), payloadType, payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func signed(t testing.TB, doc *document.Release) []byte {
	t.Helper()
	payload, err := document.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return envelope(t, document.PayloadType, payload)
}

func TestAGoodDocumentIsBelieved(t *testing.T) {
	raw := signed(t, shop())
	want := &release.Verified{
		Document:       shop(),
		EnvelopeDigest: fmt.Sprintf("sha256:%x", sha256.Sum256(raw)),
		KeyID:          key(t, 7).ID,
	}
	for name, seen := range map[string]release.Seen{
		"nothing was seen":              {},
		"the same was seen":             {Sequence: 42, IssuedAt: issued},
		"a lower sequence was seen":     {Sequence: 41, IssuedAt: issued.Add(time.Hour)},
		"it was signed anew since then": {Sequence: 42, IssuedAt: issued.Add(-time.Second)},
	} {
		e := expect(t)
		e.Seen = seen
		if got, err := release.Verify(raw, e); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v and %v, want %+v", name, got, err, want)
		}
	}
	if got := want.Seen(); got != (release.Seen{Sequence: 42, IssuedAt: issued}) {
		t.Errorf("to be stored: %+v", got)
	}
}

func TestATrialDocumentIsBelievedOnlyWhereTrialWasAskedFor(t *testing.T) {
	doc := shop()
	doc.Type, doc.Channel = document.TypeTrial, document.ChannelTrial
	e := expect(t)
	if _, err := release.Verify(signed(t, doc), e); !errors.Is(err, release.ErrType) {
		t.Errorf("asked for release: %v", err)
	}
	e.Channel = document.ChannelTrial
	if _, err := release.Verify(signed(t, doc), e); err != nil {
		t.Errorf("asked for trial: %v", err)
	}
	if _, err := release.Verify(signed(t, shop()), e); !errors.Is(err, release.ErrType) {
		t.Errorf("asked for trial and got release: %v", err)
	}
}

// sentinels in the order of the checks.
var sentinels = []error{
	release.ErrTooLarge, release.ErrSignature, release.ErrType, release.ErrMalformed, release.ErrAppID,
	release.ErrChannel, release.ErrHostApp, release.ErrRolledBack, release.ErrExpired,
}

func TestEachCheckHasItsError(t *testing.T) {
	good := signed(t, shop())
	for name, c := range map[string]struct {
		raw    []byte
		change func(*release.Expect)
		want   error
		text   string
	}{
		"too large": {bytes.Repeat([]byte(" "), release.MaxEnvelopeSize+1), nil, release.ErrTooLarge,
			"the envelope is too large: 365913 bytes, 365912 are allowed"},
		"another key": {good, func(e *release.Expect) { e.Keys = []dsse.Key{key(t, 8)} }, release.ErrSignature, ""},
		"no envelope": {[]byte("hello"), nil, release.ErrSignature,
			"the signature is not to be trusted: the envelope is malformed: is not JSON"},
		"another payload type": {envelope(t, "application/vnd.miniprogram.keys.v1+json", []byte(`{}`)), nil, release.ErrType,
			`the document is of another type: payload type "application/vnd.miniprogram.keys.v1+json", want "application/vnd.miniprogram.release.v1+json"`},
		"another type": {envelope(t, document.PayloadType, []byte(`{"type":"miniprogram.keys/v1"}`)), nil, release.ErrType,
			`the document is of another type: the document's /type must be "miniprogram.release/v1" or "miniprogram.trial/v1"`},
		"malformed": {envelope(t, document.PayloadType, []byte(`{"type":"miniprogram.release/v1","channel":"release"}`)), nil, release.ErrMalformed,
			"the document is malformed: the document's /appID must match [A-Za-z0-9][A-Za-z0-9._-]{2,63}"},
		"another app ID": {good, func(e *release.Expect) { e.AppID = "com.example.bank" }, release.ErrAppID,
			"the document is for another app ID: com.example.shop, want com.example.bank"},
		"another channel": {good, func(e *release.Expect) { e.Channel = "beta" }, release.ErrChannel,
			"the document is for another channel: release, want beta"},
		"another host app": {good, func(e *release.Expect) { e.HostApp = "bank" }, release.ErrHostApp,
			"the document is not for this host app: for maps, wallet, want bank"},
		"a higher sequence was seen": {good, func(e *release.Expect) { e.Seen = release.Seen{Sequence: 43} }, release.ErrRolledBack,
			"the document is older than one that was seen: its sequence is 42 of 2026-11-20T08:00:00Z, seen was 43 of 0001-01-01T00:00:00Z"},
		"a later signing was seen": {good, func(e *release.Expect) { e.Seen = release.Seen{Sequence: 42, IssuedAt: issued.Add(time.Second)} }, release.ErrRolledBack, ""},
		"expired": {good, func(e *release.Expect) { e.Now = issued.AddDate(0, 0, 7) }, release.ErrExpired,
			"the document is expired since 2026-11-27T08:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			e := expect(t)
			if c.change != nil {
				c.change(&e)
			}
			got, err := release.Verify(c.raw, e)
			if got != nil {
				t.Errorf("hands out %+v", got)
			}
			for _, sentinel := range sentinels {
				if is, want := errors.Is(err, sentinel), sentinel == c.want; is != want {
					t.Errorf("%v matches %q: %t, want %t", err, sentinel, is, want)
				}
			}
			if c.text != "" && (err == nil || err.Error() != c.text) {
				t.Errorf("got %v\nwant %s", err, c.text)
			}
		})
	}
}

func TestTheFirstCheckThatFailsIsTheOneThatIsNamed(t *testing.T) {
	// Everything is wrong at first, then one thing after the other is mended.
	raw := signed(t, shop())
	e := release.Expect{AppID: "x", Channel: "x", HostApp: "x", Keys: []dsse.Key{key(t, 8)},
		Seen: release.Seen{Sequence: 43}, Now: issued.AddDate(1, 0, 0)}
	for _, step := range []struct {
		want error
		mend func()
	}{
		{release.ErrSignature, func() { e.Keys = append(e.Keys, key(t, 7)) }},
		{release.ErrAppID, func() { e.AppID = "com.example.shop" }},
		{release.ErrChannel, func() { e.Channel = "release" }},
		{release.ErrHostApp, func() { e.HostApp = "wallet" }},
		{release.ErrRolledBack, func() { e.Seen = release.Seen{} }},
		{release.ErrExpired, func() { e.Now = issued }},
		{nil, func() {}},
	} {
		if _, err := release.Verify(raw, e); !errors.Is(err, step.want) {
			t.Errorf("got %v, want %v", err, step.want)
		}
		step.mend()
	}
}

func TestAnExpiredDocumentCanStillBeShown(t *testing.T) {
	e := expect(t)
	e.Now = issued.AddDate(1, 0, 0)
	_, err := release.Verify(signed(t, shop()), e)
	expired, ok := errors.AsType[*release.ExpiredError](err)
	if !ok || !reflect.DeepEqual(expired.Verified.Document, shop()) || !expired.ExpiredAt.Equal(issued.AddDate(0, 0, 7)) {
		t.Errorf("got %+v", err)
	}
	e.Now = issued.AddDate(0, 0, 7).Add(-time.Nanosecond)
	if _, err := release.Verify(signed(t, shop()), e); err != nil {
		t.Errorf("just before it expires: %v", err)
	}
}

func TestATombstoneThatNamesNobodyIsForNobody(t *testing.T) {
	doc := shop()
	doc.HostApps, doc.Stable = nil, nil
	doc.Availability, doc.Tombstone = document.Removed, &document.Tombstone{Installed: document.Remove}
	_, err := release.Verify(signed(t, doc), expect(t))
	if want := "the document is not for this host app: for none, want wallet"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestTheLargestDocumentFitsItsEnvelope(t *testing.T) {
	doc := shop()
	doc.Listing = &document.Listing{}
	short, err := document.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	doc.Listing.DisplayName = strings.Repeat("x", document.MaxSize-len(short))
	payload, err := document.Marshal(doc)
	if err != nil || len(payload) != document.MaxSize {
		t.Fatalf("%d bytes, %v", len(payload), err)
	}
	e, err := dsse.Sign(private(t, 7), document.PayloadType, payload)
	if err != nil {
		t.Fatal(err)
	}
	for last := byte(8); len(e.Signatures) < dsse.MaxSignatures; last++ {
		if err := e.Add(private(t, last)); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := release.Verify(raw, expect(t)); err != nil {
		t.Errorf("%d bytes: %v", len(raw), err)
	}
}

func TestAVersionBelowTheMinimumMayNotBeOpened(t *testing.T) {
	doc := shop()
	for version, want := range map[string]bool{"1.1.9": false, "1.2.0-rc.1": false, "1.2.0": true, "1.10.0": true, "": false, "new": false} {
		if got := release.MayOpen(doc, version); got != want {
			t.Errorf("%q: got %t, want %t", version, got, want)
		}
	}
	doc.MinimumVersion = ""
	if !release.MayOpen(doc, "new") {
		t.Error("without a minimum every version may be opened")
	}
}

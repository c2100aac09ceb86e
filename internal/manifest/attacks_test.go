package manifest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// between answers in the place of the service, with what a network or a cache may hand
// out instead of the document.
func between(t *testing.T, answer string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", document.EnvelopeMediaType)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server
}

// Whoever is between a host app and the service can hand out what he likes: a host app
// that checks it takes over nothing that was not meant for it, and nothing older.
func TestAHostAppTakesNothingFromWhoIsBetween(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Name = "bank" }))
	current := shop(sequence(1005), withTarget(500))
	other := shop(func(r *document.Release) { r.AppID, r.Rollout.Name = "com.example.other", "other" })
	forBank := shop(func(r *document.Release) { r.HostApps, r.Rollout.Name = []string{"bank"}, "bank" })
	f.publish(current, other, forBank)
	key, err := dsse.NewKey(&f.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	expect := release.Expect{AppID: "com.example.shop", Channel: "release", HostApp: "wallet", Keys: []dsse.Key{key}, Now: now, Seen: release.Seen{Sequence: 1005, IssuedAt: now}}
	take := func(url string) error {
		status, body, err := fetch(new(http.Client), url)
		if err != nil || status != 200 {
			t.Fatalf("%s: %d %v", url, status, err)
		}
		_, err = release.Verify([]byte(body), expect)
		return err
	}
	if err := take(f.server.URL + shopPath); err != nil {
		t.Fatalf("the service itself: %v", err)
	}
	good := f.envelope(current)
	for name, test := range map[string]struct {
		answer string
		want   error
	}{
		"the share is changed":          {strings.Replace(good, good[len(good)/3:len(good)/3+1], flipped(good[len(good)/3]), 1), release.ErrSignature},
		"cut off":                       {good[:len(good)-10], release.ErrSignature},
		"signed by another":             {signed(t, newKey(t), current), release.ErrSignature},
		"signed by another in our name": {f.forged(shop(sequence(1006), withTarget(10000))), release.ErrSignature},
		"an older one":                  {f.envelope(shop(sequence(1004))), release.ErrRolledBack},
		"the same, issued before": {f.envelope(shop(sequence(1005), func(r *document.Release) {
			r.IssuedAt = document.At(now.Add(-time.Hour))
		})), release.ErrRolledBack},
		"a frozen one": {f.envelope(shop(sequence(1006), func(r *document.Release) {
			r.IssuedAt, r.ExpiresAt = document.At(now.Add(-8*24*time.Hour)), document.At(now)
		})), release.ErrExpired},
		"that of another program":     {f.envelope(other), release.ErrAppID},
		"that for another host app":   {f.envelope(forBank), release.ErrHostApp},
		"a trial":                     {f.envelope(shop(func(r *document.Release) { r.Type, r.Channel = document.TypeTrial, document.ChannelTrial })), release.ErrType},
		"something else that is ours": {signedBytes(t, f.key, "application/json", []byte(`{"type":"miniprogram.keys/v1"}`)), release.ErrType},
		"endless":                     {good + strings.Repeat(" ", release.MaxEnvelopeSize), release.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if err := take(between(t, test.answer).URL); !errors.Is(err, test.want) {
				t.Errorf("the error is %v, want %v", err, test.want)
			}
		})
	}
}

// forged names our key under a signature of another.
func (f *fixture) forged(r *document.Release) string {
	f.t.Helper()
	other := newKey(f.t)
	ids := make([]string, 0, 2)
	for _, key := range []*ecdsa.PrivateKey{other, f.key} {
		public, err := dsse.NewKey(&key.PublicKey)
		if err != nil {
			f.t.Fatal(err)
		}
		ids = append(ids, public.ID)
	}
	return strings.ReplaceAll(signed(f.t, other, r), ids[0], ids[1])
}

// flipped is another character of base64.
func flipped(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

// Whoever may write ConfigMaps in the publication namespace has no key: what he writes, or
// deletes, changes nothing of what is served. (What each is counted as, TestWhatFailsItsCheck… tells.)
func TestWhoWritesConfigMapsByHandChangesNothing(t *testing.T) {
	good := shop(sequence(1005), withTarget(500))
	for name, attack := range map[string]func(f *fixture){
		"a larger share": func(f *fixture) {
			r := f.rolloutRecord(good)
			r.Data[delivery.KeyEnvelope] = signed(f.t, newKey(f.t), shop(sequence(1006), withTarget(10000)))
			f.put(r)
		},
		"a larger share, signed in our name": func(f *fixture) {
			r := f.rolloutRecord(good)
			r.Data[delivery.KeyEnvelope] = f.forged(shop(sequence(1006), withTarget(10000)))
			f.put(r)
		},
		"a changed byte": func(f *fixture) {
			r := f.rolloutRecord(good)
			text := []byte(r.Data[delivery.KeyEnvelope])
			text[len(text)/2]++
			r.Data[delivery.KeyEnvelope] = string(text)
			f.put(r)
		},
		"an older document":                       func(f *fixture) { f.publish(shop(sequence(1004))) },
		"another under the same number":           func(f *fixture) { f.publish(shop(sequence(1005))) },
		"a good one under another program's name": func(f *fixture) { r := f.rolloutRecord(good); r.Name = "other-team.other.rollout"; f.put(r) },
		"its document deleted":                    func(f *fixture) { f.remove(delivery.RolloutConfigMap("shop-team", "shop")) },
		"its host app deleted":                    func(f *fixture) { f.remove(delivery.HostAppConfigMap("wallet")) },
		"all deleted": func(f *fixture) {
			f.remove(delivery.RolloutConfigMap("shop-team", "shop"))
			f.remove(delivery.HostAppConfigMap("wallet"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.hostApp(wallet())
			f.publish(good)
			served := f.get(shopPath)
			attack(f)
			f.wantServed(served.Body)
			f.publish(shop(sequence(1010)))
			f.wantServed(f.envelope(shop(sequence(1010))))
		})
	}
}

// A blob of which a bit is not what was signed never leaves whole: neither from the
// registry nor from the disk of the service.
func TestABlobWithOneBitFlippedIsNeverAnswered(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 10_000)
	sum := sha256.Sum256([]byte(text))
	digest := "sha256:" + hex.EncodeToString(sum[:])
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop(func(r *document.Release) { r.Stable.Archive = document.Blob{Digest: digest, Size: int64(len(text))} }))
	for _, at := range []int{0, len(text) / 2, len(text) - 1} {
		bad := []byte(text)
		bad[at] ^= 1
		f.source.set(digest, string(bad))
		got := f.get(blobPath(digest))
		if got.Status != http.StatusBadGateway || bytes.Contains([]byte(got.Body), []byte("0123456789")) {
			t.Errorf("a bit of byte %d is flipped: %d with %d bytes", at, got.Status, len(got.Body))
		}
	}
	f.source.set(digest, text)
	if got := f.get(blobPath(digest)); got.Body != text {
		t.Errorf("the good one: %d with %d bytes", got.Status, len(got.Body))
	}
}

package manifest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

const shopConfigMap = "shop-team.shop.rollout"

func TestWhatFailsItsCheckKeepsTheLastGoodInService(t *testing.T) {
	payload := func(t *testing.T, r *document.Release) []byte {
		text, err := document.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	tests := map[string]struct {
		data   func(t *testing.T, f *fixture) map[string]string
		reason string
	}{
		"no envelope": {
			data:   func(*testing.T, *fixture) map[string]string { return map[string]string{"document": "{}"} },
			reason: reasonIncomplete,
		},
		"no JSON": {
			data:   func(*testing.T, *fixture) map[string]string { return envelopeOnly("<html>") },
			reason: reasonSignature,
		},
		"a key that is not trusted": {
			data: func(t *testing.T, _ *fixture) map[string]string {
				return envelopeOnly(signed(t, newKey(t), shop(sequence(2000))))
			},
			reason: reasonSignature,
		},
		"bytes changed after signing": {
			data: func(_ *testing.T, f *fixture) map[string]string {
				return envelopeOnly(strings.Replace(f.envelope(shop(sequence(2000))), `"payload":"eyJ0`, `"payload":"eyJ1`, 1))
			},
			reason: reasonSignature,
		},
		"another payload type": {
			data: func(t *testing.T, f *fixture) map[string]string {
				return envelopeOnly(signedBytes(t, f.key, "application/vnd.miniprogram.keys.v1+json", payload(t, shop(sequence(2000)))))
			},
			reason: reasonType,
		},
		"another type of document": {
			data: func(t *testing.T, f *fixture) map[string]string {
				text := strings.Replace(string(payload(t, shop(sequence(2000)))), document.TypeRelease, "miniprogram.release/v2", 1)
				return envelopeOnly(signedBytes(t, f.key, document.PayloadType, []byte(text)))
			},
			reason: reasonType,
		},
		"a document that breaks a rule": {
			data: func(t *testing.T, f *fixture) map[string]string {
				text := strings.Replace(string(payload(t, shop(sequence(2000)))), `"pollSeconds":300`, `"pollSeconds":0`, 1)
				return envelopeOnly(signedBytes(t, f.key, document.PayloadType, []byte(text)))
			},
			reason: reasonMalformed,
		},
		"the document of another rollout": {
			data: func(_ *testing.T, f *fixture) map[string]string {
				return envelopeOnly(f.envelope(shop(sequence(2000), func(r *document.Release) { r.Rollout.Name = "other" })))
			},
			reason: reasonName,
		},
		"a lower sequence": {
			data: func(_ *testing.T, f *fixture) map[string]string {
				return envelopeOnly(f.envelope(shop(sequence(999), func(r *document.Release) { r.IssuedAt = document.At(now.Add(time.Hour)) })))
			},
			reason: reasonRolledBack,
		},
		"the same sequence, issued earlier": {
			data: func(_ *testing.T, f *fixture) map[string]string {
				return envelopeOnly(f.envelope(shop(func(r *document.Release) { r.IssuedAt = document.At(now.Add(-time.Second)) })))
			},
			reason: reasonRolledBack,
		},
		"something else under the same sequence and time": {
			data: func(_ *testing.T, f *fixture) map[string]string {
				return envelopeOnly(f.envelope(shop(func(r *document.Release) { r.PollSeconds = 1 })))
			},
			reason: reasonConflict,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.hostApp(wallet())
			f.publish(shop())
			good := f.envelope(shop())
			f.wantServed(good)

			bad := &record{Name: shopConfigMap, Kind: delivery.KindRollout, Data: test.data(t, f)}
			f.put(bad, bad) // the second time as when a watch begins anew

			f.wantServed(good)
			f.wantRejected(test.reason, 1)
			f.wantNotCurrent(test.reason, 1)
			if log := f.logs.text(); strings.Count(log, `"reason"="`+test.reason+`"`) != 1 || !strings.Contains(log, `"configMap"="`+shopConfigMap+`"`) {
				t.Errorf("the log is %s, want the ConfigMap and the reason %s once", log, test.reason)
			}

			f.publish(shop(sequence(3000)))
			f.wantServed(f.envelope(shop(sequence(3000))))
			f.wantNotCurrent(test.reason, 0)
		})
	}
}

func envelopeOnly(envelope string) map[string]string {
	return map[string]string{delivery.KeyEnvelope: envelope, delivery.KeyRepository: "shop-team/shop"}
}

func TestADeletedConfigMapKeepsItsContentInService(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop())
	f.remove(shopConfigMap)
	f.remove("wallet.hostapp")
	f.remove("never-seen.rollout")
	f.wantServed(f.envelope(shop()))
	f.wantRejected(reasonDeleted, 2)
	f.wantNotCurrent(reasonDeleted, 2)

	// One that comes back older than it was does not come in.
	f.publish(shop(sequence(999)))
	f.wantServed(f.envelope(shop()))
	f.publish(shop())
	f.wantNotCurrent(reasonDeleted, 1) // the host app's
	f.wantNotCurrent(reasonRolledBack, 0)
}

func TestWhatVanishedWhileNobodyWatchedStaysInService(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop())
	f.service.store.vanishedExcept(map[string]bool{"wallet.hostapp": true})
	f.wantServed(f.envelope(shop()))
	f.wantNotCurrent(reasonDeleted, 1)
}

func TestANewerDocumentReplacesAnOlder(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	for _, next := range []*document.Release{
		shop(),
		shop(func(r *document.Release) { r.IssuedAt = document.At(now.Add(time.Second)) }), // signed anew
		shop(sequence(1001), withTarget(500)),
	} {
		f.publish(next)
		f.wantServed(f.envelope(next))
	}
}

func TestASecondSignatureUnderTheSameDocumentIsTakenOver(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop())
	other := newKey(t)
	resigned := signed(t, other, shop())
	f.trust(f.key, other)
	f.service.reloadKeys()
	f.put(&record{Name: shopConfigMap, Kind: delivery.KindRollout, Data: envelopeOnly(resigned)})
	f.wantServed(resigned)
}

func TestABadHostAppKeepsTheLastGoodConfiguration(t *testing.T) {
	tests := map[string]struct{ text, reason string }{
		"no JSON":                 {text: "{", reason: reasonMalformed},
		"empty":                   {text: "", reason: reasonIncomplete},
		"another host app":        {text: `{"name":"bank","availability":"Active"}`, reason: reasonName},
		"an unknown availability": {text: `{"name":"wallet","availability":"Off"}`, reason: reasonMalformed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.hostApp(wallet())
			f.publish(shop())
			f.put(&record{Name: "wallet.hostapp", Kind: delivery.KindHostApp, Data: map[string]string{delivery.KeyHostApp: test.text}})
			f.wantServed(f.envelope(shop()))
			f.wantRejected(test.reason, 1)
		})
	}
}

func TestOfTwoRolloutsTheHigherSequenceIsServed(t *testing.T) {
	second := func(n int64) *document.Release {
		return shop(sequence(n), func(r *document.Release) { r.Rollout.Name = "another" })
	}
	for name, publish := range map[string][]*document.Release{
		"when it comes last":  {shop(), second(1001)},
		"when it comes first": {second(1001), shop()},
		"and of equal ones the ConfigMap whose name is first": {shop(), second(1000)},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.hostApp(wallet())
			f.publish(publish...)
			want := second(1001)
			if slices.ContainsFunc(publish, func(r *document.Release) bool { return r.Sequence == 1000 && r.Rollout.Name == "another" }) {
				want = second(1000)
			}
			f.wantServed(f.envelope(want))
			if log := f.logs.text(); !strings.Contains(log, "Several rollouts publish this program") {
				t.Errorf("the log does not tell: %s", log)
			}
		})
	}
}

func TestAHostAppThatADocumentNoLongerNamesIsNotServedAnOlderOne(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop(sequence(1005)))
	older := shop(sequence(1001), func(r *document.Release) { r.Rollout.Name = "another" })
	f.publish(older)
	f.publish(shop(sequence(1006), func(r *document.Release) { r.HostApps = []string{"bank"} }))
	if got := f.get(shopPath); got.Status != http.StatusNotFound {
		t.Errorf("served is %d %.100s, want nothing: it was %d and would be %d", got.Status, got.Body, 1005, 1001)
	}
	newer := shop(sequence(1007), func(r *document.Release) { r.Rollout.Name = "another" })
	f.publish(newer)
	f.wantServed(f.envelope(newer))
}

func TestATombstoneIsServed(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop())
	stone := shop(sequence(1001), func(r *document.Release) {
		r.Availability, r.Stable = document.Removed, nil
		r.Tombstone = &document.Tombstone{Reason: "RolloutDeleted", Installed: document.Remove}
		r.AlsoServed = []string{shop().Stable.Archive.Digest}
	})
	f.publish(stone)
	f.wantServed(f.envelope(stone))
	if got := f.get("/v1/blobs/sha256/" + hex64("archive of 1.0.0")); got.Status != http.StatusNotFound {
		t.Errorf("the blob of what was removed: %d, want 404", got.Status)
	}
}

func TestOtherKeysTakeEffectAtOnce(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop())
	other := newKey(t)
	next := shop(sequence(1001))
	waiting := signed(t, other, next)
	f.put(&record{Name: shopConfigMap, Kind: delivery.KindRollout, Data: envelopeOnly(waiting)})
	f.wantServed(f.envelope(shop()))

	f.trust(f.key, other)
	f.service.reloadKeys()
	f.wantServed(waiting)
	f.wantNotCurrent(reasonSignature, 0)

	f.trust(f.key)
	f.service.reloadKeys()
	if got := f.get(shopPath); got.Status != http.StatusNotFound {
		t.Errorf("served is %d, want nothing by a key that is not trusted any more", got.Status)
	}
	f.wantNotCurrent(reasonSignature, 1)

	f.trust(other)
	f.service.reloadKeys()
	f.wantServed(waiting)
}

func TestKeysThatCannotBeReadLeaveThoseFromBefore(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.trust() // an empty file
	f.service.reloadKeys()
	f.publish(shop())
	f.wantServed(f.envelope(shop()))
	if log := f.logs.text(); !strings.Contains(log, "there is no PEM block PUBLIC KEY") {
		t.Errorf("the log is %s", log)
	}
}

func TestAServiceWithoutGoodKeysDoesNotStart(t *testing.T) {
	f := newFixture(t)
	f.trust()
	_, err := New(f.options)
	want := "reading the trusted keys in " + f.keyFile + ": there is no PEM block PUBLIC KEY"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	f.options.TrustedKeys = filepath.Join(t.TempDir(), "none")
	if _, err := New(f.options); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestKeysMayBeAFolder(t *testing.T) {
	f := newFixture(t)
	f.options.TrustedKeys = filepath.Dir(f.keyFile)
	// As in a mounted volume, and beside it a folder that is none of ours.
	for _, folder := range []string{"..data", "old"} {
		path := filepath.Join(f.options.TrustedKeys, folder)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "public.pem"), []byte("no key"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.start()
	f.hostApp(wallet())
	f.publish(shop())
	f.wantServed(f.envelope(shop()))
}

// Many documents are read by several processors, and each is judged as it would be alone.
func TestManyDocumentsAtOnceAreJudgedLikeEachAlone(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	stranger := newKey(t)
	program := func(i int, n int64) *record {
		r := shop(sequence(n), func(r *document.Release) {
			r.AppID, r.Rollout.Name = fmt.Sprintf("com.example.p%d", i), fmt.Sprintf("p%d", i)
		})
		out := f.rolloutRecord(r)
		if i%3 == 0 {
			out.Data = envelopeOnly(signed(t, stranger, r))
		}
		return out
	}
	const count = 5 * worthAhead
	for n := int64(1); n <= 2; n++ {
		var updates []update
		for i := range count {
			r := program(i, n)
			updates = append(updates, update{name: r.Name, record: r})
		}
		f.service.store.apply(updates)
	}
	for i := range count {
		name := program(i, 1).Name
		e, bad := f.service.store.entries[name], f.service.store.bad[name]
		if i%3 == 0 && (e != nil || bad.reason != reasonSignature) {
			t.Errorf("document %d of a stranger: entry %v, reason %q", i, e != nil, bad.reason)
		}
		if i%3 != 0 && (e == nil || e.doc.Sequence != 2 || bad.reason != "") {
			t.Errorf("document %d: %+v, reason %q", i, e, bad.reason)
		}
	}
}

// Documents that come together with other keys are judged by these.
func TestDocumentsThatWereReadAheadAreJudgedByTheKeysOfNow(t *testing.T) {
	f := newFixture(t)
	r := f.rolloutRecord(shop())
	good := f.service.store.keys.Load()
	a := ahead{keys: good, read: map[*record]readAhead{r: {entry: &entry{configMap: "read before"}}}}
	if e, err := a.entry(r, good); err != nil || e.configMap != "read before" {
		t.Errorf("with the same keys: %v, %v", e, err)
	}
	if e, err := a.entry(r, &keySet{}); err == nil {
		t.Errorf("with other keys: %v", e)
	}
}

package manifest

import (
	"crypto/ecdsa"
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

// listed is a key in a state.
type listed struct {
	private *ecdsa.PrivateKey
	state   keychain.State
}

// keyDocument is a signed key document.
func keyDocument(t testing.TB, number int64, by []*ecdsa.PrivateKey, keys ...listed) dsse.Envelope {
	t.Helper()
	d := &keychain.Document{Type: keychain.Type, Number: number, IssuedAt: document.At(now)}
	for _, l := range keys {
		public, err := dsse.NewKey(&l.private.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		k, err := keychain.NewKey(public, l.state)
		if err != nil {
			t.Fatal(err)
		}
		if l.state == keychain.Next {
			k.NotBefore = document.At(now.Add(time.Hour))
		}
		if l.state == keychain.Retiring {
			k.RetireAfter = document.At(now.Add(time.Hour))
		}
		d.Keys = append(d.Keys, k)
	}
	text, err := keychain.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	e, err := dsse.Sign(by[0], keychain.PayloadType, text)
	for _, next := range by[1:] {
		if err == nil {
			err = e.Add(next)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return *e
}

func chainRecord(t testing.TB, documents ...dsse.Envelope) *record {
	t.Helper()
	text, err := json.Marshal(keychain.Chain{Documents: documents})
	if err != nil {
		t.Fatal(err)
	}
	return &record{Name: delivery.KeysConfigMap, Kind: delivery.KindKeys, Data: map[string]string{delivery.KeyChain: string(text)}}
}

// servedChain is what GET /v1/keys answers: the numbers of the documents, and the states of keys.
func (f *fixture) servedChain() string {
	f.t.Helper()
	got := f.get("/v1/keys")
	var keys struct {
		Keys []delivery.PublicKey `json:"keys"`
	}
	if err := json.Unmarshal([]byte(got.Body), &keys); err != nil {
		f.t.Fatal(err)
	}
	chain, err := keychain.ParseChain([]byte(got.Body))
	if err != nil {
		f.t.Fatal(err)
	}
	text := ""
	for _, e := range chain.Documents {
		payload, err := e.Unverified()
		if err != nil {
			f.t.Fatal(err)
		}
		d, err := keychain.Parse(payload)
		if err != nil {
			f.t.Fatal(err)
		}
		text += strconv.FormatInt(d.Number, 10) + " "
	}
	states := map[string]int{}
	for _, k := range keys.Keys {
		states[k.State]++
	}
	for _, s := range []string{"", "Next", "Active", "Retiring"} {
		if states[s] > 0 {
			text += s + "=" + strconv.Itoa(states[s]) + " "
		}
	}
	return text
}

// rotation is a service with a key, and the documents of a rotation to another one.
func rotation(t testing.TB) (f *fixture, next *ecdsa.PrivateKey, d [4]dsse.Envelope) {
	t.Helper()
	f, next = newFixture(t, func(o *Options) { o.StateDir = t.TempDir() }), newKey(t)
	a, b, both := []*ecdsa.PrivateKey{f.key}, []*ecdsa.PrivateKey{next}, []*ecdsa.PrivateKey{next, f.key}
	d[0] = keyDocument(t, 1, a, listed{f.key, keychain.Active})
	d[1] = keyDocument(t, 2, a, listed{f.key, keychain.Active}, listed{next, keychain.Next})
	d[2] = keyDocument(t, 3, both, listed{f.key, keychain.Retiring}, listed{next, keychain.Active})
	d[3] = keyDocument(t, 4, b, listed{next, keychain.Active})
	f.hostApp(wallet())
	f.put(chainRecord(t, d[0]))
	return f, next, d
}

func TestTheServiceFollowsARotation(t *testing.T) {
	f, next, d := rotation(t)
	f.publish(shop())
	f.wantServed(f.envelope(shop()))
	if got, want := f.servedChain(), "1 Active=1 "; got != want {
		t.Errorf("first %q, want %q", got, want)
	}
	f.put(chainRecord(t, d[0], d[1]))
	f.trust(f.key, next)
	f.service.reloadKeys()
	if got, want := f.servedChain(), "1 2 Next=1 Active=1 "; got != want {
		t.Errorf("announced %q, want %q", got, want)
	}
	f.put(chainRecord(t, d[0], d[1], d[2]))
	if got, want := f.servedChain(), "1 2 3 Active=1 Retiring=1 "; got != want {
		t.Errorf("both %q, want %q", got, want)
	}
	// A build of today pins the key that stays.
	var config delivery.HostFile
	if err := json.Unmarshal([]byte(f.get("/v1/hosts/wallet/config.json").Body), &config); err != nil {
		t.Fatal(err)
	}
	public, err := dsse.NewKey(&next.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if len(config.Keys) != 1 || config.Keys[0].KeyID != public.ID || config.Keys[0].State != "" {
		t.Errorf("to pin: %+v, want key %s alone", config.Keys, public.ID)
	}
	// The document is signed by both, and stays the same.
	both := f.envelope(shop())
	e, err := dsse.Parse([]byte(both), len(both))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Add(next); err != nil {
		t.Fatal(err)
	}
	text, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	r := f.rolloutRecord(shop())
	r.Data[delivery.KeyEnvelope] = string(text)
	f.put(r)
	f.wantServed(string(text))
	f.put(chainRecord(t, d[0], d[1], d[2], d[3]))
	f.trust(next)
	f.service.reloadKeys()
	f.wantServed(string(text))
	if got, want := f.servedChain(), "1 2 3 4 Active=1 "; got != want {
		t.Errorf("in the end %q, want %q", got, want)
	}
}

func TestABadChainIsNotServed(t *testing.T) {
	for name, test := range map[string]struct {
		record func(t *testing.T, f *fixture, next *ecdsa.PrivateKey, d [4]dsse.Envelope) *record
		reason string
	}{
		"of a stranger": {func(t *testing.T, _ *fixture, next *ecdsa.PrivateKey, _ [4]dsse.Envelope) *record {
			return chainRecord(t, keyDocument(t, 5, []*ecdsa.PrivateKey{next}, listed{next, keychain.Active}))
		}, reasonSignature},
		"with a gap that nobody vouches for": {func(t *testing.T, f *fixture, next *ecdsa.PrivateKey, d [4]dsse.Envelope) *record {
			return chainRecord(t, d[0], keyDocument(t, 2, []*ecdsa.PrivateKey{next}, listed{next, keychain.Active}, listed{f.key, keychain.Next}),
				keyDocument(t, 3, []*ecdsa.PrivateKey{f.key}, listed{f.key, keychain.Active}))
		}, reasonSignature},
		"of older documents": {func(t *testing.T, _ *fixture, _ *ecdsa.PrivateKey, d [4]dsse.Envelope) *record {
			return chainRecord(t, d[0])
		}, reasonRolledBack},
		"with another document of the same number": {func(t *testing.T, f *fixture, next *ecdsa.PrivateKey, d [4]dsse.Envelope) *record {
			return chainRecord(t, d[0], keyDocument(t, 2, []*ecdsa.PrivateKey{f.key}, listed{f.key, keychain.Active}))
		}, reasonConflict},
		"in another ConfigMap": {func(t *testing.T, _ *fixture, _ *ecdsa.PrivateKey, d [4]dsse.Envelope) *record {
			r := chainRecord(t, d[0], d[1], d[2])
			r.Name = "other.keys"
			return r
		}, reasonName},
		"that is none": {func(t *testing.T, _ *fixture, _ *ecdsa.PrivateKey, d [4]dsse.Envelope) *record {
			r := chainRecord(t)
			r.Data[delivery.KeyChain] = "[]"
			return r
		}, reasonMalformed},
		"that is empty": {func(t *testing.T, _ *fixture, _ *ecdsa.PrivateKey, _ [4]dsse.Envelope) *record {
			r := chainRecord(t)
			r.Data = nil
			return r
		}, reasonIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			f, next, d := rotation(t)
			f.put(chainRecord(t, d[0], d[1]))
			before := f.get("/v1/keys").Body
			f.put(test.record(t, f, next, d))
			if diff := cmp.Diff(before, f.get("/v1/keys").Body); diff != "" {
				t.Errorf("it is served (-before +after):\n%s", diff)
			}
			f.wantRejected(test.reason, 1)
		})
	}
}

func TestTheChainOutlivesItsConfigMapAndARestart(t *testing.T) {
	f, _, d := rotation(t)
	f.put(chainRecord(t, d[0], d[1]))
	before := f.get("/v1/keys")
	f.remove(delivery.KeysConfigMap)
	f.wantNotCurrent(reasonDeleted, 1)
	if got := f.get("/v1/keys").Body; got != before.Body {
		t.Errorf("after the ConfigMap is gone: %s", got)
	}
	if again := f.get("/v1/keys", "If-None-Match", before.Header.Get("Etag")); again.Status != 304 {
		t.Errorf("nothing changed: %d, want 304", again.Status)
	}
	if err := f.service.disk.flush(); err != nil {
		t.Fatal(err)
	}
	f.start()
	if got := f.get("/v1/keys").Body; got != before.Body {
		t.Errorf("after a restart from the disk copy: %s", got)
	}
}

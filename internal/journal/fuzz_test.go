package journal_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// fixedWriter has the private key n: the processes that fuzz must all have the same.
func fixedWriter(f *testing.F, n byte) *writer {
	f.Helper()
	raw := make([]byte, 32)
	raw[31] = n
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		f.Fatal(err)
	}
	key, err := dsse.NewKey(&private.PublicKey)
	if err != nil {
		f.Fatal(err)
	}
	return &writer{private, key}
}

// FuzzRead lets anybody who can write to the registry put anything in the place of an entry:
// it is believed only where all of it is what the manager wrote.
func FuzzRead(f *testing.F) {
	w := fixedWriter(f, 1)
	good, next, forged := w.artifact(f, 7, nil), w.artifact(f, 8, nil), fixedWriter(f, 2).artifact(f, 7, nil)
	entries := map[string]*journal.Entry{}
	for _, a := range []*journal.Artifact{good, next} {
		e, _, err := journal.Read(a, []dsse.Key{w.key})
		if err != nil {
			f.Fatal(err)
		}
		entries[a.Tag] = e
		f.Add(a.Tag, a.Entry, a.Document)
	}
	f.Add(good.Tag, next.Entry, next.Document)
	f.Add(good.Tag, good.Entry, next.Document)
	f.Add(good.Tag, good.Document, good.Document)
	f.Add(forged.Tag, forged.Entry, forged.Document)
	f.Add("", []byte("{}"), []byte(nil))
	f.Fuzz(func(t *testing.T, tag string, entry, envelope []byte) {
		_ = journal.SameDocument(entry, envelope)
		e, doc, err := journal.Read(&journal.Artifact{Tag: tag, Entry: entry, Document: envelope}, []dsse.Key{w.key})
		if err != nil {
			if e != nil || doc != nil {
				t.Errorf("with %v comes %+v, %+v", err, e, doc)
			}
			return
		}
		want := entries[tag]
		if diff := cmp.Diff(want, e); diff != "" {
			t.Fatalf("entry %s (-want +got):\n%s", tag, diff)
		}
		if journal.Digest(envelope) != want.Envelope || doc.Sequence != want.Number {
			t.Errorf("entry %s has document %d", tag, doc.Sequence)
		}
	})
}

// FuzzSignedEntry reads any bytes that were signed as an entry, of this release of the manager
// or of one to come: those that are accepted are about one Rollout or one host app, and read the
// same from what they are written as. Whatever they say, their gaps can be told.
func FuzzSignedEntry(f *testing.F) {
	w := fixedWriter(f, 1)
	base := w.artifact(f, 7, func(e *journal.Entry) {
		e.Previous = &journal.Link{Tag: "s6-1", Digest: "sha256:a"}
		e.Lost, e.Basis, e.Record = &journal.Lost{Count: 1, First: 2, Last: 3}, &journal.Basis{Reason: "Stepped"}, json.RawMessage(`{"step": 1}`)
	})
	sealed, err := dsse.Parse(base.Entry, journal.MaxSize)
	if err != nil {
		f.Fatal(err)
	}
	seed, err := sealed.Unverified()
	if err != nil {
		f.Fatal(err)
	}
	hostApp, err := (&journal.Entry{Order: journal.Order{Number: 1, Second: 2}, Written: noon, HostApp: &journal.HostApp{Name: "wallet", Blocked: []journal.Block{{AppID: "a"}}}}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range [][]byte{seed, hostApp, bytes.Replace(seed, []byte(`"rollout"`), []byte(`"Rollout"`), 1), []byte("{}"), []byte("null"), []byte("[]")} {
		f.Add(s)
	}
	read := func(t *testing.T, payload []byte) (*journal.Entry, error) {
		var order journal.Order
		_ = json.Unmarshal(payload, &order) // what is none is refused below
		e, doc, err := journal.Read(&journal.Artifact{Tag: order.Tag(), Entry: w.seal(t, journal.PayloadType, payload), Document: base.Document}, []dsse.Key{w.key})
		if err == nil && (doc == nil) != (e.HostApp != nil) {
			t.Errorf("of %s the document is %+v", payload, doc)
		}
		return e, err
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := read(t, payload)
		journal.Gaps([]journal.Checked{{Tag: "s1-1", Digest: "sha256:a", Entry: e, Err: err}})
		if err != nil {
			return
		}
		written, err := e.Marshal()
		if err != nil {
			return // a time that is no longer in year 9999 where it is UTC
		}
		again, err := read(t, written)
		if err != nil {
			t.Fatalf("%s was read, and is not when it is written: %v", payload, err)
		}
		if second, err := again.Marshal(); err != nil || !bytes.Equal(second, written) {
			t.Errorf("it is written as %s and then as %s, %v", written, second, err)
		}
	})
}

// FuzzBacklog reads anything as what a ConfigMap carries along, and replaces what the ConfigMap
// holds: the backlog stays within its bounds, and every item is in it or counted as lost.
func FuzzBacklog(f *testing.F) {
	nothing := func(journal.Order) bool { return false }
	item := &journal.Item{Order: journal.Order{Number: 3, Second: 4}, Envelope: "x", Written: noon}
	f.Add(journal.Carry(journal.Carry("", item, nothing), item, nothing), "{}")
	for _, seed := range []string{`{"items":[{"number":1,"second":2,"written":"2026-11-27T12:00:00Z"}],"lost":{"count":2,"first":1,"last":2}}`, `{"items":[null]}`, "null", "[]", ""} {
		f.Add("", seed)
	}
	f.Fuzz(func(t *testing.T, packed, plain string) {
		for _, old := range []string{packed, journal.Pack([]byte(plain))} {
			before := journal.ParseBacklog(old)
			if len(before.Items) > 100 {
				continue // it takes long to lose so many
			}
			text := journal.Carry(old, item, nothing)
			after := journal.ParseBacklog(text)
			if len(text) > 200<<10 || len(after.Items) == 0 || after.Items[len(after.Items)-1].Number != item.Number {
				t.Fatalf("%d bytes with %d items", len(text), len(after.Items))
			}
			if got, want := lostOf(after)+int64(len(after.Items)), lostOf(before)+int64(len(before.Items))+1; got != want {
				t.Errorf("%d items are kept or counted, want %d", got, want)
			}
			if got := journal.Carry(text, nil, func(journal.Order) bool { return true }); got != "" {
				t.Errorf("after all were written down %q is left", got)
			}
		}
	})
}

func lostOf(b journal.Backlog) int64 {
	if b.Lost == nil {
		return 0
	}
	return b.Lost.Count
}

// FuzzOrder reads anything as a tag: no two of them name one order, or an
// entry would be in its journal twice.
func FuzzOrder(f *testing.F) {
	for _, tag := range []string{"s1-0", "s1795000042-1795000042", "s0-1", "s1-x", "latest", "s999999999999999999-999999999999"} {
		f.Add(tag)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		o, ok := journal.OrderOf(tag)
		if !ok {
			return
		}
		if o.Tag() != tag || o.Number < 1 || o.Second < 0 {
			t.Errorf("%q is %+v, and that is %q", tag, o, o.Tag())
		}
	})
}

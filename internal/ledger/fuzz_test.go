package ledger

import (
	"encoding/json"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// FuzzPage reads anything as the page of an app ID: what is accepted is about that app ID,
// counts its holders, is read the same from what it is written as, and loses no number when
// something newer is recorded. And whoever compares two pages sees every change between them.
func FuzzPage(f *testing.F) {
	const appID = "com.example.shop"
	good := `{"appID":"com.example.shop","holder":{"namespace":"shop-team","name":"shop"},"holders":2,"entries":[` +
		`{"channel":"release","hostApps":["wallet"],"namespace":"shop-team","rollout":"shop","sequence":5,"delivery":2,"stable":{"version":"1.0.0","digest":"sha256:a"}},` +
		`{"channel":"trial","hostApps":["wallet","web"],"namespace":"shop-team","rollout":"trial","sequence":9,"delivery":7}]}`
	for _, seed := range []string{good, `{"appID":"com.example.shop","holders":-3}`, `{"appID":"com.example.bank"}`, `{"APPID":"com.example.shop","entries":null}`, "null", "[]", "{", ""} {
		f.Add(seed, good)
	}
	f.Fuzz(func(t *testing.T, text, other string) {
		p, ok := parsePage(text, appID)
		q, alsoOK := parsePage(other, appID)
		of := func(text string) *corev1.ConfigMap {
			return &corev1.ConfigMap{Data: map[string]string{dataKey: text}}
		}
		d := Compare(of(text), of(other))
		if ok && alsoOK && !d.Holder && (p.Holder != q.Holder || p.Holders != q.Holders) {
			t.Errorf("no difference is seen between the holders %+v and %+v", p, q)
		}
		if ok != alsoOK && !d.Holder {
			t.Errorf("a page is the same as what is none: %s and %s", text, other)
		}
		if ok && alsoOK && len(d.Rollouts) == 0 && !d.Holder && !sameEntries(p.Entries, q.Entries) {
			t.Errorf("no difference is seen between the entries %+v and %+v", p.Entries, q.Entries)
		}
		if !ok {
			return
		}
		if p.AppID != appID || p.Holders < 1 {
			t.Errorf("%s is read as a page of %q with %d holders", text, p.AppID, p.Holders)
		}
		written, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, ok := parsePage(string(written), appID)
		if second, err := json.Marshal(again); !ok || err != nil || string(second) != string(written) {
			t.Errorf("it is written as %s and then as %s, %v", written, second, err)
		}
		if alsoOK {
			recordAll(t, p, q.Entries)
		}
	})
}

// recordAll adds entries, and requires that each is there or in the place of a newer one
// with no lower delivery number.
func recordAll(t *testing.T, p page, entries []Entry) {
	t.Helper()
	for _, e := range entries {
		before := p.Entries
		p.Entries = append([]Entry(nil), before...)
		p.add(e)
		last := p.Entries[len(p.Entries)-1]
		for _, o := range before {
			if !contains(p.Entries, o) && (o.Channel != e.Channel || o.Sequence >= last.Sequence || o.Delivery > last.Delivery || o.Stable != nil && last.Stable == nil) {
				t.Errorf("%+v went for %+v", o, last)
			}
		}
	}
}

func sameEntries(a, b []Entry) bool {
	for _, e := range a {
		if !contains(b, e) {
			return false
		}
	}
	for _, e := range b {
		if !contains(a, e) {
			return false
		}
	}
	return true
}

func contains(entries []Entry, e Entry) bool {
	for _, o := range entries {
		if reflect.DeepEqual(o, e) {
			return true
		}
	}
	return false
}

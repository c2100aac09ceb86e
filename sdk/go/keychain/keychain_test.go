package keychain_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// keys named a to d.
func private(t testing.TB, name string) *ecdsa.PrivateKey {
	t.Helper()
	raw, err := hex.DecodeString(strings.Repeat("0", 62) + hex.EncodeToString([]byte(name)))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(t testing.TB, name string) dsse.Key {
	t.Helper()
	key, err := dsse.NewKey(&private(t, name).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// listed reads "a:Active b:Next".
func listed(t testing.TB, text string) []keychain.Key {
	t.Helper()
	var out []keychain.Key
	for _, item := range strings.Fields(text) {
		name, state, _ := strings.Cut(item, ":")
		k, err := keychain.NewKey(public(t, name), keychain.State(state))
		if err != nil {
			t.Fatal(err)
		}
		if k.State == keychain.Next {
			k.NotBefore = document.At(noon)
		}
		if k.State == keychain.Retiring {
			k.RetireAfter = document.At(noon)
		}
		out = append(out, k)
	}
	return out
}

func doc(t testing.TB, number int64, keys string) *keychain.Document {
	t.Helper()
	return &keychain.Document{Type: keychain.Type, Number: number, IssuedAt: document.At(noon), Keys: listed(t, keys)}
}

// signed is a key document "number by keys", such as "2 a a:Active b:Next".
func signed(t testing.TB, text string) dsse.Envelope {
	t.Helper()
	var number int64
	var by string
	if _, err := fmt.Sscan(text, &number, &by); err != nil {
		t.Fatal(err)
	}
	payload, err := keychain.Marshal(doc(t, number, strings.Join(strings.Fields(text)[2:], " ")))
	if err != nil {
		t.Fatal(err)
	}
	return envelope(t, keychain.PayloadType, payload, by)
}

func envelope(t testing.TB, payloadType string, payload []byte, by string) dsse.Envelope {
	t.Helper()
	e, err := dsse.Sign(private(t, by[:1]), payloadType, payload)
	for _, next := range by[1:] {
		if err == nil {
			err = e.Add(private(t, string(next)))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return *e
}

func chain(t testing.TB, documents ...string) *keychain.Chain {
	t.Helper()
	c := new(keychain.Chain)
	for _, text := range documents {
		c.Documents = append(c.Documents, signed(t, text))
	}
	return c
}

const (
	first     = "1 a a:Active"
	announced = "2 ab a:Active b:Next"
	both      = "3 ba a:Retiring b:Active"
	last      = "4 b b:Active"
)

func pinned(t testing.TB, names string) keychain.Trust {
	t.Helper()
	var keys []dsse.Key
	for _, name := range names {
		keys = append(keys, public(t, string(name)))
	}
	trust, err := keychain.Pin(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func TestWhereAChainLeads(t *testing.T) {
	for name, test := range map[string]struct {
		pins   string
		stored []string // a chain that was followed before
		chain  []string
		want   int64
		keys   string
		err    error
	}{
		"from the first key to the last":              {pins: "a", chain: []string{first, announced, both, last}, want: 4, keys: "b:Active"},
		"as far as it goes":                           {pins: "a", chain: []string{first, announced}, want: 2, keys: "a:Active b:Next"},
		"from a key that came later":                  {pins: "b", chain: []string{first, announced, both, last}, want: 4, keys: "b:Active"},
		"from where one was":                          {pins: "a", stored: []string{first, announced, both}, chain: []string{announced, both, last}, want: 4, keys: "b:Active"},
		"nowhere new":                                 {pins: "a", stored: []string{first, announced}, chain: []string{first, announced}, want: 2, keys: "a:Active b:Next"},
		"over numbers that were left out":             {pins: "a", chain: []string{"10 a a:Active", "20 a a:Active b:Next"}, want: 20, keys: "a:Active b:Next"},
		"no chain yet":                                {pins: "a", keys: "a:Active"},
		"a chain that is gone":                        {pins: "a", stored: []string{first}, want: 1, keys: "a:Active", err: keychain.ErrBroken},
		"an old copy":                                 {pins: "a", stored: []string{first, announced, both}, chain: []string{first, announced}, want: 3, keys: "a:Retiring b:Active", err: keychain.ErrRolledBack},
		"an old copy by a key that counts still":      {pins: "a", stored: []string{first, announced}, chain: []string{first}, want: 2, keys: "a:Active b:Next", err: keychain.ErrRolledBack},
		"of a stranger":                               {pins: "a", chain: []string{"1 c c:Active"}, keys: "a:Active", err: keychain.ErrBroken},
		"a stranger's document at its end":            {pins: "a", chain: []string{first, "2 c c:Active"}, keys: "a:Active", err: keychain.ErrBroken},
		"a document is left out on which others rest": {pins: "a", chain: []string{first, last}, keys: "a:Active", err: keychain.ErrBroken},
		"a key that retires vouches for no other":     {pins: "a", stored: []string{first, announced, both}, chain: []string{both, "4 a c:Active"}, want: 3, keys: "a:Retiring b:Active", err: keychain.ErrBroken},
		"a key that is gone does not either":          {pins: "a", stored: []string{first, announced, both, last}, chain: []string{last, "5 a a:Active"}, want: 4, keys: "b:Active", err: keychain.ErrBroken},
		"numbers that fall":                           {pins: "a", chain: []string{announced, first}, keys: "a:Active", err: keychain.ErrMalformed},
		"one number twice":                            {pins: "a", chain: []string{first, first}, keys: "a:Active", err: keychain.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			trust := pinned(t, test.pins)
			var err error
			if test.stored != nil {
				if trust, err = trust.Follow(chain(t, test.stored...)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := trust.Follow(chain(t, test.chain...))
			if !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if want := listed(t, test.keys); got.Number != test.want || !reflect.DeepEqual(got.Keys, want) {
				t.Errorf("number %d and keys %+v, want %d and %+v", got.Number, got.Keys, test.want, want)
			}
		})
	}
}

func TestWhatIsSignedWellAndIsNoKeyDocument(t *testing.T) {
	good, err := keychain.Marshal(doc(t, 2, "a:Active"))
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]dsse.Envelope{
		"another payload type": envelope(t, document.PayloadType, good, "a"),
		"another type":         envelope(t, keychain.PayloadType, []byte(strings.Replace(string(good), "keys/v1", "keys/v2", 1)), "a"),
		"no key":               envelope(t, keychain.PayloadType, []byte(`{"type":"miniprogram.keys/v1","number":2,"issuedAt":"2026-11-22T12:00:00Z","keys":[]}`), "a"),
	} {
		c := &keychain.Chain{Documents: []dsse.Envelope{signed(t, first), e}}
		if _, err := pinned(t, "a").Follow(c); !errors.Is(err, keychain.ErrMalformed) {
			t.Errorf("%s: followed, %v", name, err)
		}
		if _, err := c.Check([]dsse.Key{public(t, "a")}); !errors.Is(err, keychain.ErrMalformed) {
			t.Errorf("%s: checked, %v", name, err)
		}
	}
}

func TestARetiringKeySignsUntilItsTime(t *testing.T) {
	trust := keychain.Trust{Keys: listed(t, "a:Retiring b:Active c:Next")}
	ids := func(now time.Time) (names string) {
		for _, k := range trust.SigningKeys(now) {
			for _, name := range []string{"a", "b", "c"} {
				if public(t, name).ID == k.ID {
					names += name
				}
			}
		}
		return names
	}
	if got := ids(noon.Add(-time.Second)); got != "abc" {
		t.Errorf("before: %q", got)
	}
	if got := ids(noon); got != "bc" {
		t.Errorf("then: %q", got)
	}
}

func TestAStoredTrustIsTakenUpByABuildWithTheSamePins(t *testing.T) {
	followed, err := pinned(t, "a").Follow(chain(t, first, announced, both, last))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(followed)
	if err != nil {
		t.Fatal(err)
	}
	var stored keychain.Trust
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	for pins, want := range map[string]keychain.Trust{"a": followed, "b": pinned(t, "b"), "ab": pinned(t, "ab")} {
		var keys []dsse.Key
		for _, name := range pins {
			keys = append(keys, public(t, string(name)))
		}
		got, err := keychain.Resume(stored, keys...)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("pins %s: %+v, %v, want %+v", pins, got, err, want)
		}
	}
	if _, err := keychain.Resume(stored); err == nil {
		t.Error("a build without pins trusts somebody")
	}
	damaged := stored
	damaged.Keys[0].PublicKey = strings.Replace(damaged.Keys[0].PublicKey, "A", "B", 1)
	if got := damaged.SigningKeys(noon); len(got) != 0 {
		t.Errorf("a damaged key is trusted: %v", got)
	}
}

func TestWhatIsNoKeyDocument(t *testing.T) {
	for name, test := range map[string]struct {
		change           func(d *keychain.Document)
		pointer, problem string
	}{
		"another type":          {func(d *keychain.Document) { d.Type = "x" }, "/type", `must be "miniprogram.keys/v1"`},
		"no number":             {func(d *keychain.Document) { d.Number = 0 }, "/number", "must be from 1 to 2^53-1"},
		"too large a number":    {func(d *keychain.Document) { d.Number = 1 << 53 }, "/number", "must be from 1 to 2^53-1"},
		"no time":               {func(d *keychain.Document) { d.IssuedAt = document.Time{} }, "/issuedAt", "must be a time like 2006-01-02T15:04:05Z"},
		"none is Active":        {func(d *keychain.Document) { d.Keys = d.Keys[1:] }, "/keys", "must have one that is Active"},
		"nine keys":             {func(d *keychain.Document) { d.Keys = make([]keychain.Key, 9) }, "/keys", "must have at most 8 entries"},
		"a key twice":           {func(d *keychain.Document) { d.Keys[1] = d.Keys[0] }, "/keys/1/keyID", "stands there twice"},
		"another algorithm":     {func(d *keychain.Document) { d.Keys[0].Algorithm = "RSA" }, "/keys/0/algorithm", "must be ECDSA-P256-SHA256"},
		"no PEM":                {func(d *keychain.Document) { d.Keys[0].PublicKey = "x" }, "/keys/0/publicKey", "must be a PEM block PUBLIC KEY with an ECDSA key on P-256"},
		"the ID of another":     {func(d *keychain.Document) { d.Keys[0].KeyID = strings.Repeat("0", 64) }, "/keys/0/keyID", "must be the SHA-256 of the public key"},
		"another state":         {func(d *keychain.Document) { d.Keys[1].State = "Old" }, "/keys/1/state", "must be Next, Active or Retiring"},
		"Next from no time":     {func(d *keychain.Document) { d.Keys[1].NotBefore = document.Time{} }, "/keys/1/notBefore", "must be there if and only if the state is Next"},
		"Active from some time": {func(d *keychain.Document) { d.Keys[0].NotBefore = document.At(noon) }, "/keys/0/notBefore", "must be there if and only if the state is Next"},
		"Retiring at no time":   {func(d *keychain.Document) { d.Keys[2].RetireAfter = document.Time{} }, "/keys/2/retireAfter", "must be there if and only if the state is Retiring"},
	} {
		d := doc(t, 2, "a:Active b:Next c:Retiring")
		test.change(d)
		want := document.FieldError{Pointer: test.pointer, Problem: test.problem}
		if got, ok := errors.AsType[*document.FieldError](d.Validate()); !ok || *got != want {
			t.Errorf("%s: got %v, want %v", name, got, &want)
		}
		if _, err := keychain.Marshal(d); err == nil {
			t.Errorf("%s: it is written all the same", name)
		}
	}
	d := doc(t, 2, "a:Active b:Next c:Retiring")
	text, err := keychain.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keychain.Parse(text); err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("read back: %+v, %v", got, err)
	}
	if _, err := keychain.Parse(append(text, make([]byte, keychain.MaxSize)...)); err == nil {
		t.Error("one that is too large is read")
	}
}

func TestWhatIsNoChain(t *testing.T) {
	documents := make([]dsse.Envelope, keychain.MaxDocuments+1)
	for i := range documents {
		documents[i].Signatures = []dsse.Signature{}
	}
	many, err := json.Marshal(keychain.Chain{Documents: documents})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text string
		want error
	}{
		"a list":               {"[]", keychain.ErrMalformed},
		"documents twice":      {`{"documents":[],"documents":[]}`, keychain.ErrMalformed},
		"too many":             {string(many), keychain.ErrTooLarge},
		"too large":            {strings.Repeat(" ", keychain.MaxChainSize+1), keychain.ErrTooLarge},
		"with more for people": {`{"keys":[{}],"documents":[]}`, nil},
	} {
		if _, err := keychain.ParseChain([]byte(test.text)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestWhoServesAChainChecksAllOfIt(t *testing.T) {
	for name, test := range map[string]struct {
		chain []string
		by    string
		want  error
	}{
		"a whole one":                         {[]string{first, announced, both, last}, "b", nil},
		"whose beginning was cut off":         {[]string{both, last}, "b", nil},
		"that ends with a stranger's":         {[]string{first, "2 a a:Active"}, "c", keychain.ErrBroken},
		"with a gap":                          {[]string{first, last}, "b", keychain.ErrBroken},
		"whose first vouches not for itself":  {[]string{"1 c a:Active"}, "c", keychain.ErrBroken},
		"without documents":                   {nil, "a", keychain.ErrMalformed},
		"with a number that does not rise":    {[]string{first, "1 a a:Active"}, "a", keychain.ErrMalformed},
		"that a key leads which was retiring": {[]string{both, "4 a a:Active"}, "a", keychain.ErrBroken},
	} {
		got, err := chain(t, test.chain...).Check([]dsse.Key{public(t, test.by)})
		if !errors.Is(err, test.want) || test.want == nil && len(got) != len(test.chain) {
			t.Errorf("%s: %d documents, %v, want %v", name, len(got), err, test.want)
		}
	}
}

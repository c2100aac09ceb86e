package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

// chainFile is keys-v1.json.
type chainFile struct {
	Note  []string          `json:"note"`
	Keys  map[string]string `json:"keys"`
	Cases []chainCase       `json:"cases"`
}

type chainCase struct {
	Name string `json:"name"`
	// Pins are the names of the keys that the client was built with.
	Pins []string `json:"pins"`
	// Stored is an answer that was followed before; empty: none.
	Stored string        `json:"stored,omitempty"`
	Answer string        `json:"answer"`
	Now    document.Time `json:"now"`
	Error  string        `json:"error,omitempty"`
	// Number and Trusted are what is believed then.
	Number  int64    `json:"number"`
	Trusted []string `json:"trusted"`
}

func itoa(n int) string { return strconv.Itoa(n) }

// keyDocument is "number signers key:state …", such as "2 ab a:Active b:Next".
func keyDocument(text string) dsse.Envelope {
	parts := strings.Fields(text)
	number, err := strconv.ParseInt(parts[0], 10, 64)
	must(err)
	d := &keychain.Document{Type: keychain.Type, Number: number, IssuedAt: document.At(noon)}
	for _, item := range parts[2:] {
		name, state, _ := strings.Cut(item, ":")
		k, err := keychain.NewKey(public(name), keychain.State(state))
		must(err)
		if k.State == keychain.Next {
			k.NotBefore = document.At(noon.AddDate(0, 0, 7))
		}
		if k.State == keychain.Retiring {
			k.RetireAfter = document.At(noon.AddDate(0, 0, 37))
		}
		d.Keys = append(d.Keys, k)
	}
	payload, err := keychain.Marshal(d)
	must(err)
	return *seal(keychain.PayloadType, payload, parts[1])
}

// answer is what GET /v1/keys says.
func answer(documents ...dsse.Envelope) string {
	text, err := json.Marshal(map[string]any{"keys": []any{}, "documents": documents})
	must(err)
	return string(text)
}

func chainOf(documents ...string) string {
	all := []dsse.Envelope{}
	for _, text := range documents {
		all = append(all, keyDocument(text))
	}
	return answer(all...)
}

// chains are rotations, whole and broken.
func chains() chainFile {
	const (
		first     = "1 a a:Active"
		announced = "2 ab a:Active b:Next"
		both      = "3 ba a:Retiring b:Active"
		last      = "4 b b:Active"
	)
	f := chainFile{
		Note: []string{
			"Answers of GET /v1/keys for every client: whom a client trusts that pins keys, has followed stored (absent: nothing) and gets answer.",
			"Documents are in the order of their numbers. What stands before the first one that a trusted key signed is passed over; from there on each is signed by a key that the one before lists as Next or Active, and numbers rise. One whose number is not above the stored one changes nothing.",
			"error: TooLarge (more than " + itoa(keychain.MaxChainSize) + " bytes or " + itoa(keychain.MaxDocuments) + " documents), Malformed, Broken (it does not lead from a trusted key to its end), RolledBack (its last number is below the stored one). After each, number and trusted are those of before.",
			"number is that of the newest document that was followed, 0 for none; trusted are the names of the keys whose signatures on documents count at the time now: all that it lists, but for those that are Retiring when now is not before their retireAfter.",
			"Written by go run ./internal/vectors in sdk/go. The private keys are known to everybody: trust them nowhere.",
		},
		Keys: publicPEMs(),
	}
	f.rotations(first, announced, both, last)
	f.documents()
	f.add("the old key's time is over", "a", "", chainOf(first, announced, both), "", 3, "b")
	f.Cases[len(f.Cases)-1].Now = document.At(noon.AddDate(0, 0, 37))
	return f
}

func (f *chainFile) add(name, pins, stored, answer, code string, number int64, trusted string) {
	f.Cases = append(f.Cases, chainCase{
		Name: name, Pins: strings.Fields(pins), Stored: stored, Answer: answer, Now: document.At(noon.Add(time.Hour)),
		Error: code, Number: number, Trusted: strings.Fields(trusted),
	})
}

// rotations are chains of good documents, whole and not.
func (f *chainFile) rotations(first, announced, both, last string) {
	add := f.add
	whole := chainOf(first, announced, both, last)
	add("no document yet", "a", "", chainOf(), "", 0, "a")
	add("the first document", "a", "", chainOf(first), "", 1, "a")
	add("the next key is announced", "a", "", chainOf(first, announced), "", 2, "a b")
	add("both keys sign", "a", "", chainOf(first, announced, both), "", 3, "a b")
	add("the old key is gone", "a", "", whole, "", 4, "b")
	add("a build that pins the new key", "b", "", whole, "", 4, "b")
	add("the beginning was cut off", "a", "", chainOf(announced, both, last), "", 4, "b")
	add("numbers with gaps", "a", "", chainOf("10 a a:Active", "20 a a:Active b:Next"), "", 20, "a b")
	add("going on from what was followed", "a", chainOf(first, announced), whole, "", 4, "b")
	add("nothing new", "a", whole, whole, "", 4, "b")
	add("a stranger's chain", "a", "", chainOf("1 c c:Active"), "Broken", 0, "a")
	add("a stranger's document at its end", "a", "", chainOf(first, "2 c a:Active c:Next"), "Broken", 0, "a")
	add("a document is missing", "a", "", chainOf(first, last), "Broken", 0, "a")
	add("a key that retires vouches for another", "a", chainOf(first, announced, both), chainOf(both, "4 a b:Active c:Next"), "Broken", 3, "a b")
	add("a key that is gone vouches for itself", "a", whole, chainOf(last, "5 a a:Active"), "Broken", 4, "b")
	add("an old copy", "a", whole, chainOf(first, announced, both), "RolledBack", 4, "b")
	add("an older copy", "a", whole, chainOf(first, announced), "RolledBack", 4, "b")
	add("a copy from before the key that is trusted", "a", whole, chainOf(first), "Broken", 4, "b")
	add("an empty copy", "a", whole, chainOf(), "Broken", 4, "b")
	add("numbers that fall", "a", "", chainOf(announced, first), "Malformed", 0, "a")
	add("one number twice", "a", "", chainOf(first, first), "Malformed", 0, "a")
}

// documents are chains with what is none.
func (f *chainFile) documents() {
	add := f.add
	payload, err := keychain.Marshal(firstDocument())
	must(err)
	add("the payload type of a release", "a", "", answer(*seal(document.PayloadType, payload, "a")), "Malformed", 0, "a")
	for _, c := range [][3]string{
		{"another type", `"miniprogram.keys/v1"`, `"miniprogram.keys/v2"`},
		{"a number that is text", `"number":1`, `"number":"1"`},
		{"a state that nobody knows", `"Active"`, `"Old"`},
		{"a key under another's ID", `"keyID":"` + public("a").ID, `"keyID":"` + public("b").ID},
		{"another algorithm", `"ECDSA-P256-SHA256"`, `"RSA"`},
	} {
		text := strings.Replace(string(payload), c[1], c[2], 1)
		add(c[0], "a", "", answer(*seal(keychain.PayloadType, []byte(text), "a")), "Malformed", 0, "a")
	}
	add("no JSON", "a", "", "<html>", "Malformed", 0, "a")
	add("no list of documents", "a", "", `{"documents":{}}`, "Malformed", 0, "a")
	add("too many documents", "a", "", answer(tooMany()...), "TooLarge", 0, "a")
}

func firstDocument() *keychain.Document {
	k, err := keychain.NewKey(public("a"), keychain.Active)
	must(err)
	return &keychain.Document{Type: keychain.Type, Number: 1, IssuedAt: document.At(noon), Keys: []keychain.Key{k}}
}

func tooMany() []dsse.Envelope {
	var all []dsse.Envelope
	for n := range keychain.MaxDocuments + 1 {
		all = append(all, keyDocument(fmt.Sprintf("%d a a:Active", n+1)))
	}
	return all
}

package signing

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

var (
	week  = 7 * 24 * time.Hour
	month = 30 * 24 * time.Hour
	noon  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

func active(id string) keychain.Key { return keychain.Key{KeyID: id, State: keychain.Active} }

func next(id string, from time.Time) keychain.Key {
	return keychain.Key{KeyID: id, State: keychain.Next, NotBefore: document.At(from)}
}

func retiring(id string, after time.Time) keychain.Key {
	return keychain.Key{KeyID: id, State: keychain.Retiring, RetireAfter: document.At(after)}
}

// doc is document 7, unless another number is given.
func doc(keys ...keychain.Key) *keychain.Document { return &keychain.Document{Number: 7, Keys: keys} }

// writes is what follows document 7 at noon.
func writes(message string, keys ...keychain.Key) Move {
	return Move{Verb: Write, Message: message, Document: &keychain.Document{
		Type: keychain.Type, Number: noon.Unix(), IssuedAt: document.At(noon), Keys: keys,
	}}
}

func rests(message string) Move { return Move{Verb: Rest, Message: message} }

func TestWhatIsDoneNextWithTheKeys(t *testing.T) {
	later, passed := noon.Add(time.Hour), noon.Add(-time.Hour)
	ab := [Slots]string{"a", "b"}
	for name, c := range map[string]struct {
		s    Situation
		want Move
	}{
		"an installation gets its key":                      {Situation{}, Move{Verb: Create, Message: "the installation gets its key"}},
		"and none after something was published":            {Situation{Published: true}, Move{Verb: Miss, Message: "documents were published, and there is no key"}},
		"one of before key documents keeps its key":         {Situation{Slots: [Slots]string{"a"}, Published: true}, writes("the first key document", active("a"))},
		"of two keys both sign when the documents are lost": {Situation{Slots: ab, Published: true}, writes("the first key document", active("a"), active("b"))},
		"the service is told":                               {Situation{Newest: doc(active("a")), Slots: [Slots]string{"a"}}, Move{Verb: Tell, Message: "the manifest service is told the keys"}},
		"of nothing that nobody can vouch for":              {Situation{Newest: doc(active("a"))}, Move{Verb: Miss, Message: "there is no key"}},
		"then there is nothing to do":                       {Situation{Newest: doc(active("a")), Slots: [Slots]string{"a"}, Trusted: true}, rests("key a signs")},
		"a lost key is not replaced":                        {Situation{Newest: doc(active("a")), Slots: [Slots]string{"", "b"}, Trusted: true}, Move{Verb: Miss, KeyID: "a", Message: "the Secret of key a (Active) is missing"}},
		"nor rotated away":                                  {Situation{Newest: doc(active("a")), Slots: [Slots]string{"", "b"}, Trusted: true, Request: "rotate@7"}, Move{Verb: Miss, KeyID: "a", Message: "the Secret of key a (Active) is missing"}},
		"a lost key that is announced":                      {Situation{Newest: doc(active("a"), next("b", passed)), Slots: [Slots]string{"a"}, Trusted: true}, Move{Verb: Miss, KeyID: "b", Message: "the Secret of key b (Next) is missing"}},
		"a rotation makes a key":                            {Situation{Newest: doc(active("a")), Slots: [Slots]string{"a"}, Trusted: true, Request: "rotate@7"}, Move{Verb: Create, Slot: 1, Message: "the next key is made"}},
		"where there is room":                               {Situation{Newest: doc(active("b")), Slots: [Slots]string{"", "b"}, Trusted: true, Request: "rotate@7"}, Move{Verb: Create, Slot: 0, Message: "the next key is made"}},
		"and announces it":                                  {Situation{Newest: doc(active("a")), Slots: ab, Trusted: true, Request: "rotate@7"}, writes("key b is announced", active("a"), next("b", noon.Add(week)))},
		"a key that lies there alone does nothing":          {Situation{Newest: doc(active("a")), Slots: ab, Trusted: true}, rests("key a signs")},
		"a request is for one number":                       {Situation{Newest: doc(active("a")), Slots: [Slots]string{"a"}, Trusted: true, Request: "rotate@6"}, rests("key a signs")},
		"one at a time":                                     {Situation{Newest: doc(active("a"), next("b", later)), Slots: ab, Trusted: true, Request: "rotate@7"}, rests("rotate@7 is refused: a rotation is under way; key b is announced and signs from 2026-11-22T13:00:00Z on")},
		"what is no request":                                {Situation{Newest: doc(active("a")), Slots: [Slots]string{"a"}, Trusted: true, Request: "turn@7"}, rests("turn@7 is refused: it must be rotate@7, or drop@7/ and the ID of a key; key a signs")},
		"an announced key waits":                            {Situation{Newest: doc(active("a"), next("b", later)), Slots: ab, Trusted: true}, rests("key b is announced and signs from 2026-11-22T13:00:00Z on")},
		"then both sign":                                    {Situation{Newest: doc(active("a"), next("b", noon)), Slots: ab, Trusted: true}, writes("the next key signs", retiring("a", noon.Add(month)), active("b"))},
		"for a while":                                       {Situation{Newest: doc(retiring("a", later), active("b")), Slots: ab, Trusted: true}, rests("key a signs too until 2026-11-22T13:00:00Z")},
		"the old one stays while a document needs it":       {Situation{Newest: doc(retiring("a", noon), active("b")), Slots: ab, Trusted: true, Lacking: 3}, rests("key a stays until the new one has signed 3 more documents")},
		"then it goes":                                      {Situation{Newest: doc(retiring("a", noon), active("b")), Slots: ab, Trusted: true}, writes("key a is retired", active("b"))},
		"its Secret goes last":                              {Situation{Newest: doc(active("b")), Slots: ab, Earlier: []string{"a"}, Trusted: true}, Move{Verb: Delete, Slot: 0, Message: "key a was retired: its Secret goes"}},
		"after the service was told":                        {Situation{Newest: doc(active("b")), Slots: ab, Earlier: []string{"a"}}, Move{Verb: Tell, Message: "the manifest service is told the keys"}},
		"what was never listed is not deleted":              {Situation{Newest: doc(active("b")), Slots: ab, Earlier: []string{"c"}, Trusted: true}, rests("key b signs")},
		"a key that retires may be lost":                    {Situation{Newest: doc(retiring("a", later), active("b")), Slots: [Slots]string{"", "b"}, Trusted: true}, rests("key a signs too until 2026-11-22T13:00:00Z")},
		"a lost key is dropped for the one announced":       {Situation{Newest: doc(active("a"), next("b", later)), Slots: [Slots]string{"", "b"}, Trusted: true, Request: "drop@7/a"}, writes("the next key signs", retiring("a", noon), active("b"))},
		"a stolen key that retires goes at once":            {Situation{Newest: doc(retiring("a", later), active("b")), Slots: ab, Trusted: true, Request: "drop@7/a"}, writes("the next key signs", retiring("a", noon), active("b"))},
		"an announced key is dropped":                       {Situation{Newest: doc(active("a"), next("b", later)), Slots: [Slots]string{"a"}, Trusted: true, Request: "drop@7/b"}, writes("key b is dropped", active("a"))},
		"the only key is not dropped":                       {Situation{Newest: doc(active("a")), Slots: [Slots]string{"a"}, Trusted: true, Request: "drop@7/a"}, rests("drop@7/a is refused: no other key could sign: rotate first; key a signs")},
		"nor for one that is lost":                          {Situation{Newest: doc(active("a"), next("b", later)), Slots: [Slots]string{"a"}, Trusted: true, Request: "drop@7/a"}, Move{Verb: Miss, KeyID: "b", Message: "the Secret of key b (Next) is missing"}},
		"a key that nobody knows":                           {Situation{Newest: doc(active("a")), Slots: [Slots]string{"a"}, Trusted: true, Request: "drop@7/x"}, rests(`drop@7/x is refused: no key is called "x"; key a signs`)},
		"a number rises when the clock is behind the last": {Situation{Newest: &keychain.Document{Number: noon.Unix() + 5, Keys: []keychain.Key{active("a"), next("b", noon)}}, Slots: ab, Trusted: true}, func() Move {
			m := writes("the next key signs", retiring("a", noon.Add(month)), active("b"))
			m.Document.Number += 6
			return m
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			c.s.Now, c.s.Times = noon, Times{Announce: week, Overlap: month}
			if diff := cmp.Diff(c.want, Decide(c.s)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

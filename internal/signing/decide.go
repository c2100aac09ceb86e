package signing

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

// Slots is how many Secrets hold keys: the one that signs, and the one that follows it.
const Slots = 2

// Times say how long a rotation takes.
type Times struct {
	// Announce is how long a new key is announced before it signs; Overlap how long both sign.
	Announce, Overlap time.Duration
}

// Situation is what is known of the keys.
type Situation struct {
	Now   time.Time
	Times Times
	// Newest is the last key document; nil: there is none.
	Newest *keychain.Document
	// Slots has the ID of the key in each Secret; empty: there is no such Secret.
	Slots [Slots]string
	// Earlier are the keys that key documents before the newest list and it does not.
	Earlier []string
	// Published: documents are out, so that a first key may not be made any more.
	Published bool
	// Trusted: the manifest service is told of exactly the keys of Newest.
	Trusted bool
	// Request is what a person asks for: rotate@<number> or drop@<number>/<key ID>.
	Request string
	// Lacking is how many documents would not be believed without the Retiring keys.
	Lacking int
}

// Verb is what is to be done next.
type Verb string

// The verbs. All but Rest and Miss are one write, after which everything is looked at anew.
const (
	// Create makes a new key in the Secret Slot.
	Create Verb = "Create"
	// Write publishes Document.
	Write Verb = "Write"
	// Tell writes the keys of the newest document for the manifest service.
	Tell Verb = "Tell"
	// Delete removes the Secret Slot, whose key was retired.
	Delete Verb = "Delete"
	// Rest does nothing.
	Rest Verb = "Rest"
	// Miss does nothing either: the Secret of KeyID is missing (any, if it is empty).
	Miss Verb = "Miss"
)

// Move is what to do, and why.
type Move struct {
	Verb Verb
	Slot int
	// Document is whole but for the public keys of those that it lists anew.
	Document *keychain.Document
	KeyID    string
	// Message says it to people.
	Message string
}

// Decide says what to do next with the keys.
func Decide(s Situation) Move {
	if s.Newest == nil {
		return s.first()
	}
	if s.Slots == [Slots]string{} {
		// Nobody can tell whether what is published is ours, so nothing is told of it.
		return Move{Verb: Miss, Message: "there is no key"}
	}
	if at := slices.IndexFunc(s.Slots[:], func(id string) bool { return id != "" && s.find(id) < 0 && slices.Contains(s.Earlier, id) }); at >= 0 && s.Trusted {
		return Move{Verb: Delete, Slot: at, Message: "key " + short(s.Slots[at]) + " was retired: its Secret goes"}
	}
	if !s.Trusted {
		return Move{Verb: Tell, Message: "the manifest service is told the keys"}
	}
	answer, asked := s.answer()
	if asked && answer.Verb != Rest {
		return answer
	}
	next := s.goOn()
	if asked && next.Verb == Rest {
		next.Message = answer.Message + "; " + next.Message
	}
	return next
}

// first is about an installation without a key document: a new one, or one from before
// there were any, or one whose chain a person deleted to start again with a key of his.
func (s *Situation) first() Move {
	var keys []keychain.Key
	for _, id := range s.Slots {
		if id != "" { // of two, nobody can tell any more which one host apps know: both sign
			keys = append(keys, keychain.Key{KeyID: id, State: keychain.Active})
		}
	}
	switch {
	case len(keys) > 0:
		return s.write("the first key document", keys...)
	case s.Published:
		return Move{Verb: Miss, Message: "documents were published, and there is no key"}
	default:
		return Move{Verb: Create, Slot: 0, Message: "the installation gets its key"}
	}
}

// goOn is the next thing that falls due by itself.
func (s *Situation) goOn() Move {
	for _, k := range s.Newest.Keys {
		if k.State != keychain.Retiring && !slices.Contains(s.Slots[:], k.KeyID) {
			return Move{Verb: Miss, KeyID: k.KeyID, Message: fmt.Sprintf("the Secret of key %s (%s) is missing", short(k.KeyID), k.State)}
		}
	}
	rest := Move{Verb: Rest, Message: "key " + short(s.Newest.Keys[0].KeyID) + " signs"}
	for _, k := range s.Newest.Keys {
		switch {
		case k.State == keychain.Next && !s.Now.Before(k.NotBefore.Time):
			return s.promote("", s.Now.Add(s.Times.Overlap))
		case k.State == keychain.Next:
			rest.Message = fmt.Sprintf("key %s is announced and signs from %s on", short(k.KeyID), written(k.NotBefore.Time))
		case k.State != keychain.Retiring:
		case s.Now.Before(k.RetireAfter.Time):
			rest.Message = fmt.Sprintf("key %s signs too until %s", short(k.KeyID), written(k.RetireAfter.Time))
		case s.Lacking > 0:
			rest.Message = fmt.Sprintf("key %s stays until the new one has signed %d more documents", short(k.KeyID), s.Lacking)
		default:
			return s.write("key "+short(k.KeyID)+" is retired", s.without(k.KeyID)...)
		}
	}
	return rest
}

// answer is about what a person asks for. What names another number is answered
// already: each answer has a new one.
func (s *Situation) answer() (Move, bool) {
	verb, rest, _ := strings.Cut(s.Request, "@")
	number, id, _ := strings.Cut(rest, "/")
	if s.Request == "" || number != strconv.FormatInt(s.Newest.Number, 10) {
		return Move{}, false
	}
	refuse := func(format string, args ...any) (Move, bool) {
		return Move{Verb: Rest, Message: s.Request + " is refused: " + fmt.Sprintf(format, args...)}, true
	}
	switch {
	case verb == "rotate" && len(s.Newest.Keys) > 1:
		return refuse("a rotation is under way")
	case verb == "rotate" && s.slotOf(s.Newest.Keys[0].KeyID) < 0:
		return refuse("the Secret of key %s is missing", short(s.Newest.Keys[0].KeyID))
	case verb == "rotate":
		return s.announce(), true
	case verb == "drop" && s.find(id) < 0:
		return refuse("no key is called %q", id)
	case verb == "drop":
		return s.drop(s.Newest.Keys[s.find(id)])
	default:
		return refuse("it must be rotate@%d, or drop@%d/ and the ID of a key", s.Newest.Number, s.Newest.Number)
	}
}

// announce tells of the next key. One that lies in the other Secret already is that
// key: it was made before a crash, or by who wants to make his own.
func (s *Situation) announce() Move {
	free := 1 - s.slotOf(s.Newest.Keys[0].KeyID)
	if s.Slots[free] == "" {
		return Move{Verb: Create, Slot: free, Message: "the next key is made"}
	}
	from := s.Now.Add(s.Times.Announce)
	return s.write("key "+short(s.Slots[free])+" is announced", append(slices.Clone(s.Newest.Keys),
		keychain.Key{KeyID: s.Slots[free], State: keychain.Next, NotBefore: document.At(from)})...)
}

// drop ends a key as soon as may be, by a person's word: it was lost or stolen.
func (s *Situation) drop(k keychain.Key) (Move, bool) {
	if k.State == keychain.Next {
		return s.write("key "+short(k.KeyID)+" is dropped", s.without(k.KeyID)...), true
	}
	for _, other := range s.Newest.Keys {
		if other.KeyID != k.KeyID && other.State != keychain.Retiring && s.slotOf(other.KeyID) >= 0 {
			return s.promote(k.KeyID, s.Now), true
		}
	}
	return Move{Verb: Rest, Message: s.Request + " is refused: no other key could sign: rotate first"}, true
}

// promote makes all keys sign that do not yet. The one that is named, else each that was
// Active, retires.
func (s *Situation) promote(retiring string, after time.Time) Move {
	keys := slices.Clone(s.Newest.Keys)
	for i := range keys {
		k := &keys[i]
		switch {
		case k.State == keychain.Next:
			k.State, k.NotBefore = keychain.Active, document.Time{}
		case k.KeyID == retiring || retiring == "" && k.State == keychain.Active:
			k.State, k.RetireAfter = keychain.Retiring, document.At(after)
		}
	}
	return s.write("the next key signs", keys...)
}

func (s *Situation) without(id string) []keychain.Key {
	return slices.DeleteFunc(slices.Clone(s.Newest.Keys), func(k keychain.Key) bool { return k.KeyID == id })
}

// write is the next document. Like a sequence its number rises with the clock too, so
// that it rises even after the chain was lost.
func (s *Situation) write(message string, keys ...keychain.Key) Move {
	last := int64(0)
	if s.Newest != nil {
		last = s.Newest.Number
	}
	return Move{Verb: Write, Message: message, Document: &keychain.Document{
		Type: keychain.Type, Number: max(last+1, s.Now.Unix()), IssuedAt: document.At(s.Now), Keys: keys,
	}}
}

func (s *Situation) find(id string) int {
	return slices.IndexFunc(s.Newest.Keys, func(k keychain.Key) bool { return k.KeyID == id })
}

func (s *Situation) slotOf(id string) int { return slices.Index(s.Slots[:], id) }

// short is how a key is called in messages.
func short(id string) string { return id[:min(len(id), 12)] }

func written(t time.Time) string { return t.UTC().Format(time.RFC3339) }

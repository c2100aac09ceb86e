package main

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// envelopeFile is envelope-v1.json.
type envelopeFile struct {
	Note  []string          `json:"note"`
	Keys  map[string]string `json:"keys"`
	Cases []*envelopeCase   `json:"cases"`
}

type envelopeCase struct {
	Name     string `json:"name"`
	Envelope string `json:"envelope"`
	// Pad is how many spaces follow the envelope.
	Pad    int    `json:"pad,omitempty"`
	Expect expect `json:"expect"`
	// Error is the code of the check that fails; empty: none does.
	Error          string `json:"error,omitempty"`
	Sequence       int64  `json:"sequence,omitempty"`
	EnvelopeDigest string `json:"envelopeDigest,omitempty"`
	KeyID          string `json:"keyID,omitempty"`
	// Strict: only a reader that sees every member of the JSON text can tell.
	Strict bool `json:"strict,omitempty"`
}

type expect struct {
	AppID   string        `json:"appID"`
	Channel string        `json:"channel"`
	HostApp string        `json:"hostApp"`
	Keys    []string      `json:"keys"`
	Seen    *seen         `json:"seen,omitempty"`
	Now     document.Time `json:"now"`
}

type seen struct {
	Sequence int64         `json:"sequence"`
	IssuedAt document.Time `json:"issuedAt"`
}

func shop() *document.Release {
	digest := func(two string) string { return "sha256:" + strings.Repeat(two, 32) }
	return &document.Release{
		Type: document.TypeRelease, AppID: "com.example.shop", Channel: document.ChannelRelease, HostApps: []string{"maps", "wallet"},
		Rollout: document.Rollout{Namespace: "shop-team", Name: "shop"}, Sequence: 42, IssuedAt: document.At(noon),
		ExpiresAt: document.At(noon.AddDate(0, 0, 7)), PollSeconds: 300, Availability: document.Listed, MinimumVersion: "1.2.0",
		Listing: &document.Listing{DisplayName: "Käse & <Brot> 商店 🧀"}, Decide: document.DecideHost,
		Stable: &document.Variant{
			Delivery: 3620155, Version: "1.4.2", VersionCode: 10402, Digest: digest("11"), ContentDigest: digest("22"),
			Archive: document.Blob{Digest: digest("33"), Size: 144499}, Content: document.Blob{Digest: digest("44"), Size: 98211},
		},
	}
}

func payloadOf(change ...func(*document.Release)) []byte {
	doc := shop()
	for _, c := range change {
		c(doc)
	}
	text, err := document.Marshal(doc)
	must(err)
	return text
}

func text(e *dsse.Envelope) string {
	raw, err := e.Marshal()
	must(err)
	return string(raw)
}

func signed(payload []byte) string { return text(seal(document.PayloadType, payload, "a")) }

// edited is the document signed after its text was changed.
func edited(old, next string) string {
	before := string(payloadOf())
	if strings.Count(before, old) != 1 {
		panic("the document has not one " + old)
	}
	return signed([]byte(strings.Replace(before, old, next, 1)))
}

func ask(change ...func(*expect)) expect {
	e := expect{AppID: "com.example.shop", Channel: "release", HostApp: "wallet", Keys: []string{"a"}, Now: document.At(noon.Add(time.Hour))}
	for _, c := range change {
		c(&e)
	}
	return e
}

func at(d time.Duration) func(*expect) { return func(e *expect) { e.Now = document.At(noon.Add(d)) } }

func saw(sequence int64, issued time.Time) func(*expect) {
	return func(e *expect) { e.Seen = &seen{sequence, document.At(issued)} }
}

func keys(names ...string) func(*expect) {
	return func(e *expect) { e.Keys = append([]string{}, names...) }
}

// envelopes are the checks in their order, each with what passes just so and what does not.
func envelopes() envelopeFile {
	f := envelopeFile{
		Note: []string{
			"Envelopes for every client: checking a case's envelope for what is expected, at the time now, fails with the code in error, or passes.",
			"keys are public keys by name, as PEM; expect.keys names those that are trusted. seen is the newest document that was believed; absent: none.",
			"The checks, in this order: TooLarge (more than " + itoa(release.MaxEnvelopeSize) + " bytes; pad is how many spaces follow the envelope), Signature (also of what is no envelope), Type, Malformed, AppID, Channel, HostApp, RolledBack ((sequence, issuedAt) below seen), Expired (now is not before expiresAt).",
			"strict marks cases that only a reader can tell which sees every member of the JSON text: many JSON parsers cannot, and a client may leave them out.",
			"Written by go run ./internal/vectors in sdk/go. The private keys are known to everybody: trust them nowhere.",
		},
		Keys: publicPEMs(),
	}
	good := seal(document.PayloadType, payloadOf(), "a")
	add := func(name, envelope, code string, e expect) *envelopeCase {
		c := &envelopeCase{Name: name, Envelope: envelope, Expect: e, Error: code}
		f.Cases = append(f.Cases, c)
		return c
	}
	envelopeForms(add, good)
	signatures(add, good)
	types(add)
	matches(add, good)
	ages(add, good)
	for _, c := range f.Cases {
		c.complete()
	}
	return f
}

// complete says what a client has after the checks, where they pass.
func (c *envelopeCase) complete() {
	if c.Error != "" {
		return
	}
	e := release.Expect{AppID: c.Expect.AppID, Channel: c.Expect.Channel, HostApp: c.Expect.HostApp, Now: c.Expect.Now.Time}
	for _, name := range c.Expect.Keys {
		e.Keys = append(e.Keys, public(name))
	}
	got, err := release.Verify([]byte(c.Envelope+strings.Repeat(" ", c.Pad)), e)
	must(err)
	c.Sequence, c.EnvelopeDigest, c.KeyID = got.Document.Sequence, got.EnvelopeDigest, got.KeyID
}

type adder func(name, envelope, code string, e expect) *envelopeCase

func envelopeForms(add adder, good *dsse.Envelope) {
	raw := text(good)
	add("a good one", raw, "", ask())
	add("as large as may be", raw, "", ask()).Pad = release.MaxEnvelopeSize - len(raw)
	add("a byte too large", raw, "TooLarge", ask()).Pad = release.MaxEnvelopeSize - len(raw) + 1
	add("nothing", "", "Signature", ask())
	add("no JSON", "<html>", "Signature", ask())
	add("no object", "[]", "Signature", ask())
	add("a second value behind it", raw+"{}", "Signature", ask())
	add("a member that nobody knows", strings.Replace(raw, "{", `{"more":[1,{"a":null}],`, 1), "", ask())
	add("a payload that is a number", `{"payloadType":"x","payload":1,"signatures":[]}`, "Signature", ask())
	add("a payload twice", strings.Replace(raw, "{", `{"payload":"e30=",`, 1), "Signature", ask()).Strict = true
	add("a member in another case", strings.Replace(raw, `"payload":`, `"Payload":`, 1), "Signature", ask())
	url := *good
	decoded, err := base64.StdEncoding.DecodeString(good.Payload)
	must(err)
	url.Payload = base64.URLEncoding.EncodeToString(decoded)
	add("base64 in the other alphabet", text(&url), "", ask())
	broken := *good
	broken.Payload = good.Payload[:8] + "\n" + good.Payload[8:]
	add("base64 with a line break", text(&broken), "Signature", ask())
	broken.Payload = "%" + good.Payload[1:]
	add("no base64", text(&broken), "Signature", ask())
}

func signatures(add adder, good *dsse.Envelope) {
	both := text(seal(document.PayloadType, payloadOf(), "ba"))
	add("signed by another key", text(seal(document.PayloadType, payloadOf(), "c")), "Signature", ask())
	add("signed by both keys of a rotation, the old one is trusted", both, "", ask())
	add("signed by both keys of a rotation, the new one is trusted", both, "", ask(keys("b")))
	add("signed by both keys of a rotation, a third one is trusted", both, "Signature", ask(keys("c")))
	add("two keys are trusted", text(good), "", ask(keys("b", "a")))
	add("no key is trusted", text(good), "Signature", ask(keys()))
	with := func(change func(*dsse.Signature)) string {
		e := *good
		e.Signatures = append([]dsse.Signature{}, good.Signatures...)
		change(&e.Signatures[0])
		return text(&e)
	}
	add("a signature that names no key", with(func(s *dsse.Signature) { s.KeyID = "" }), "", ask())
	add("a signature that names another key", with(func(s *dsse.Signature) { s.KeyID = public("b").ID }), "Signature", ask(keys("a", "b")))
	add("another key's signature under a trusted name", with(func(s *dsse.Signature) {
		s.Sig = seal(document.PayloadType, payloadOf(), "c").Signatures[0].Sig
	}), "Signature", ask())
	add("a signature that is cut off", with(func(s *dsse.Signature) { s.Sig = s.Sig[:40] }), "Signature", ask())
	add("a signature that is empty", with(func(s *dsse.Signature) { s.Sig = "" }), "Signature", ask())
	none := *good
	none.Signatures = []dsse.Signature{}
	add("no signature", text(&none), "Signature", ask())
	many := *good
	many.Signatures = append(make([]dsse.Signature, dsse.MaxSignatures), good.Signatures...)
	add("seventeen signatures", text(&many), "Signature", ask())
	many.Signatures = many.Signatures[1:]
	add("sixteen signatures, the last one is good", text(&many), "", ask())
	changed := *good
	changed.Payload = base64.StdEncoding.EncodeToString(payloadOf(func(r *document.Release) { r.Sequence++ }))
	add("a document that was changed after signing", text(&changed), "Signature", ask())
	typed := *good
	typed.PayloadType = keychain.PayloadType
	add("a payload type that was changed after signing", text(&typed), "Signature", ask())
}

func types(add adder) {
	add("the payload type of keys", text(seal(keychain.PayloadType, payloadOf(), "a")), "Type", ask())
	add("another type of document", edited(`"miniprogram.release/v1"`, `"miniprogram.release/v2"`), "Type", ask())
	trial := func(r *document.Release) { r.Type, r.Channel = document.TypeTrial, document.ChannelTrial }
	add("a trial document where a release is asked for", signed(payloadOf(trial)), "Type", ask())
	add("a trial document where a trial is asked for", signed(payloadOf(trial)), "", ask(func(e *expect) { e.Channel = "trial" }))
	add("a release where a trial is asked for", signed(payloadOf()), "Type", ask(func(e *expect) { e.Channel = "trial" }))
	add("a field that nobody knows", edited(`"sequence":42`, `"sequence":42,"later":{"a":[null]}`), "", ask())
	add("a sequence that is text", edited(`"sequence":42`, `"sequence":"42"`), "Malformed", ask())
	add("a sequence with a fraction", edited(`"sequence":42`, `"sequence":42.5`), "Malformed", ask())
	add("a sequence that is null", edited(`"sequence":42`, `"sequence":null`), "Malformed", ask())
	add("a sequence of 0", edited(`"sequence":42`, `"sequence":0`), "Malformed", ask())
	add("a sequence that not every language keeps", edited(`"sequence":42`, `"sequence":9007199254740992`), "Malformed", ask())
	add("a sequence twice", edited(`"sequence":42`, `"sequence":42,"sequence":43`), "Malformed", ask()).Strict = true
	add("a sequence in another case beside it", edited(`"sequence":42`, `"sequence":42,"Sequence":43`), "Malformed", ask()).Strict = true
	add("host apps that are text", edited(`["maps","wallet"]`, `"wallet"`), "Malformed", ask())
	add("a time with an offset", edited(`"issuedAt":"2026-11-22T12:00:00Z"`, `"issuedAt":"2026-11-22T13:00:00+01:00"`), "Malformed", ask())
	add("a time that is a number", edited(`"issuedAt":"2026-11-22T12:00:00Z"`, `"issuedAt":1795348800`), "Malformed", ask())
	add("it expires before it is issued", edited(`"expiresAt":"2026-11-29`, `"expiresAt":"2026-11-21`), "Malformed", ask())
	add("no JSON in the payload", signed([]byte("<html>")), "Malformed", ask())
	add("no object in the payload", signed([]byte("[]")), "Malformed", ask())
}

func matches(add adder, good *dsse.Envelope) {
	raw := text(good)
	add("for another app ID", raw, "AppID", ask(func(e *expect) { e.AppID = "com.example.bank" }))
	add("an app ID in another case", raw, "AppID", ask(func(e *expect) { e.AppID = "com.example.Shop" }))
	add("for another host app", raw, "HostApp", ask(func(e *expect) { e.HostApp = "chat" }))
	add("for a host app whose name begins alike", raw, "HostApp", ask(func(e *expect) { e.HostApp = "wall" }))
	add("for the other of its host apps", raw, "", ask(func(e *expect) { e.HostApp = "maps" }))
	add("another app ID and another host app", raw, "AppID", ask(func(e *expect) { e.AppID, e.HostApp = "com.example.bank", "chat" }))
}

func ages(add adder, good *dsse.Envelope) {
	raw := text(good)
	add("the one that was seen", raw, "", ask(saw(42, noon)))
	add("newer than the one that was seen", raw, "", ask(saw(41, noon.Add(time.Hour))))
	add("signed anew since", raw, "", ask(saw(42, noon.Add(-time.Second))))
	add("a lower sequence, issued later", raw, "RolledBack", ask(saw(43, noon.Add(-time.Hour))))
	add("the same sequence, issued earlier", raw, "RolledBack", ask(saw(42, noon.Add(time.Second))))
	add("rolled back and for another host app", raw, "HostApp", ask(saw(43, noon), func(e *expect) { e.HostApp = "chat" }))
	week := 7 * 24 * time.Hour
	add("a second before it expires", raw, "", ask(at(week-time.Second)))
	add("as it expires", raw, "Expired", ask(at(week)))
	add("long expired", raw, "Expired", ask(at(10*week)))
	add("expired and rolled back", raw, "RolledBack", ask(at(week), saw(43, noon)))
	add("expired and signed by another key", raw, "Signature", ask(at(week), keys("b")))
	add("issued in the future, for a device whose clock is behind", raw, "", ask(at(-week)))
}

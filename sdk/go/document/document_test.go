package document_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

func digest(two string) string { return "sha256:" + strings.Repeat(two, 32) }

func variant(version string, code int64, two string) *document.Variant {
	return &document.Variant{
		Delivery: 3620000 + code, Version: version, VersionCode: code, Digest: digest(two), ContentDigest: digest("c0"),
		Archive: document.Blob{Digest: digest("c1"), Size: 144499, MediaType: document.ArchiveMediaType},
		Content: document.Blob{Digest: digest("c2"), Size: 98211, MediaType: document.ContentMediaType},
		Format:  "MiniApp",
		Declaration: document.Declaration{
			Permissions: []document.Permission{{Name: "location", Reason: "shops <near> you & open", Need: "Optional"}},
			Domains:     document.Domains{Request: []string{"https://api.example.com"}, Socket: []string{"wss://push.example.com"}},
			EntryPages:  []string{"pages/index"},
			Privacy: &document.Privacy{PolicyURL: "https://example.com/privacy", Contact: "privacy@example.com",
				Data: []document.PrivacyData{{Name: "location", Purpose: "search", RetentionDays: 30}}},
		},
		Compatibility: document.Compatibility{
			Platforms:           []document.Platform{{OS: "ios", MinHostVersion: "8.0", MaxHostVersion: "9.5"}},
			MinContainerVersion: "3.0",
		},
		Install: document.Install{Download: "WiFi", Mode: "Lazy", Update: "Normal"},
	}
}

// full is a document with every member.
func full() *document.Release {
	const seed = "com.example.shop/audience"
	day := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	audience := func() *document.Audience {
		return &document.Audience{
			Seed:    seed,
			Include: document.KeySet{Hashes: document.HashKeys(seed, []string{"user-1", "user-2"})},
			Exclude: document.KeySet{Hashes: document.HashKeys(seed, []string{"user-3"})},
			Rules:   []document.Rule{{Attribute: "osVersion", Operator: document.Between, Values: []string{"15", "17.5"}}},
			Parts:   []document.Part{{List: document.PartInclude, Digest: digest("d1"), Keys: 50000}},
		}
	}
	return &document.Release{
		Type: document.TypeRelease, AppID: "com.example.shop", Channel: document.ChannelRelease, HostApps: []string{"wallet", "maps"},
		Rollout: document.Rollout{Namespace: "shop-team", Name: "shop"}, Sequence: 1795000042,
		IssuedAt: document.At(day), ExpiresAt: document.At(day.AddDate(0, 0, 7)), PollSeconds: 300,
		Availability: document.Listed, MinimumVersion: "1.2.0",
		Listing: &document.Listing{
			DisplayName: "Shop", Description: "Groceries", Kind: "MiniProgram", Categories: []string{"shopping"},
			Icon: &document.Blob{Digest: digest("f0")}, Locales: []document.Locale{{Lang: "zh-CN", DisplayName: "商店"}},
		},
		Stable: variant("1.4.2", 10402, "11"), Target: variant("1.5.0", 10500, "ab"),
		Split: &document.Split{Algorithm: "bucket/v1", By: document.ByUser, Seed: "com.example.shop@" + digest("ab"), BasisPoints: 500},
		Recalls: []document.Recall{{By: document.ByUser, Seed: "com.example.shop@" + digest("ee"), BasisPoints: 500, Delivery: 3640000,
			Digest: digest("ee"), Audience: audience()}},
		Audience:  audience(),
		Window:    &document.Window{Start: document.At(day), End: document.At(day.Add(time.Hour))},
		Fallbacks: []document.Variant{*variant("1.3.0", 10300, "33")}, AlsoServed: []string{digest("33"), digest("f0")},
		Decide: document.DecideService,
	}
}

func TestADocumentWithEveryMemberIsWrittenAsTheGoldenFile(t *testing.T) {
	got, err := document.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/full.json")
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer // the file is indented for people, which changes nothing else
	if err := json.Compact(&compact, want); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, compact.Bytes()) {
		t.Errorf("got %s\nwant %s", got, compact.Bytes())
	}
	again, err := document.Marshal(full())
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("written again: %s, %v", again, err)
	}
}

func TestADocumentReadsBackAsItself(t *testing.T) {
	least := full()
	least.Listing, least.Target, least.Split, least.Recalls, least.Audience, least.Window = nil, nil, nil, nil, nil, nil
	least.Fallbacks, least.AlsoServed, least.MinimumVersion, least.Decide = nil, nil, "", document.DecideHost
	tombstone := full()
	tombstone.Stable, tombstone.Target, tombstone.Split, tombstone.Fallbacks, tombstone.HostApps = nil, nil, nil, nil, nil
	tombstone.Availability, tombstone.Tombstone = document.Removed, &document.Tombstone{Reason: "RolloutDeleted", Installed: document.Remove}
	trial := full()
	trial.Type, trial.Channel = document.TypeTrial, document.ChannelTrial
	suspended := full()
	suspended.Availability = document.Suspended
	for name, want := range map[string]*document.Release{
		"full": full(), "least": least, "tombstone": tombstone, "trial": trial, "suspended": suspended,
	} {
		data, err := document.Marshal(want)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := document.Parse(data); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v and %v\nwant %+v", name, got, err, want)
		}
	}
}

func TestTimesAreWholeSecondsInUTC(t *testing.T) {
	moment := time.Date(2026, 11, 20, 10, 0, 0, 999, time.FixedZone("", 2*60*60))
	text, err := json.Marshal(document.At(moment))
	if err != nil || string(text) != `"2026-11-20T08:00:00Z"` {
		t.Errorf("got %s and %v", text, err)
	}
	for _, text := range []string{`"2026-11-20T08:00:00.5Z"`, `"2026-11-20T08:00:00+00:00"`, `"2026-11-20"`, `""`, `1`} {
		if err := json.Unmarshal([]byte(text), new(document.Time)); err == nil {
			t.Errorf("%s is taken for a time", text)
		}
	}
	if _, err := json.Marshal(document.At(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))); err == nil {
		t.Error("a year of five digits is written")
	}
}

func TestMembersThatAreNotKnownAreIgnored(t *testing.T) {
	data, err := document.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	data = append([]byte(`{"from":{"the":["future",null]},`), data[1:]...)
	data = bytes.Replace(data, []byte(`"algorithm":`), []byte(`"unit":"percent","algorithm":`), 1)
	if got, err := document.Parse(data); err != nil || !reflect.DeepEqual(got, full()) {
		t.Errorf("got %+v and %v", got, err)
	}
}

func TestParseRefusesWrongTypesAndRepeatedMembers(t *testing.T) {
	data, err := document.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, new string
		want     document.FieldError
	}{
		"text for a number":   {`"sequence":1795000042`, `"sequence":"1795000042"`, document.FieldError{Pointer: "/sequence", Problem: "must be a whole number of at most 64 bits"}},
		"a fraction":          {`"basisPoints":500`, `"basisPoints":500.5`, document.FieldError{Pointer: "/split/basisPoints", Problem: "must be a whole number of at most 32 bits"}},
		"null":                {`"availability":"Listed"`, `"availability":null`, document.FieldError{Pointer: "/availability", Problem: "must be a string"}},
		"a time with offset":  {`"issuedAt":"2026-11-20T08:00:00Z"`, `"issuedAt":"2026-11-20T08:00:00+00:00"`, document.FieldError{Pointer: "/issuedAt", Problem: "must be a time like 2006-01-02T15:04:05Z"}},
		"a member twice":      {`"sequence":`, `"sequence":1,"sequence":`, document.FieldError{Pointer: "/sequence", Problem: "stands there twice"}},
		"a member upper case": {`"appID":`, `"appid":`, document.FieldError{Pointer: "/appid", Problem: `differs from "appID" only in case`}},
		"a string for a list": {`"hostApps":["wallet","maps"]`, `"hostApps":"wallet"`, document.FieldError{Pointer: "/hostApps", Problem: "must be a list"}},
		"an invalid value":    {`"basisPoints":500`, `"basisPoints":10001`, document.FieldError{Pointer: "/split/basisPoints", Problem: "must be from 0 to 10000"}},
		"two documents":       {`"decide":"Service"}`, `"decide":"Service"}{}`, document.FieldError{Problem: "is not JSON"}},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(string(data), c.old, c.new, 1)
			if changed == string(data) {
				t.Fatalf("%s is not in the document", c.old)
			}
			doc, err := document.Parse([]byte(changed))
			if got, ok := errors.AsType[*document.FieldError](err); !ok || *got != c.want || doc != nil {
				t.Errorf("got %v, want %v", err, &c.want)
			}
		})
	}
}

func TestAFieldErrorIsReadable(t *testing.T) {
	for want, err := range map[string]error{
		"the document's /split/by must not be empty":        &document.FieldError{Pointer: "/split/by", Problem: "must not be empty"},
		"the document is not JSON":                          &document.FieldError{Problem: "is not JSON"},
		"the document has 300000 bytes, 262144 are allowed": &document.SizeError{Bytes: 300000},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestADocumentOfMoreThan256KiBIsNeitherReadNorWritten(t *testing.T) {
	doc := full()
	doc.Listing.Description = ""
	empty, err := document.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	// `"description":"…",` takes 17 bytes beside its text.
	doc.Listing.Description = strings.Repeat("x", document.MaxSize-len(empty)-17)
	exact, err := document.Marshal(doc)
	if err != nil || len(exact) != document.MaxSize {
		t.Fatalf("a document of %d bytes: %v", len(exact), err)
	}
	if _, err := document.Parse(exact); err != nil {
		t.Errorf("reading a document of exactly the largest size: %v", err)
	}
	want := document.SizeError{Bytes: document.MaxSize + 1}
	doc.Listing.Description += "x"
	_, err = document.Marshal(doc)
	if got, ok := errors.AsType[*document.SizeError](err); !ok || *got != want {
		t.Errorf("writing: got %v, want %v", err, &want)
	}
	_, err = document.Parse(append(exact, ' '))
	if got, ok := errors.AsType[*document.SizeError](err); !ok || *got != want {
		t.Errorf("reading: got %v, want %v", err, &want)
	}
}

func TestHashesOfKeys(t *testing.T) {
	// printf 'seed:user-1' | sha256sum | cut -c1-32 | xxd -r -p | base64
	if got, want := document.HashKey("seed", "user-1"), "YB7tiSot9oTbMJOMomvCzA"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	keys := []string{"d", "a", "c", "b", "a", "用户-1", strings.Repeat("k", 500)}
	set := document.KeySet{Hashes: document.HashKeys("seed", keys)}
	if len(set.Hashes) != 6 || !slices.IsSorted(set.Hashes) {
		t.Errorf("not six in order: %v", set.Hashes)
	}
	for _, key := range keys {
		if !set.Has("seed", key) {
			t.Errorf("%q is lost", key)
		}
		if set.Has("other", key) {
			t.Errorf("%q is there with another seed", key)
		}
	}
	if set.Has("seed", "e") || (document.KeySet{}).Has("seed", "a") {
		t.Error("a stranger is in the set")
	}
}

func TestVariantFindsEveryVariantByItsDigest(t *testing.T) {
	doc := full()
	for two, want := range map[string]*document.Variant{"11": doc.Stable, "ab": doc.Target, "33": &doc.Fallbacks[0], "99": nil} {
		if got := doc.Variant(digest(two)); got != want {
			t.Errorf("%s: got %v, want %v", two, got, want)
		}
	}
	if got := new(document.Release).Variant(""); got != nil {
		t.Errorf("an empty document has %v", got)
	}
}

func FuzzParseAcceptsOnlyWhatItWouldWrite(f *testing.F) {
	data, err := document.Marshal(full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := document.Parse(data)
		if err != nil {
			return
		}
		written, err := document.Marshal(doc)
		if err != nil {
			if _, large := errors.AsType[*document.SizeError](err); large {
				return // the writer's escapes may be longer
			}
			t.Fatalf("%s was read and cannot be written: %v", data, err)
		}
		again, err := document.Parse(written)
		if err != nil {
			t.Fatalf("%s was written and cannot be read: %v", written, err)
		}
		if rewritten, err := document.Marshal(again); err != nil || !bytes.Equal(written, rewritten) {
			t.Fatalf("got %s and %v, want %s", rewritten, err, written)
		}
	})
}

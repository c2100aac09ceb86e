package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

var update = flag.Bool("update", false, "write testdata/*.json from what Render returns")

func digest(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

// full is a variant with something in every field.
func full(digit string, delivery int64) *v1alpha1.Variant {
	return &v1alpha1.Variant{
		VersionRef: "shop-" + digit, Version: digit + ".0.0", VersionCode: 10000, Format: "Web", Repository: "shop-team/shop",
		Digest: digest(digit), ContentDigest: digest("c"), Delivery: delivery,
		Archive: v1alpha1.Blob{Digest: digest("a"), SizeBytes: 2000, MediaType: document.ArchiveMediaType},
		Content: v1alpha1.Blob{Digest: digest("b"), SizeBytes: 1000, MediaType: document.ContentMediaType},
		Declaration: &v1alpha1.Declaration{
			Permissions: []v1alpha1.Permission{{Name: "location", Reason: "shops near you", Need: "Optional"}},
			Domains: &v1alpha1.Domains{
				Request: []v1alpha1.HTTPSOrigin{"https://api.shop.example"}, WebView: []v1alpha1.HTTPSOrigin{"https://www.shop.example"},
				Socket: []v1alpha1.WSSOrigin{"wss://push.shop.example"}, Upload: []v1alpha1.HTTPSOrigin{"https://up.shop.example"},
				Download: []v1alpha1.HTTPSOrigin{"https://cdn.shop.example"},
			},
			Privacy: &v1alpha1.Privacy{
				PolicyURL: "https://shop.example/privacy", Contact: "privacy@shop.example",
				Data: []v1alpha1.PersonalData{{Name: "phone number", Purpose: "delivery", RetentionDays: new(int32(30))}, {Name: "address"}},
			},
		},
		Compatibility: &v1alpha1.Compatibility{
			MinContainerVersion: "2.1", Platforms: []v1alpha1.PlatformCompatibility{{OS: "Android", MinHostVersion: "8.0", MaxHostVersion: "9.9"}},
		},
		Install: &v1alpha1.Install{Download: "WiFi", Mode: "Preload", Update: "Immediate"},
	}
}

// recorded is a status with something in every field that a document is made of.
func recorded() *v1alpha1.RolloutStatus {
	old := *full("0", 7)
	old.Archive.Digest = digest("d")
	return &v1alpha1.RolloutStatus{
		Sequence: 1795000042, Stable: full("1", 8), Target: full("2", 9), BasisPoints: 525,
		Rollbacks: []v1alpha1.Variant{old},
		Recalls:   []v1alpha1.Recall{{By: "device", Seed: "s", BasisPoints: 500, Delivery: 10, Digest: digest("3")}},
		Document: &v1alpha1.DocumentFacts{
			AppID: "com.example.shop", HostApps: []string{"wallet", "chat"}, Availability: v1alpha1.AvailabilityHidden, MinimumVersion: "0.9.0",
			DisplayName: "Shop", Description: "Groceries", PollSeconds: 300, By: "user", Seed: "com.example.shop@" + digest("2"),
			Locales:  []v1alpha1.LocalizedText{{Lang: "zh-CN", DisplayName: "商店", Description: "食品"}},
			IssuedAt: metav1.NewTime(time.Date(2026, 11, 22, 12, 0, 0, 987654321, time.FixedZone("", 3600))),
		},
	}
}

func TestRenderedDocuments(t *testing.T) {
	withoutTarget := func(st *v1alpha1.RolloutStatus) { st.Target, st.Document.By, st.Document.Seed = nil, "", "" }
	for name, change := range map[string]func(*v1alpha1.RolloutStatus){
		"underway": func(*v1alpha1.RolloutStatus) {},
		"first":    func(st *v1alpha1.RolloutStatus) { st.Stable, st.Rollbacks, st.Recalls = nil, nil, nil },
		"bare": func(st *v1alpha1.RolloutStatus) {
			withoutTarget(st)
			st.Rollbacks, st.Recalls = nil, nil
			st.Stable.Declaration, st.Stable.Compatibility, st.Stable.Install = nil, nil, nil
			st.Document.DisplayName, st.Document.MinimumVersion = "", ""
		},
		"withdrawn": func(st *v1alpha1.RolloutStatus) {
			withoutTarget(st)
			st.Stable, st.Document.Availability = nil, v1alpha1.AvailabilityWithdrawn
		},
		"retained": func(st *v1alpha1.RolloutStatus) { withoutTarget(st); st.Document.Availability = Retained },
		"removed":  func(st *v1alpha1.RolloutStatus) { withoutTarget(st); st.Document.Availability = Removed },
		"nottaken": func(st *v1alpha1.RolloutStatus) { st.Document.Availability = NotTaken },
		"audience": func(st *v1alpha1.RolloutStatus) {
			hash := func(key string) []string { return document.HashKeys("s", []string{key}) }
			start, end := metav1.NewTime(time.Date(2026, 12, 1, 8, 0, 0, 0, time.FixedZone("", 3600))), metav1.NewTime(time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC))
			st.Document.By, st.Document.Seed = "city", "spring"
			st.Document.Audience = &v1alpha1.AudienceFacts{
				Seed: "s", Include: hash("ada"), Exclude: hash("eve"), Had: hash("ben"),
				Rules: []v1alpha1.AudienceRule{{Attribute: "osVersion", Operator: "Between", Values: []string{"8", "9.1"}}},
			}
			st.Document.Window = &v1alpha1.WindowFacts{Start: &start, End: &end}
			st.Recalls[0].Audience = &v1alpha1.RecallAudience{Seed: "t", Include: hash("cho"), Exclude: hash("dan")}
		},
		"halfopen": func(st *v1alpha1.RolloutStatus) {
			end := metav1.NewTime(time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC))
			st.Document.Audience = &v1alpha1.AudienceFacts{Seed: "s", Had: document.HashKeys("s", []string{"ben"})}
			st.Document.Window = &v1alpha1.WindowFacts{End: &end}
		},
		"lists": func(st *v1alpha1.RolloutStatus) {
			part := func(list, digit string) v1alpha1.AudiencePart {
				return v1alpha1.AudiencePart{List: list, Digest: digest(digit), Keys: 3}
			}
			st.Document.Audience = &v1alpha1.AudienceFacts{Seed: "s", From: "f", Parts: []v1alpha1.AudiencePart{
				part("Include", "4"), part("Exclude", "5"), part("ExcludeLater", "6"), part("Had", "7"),
			}}
			st.Recalls[0].Audience = &v1alpha1.RecallAudience{Seed: "t", Parts: []v1alpha1.AudiencePart{part("Include", "8"), part("Exclude", "9")}}
		},
		"listrecalled": func(st *v1alpha1.RolloutStatus) {
			withoutTarget(st)
			st.Document.Availability = Retained
			st.Recalls[0].Audience = &v1alpha1.RecallAudience{Seed: "t", Parts: []v1alpha1.AudiencePart{{List: "Include", Digest: digest("8"), Keys: 3}}}
		},
		"enough": func(st *v1alpha1.RolloutStatus) {
			start, closed, end := metav1.NewTime(time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC)), metav1.NewTime(time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC)), metav1.NewTime(time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC))
			st.Document.Window = &v1alpha1.WindowFacts{Start: &start, End: &end, Users: 100, Installed: 107, Closed: &closed}
		},
		"notenough": func(st *v1alpha1.RolloutStatus) {
			st.Document.Window = &v1alpha1.WindowFacts{Users: 100, Installed: 50}
		},
		"fallbacks": func(st *v1alpha1.RolloutStatus) {
			withoutTarget(st)
			st.Rollbacks = append(st.Rollbacks, *full("4", 6))
			st.Document.Fallbacks = []string{digest("4"), digest("0"), digest("9")} // the last is in no history
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := recorded()
			change(st)
			doc, err := Render("shop-team", "shop", v1alpha1.ChannelRelease, st)
			if err != nil {
				t.Fatal(err)
			}
			data, err := document.Marshal(doc)
			if err != nil {
				t.Fatalf("no host app could read it: %v", err)
			}
			if _, err := document.Parse(data); err != nil {
				t.Fatalf("no host app could read it: %v", err)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, append(data, '\n'), "", " "); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("%s differs; go test -update writes it anew:\n%s", path, got.String())
			}
		})
	}
}

func TestRenderIsAFunctionOfTheRecord(t *testing.T) {
	st := recorded()
	before := st.DeepCopy()
	first, err := Render("shop-team", "shop", v1alpha1.ChannelRelease, st)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Render("shop-team", "shop", v1alpha1.ChannelRelease, before)
	if err != nil {
		t.Fatal(err)
	}
	a, b := mustMarshal(t, first), mustMarshal(t, second)
	if !bytes.Equal(a, b) {
		t.Errorf("two documents of one record:\n%s\n%s", a, b)
	}
	if got := st.Document.HostApps[0]; got != "wallet" {
		t.Errorf("the record was sorted in place: %s is first", got)
	}
}

func mustMarshal(t *testing.T, doc *document.Release) []byte {
	t.Helper()
	data, err := document.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestNothingIsRenderedBeforeTheFirstDecision(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.RolloutStatus){
		"no document": func(st *v1alpha1.RolloutStatus) { st.Document = nil },
		"no sequence": func(st *v1alpha1.RolloutStatus) { st.Sequence = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			st := recorded()
			change(st)
			if doc, err := Render("shop-team", "shop", v1alpha1.ChannelRelease, st); !errors.Is(err, ErrNothingRecorded) {
				t.Errorf("got %+v, %v", doc, err)
			}
		})
	}
}

func TestPercent(t *testing.T) {
	for basisPoints, want := range map[int32]string{
		0: "0%", 1: "0.01%", 10: "0.1%", 25: "0.25%", 99: "0.99%", 100: "1%", 500: "5%", 525: "5.25%", 1050: "10.5%", 9999: "99.99%", 10000: "100%",
	} {
		if got := Percent(basisPoints); got != want {
			t.Errorf("%d: %s, want %s", basisPoints, got, want)
		}
	}
}

func TestATrialHasATypeOfItsOwn(t *testing.T) {
	for channel, want := range map[string]string{v1alpha1.ChannelRelease: document.TypeRelease, v1alpha1.ChannelTrial: document.TypeTrial} {
		doc, err := Render("shop-team", "shop", channel, recorded())
		if err != nil {
			t.Fatal(err)
		}
		if parsed, err := document.Parse(mustMarshal(t, doc)); err != nil || parsed.Type != want || parsed.Channel != channel {
			t.Errorf("channel %s: %+v, %v", channel, parsed, err)
		}
	}
}

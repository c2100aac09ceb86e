package manifest

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

const audienceSeed = "com.example.shop@target"

// partOf is a part of users' keys, and the record of its ConfigMap.
func partOf(users ...string) (document.PartData, *record) {
	data := document.HashParts(audienceSeed, users)[0]
	return data, &record{
		Name: delivery.AudienceConfigMap("shop-team", "shop", data.Digest(), int32(data.Keys())), Kind: delivery.KindAudience, Data: map[string]string{}, Part: data,
	}
}

// withParts names lists of users beside the document.
func withParts(include, exclude document.PartData) func(*document.Release) {
	return func(r *document.Release) {
		r.Audience, r.Decide = &document.Audience{Seed: audienceSeed}, document.DecideService
		r.Audience.Parts = append(parts(document.PartInclude, include), parts(document.PartExclude, exclude)...)
	}
}

func parts(list string, data document.PartData) []document.Part {
	if data == nil {
		return nil
	}
	return []document.Part{{List: list, Digest: data.Digest(), Keys: int32(data.Keys())}}
}

// handed is what users are answered by resolve, as "version reason".
func (f *fixture) handed(users ...string) map[string]string {
	f.t.Helper()
	got := map[string]string{}
	for _, u := range users {
		body := f.do(http.MethodPost, "/v1/hosts/wallet/resolve", fmt.Sprintf(`{"user":%q,"programs":[{"appID":"com.example.shop"}]}`, u)).Body
		field := func(name string) string {
			_, text, _ := strings.Cut(body, `"`+name+`":"`)
			text, _, _ = strings.Cut(text, `"`)
			return text
		}
		got[u] = strings.TrimSpace(field("version") + " " + field("reason"))
	}
	return got
}

func (f *fixture) wantHanded(want map[string]string) {
	f.t.Helper()
	var users []string
	for u := range want {
		users = append(users, u)
	}
	if diff := cmp.Diff(want, f.handed(users...)); diff != "" {
		f.t.Errorf("-want +got:\n%s", diff)
	}
}

var (
	byLists = map[string]string{"ada": "2.0.0 Included", "eve": "1.0.0 Excluded", "mo": "1.0.0 OutsideShare"}
	before  = map[string]string{"ada": "1.0.0 NoTarget", "eve": "1.0.0 NoTarget", "mo": "1.0.0 NoTarget"}
)

func TestADocumentIsTakenOverWithItsParts(t *testing.T) {
	in, inRecord := partOf("ada", "eve")
	ex, exRecord := partOf("eve")
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop())
	f.publish(shop(sequence(1001), withTarget(0), withParts(in, ex)))
	f.wantHanded(before) // the last good stays
	f.wantRejected(reasonPart, 1)
	f.wantNotCurrent(reasonPart, 1)
	if log := f.logs.text(); !strings.Contains(log, "the part "+in.Digest()+" of its audience is not there") {
		t.Errorf("the log lacks why: %s", log)
	}
	f.put(inRecord)
	f.wantHanded(before)
	f.put(exRecord)
	f.wantHanded(byLists)
	f.wantNotCurrent(reasonPart, 0)
	if got := f.get(shopPath); got.Status != http.StatusConflict || !strings.Contains(got.Body, `"code":"ServiceDecides"`) {
		t.Errorf("the document alone: %d %s", got.Status, got.Body)
	}
	if got := f.get("/dimina/v1/hosts/wallet/com.example.shop.json?user=ada").Body; !strings.Contains(got, `"versionName":"2.0.0"`) {
		t.Errorf("by Dimina ada gets %s", got)
	}
	if got := f.get("/dimina/v1/hosts/wallet/com.example.shop.json?user=eve").Body; !strings.Contains(got, `"versionName":"1.0.0"`) {
		t.Errorf("by Dimina eve gets %s", got)
	}
}

func TestPartsAndDocumentsComeInAnyOrder(t *testing.T) {
	in, inRecord := partOf("ada", "eve")
	ex, exRecord := partOf("eve")
	f := newFixture(t)
	f.hostApp(wallet())
	doc := f.rolloutRecord(shop(withTarget(0), withParts(in, ex)))
	f.service.store.apply([]update{{doc.Name, doc}, {exRecord.Name, exRecord}, {inRecord.Name, inRecord}})
	f.wantHanded(byLists)
	f.wantRejected(reasonPart, 0)
}

func TestAPartThatIsAnotherIsNotTakenForIt(t *testing.T) {
	in, inRecord := partOf("ada", "eve")
	ex, exRecord := partOf("eve")
	other, _ := partOf("mo", "zoe")
	for name, test := range map[string]struct {
		change func(*record, *document.Release)
		reason string
	}{
		"no bytes":        {func(r *record, _ *document.Release) { r.Part = nil }, reasonIncomplete},
		"a byte less":     {func(r *record, _ *document.Release) { r.Part = r.Part[:31] }, reasonMalformed},
		"others unsorted": {func(r *record, _ *document.Release) { r.Part = append(in[16:32:32], in[:16]...) }, reasonMalformed},
		"others":          {func(r *record, _ *document.Release) { r.Part = other }, reasonPart},
		"another number":  {func(_ *record, d *document.Release) { d.Audience.Parts[0].Keys = 3 }, reasonPart},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.hostApp(wallet())
			f.publish(shop())
			record, doc := *inRecord, shop(sequence(1001), withTarget(0), withParts(in, ex))
			test.change(&record, doc)
			f.put(&record, exRecord)
			f.publish(doc)
			f.wantHanded(before)
			f.wantNotCurrent(test.reason, 1)
			f.publish(shop(sequence(1002), withTarget(0), withParts(in, ex)))
			f.put(inRecord)
			f.wantHanded(byLists)
		})
	}
}

// What vanishes stays for as long as a document in service names it, and no longer.
func TestAPartThatVanishesStaysWithItsDocument(t *testing.T) {
	in, inRecord := partOf("ada", "eve")
	ex, exRecord := partOf("eve")
	f := newFixture(t, func(o *Options) { o.StateDir = t.TempDir() })
	f.hostApp(wallet())
	f.put(inRecord, exRecord)
	f.publish(shop(withTarget(0), withParts(in, ex)))
	f.remove(inRecord.Name)
	f.wantHanded(byLists)
	f.wantNotCurrent(reasonDeleted, 1)
	f.publish(shop(sequence(1001), withTarget(0), withParts(in, ex))) // the next document has the same lists
	f.wantHanded(byLists)
	f.flush()
	f.start()
	f.wantHanded(byLists) // from the disk copy
	f.service.store.vanishedExcept(map[string]bool{shopConfigMap: true, exRecord.Name: true, delivery.HostAppConfigMap("wallet"): true})
	f.wantHanded(byLists)

	f.publish(shop(sequence(1002)))
	f.wantNotCurrent(reasonDeleted, 0)
	f.flush()
	if _, err := os.Stat(f.options.StateDir + "/" + fileName(inRecord.Name)); !os.IsNotExist(err) {
		t.Errorf("the disk copy still has the part: %v", err)
	}
	if n := len(f.service.store.parts); n != 1 {
		t.Errorf("%d parts are held, one is there", n)
	}
	f.remove(exRecord.Name)
	if n := len(f.service.store.parts); n != 0 {
		t.Errorf("%d parts are held, none is there", n)
	}
	f.wantNotCurrent(reasonDeleted, 0)
}

func (f *fixture) flush() {
	f.t.Helper()
	if err := f.service.disk.flush(); err != nil {
		f.t.Fatal(err)
	}
}

func TestWhoWasOnAListIsRecalled(t *testing.T) {
	in, inRecord := partOf("ada")
	f := newFixture(t)
	f.hostApp(wallet())
	f.put(inRecord)
	f.publish(shop(func(r *document.Release) {
		r.Recalls = []document.Recall{{By: "user", Seed: "s", Delivery: 3_700_000, Digest: "sha256:" + hex64("artifact of 2.0.0"),
			Audience: &document.Audience{Seed: audienceSeed, Parts: parts(document.PartInclude, in)}}}
		r.Decide = document.DecideService
	}))
	for user, want := range map[string]string{"ada": `"versionCode":3700000,`, "mo": `"versionCode":3600100,`} {
		if got := f.get("/dimina/v1/hosts/wallet/com.example.shop.json?user=" + user).Body; !strings.Contains(got, want) {
			t.Errorf("%s gets %s, want %s", user, got, want)
		}
	}
}

func TestAPartInTwoConfigMapsIsHeldOnce(t *testing.T) {
	_, first := partOf("ada")
	second := *first
	second.Name = "other.audience.1"
	f := newFixture(t, func(o *Options) { o.StateDir = t.TempDir() })
	f.put(first, &second)
	f.remove(first.Name)
	if n := len(f.service.store.parts); n != 1 {
		t.Errorf("%d parts are held, one is there", n)
	}
	f.flush()
	if _, err := os.Stat(f.options.StateDir + "/" + fileName(first.Name)); !os.IsNotExist(err) {
		t.Errorf("the disk copy still has the one that is gone: %v", err)
	}
	f.remove(second.Name)
	if n := len(f.service.store.parts); n != 0 {
		t.Errorf("%d parts are held, none is there", n)
	}
}

// The lists of an audience cost memory, and each request next to nothing.
func TestAHundredThousandKeysAreLookedUpWithoutAllocating(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	var users []string
	for i := range delivery.MaxListedKeys {
		users = append(users, fmt.Sprint("user-", i))
	}
	doc := shop(withTarget(0), withParts(nil, nil))
	for _, data := range document.HashParts(audienceSeed, users) {
		f.put(&record{Name: data.Digest()[7:], Kind: delivery.KindAudience, Part: data})
		doc.Audience.Parts = append(doc.Audience.Parts, parts(document.PartInclude, data)...)
	}
	f.publish(doc)
	f.wantHanded(map[string]string{"user-0": "2.0.0 Included", "user-99999": "2.0.0 Included", "user-100000": "1.0.0 OutsideShare"})
	e := f.service.store.entries[shopConfigMap]
	hash := document.SumKey(audienceSeed, "user-99999")
	if n := testing.AllocsPerRun(100, func() {
		for _, p := range e.doc.Audience.Parts {
			_ = e.inPart(p, hash)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

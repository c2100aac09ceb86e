package journal_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"oras.land/oras-go/v2/registry"

	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// writer signs documents and entries.
type writer struct {
	private *ecdsa.PrivateKey
	key     dsse.Key
}

func newWriter(t *testing.T) *writer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dsse.NewKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return &writer{private, key}
}

func (w *writer) seal(t testing.TB, kind string, payload []byte) []byte {
	t.Helper()
	e, err := dsse.Sign(w.private, kind, payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func release(sequence int64) *document.Release {
	digest := "sha256:" + strings.Repeat("a", 64)
	blob := document.Blob{Digest: digest, Size: 1, MediaType: document.ArchiveMediaType}
	return &document.Release{
		Type: document.TypeRelease, AppID: "com.example.shop", Channel: document.ChannelRelease, HostApps: []string{"wallet"},
		Rollout: document.Rollout{Namespace: "shop-team", Name: "shop"}, Sequence: sequence,
		IssuedAt: document.At(noon), ExpiresAt: document.At(noon.Add(time.Hour)), PollSeconds: 300, Availability: document.Listed,
		Stable: &document.Variant{Delivery: 1, Version: "1.0.0", VersionCode: 1, Digest: digest, ContentDigest: digest, Archive: blob, Content: blob},
		Decide: document.DecideHost,
	}
}

// artifact is a good one.
func (w *writer) artifact(t testing.TB, sequence int64, change func(*journal.Entry)) *journal.Artifact {
	t.Helper()
	doc := release(sequence)
	payload, err := document.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	envelope := w.seal(t, document.PayloadType, payload)
	e := &journal.Entry{
		Order: journal.Order{Number: sequence, Second: noon.Unix()}, Rollout: &doc.Rollout, AppID: doc.AppID,
		Written: noon.Add(time.Duration(sequence) * time.Second), Envelope: journal.Digest(envelope),
	}
	tag := e.Tag()
	if change != nil {
		change(e)
	}
	raw, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return &journal.Artifact{Tag: tag, Digest: journal.Digest(raw), Entry: w.seal(t, journal.PayloadType, raw), Document: envelope}
}

func TestAnEntryIsReadOnlyIfAllOfItIsOurs(t *testing.T) {
	w, stranger := newWriter(t), newWriter(t)
	good := w.artifact(t, 7, nil)
	cases := map[string]struct {
		change func(a *journal.Artifact)
		want   string
	}{
		"as it was written":    {change: func(*journal.Artifact) {}},
		"signed by a stranger": {change: func(a *journal.Artifact) { a.Entry = stranger.artifact(t, 7, nil).Entry }, want: "no trusted key signed"},
		"under another tag":    {change: func(a *journal.Artifact) { a.Tag = "s8-1" }, want: "somebody has moved it"},
		"another document":     {change: func(a *journal.Artifact) { a.Document = w.artifact(t, 8, nil).Document }, want: "not the one that was written down"},
		"no document":          {change: func(a *journal.Artifact) { a.Document = nil }, want: "not the one that was written down"},
		"a document as entry":  {change: func(a *journal.Artifact) { a.Entry = a.Document }, want: "the payload type is"},
		"of another app ID": {change: func(a *journal.Artifact) {
			*a = *w.artifact(t, 7, func(e *journal.Entry) { e.AppID = "com.example.other" })
		}, want: "another Rollout, app ID or sequence"},
		"of another Rollout": {change: func(a *journal.Artifact) {
			*a = *w.artifact(t, 7, func(e *journal.Entry) { e.Rollout = &document.Rollout{Namespace: "x", Name: "y"} })
		}, want: "another Rollout, app ID or sequence"},
		"about nothing at all": {change: func(a *journal.Artifact) { *a = *w.artifact(t, 7, func(e *journal.Entry) { e.Rollout = nil }) }, want: "no entry of type"},
		"about both at a time": {change: func(a *journal.Artifact) {
			*a = *w.artifact(t, 7, func(e *journal.Entry) { e.HostApp = &journal.HostApp{} })
		}, want: "no entry of type"},
	}
	for name, c := range cases {
		a := *good
		c.change(&a)
		_, _, err := journal.Read(&a, []dsse.Key{w.key})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestNamesOfJournalsAreNamesOfRepositories(t *testing.T) {
	long := strings.Repeat("long-name.", 25) + "end"
	seen := map[string]bool{}
	for _, name := range []string{"shop", "a.b-c.d", "1", long, long[:99] + "z", strings.Repeat("a-", 60) + "z"} {
		for _, repository := range []string{journal.RolloutRepository("shop-team", name), journal.HostAppRepository(name), journal.AppRepository(name)} {
			ref := registry.Reference{Registry: "registry.example.com", Repository: "miniprograms/" + repository}
			if err := ref.ValidateRepository(); err != nil || len(repository) > 230 || seen[repository] {
				t.Errorf("%s: %v, seen %v, %d characters", repository, err, seen[repository], len(repository))
			}
			seen[repository] = true
		}
	}
	for _, o := range []journal.Order{{Number: 1, Second: 0}, {Number: 1795000042, Second: 1795000042}} {
		if got, ok := journal.OrderOf(o.Tag()); !ok || got != o {
			t.Errorf("%s is read as %v, %v", o.Tag(), got, ok)
		}
	}
	for _, tag := range []string{"latest", "s0-1", "s1", "s1-1-1", "s1-01", "s01-1", "s1-x", "S1-1", ""} {
		if o, ok := journal.OrderOf(tag); ok {
			t.Errorf("%q is read as %v", tag, o)
		}
	}
}

func TestABacklogKeepsWhatIsNotKnownToBeWrittenDown(t *testing.T) {
	item := func(n int64, text string) *journal.Item {
		return &journal.Item{Order: journal.Order{Number: n, Second: n}, Envelope: text, Written: noon}
	}
	nothing := func(journal.Order) bool { return false }
	text := ""
	for n := int64(1); n <= 3; n++ {
		text = journal.Carry(text, item(n, "x"), nothing)
	}
	numbers := func(text string) (out []int64) {
		for _, i := range journal.ParseBacklog(text).Items {
			out = append(out, i.Number)
		}
		return out
	}
	if diff := cmp.Diff([]int64{1, 2, 3}, numbers(text)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	upTo := func(n int64) func(journal.Order) bool { return func(o journal.Order) bool { return o.Number <= n } }
	if diff := cmp.Diff([]int64{3, 4}, numbers(journal.Carry(text, item(4, "x"), upTo(2)))); diff != "" {
		t.Errorf("after the second was written down (-want +got):\n%s", diff)
	}
	if got := journal.Carry(text, item(4, "x"), upTo(4)); got != "" {
		t.Errorf("after all were written down %q is left", got)
	}
	if got := journal.Carry("not a backlog", nil, nothing); got != "" {
		t.Errorf("of what cannot be read %q is left", got)
	}
}

func TestABacklogIsBoundedAndCountsWhatItLoses(t *testing.T) {
	random := make([]byte, 40<<10)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	text := ""
	for n := int64(1); n <= 9; n++ {
		text = journal.Carry(text, &journal.Item{Order: journal.Order{Number: n, Second: n}, Envelope: fmt.Sprintf("%x", random), Written: noon}, func(journal.Order) bool { return false })
		random[n]++
		for i := range random {
			random[i] = byte(int(random[i])*31 + i + int(n))
		}
	}
	b := journal.ParseBacklog(text)
	if len(text) > 160<<10 || b.Lost == nil || b.Lost.First != 1 || b.Lost.Count+int64(len(b.Items)) != 9 || b.Items[len(b.Items)-1].Number != 9 {
		t.Errorf("%d bytes, lost %+v, %d items", len(text), b.Lost, len(b.Items))
	}
}

func TestABacklogLosesNoMoreThanItHasTo(t *testing.T) {
	old, items := fullBacklog(t)
	long := randomItem(t, 1001, 20<<10)
	got := journal.ParseBacklog(journal.Carry(old, long, neverHeld))
	if got.Lost == nil || got.Lost.Count < 10 || len(got.Items) < 10 {
		t.Fatalf("%d items are left, %+v is lost: the long one has to cost some, and not all", len(got.Items), got.Lost)
	}
	lost := got.Lost.Count
	if diff := cmp.Diff(journal.Backlog{Items: append(items[lost:], *long), Lost: &journal.Lost{Count: lost, First: 1, Last: lost}}, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	more := backlogText(t, journal.Backlog{Items: append(items[lost-1:len(items):len(items)], *long), Lost: &journal.Lost{Count: lost - 1, First: 1, Last: lost - 1}})
	if len(more) <= 160<<10 {
		t.Errorf("%d were lost, but with one more the backlog has %d bytes", lost, len(more))
	}
}

func neverHeld(journal.Order) bool { return false }

// fullBacklog is as much as fits of short documents.
func fullBacklog(t testing.TB) (string, []journal.Item) {
	t.Helper()
	items := make([]journal.Item, 0, 1000)
	for n := range int64(cap(items)) {
		items = append(items, *randomItem(t, n+1, 100))
	}
	text := backlogText(t, journal.Backlog{Items: items})
	if len(text) > 160<<10 || len(text) < 120<<10 {
		t.Fatalf("the backlog has %d bytes", len(text))
	}
	return text, items
}

// randomItem cannot be compressed to less than so many bytes.
func randomItem(t testing.TB, n int64, bytes int) *journal.Item {
	t.Helper()
	text := make([]byte, bytes)
	if _, err := rand.Read(text); err != nil {
		t.Fatal(err)
	}
	return &journal.Item{Order: journal.Order{Number: n, Second: n}, Envelope: fmt.Sprintf("%x", text), Written: noon}
}

func backlogText(t testing.TB, b journal.Backlog) string {
	t.Helper()
	raw, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return journal.Pack(raw)
}

func TestWhatUnpacksToTooMuchIsNotRead(t *testing.T) {
	if got := journal.Unpack(journal.Pack(make([]byte, 32<<20))); len(got) != 32<<20 {
		t.Errorf("%d bytes are unpacked, want 32 MiB", len(got))
	}
	if got := journal.Unpack(journal.Pack(make([]byte, 32<<20+1))); got != nil {
		t.Errorf("%d bytes are unpacked, 32 MiB are allowed", len(got))
	}
}

func TestGapsOfAChainAreSeen(t *testing.T) {
	w := newWriter(t)
	chain := func() []journal.Checked {
		var out []journal.Checked
		for n := int64(1); n <= 4; n++ {
			a := w.artifact(t, n, func(e *journal.Entry) {
				if n > 1 {
					e.Previous = &journal.Link{Tag: out[n-2].Tag, Digest: out[n-2].Digest}
				}
			})
			e, _, err := journal.Read(a, []dsse.Key{w.key})
			out = append(out, journal.Checked{Tag: a.Tag, Digest: a.Digest, Entry: e, Err: err})
		}
		return out
	}
	cases := map[string]struct {
		change func([]journal.Checked) []journal.Checked
		want   []string
	}{
		"whole":               {change: func(c []journal.Checked) []journal.Checked { return c }},
		"one is missing":      {change: func(c []journal.Checked) []journal.Checked { return append(c[:1], c[2:]...) }, want: []string{"follows on s2-"}},
		"the first is":        {change: func(c []journal.Checked) []journal.Checked { return c[1:] }, want: []string{"follows on s1-"}},
		"one has other bytes": {change: func(c []journal.Checked) []journal.Checked { c[1].Digest = "sha256:0"; return c }, want: []string{"follows on other bytes of s2-"}},
		"one begins anew":     {change: func(c []journal.Checked) []journal.Checked { c[2].Entry.Previous = nil; return c }, want: []string{"says that it is the first"}},
		"one was put between": {change: func(c []journal.Checked) []journal.Checked { c[3].Entry.Previous = c[2].Entry.Previous; return c }, want: []string{"is between them"}},
		"one came late": {change: func(c []journal.Checked) []journal.Checked {
			c[1].Entry.Late = true
			c[2].Entry.Previous = c[1].Entry.Previous
			return c
		}},
		"one is forged": {change: func(c []journal.Checked) []journal.Checked { c[1].Err = fmt.Errorf("no"); return c }, want: []string{"cannot be believed"}},
		"some were lost": {change: func(c []journal.Checked) []journal.Checked {
			c[1].Entry.Lost = &journal.Lost{Count: 3, First: 4, Last: 6}
			return c
		}, want: []string{"3 documents before entry"}},
	}
	for name, c := range cases {
		got := journal.Gaps(c.change(chain()))
		if len(got) != len(c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], c.want[i]) {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
	}
}

func TestWhatIsKnownOfAVersionStaysWhileItIsHandedOut(t *testing.T) {
	old := &journal.Basis{Versions: []journal.Version{{Digest: "a", Name: "old a"}, {Digest: "b", Name: "old b"}, {Digest: "c"}}}
	want := []journal.Version{{Digest: "b", Name: "new b"}, {Digest: "a", Name: "old a"}}
	got := journal.With([]string{"b", "a", "d", "b"}, []journal.Version{{Digest: "b", Name: "new b"}}, old)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOfWhatIsFromBeforeATimeTheLastOfEachDocumentCounts(t *testing.T) {
	sorted := journal.Sort([]string{"s3-300", "s1-100", "s2-200", "s2-250", "s4-400", "s5-350", "latest"})
	for at, want := range map[int64][]string{
		400: {"s5-350", "s3-300", "s2-250", "s1-100"}, // a document of that very second may be of this life
		401: {"s5-350", "s4-400", "s3-300", "s2-250", "s1-100"},
		250: {"s2-200", "s1-100"},
		100: nil,
	} {
		var got []string
		for _, o := range journal.Before(sorted, time.Unix(at, 0)) {
			got = append(got, o.Tag())
		}
		if !slices.Equal(got, want) {
			t.Errorf("before %d: %v, want %v", at, got, want)
		}
	}
}

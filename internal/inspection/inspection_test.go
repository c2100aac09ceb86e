package inspection

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
)

// shelf is a registry with one artifact.
type shelf struct {
	record  []byte
	refused error // instead of the record
	archive []byte
	asked   []string
}

func (s *shelf) Findings(_ context.Context, repository, artifact, findings string) ([]byte, error) {
	s.asked = append(s.asked, "findings "+findings+" of "+repository+"@"+artifact)
	return s.record, s.refused
}

func (s *shelf) FetchBlob(_ context.Context, repository, blob string) (io.ReadCloser, int64, error) {
	s.asked = append(s.asked, "blob "+blob[:14]+" of "+repository)
	return io.NopCloser(bytes.NewReader(s.archive)), int64(len(s.archive)), nil
}

// zipped is a web bundle whose script, on its second line, is the text.
func zipped(t testing.TB, script string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, file := range [][2]string{{"app.js", "// app\n" + script + "\n"}, {"index.html", `<!doctype html><title>app</title><script src="app.js"></script>`}} {
		f, err := w.Create(file[0])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, file[1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var declared = v1alpha1.Declaration{Permissions: []v1alpha1.Permission{{Name: "camera", Reason: "scan"}}}

// published is a version as its reconciler records it.
func published(archive []byte) *v1alpha1.MiniProgramVersion {
	return &v1alpha1.MiniProgramVersion{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop-team", Name: "shop-1"},
		Spec:       v1alpha1.MiniProgramVersionSpec{MiniProgramRef: v1alpha1.MiniProgramReference{Name: "shop"}},
		Status: v1alpha1.MiniProgramVersionStatus{
			Artifact: &v1alpha1.Artifact{
				Digest: "sha256:artifact", Findings: "sha256:record",
				Archive: &v1alpha1.Blob{Digest: digest.FromBytes(archive).String(), SizeBytes: int64(len(archive))},
			},
			Bundle:      &v1alpha1.BundleStatus{Format: "Web", AppID: "com.example.shop"},
			Declaration: &declared,
		},
	}
}

// looked is what looking into the archive finds.
func looked(t testing.TB, archive []byte, patterns *policy.Patterns, packer string) Inspection {
	t.Helper()
	b, err := bundle.Read(bytes.NewReader(archive), int64(len(archive)), bundle.Expect{Format: "Web", AppID: "com.example.shop"}, bundle.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	known, err := Of(b, declared, patterns, packer)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func marshal(t testing.TB, i Inspection) []byte {
	t.Helper()
	raw, err := i.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func patternsOf(t testing.TB, text string) *policy.Patterns {
	t.Helper()
	patterns, err := policy.PatternsOf([]v1alpha1.ReviewPolicy{{
		ObjectMeta: metav1.ObjectMeta{Name: "texts"},
		Spec:       v1alpha1.ReviewPolicySpec{Quality: &v1alpha1.QualityRules{ForbiddenText: []v1alpha1.ForbiddenText{{Pattern: v1alpha1.TextPattern(text)}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return patterns
}

func reader(s Store) *Reader {
	return &Reader{Store: s, TempDir: os.TempDir(), Limits: bundle.DefaultLimits(), Packer: "today"}
}

const (
	askedRecord  = "findings sha256:record of shop-team/shop@sha256:artifact"
	askedArchive = "blob "
)

func TestWhatIsRecordedIsReadBackAsItWas(t *testing.T) {
	archive := zipped(t, "wx.getLocation({})")
	want := looked(t, archive, nil, "then")
	use := policy.Use{API: "wx.getLocation", Permission: "location", File: "app.js", Line: 2, Column: 4}
	if diff := cmp.Diff([]policy.Use{use}, want.Facts.Uses); diff != "" {
		t.Fatalf("uses (-want +got):\n%s", diff)
	}
	s := &shelf{record: marshal(t, want)}
	got, err := reader(s).Read(t.Context(), published(archive), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want.Findings == nil {
		want.Findings = []bundle.Finding{} // that nothing was found is a statement
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{askedRecord}, s.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestWhatBelongsToObjectsAndPoliciesIsNotRecorded(t *testing.T) {
	known := looked(t, zipped(t, "beta"), patternsOf(t, "beta"), "then")
	known.Facts.Program.AppID, known.Facts.Version.Name = "com.example.shop", "shop-1"
	if len(known.Facts.Searched) != 1 || len(known.Facts.Matches) != 1 {
		t.Fatalf("the search found %+v of %v", known.Facts.Matches, known.Facts.Searched)
	}
	var got Inspection
	if err := json.Unmarshal(marshal(t, known), &got); err != nil {
		t.Fatal(err)
	}
	want := looked(t, zipped(t, "beta"), nil, "then")
	want.Findings = []bundle.Finding{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if known.Facts.Program.AppID == "" || len(known.Facts.Matches) != 1 {
		t.Error("recording it has changed it")
	}
}

// In all these cases the bundle itself is read again: nobody is judged by a record
// that is not whole, and nobody is held up by one.
func TestTheBundleIsReadAgainWhereTheRecordDoesNotAnswer(t *testing.T) {
	archive := zipped(t, "wx.getLocation({})")
	clean := looked(t, zipped(t, "nothing()"), nil, "then")
	whole := marshal(t, looked(t, archive, nil, "then"))
	lying := clean
	facts := *clean.Facts
	facts.Searched = patternsOf(t, "getLocation").Keys()
	lying.Facts = &facts
	liar, err := json.Marshal(lying)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		record   []byte
		refused  error
		patterns *policy.Patterns
	}{
		"there is none":                      {refused: &registry.Error{Reason: registry.RegistryRefused, Err: registry.ErrNotFound}},
		"the registry hands out other bytes": {refused: &registry.Error{Reason: registry.RegistryInconsistent}},
		"it is cut off":                      {record: whole[:len(whole)/2]},
		"it is empty":                        {record: []byte{}},
		"it is no object":                    {record: []byte(`[]`)},
		"an older release kept no facts":     {record: []byte(`{"findings":[],"packer":"older"}`)},
		"a field has another type":           {record: []byte(`{"findings":[],"packer":"newer","facts":{"archiveBytes":"many"}}`)},
		"it is larger than any that is kept": {record: append(whole, bytes.Repeat([]byte{' '}, maxRecord)...)},
		"a policy asks for what it lacks":    {record: whole, patterns: patternsOf(t, "getLocation")},
		"it says that it was searched":       {record: liar, patterns: patternsOf(t, "getLocation")},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{record: test.record, refused: test.refused, archive: archive}
			got, err := reader(s).Read(t.Context(), published(archive), test.patterns)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(looked(t, archive, test.patterns, "today"), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(s.asked) != 2 || s.asked[0] != askedRecord || !strings.HasPrefix(s.asked[1], askedArchive) {
				t.Errorf("asked %q", s.asked)
			}
		})
	}
}

func TestARegistryThatCannotAnswerIsAskedLaterAndTheBundleIsNotRead(t *testing.T) {
	away := &registry.Error{Reason: registry.RegistryUnavailable, Message: "the registry cannot answer now"}
	s := &shelf{refused: away}
	_, err := reader(s).Read(t.Context(), published(zipped(t, "")), nil)
	if !errors.Is(err, away) || len(s.asked) != 1 {
		t.Errorf("got %v after %q", err, s.asked)
	}
}

// What is wrong with other bytes is nothing that the bundle's author could correct.
func TestOtherBytesThanTheArchiveAreTheRegistrysFault(t *testing.T) {
	archive := zipped(t, "wx.getLocation({})")
	flipped := bytes.Clone(archive)
	flipped[len(flipped)/2] ^= 1
	v := published(archive)
	for name, other := range map[string][]byte{
		"one bit differs":   flipped,
		"another bundle":    zipped(t, "nothing()"),
		"it is no bundle":   []byte("<html>proxy</html>"),
		"it is cut off":     archive[:len(archive)-1],
		"something follows": append(bytes.Clone(archive), '\n'),
		"nothing is there":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{refused: registry.ErrNotFound, archive: other}
			_, err := reader(s).Read(t.Context(), v, nil)
			bad, ok := errors.AsType[*registry.Error](err)
			want := fmt.Sprintf("the registry hands out other bytes for the bundle of MiniProgramVersion shop-1 (%s, not %s): have the registry checked", digest.FromBytes(other), digest.FromBytes(archive))
			if !ok || bad.Reason != registry.RegistryInconsistent || bad.Message != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

// drip is a registry whose answers never end: a byte a second.
type drip struct{ shelf }

func (d *drip) FetchBlob(ctx context.Context, _, _ string) (io.ReadCloser, int64, error) {
	return io.NopCloser(dripping{ctx}), 0, nil
}

type dripping struct{ ctx context.Context }

func (d dripping) Read(p []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(time.Second):
		return copy(p, "x"), nil
	}
}

func TestARegistryThatDripsIsGivenUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, began := published(zipped(t, "")), time.Now()
		v.Status.Artifact.Archive.SizeBytes = 1 << 20
		_, err := reader(&drip{shelf{refused: registry.ErrNotFound}}).Read(t.Context(), v, nil)
		bad, ok := errors.AsType[*registry.Error](err)
		const want = "the registry did not hand out the 1048576 bytes of the bundle of MiniProgramVersion shop-1 within 2m16s; the download is tried again"
		if !ok || bad.Reason != registry.RegistryUnavailable || bad.Message != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		if took := time.Since(began); took != 136*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestAVersionWithoutAnArchiveSaysWhatToDo(t *testing.T) {
	v := published(zipped(t, ""))
	v.Status.Artifact.Archive = nil
	_, err := reader(&shelf{refused: registry.ErrNotFound}).Read(t.Context(), v, nil)
	if want := "status.artifact of MiniProgramVersion shop-1 names no archive: create the version anew"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestFactsThatAreTooLargeAreLeftOutAndReadAgain(t *testing.T) {
	known := looked(t, zipped(t, "wx.getLocation({})"), nil, "then")
	facts := *known.Facts
	for i := range 60_000 {
		facts.Paths = append(facts.Paths, policy.File{Path: fmt.Sprintf("%064d", i)})
	}
	known.Facts = &facts
	raw := marshal(t, known)
	if want := `{"findings":[],"packer":"then"}`; string(raw) != want {
		t.Errorf("kept is %.80s of %d bytes, want %s", raw, len(raw), want)
	}
	if _, ok := unmarshal(raw); ok {
		t.Error("it answers")
	}
}

// FuzzRecord: whatever a registry hands out as a record, it is read as nothing or as
// facts, and those are the same when they are kept again.
func FuzzRecord(f *testing.F) {
	known := looked(f, zipped(f, "wx.getLocation({})"), patternsOf(f, "Location"), "then")
	f.Add(marshal(f, known))
	f.Add([]byte(`{"findings":null,"facts":{"searched":["a"]}}`))
	f.Add([]byte(`{"facts":{"inspected":true,"uses":[{"line":-1}]},"facts":null}`))
	patterns := patternsOf(f, "Location")
	f.Fuzz(func(t *testing.T, raw []byte) {
		kept, ok := unmarshal(raw)
		if !ok {
			return
		}
		if patterns.SearchedIn(*kept.Facts) {
			t.Error("a record says that it was searched, and is believed")
		}
		again := marshal(t, kept)
		second, ok := unmarshal(again)
		if !ok {
			t.Fatalf("what was read cannot be read again: %s", again)
		}
		if third := marshal(t, second); !bytes.Equal(again, third) {
			t.Errorf("kept again it is another:\n%s\n%s", again, third)
		}
	})
}

package decide_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

type vectors struct {
	Algorithm string
	Documents map[string]json.RawMessage
	Cases     []struct {
		Name, Document string
		Request        request
		Want           want
		Error          string
	}
}

type request struct {
	User, Device                            string
	Attributes                              map[string]string
	InstalledDigest                         string
	InstalledVersionCode                    int64
	Platform, HostVersion, ContainerVersion string
	Blocked                                 bool
	Now                                     time.Time
	Parts                                   map[string][]string
}

type want struct {
	Action   decide.Action
	Digest   string
	Cohort   decide.Cohort
	Reason   string
	Bucket   int
	Delivery int64
}

func (r request) request() decide.Request {
	out := decide.Request{
		User: r.User, Device: r.Device, Attributes: r.Attributes,
		InstalledDigest: r.InstalledDigest, InstalledVersionCode: r.InstalledVersionCode,
		Platform: r.Platform, HostVersion: r.HostVersion, ContainerVersion: r.ContainerVersion,
		Blocked: r.Blocked, Now: r.Now,
	}
	if r.Parts != nil {
		out.InPart = func(part document.Part, hash document.KeyHash) bool {
			return slices.Contains(r.Parts[part.Digest], hash.String())
		}
	}
	return out
}

func readVectors(t testing.TB) (vectors, map[string]*document.Release) {
	t.Helper()
	raw, err := os.ReadFile("../../vectors/decide-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var file vectors
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	documents := map[string]*document.Release{}
	for name, raw := range file.Documents {
		if documents[name], err = document.Parse(raw); err != nil {
			t.Fatalf("document %s: %v", name, err)
		}
	}
	return file, documents
}

func TestEveryVectorIsDecidedAsWritten(t *testing.T) {
	file, documents := readVectors(t)
	if file.Algorithm != bucket.Algorithm || len(file.Cases) < 60 {
		t.Fatalf("read %d cases for %q", len(file.Cases), file.Algorithm)
	}
	used := map[string]bool{}
	for _, c := range file.Cases {
		used[c.Document] = true
		t.Run(c.Name, func(t *testing.T) {
			d, err := decide.Decide(documents[c.Document], c.Request.request())
			if c.Error != "" {
				if c.Error != "ServiceDecides" || !errors.Is(err, decide.ErrServiceDecides) {
					t.Fatalf("got %+v and %v, want %s", d, err, c.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := want{Action: d.Action, Cohort: d.Cohort, Reason: d.Reason, Bucket: d.Bucket, Delivery: d.Delivery}
			if d.Variant != nil {
				got.Digest = d.Variant.Digest
			}
			if got != c.Want {
				t.Errorf("document %s\n got %+v\nwant %+v", c.Document, got, c.Want)
			}
		})
	}
	for name := range documents {
		if !used[name] {
			t.Errorf("no case uses document %s", name)
		}
	}
}

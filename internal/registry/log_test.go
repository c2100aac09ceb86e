package registry

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

func record(tag string, layers ...string) Record {
	r := Record{Repository: "journal.v1/rollouts/shop-team/shop", Tag: tag, ArtifactType: "application/vnd.example.record"}
	for _, text := range layers {
		r.Layers = append(r.Layers, RecordLayer{MediaType: "application/vnd.example." + text, Data: []byte(text)})
	}
	return r
}

func TestARecordIsAppendedOnceAndNeverChanged(t *testing.T) {
	for name, host := range map[string]string{
		"distribution":   registrytest.Start(t, registrytest.Options{}).Host(),
		"with referrers": registrytest.StartReferrers(t).Host(),
	} {
		c := clientOf(host)
		if tags, err := c.Tags(t.Context(), record("").Repository); err != nil || len(tags) != 0 {
			t.Errorf("%s: what does not exist has tags %v, %v", name, tags, err)
		}
		first, err := c.Append(t.Context(), record("s1-1", "a", "b"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Append(t.Context(), record("s1-1", "a", "b"))
		if err != nil || again != first {
			t.Errorf("%s: appended again it is %s, %v; it was %s", name, again, err, first)
		}
		_, err = c.Append(t.Context(), record("s1-1", "a", "c"))
		if taken, ok := errors.AsType[*TagTakenError](err); !ok || taken.Existing != first {
			t.Errorf("%s: another record under the tag: %v", name, err)
		}
		if _, err := c.Append(t.Context(), record("s2-1", "a")); err != nil {
			t.Fatal(err)
		}
		got, digest, err := c.ReadRecord(t.Context(), record("").Repository, "s1-1", record("").ArtifactType)
		if diff := cmp.Diff(record("s1-1", "a", "b").Layers, got.Layers); err != nil || digest != first || diff != "" {
			t.Errorf("%s: %s, %v (-want +got):\n%s", name, digest, err, diff)
		}
		tags, err := c.Tags(t.Context(), record("").Repository)
		slices.Sort(tags)
		if diff := cmp.Diff([]string{"s1-1", "s2-1"}, tags); err != nil || diff != "" {
			t.Errorf("%s: tags: %v (-want +got):\n%s", name, err, diff)
		}
		_, _, err = c.ReadRecord(t.Context(), record("").Repository, "s2-1", "application/vnd.example.other")
		if known, ok := errors.AsType[*Error](err); !ok || known.Reason != RegistryInconsistent {
			t.Errorf("%s: a record of another type: %v", name, err)
		}
		if _, _, err := c.ReadRecord(t.Context(), record("").Repository, "s3-1", record("").ArtifactType); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: one that is not there: %v", name, err)
		}
	}
}

func TestTheIndexNamesRolloutsOfAnAppID(t *testing.T) {
	c := clientOf(registrytest.Start(t, registrytest.Options{}).Host())
	if got, err := c.Rollouts(t.Context(), "com.example.Shop"); err != nil || len(got) != 0 {
		t.Errorf("of an app ID that nobody has published for: %v, %v", got, err)
	}
	want := []journal.Index{{AppID: "com.example.Shop", Namespace: "shop-team", Rollout: "shop"}}
	for range 2 {
		if err := c.AppendIndex(t.Context(), &want[0]); err != nil {
			t.Fatal(err)
		}
	}
	strange := Record{Repository: journal.AppRepository("com.example.Shop"), Tag: "latest", ArtifactType: journal.IndexType}
	strange.Layers = []RecordLayer{{MediaType: journal.IndexType, Data: []byte(`{"appID":"com.example.Shop","namespace":"x","rollout":"y"}`)}}
	if _, err := c.Append(t.Context(), strange); err != nil {
		t.Fatal(err)
	}
	got, err := c.Rollouts(t.Context(), "com.example.Shop")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

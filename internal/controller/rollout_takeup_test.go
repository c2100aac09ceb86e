package controller

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

func journalledRollout() *v1alpha1.Rollout {
	digest := "sha256:" + strings.Repeat("a", 64)
	blob := v1alpha1.Blob{Digest: digest, SizeBytes: 1, MediaType: document.ArchiveMediaType}
	return &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop-team", Name: "shop"},
		Spec:       v1alpha1.RolloutSpec{Channel: v1alpha1.ChannelRelease},
		Status: v1alpha1.RolloutStatus{
			Attempt: 1, Sequence: 1795000042, Percent: "100%", BasisPoints: 10000, LastDelivery: 5,
			Stable: &v1alpha1.Variant{VersionRef: "shop-1.0.0", Version: "1.0.0", VersionCode: 1, Digest: digest, ContentDigest: digest, Archive: blob, Content: blob, Delivery: 5},
			Document: &v1alpha1.DocumentFacts{
				AppID: "com.example.shop", HostApps: []string{"wallet"}, Availability: v1alpha1.AvailabilityListed, PollSeconds: 300,
				IssuedAt: metav1.NewTime(time.Unix(1795000042, 0)),
			},
		},
	}
}

// journalled is the entry of a Rollout, as the manager writes it.
func journalled(t *testing.T, signer *signing.Signer, ro *v1alpha1.Rollout, change func(*journal.Entry)) *journal.Artifact {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	doc, err := delivery.Render(ro.Namespace, ro.Name, ro.Spec.Channel, &ro.Status)
	must(err)
	payload, err := document.Marshal(doc)
	must(err)
	envelope, err := signer.Sign(payload)
	must(err)
	record, err := json.Marshal(recordOf(&ro.Status))
	must(err)
	e := &journal.Entry{
		Order: journal.Order{Number: doc.Sequence, Second: doc.IssuedAt.Unix()}, Rollout: &doc.Rollout, AppID: doc.AppID,
		Written: doc.IssuedAt.Time, Envelope: journal.Digest(envelope), Record: record,
	}
	if change != nil {
		change(e)
	}
	raw, err := e.Marshal()
	must(err)
	sealed, err := signer.SignEntry(raw)
	must(err)
	return &journal.Artifact{Tag: e.Tag(), Entry: sealed, Document: envelope}
}

func TestARecordOfTheJournalIsTakenUpOnlyIfAllOfItIsOurs(t *testing.T) {
	signer, err := signing.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := signing.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	ours := journalledRollout()
	other := func(change func(*v1alpha1.Rollout)) *journal.Artifact {
		ro := journalledRollout()
		change(ro)
		return journalled(t, signer, ro, nil)
	}
	cases := map[string]struct {
		entry *journal.Artifact
		want  string
	}{
		"as it was written":         {entry: journalled(t, signer, ours, nil)},
		"signed by a stranger":      {entry: journalled(t, stranger, ours, nil), want: "no trusted key signed"},
		"of another Rollout":        {entry: other(func(ro *v1alpha1.Rollout) { ro.Name = "other" }), want: "not of this Rollout"},
		"of another namespace":      {entry: other(func(ro *v1alpha1.Rollout) { ro.Namespace = "other" }), want: "not of this Rollout"},
		"for another app ID":        {entry: other(func(ro *v1alpha1.Rollout) { ro.Status.Document.AppID = "com.example.other" }), want: "not of this Rollout"},
		"for another channel":       {entry: other(func(ro *v1alpha1.Rollout) { ro.Spec.Channel = v1alpha1.ChannelTrial }), want: "not of this Rollout"},
		"with the record of a lie":  {entry: journalled(t, signer, ours, func(e *journal.Entry) { e.Record = []byte(strings.Replace(string(e.Record), `"wallet"`, `"maps"`, 1)) }), want: "another document than was published"},
		"without a record":          {entry: journalled(t, signer, ours, func(e *journal.Entry) { e.Record = nil }), want: "no record"},
		"of a Rollout that is gone": {entry: other(func(ro *v1alpha1.Rollout) { ro.Status.Document.Availability = delivery.Retained }), want: "the Rollout was deleted then"},
	}
	for name, c := range cases {
		record, _, err := recordFor(ours, "com.example.shop", []dsse.Key{signer.Key}, c.entry)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(&ours.Status, record); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

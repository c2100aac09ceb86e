package controller

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// The approvals of what this rollout had as stable are none of what it takes over.
func TestWhereWhatIsTakenOverIsApprovedIsWhatTheLedgerSays(t *testing.T) {
	recorded := &v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Stable: &v1alpha1.Variant{VersionRef: "shop-1"}}}
	s := newRolloutScope(recorded, time.Unix(0, 0))
	s.program = &v1alpha1.MiniProgram{Spec: v1alpha1.MiniProgramSpec{HostApps: []string{"bank", "wallet"}}}
	s.seen.Adopt, s.seen.StableHostApps = &v1alpha1.Variant{VersionRef: "shop-2"}, []string{"wallet"}
	if err := (&RolloutReconciler{}).gatherStable(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"wallet"}, s.seen.StableHostApps); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestADocumentIsOutdatedWhenAllItsHostAppsHaveANewerOne(t *testing.T) {
	out := func(channel string, sequence int64, hostApps ...string) v1alpha1.Rollout {
		return v1alpha1.Rollout{
			Spec: v1alpha1.RolloutSpec{Channel: channel},
			Status: v1alpha1.RolloutStatus{
				Sequence: 99, Document: &v1alpha1.DocumentFacts{HostApps: hostApps}, Published: &v1alpha1.PublishedDocument{Sequence: sequence},
			},
		}
	}
	unpublished := out("release", 9, "chat", "wallet")
	unpublished.Status.Published = nil
	for name, test := range map[string]struct {
		rollouts []v1alpha1.Rollout
		want     bool
	}{
		"one serves them all":              {[]v1alpha1.Rollout{out("release", 6, "chat", "maps", "wallet")}, true},
		"two do between them":              {[]v1alpha1.Rollout{out("release", 6, "chat"), out("release", 7, "wallet")}, true},
		"one host app is left":             {[]v1alpha1.Rollout{out("release", 6, "wallet")}, false},
		"what serves one is no newer":      {[]v1alpha1.Rollout{out("release", 6, "wallet"), out("release", 5, "chat")}, false},
		"what serves one is not out":       {[]v1alpha1.Rollout{out("release", 6, "wallet"), unpublished}, false},
		"what serves one is of a channel":  {[]v1alpha1.Rollout{out("release", 6, "wallet"), out("trial", 6, "chat")}, false},
		"nobody has decided anything":      {[]v1alpha1.Rollout{{Spec: v1alpha1.RolloutSpec{Channel: "release"}}}, false},
		"there are no rollouts any longer": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			doc := &document.Release{Channel: "release", HostApps: []string{"chat", "wallet"}, Sequence: 5}
			if got := outdated(doc, test.rollouts); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// publishing is an API server in which each Rollout has the document of its name.
type publishing struct {
	client.Client
	envelopes map[string]string
}

func (c publishing) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	envelope, ok := c.envelopes[key.Name]
	cm, is := into.(*corev1.ConfigMap)
	if !ok || !is {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, key.Name)
	}
	cm.Name, cm.Data = key.Name, map[string]string{delivery.KeyEnvelope: envelope}
	return nil
}

// Status claims a document a moment before it is written, and the one who was to write
// it may have died.
func TestWhatIsOnlyClaimedReplacesNothing(t *testing.T) {
	named := func(name string) v1alpha1.Rollout {
		return v1alpha1.Rollout{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop-team", Name: name},
			Status:     v1alpha1.RolloutStatus{Published: &v1alpha1.PublishedDocument{Sequence: 7, SHA256: sum([]byte("new"))}},
		}
	}
	rollouts := []v1alpha1.Rollout{named("out"), named("behind"), named("missing")}
	r := &RolloutReconciler{Shared: Shared{Client: publishing{envelopes: map[string]string{"shop-team.out.rollout": "new", "shop-team.behind.rollout": "old"}}}}
	if err := r.onlyTrueClaims(t.Context(), rollouts); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"out": true, "behind": false, "missing": false}
	got := map[string]bool{}
	for _, ro := range rollouts {
		got[ro.Name] = ro.Status.Published != nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is published (-want +got):\n%s", diff)
	}
}

// withoutKey is an API server in which documents are published, and whose Secrets
// cannot be read.
type withoutKey struct {
	client.Client
	why error
}

func (c withoutKey) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return c.why
}

func (c withoutKey) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	published, is := list.(*corev1.ConfigMapList)
	if !is {
		return errors.New("only ConfigMaps are listed")
	}
	published.Items = make([]corev1.ConfigMap, 1)
	return nil
}

func TestWhatMayBeNewerIsNotPassedOverWhileTheKeyCannotBeRead(t *testing.T) {
	forbidden := errors.New("the API server is down")
	missing := apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "key")
	const unread = "telling whether ConfigMap theirs is ours: reading Secret system/key: the API server is down"
	for name, test := range map[string]struct {
		why      error
		sequence string
		want     string
	}{
		"a newer document stops the pass":                {forbidden, "8", unread},
		"so does one whose sequence makes no sense":      {forbidden, "x", unread},
		"an older one does not keep from taking back":    {forbidden, "7", ""},
		"without the key, publishing says what is to do": {missing, "8", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := withoutKey{why: test.why}
			r := &RolloutReconciler{Shared{Client: c, Keys: &signing.Keys{Client: c, Namespace: "system", Name: "key", Now: time.Now}}}
			cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}, Data: map[string]string{delivery.KeySequence: test.sequence}}
			doc, err := r.readDocument(t.Context(), newRolloutScope(&v1alpha1.Rollout{}, time.Unix(0, 0)), cm, 7)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if doc != nil || got != test.want {
				t.Errorf("got %v and %q, want %q", doc, got, test.want)
			}
		})
	}
}

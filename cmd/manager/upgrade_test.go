package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	sdk "github.com/miniprogram-dev/miniprogram-operator/sdk/go/client"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// TestUpgrade starts what hack/record-upgrade.sh recorded of earlier versions (what
// etcd, the registry and the manifest service had stored), in the order of
// docs/versions.md: the kinds, rights and policies of this tree, its manifest service,
// its manager. Then all must be as it was, and go on.
func TestUpgrade(t *testing.T) {
	recorded, err := filepath.Glob(filepath.Join("testdata", "upgrade", "*", "installation.tar.gz"))
	must(t, err)
	if len(recorded) == 0 {
		t.Fatal("no version was recorded: make record-upgrade")
	}
	ctrllog.SetLogger(logr.Discard()) // what clients have to say is in the errors
	for _, archive := range recorded {
		t.Run(filepath.Base(filepath.Dir(archive)), func(t *testing.T) {
			u := restore(t, archive)
			before := u.look(t)
			u.install(t)
			u.refuseNothing(t)
			u.startService(t)
			u.startManager(t, "--manifest-url="+u.url, "--metrics-bind-address="+u.metrics)
			u.awaitPasses(t)
			u.served(t)
			after := u.look(t)
			if diff := cmp.Diff(before.facts, after.facts); diff != "" {
				t.Errorf("what was decided before the upgrade (-) and after it (+):\n%s", diff)
			}
			if diff := cmp.Diff(before.users, after.users); diff != "" {
				t.Errorf("what users got before the upgrade (-) and after it (+):\n%s", diff)
			}
			u.review(t)
			u.promote(t, before)
		})
	}
}

// upgrade is an installation of an earlier version, and what is started on it.
type upgrade struct {
	*platform
	plane *controlplane.ControlPlane
	// kept has what was recorded.
	kept string
	// url is the manifest service's, private its port for operators, metrics the manager's.
	url, private, metrics string
	keys                  []dsse.Key
	store                 memory
}

// install applies the kinds, rights and policies of this tree over the earlier ones.
func (u *upgrade) install(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	must(t, controlplane.Apply(ctx, u.plane.Admin(), filepath.Join("..", "..", "config", "install")))
}

// seen is what must not change.
type seen struct {
	// facts are of objects by kind, namespace and name.
	facts map[string]string
	// users are what each of a thousand gets of each program, by the documents that are out.
	users     map[string][]string
	documents map[string]*document.Release
}

// look reads all that is there, with the types of this tree.
func (u *upgrade) look(t *testing.T) seen {
	t.Helper()
	s := seen{facts: map[string]string{}, users: map[string][]string{}, documents: map[string]*document.Release{}}
	for _, list := range kinds() {
		must(t, u.client.List(t.Context(), list))
		must(t, meta.EachListItem(list, func(o runtime.Object) error {
			object, err := meta.Accessor(o)
			if err != nil {
				return err
			}
			s.facts[fmt.Sprintf("%T %s/%s", o, object.GetNamespace(), object.GetName())] = factsOf(o)
			return nil
		}))
	}
	u.readKeys(t)
	var published corev1.ConfigMapList
	must(t, u.client.List(t.Context(), &published, client.InNamespace("miniprogram-published"), client.MatchingLabels{delivery.DocumentLabel: delivery.KindRollout}))
	for _, cm := range published.Items {
		_, payload, _, err := dsse.Verify([]byte(cm.Data[delivery.KeyEnvelope]), 1<<20, u.keys)
		if err != nil {
			t.Fatalf("%s: %v", cm.Name, err)
		}
		doc, err := document.Parse(payload)
		if err != nil {
			t.Fatalf("%s: %v", cm.Name, err)
		}
		s.documents[doc.AppID] = doc
		for n := range 1000 {
			s.users[doc.AppID] = append(s.users[doc.AppID], gets(t, doc, n))
		}
	}
	if len(s.documents) < 3 || len(s.facts) < 15 {
		t.Fatalf("there are only %d documents and %d objects", len(s.documents), len(s.facts))
	}
	return s
}

func kinds() []client.ObjectList {
	return []client.ObjectList{
		&v1alpha1.MiniProgramList{}, &v1alpha1.MiniProgramVersionList{}, &v1alpha1.ReviewList{},
		&v1alpha1.RolloutList{}, &v1alpha1.ReviewPolicyList{}, &v1alpha1.HostAppList{},
	}
}

// factsOf is what was decided about an object.
func factsOf(o runtime.Object) string {
	switch o := o.(type) {
	case *v1alpha1.MiniProgram:
		return o.Spec.AppID
	case *v1alpha1.MiniProgramVersion:
		return fmt.Sprintf("%s approved=%v", o.Status.Artifact.Digest, meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionApproved))
	case *v1alpha1.Review:
		return fmt.Sprintf("%s %s by %q: %s", o.Spec.Role, o.Spec.Digest, o.Spec.Reviewer, o.Spec.Decision)
	case *v1alpha1.Rollout:
		stable, target := "none", "none"
		if o.Status.Stable != nil {
			stable = o.Status.Stable.Digest
		}
		if o.Status.Target != nil {
			target = o.Status.Target.Digest
		}
		return fmt.Sprintf("attempt %d: stable %s, target %s at %d", o.Status.Attempt, stable, target, o.Status.BasisPoints)
	}
	return "there"
}

// gets is what one user's device is given, with the number that containers compare.
func gets(t *testing.T, doc *document.Release, user int) string {
	t.Helper()
	d, err := decide.Decide(doc, decide.Request{User: fmt.Sprintf("user-%04d", user), Now: time.Now()})
	must(t, err)
	if d.Variant == nil {
		return string(d.Action)
	}
	return fmt.Sprintf("%s %s %d", d.Action, d.Variant.Digest, d.Delivery)
}

// readKeys reads the keys that a host app of then pinned.
func (u *upgrade) readKeys(t *testing.T) {
	t.Helper()
	if len(u.keys) > 0 {
		return
	}
	files, err := filepath.Glob(filepath.Join(u.kept, "manifest-service", "keys", "*"))
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		key, err := dsse.ParsePublicKeyPEM(text)
		must(t, err)
		u.keys = append(u.keys, key)
	}
}

// refuseNothing lets the API server hold every spec to the schemas of this tree as if
// it were new: an object that is there is spared as long as nobody changes it.
func (u *upgrade) refuseNothing(t *testing.T) {
	t.Helper()
	for _, list := range kinds() {
		if _, is := list.(*v1alpha1.ReviewList); is {
			continue // nobody may create one that is decided, but who decides
		}
		must(t, u.client.List(t.Context(), list))
		must(t, meta.EachListItem(list, func(item runtime.Object) error {
			o, ok := item.DeepCopyObject().(client.Object)
			if !ok {
				t.Fatalf("%T is no object", item)
			}
			o.SetName(o.GetName() + "-anew")
			o.SetResourceVersion("")
			o.SetUID("")
			o.SetManagedFields(nil)
			u.await(t, fmt.Sprintf("%T %s is taken", o, o.GetName()), func() string {
				if err := u.client.Create(t.Context(), o, client.DryRunAll); err != nil {
					return err.Error()
				}
				return ""
			})
			return nil
		}))
	}
}

// served has a host app of then, with the keys that it was built with, fetch every
// document, and wants the service to have refused none.
func (u *upgrade) served(t *testing.T) {
	t.Helper()
	host := u.host()
	for appID := range u.look(t).documents {
		u.await(t, appID+" is served", func() string {
			if _, err := host.Fetch(t.Context(), appID, document.ChannelRelease); err != nil {
				return err.Error()
			}
			return ""
		})
	}
	text, err := get(t.Context(), "http://"+u.private+"/metrics")
	must(t, err)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "miniprogram_manifest_rejected_total") && !strings.HasSuffix(line, " 0\n") {
			t.Errorf("the manifest service refused documents: %s", line)
		}
	}
}

func (u *upgrade) host() *sdk.Client {
	return &sdk.Client{Base: u.url, HostApp: "wallet", Pinned: u.keys, Store: u.store}
}

// as is a client of one of the people of then, with the rights of then.
func (u *upgrade) as(t *testing.T, who string, groups ...string) client.Client {
	t.Helper()
	c, err := client.New(u.plane.User(who, groups...), client.Options{Scheme: u.client.Scheme()})
	must(t, err)
	return c
}

// review gives the approval that was missing when the version was recorded: the one
// from before the upgrade counts beside it.
func (u *upgrade) review(t *testing.T) {
	t.Helper()
	const version = "notes-0-9-1"
	var reviews v1alpha1.ReviewList
	must(t, u.client.List(t.Context(), &reviews, client.InNamespace("shop-team")))
	i := slices.IndexFunc(reviews.Items, func(r v1alpha1.Review) bool { return r.Spec.VersionRef.Name == version && r.Spec.Role == "privacy" })
	if i < 0 {
		t.Fatalf("nobody is asked to review %s for privacy", version)
	}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"decision":"Approved","comment":"Looked at after the upgrade."}}`))
	u.await(t, "piet may approve", func() string {
		if err := u.as(t, "piet").Patch(t.Context(), &reviews.Items[i], patch); err != nil {
			return err.Error()
		}
		return ""
	})
	u.await(t, version+" is approved", func() string {
		var v v1alpha1.MiniProgramVersion
		must(t, u.client.Get(t.Context(), client.ObjectKey{Namespace: "shop-team", Name: version}, &v))
		if !meta.IsStatusConditionTrue(v.Status.Conditions, v1alpha1.ConditionApproved) {
			return v.Status.Summary
		}
		return ""
	})
}

// promote goes on with the rollout that was in the middle of its steps: who had the
// target keeps it, and others get it.
func (u *upgrade) promote(t *testing.T, before seen) {
	t.Helper()
	const appID = "com.example.shop"
	key := client.ObjectKey{Namespace: "shop-team", Name: "shop"}
	var ro v1alpha1.Rollout
	must(t, u.client.Get(t.Context(), key, &ro))
	share := ro.Status.BasisPoints
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"promote@%d/1",%q:"olu"}}}`, v1alpha1.ActionAnnotation, ro.Status.Attempt, v1alpha1.ActionByAnnotation)
	must(t, u.as(t, "olu", "shop-operators").Patch(t.Context(), &ro, client.RawPatch("application/merge-patch+json", []byte(patch))))
	u.await(t, "the share grows", func() string {
		must(t, u.client.Get(t.Context(), key, &ro))
		if ro.Status.BasisPoints <= share {
			return ro.Status.Summary
		}
		return ""
	})
	var now *document.Release
	u.await(t, "host apps are told", func() string {
		verified, err := u.host().Fetch(t.Context(), appID, document.ChannelRelease)
		if err != nil {
			return err.Error()
		}
		now = verified.Document
		if now.Split == nil || now.Split.BasisPoints <= share {
			return fmt.Sprintf("sequence %d has the old share", now.Sequence)
		}
		return ""
	})
	more := 0
	for n := range 1000 {
		was, is := gets(t, before.documents[appID], n), gets(t, now, n)
		switch {
		case was == is:
		case strings.Contains(was, now.Target.Digest):
			t.Fatalf("user %d had the target, and now gets %s", n, is)
		default:
			more++
		}
	}
	if more == 0 {
		t.Error("nobody more gets the target")
	}
}

package controller_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
	hostside "github.com/miniprogram-dev/miniprogram-operator/sdk/go/client"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// phone is what a host app has stored on a device.
type phone map[string][]byte

func (p phone) Load(_ context.Context, name string) ([]byte, error) { return p[name], nil }
func (p phone) Save(_ context.Context, name string, value []byte) error {
	p[name] = value
	return nil
}

// fetch asks a manifest service as a host app that was built with the keys.
func (p phone) fetch(t testing.TB, g *group, pinned []dsse.Key) *release.Verified {
	t.Helper()
	server := g.serving(t)
	c := &hostside.Client{Base: server.URL, HostApp: g.host, Pinned: pinned, Store: p}
	var got *release.Verified
	eventually(t, "the host app has its document", func() string {
		var err error
		if got, err = c.Fetch(ctx(t), g.ns+".app", "release"); err != nil {
			return err.Error()
		}
		return ""
	})
	return got
}

// cluster is a control plane of its own with all installed, which can be lost.
type cluster struct {
	*world
	stop context.CancelFunc
}

func newCluster(t testing.TB, reg *registrytest.Registry, secrets ...*corev1.Secret) *cluster {
	t.Helper()
	cp, err := controlplane.Start(ctx(t), controlplane.Options{Dir: t.TempDir(), ControllerManager: true})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(context.Background())
	t.Cleanup(func() {
		stop()
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	restore := func(w *world) {
		for _, s := range secrets {
			w.must(t, w.admin.Create(ctx(t), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}, Data: s.Data, Type: s.Type}))
		}
	}
	return &cluster{world: startWorldOn(running, t, cp, reg, restore), stop: stop}
}

// lose ends everything; the control plane's data is never read again.
func (c *cluster) lose(t testing.TB) {
	t.Helper()
	c.stop()
	c.must(t, c.cp.Stop())
}

const drillNamespace = "shop-team"

// onboarded is the developer group, its people and its host app, as the platform's Git has them.
func (c *cluster) onboarded(t testing.TB) *group {
	t.Helper()
	c.must(t, c.admin.Create(ctx(t), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: drillNamespace}}))
	g := newGroupIn(t, c.world, drillNamespace, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	return g
}

// approvedInGit is a Review that was decided before it was created, as Git keeps it.
func (g *group) approvedInGit(t testing.TB, version string) *v1alpha1.Review {
	t.Helper()
	var v v1alpha1.MiniProgramVersion
	eventually(t, version+" has an artifact", func() string {
		if err := g.admin.Get(ctx(t), key(g.ns, "app-"+version), &v); err != nil || v.Status.Artifact == nil {
			return show(v.Status)
		}
		return ""
	})
	return g.applied(t, version, v.Status.Artifact.Digest)
}

func (g *group) applied(t testing.TB, version, digest string) *v1alpha1.Review {
	t.Helper()
	r := &v1alpha1.Review{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "quality-" + version},
		Spec: v1alpha1.ReviewSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-" + version},
			Digest: digest, Role: "quality", Decision: v1alpha1.DecisionApproved, Reviewer: g.rosaName,
		},
	}
	g.must(t, g.rosa.Create(ctx(t), r))
	return r
}

// questions are the names of all pending Reviews that there ever were since it was called.
func (g *group) questions(t testing.TB) func() []string {
	t.Helper()
	watching, err := client.NewWithWatch(g.cp.Admin(), client.Options{Scheme: g.admin.Scheme()})
	g.must(t, err)
	w, err := watching.Watch(ctx(t), &v1alpha1.ReviewList{}, client.InNamespace(g.ns))
	g.must(t, err)
	t.Cleanup(w.Stop)
	return func() (names []string) {
		for {
			select {
			case e := <-w.ResultChan():
				if r, ok := e.Object.(*v1alpha1.Review); ok && r.Spec.Decision == v1alpha1.DecisionPending {
					names = append(names, r.Name)
				}
			case <-time.After(time.Second):
				return names
			}
		}
	}
}

// etcd is lost while 1.1.0 is at 25 %. What is left is the registry, Git, which has the
// approval of 1.0.0 and not that of 1.1.0, and a backup of the key. Everything is applied
// again, everybody has what he had, and nobody is asked again.
func TestALostClusterGoesOnFromTheJournal(t *testing.T) {
	reg := registrytest.Start(t, registrytest.Options{})
	before := newCluster(t, reg)
	g := before.onboarded(t)
	g.program(t, "app")
	archives, digests := map[string][]byte{}, map[string]string{}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		archives[version] = archive(t, "app "+version)
		g.configMap(t, "app-"+version, archives[version])
		g.version(t, "app", version)
	}
	digests["1.0.0"] = g.approvedInGit(t, "1.0.0").Spec.Digest
	g.approve(t, "app-1.1.0")
	g.rollout(t, "app", "1.0.0")
	g.awaitRollout(t, "app", "1.0.0 is stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Stable != nil && isOut(ro) })
	g.begins(t)
	g.awaitRollout(t, "app", "5 %", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "5%" && isOut(ro) })
	g.act(t, "app", "promote@2/1")
	was := g.awaitRollout(t, "app", "25 %", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "25%" && isOut(ro) })
	eventually(t, "the journal has the last document", func() string {
		all := g.rolloutLog(t)
		if len(all) == 0 || all[len(all)-1].Entry == nil || all[len(all)-1].Entry.Number != was.Status.Sequence {
			return show(all)
		}
		return ""
	})
	device, pinned := phone{}, g.trustedKeys(t)
	seen := device.fetch(t, g, pinned)
	var backup corev1.Secret
	g.must(t, g.admin.Get(ctx(t), key(systemNamespace, "miniprogram-signing-key"), &backup))
	before.lose(t)

	after := newCluster(t, reg, &backup)
	g = after.onboarded(t)
	asked := g.questions(t)
	g.program(t, "app")
	g.must(t, g.olu.Create(ctx(t), &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"}, Spec: was.Spec,
	}))
	for _, version := range []string{"1.0.0", "1.1.0"} {
		g.configMap(t, "app-"+version, archives[version])
		g.version(t, "app", version)
	}
	g.applied(t, "1.0.0", digests["1.0.0"])
	now := g.awaitRollout(t, "app", "25 % again", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Percent == "25%" && isOut(ro) && condition(ro.Status.Conditions, v1alpha1.ConditionReady) != "" && ro.Status.Summary == was.Status.Summary
	})
	g.sameRecord(t, was, now)
	got := device.fetch(t, g, pinned)
	if got.Document.Sequence <= seen.Document.Sequence || !got.Document.IssuedAt.After(seen.Document.IssuedAt.Time) {
		t.Errorf("sequence %d of %s follows on %d of %s", got.Document.Sequence, got.Document.IssuedAt, seen.Document.Sequence, seen.Document.IssuedAt)
	}
	for i := range 400 {
		user := fmt.Sprint("user-", i)
		if a, b := bucket.Of(seen.Document.Split.Seed, user) < 2500, bucket.Of(got.Document.Split.Seed, user) < int(got.Document.Split.BasisPoints); a != b {
			t.Errorf("%s had the target: %v, and has it now: %v", user, a, b)
		}
	}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		g.awaitVersion(t, "app-"+version, v1alpha1.ConditionApproved, fmt.Sprintf("True Approved: has 1 of 1 approvals, for host app %s", g.host))
	}
	if names := asked(); len(names) > 0 {
		t.Errorf("asked for what the journal or Git has: %v", names)
	}
	g.tellsApproval(t, "app-1.1.0", false)
	g.act(t, "app", "promote@2/3")
	g.awaitRollout(t, "app", "1.1.0 is stable", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Outcome == v1alpha1.OutcomePromoted && ro.Status.Stable.Digest == was.Status.Target.Digest && isOut(ro)
	})
	if last := device.fetch(t, g, pinned); last.Document.Stable.Version != "1.1.0" || last.Document.Stable.Delivery < got.Document.Target.Delivery {
		t.Errorf("the host app has %s", show(last.Document))
	}
	g.tellsApproval(t, "app-1.1.0", true)
}

// tellsApproval waits until the newest entry of the journal tells the approval that the
// version has from the journal, and where restored, that it was restored: what was written
// before may stay until the version is judged anew.
func (g *group) tellsApproval(t testing.TB, version string, restored bool) {
	t.Helper()
	var v v1alpha1.MiniProgramVersion
	g.must(t, g.admin.Get(ctx(t), key(g.ns, version), &v))
	if r := v.Status.Restored; r == nil || len(r.Decisions) != 1 || r.Decisions[0].Reviewer != g.rosaName {
		t.Fatalf("restored are %s", show(v.Status.Restored))
	}
	eventually(t, "the journal tells the approval anew", func() string {
		all := g.rolloutLog(t)
		last := all[len(all)-1].Entry
		known := last.Basis.Version(v.Status.Artifact.Digest)
		if known == nil || len(known.Decisions) != 1 || known.Decisions[0].Reviewer != g.rosaName || !known.Decisions[0].Counted || restored && known.Decisions[0].Entry != v.Status.Restored.Entry {
			return show(last)
		}
		return ""
	})
}

// sameRecord compares what was decided before and after.
func (g *group) sameRecord(t testing.TB, was, now *v1alpha1.Rollout) {
	t.Helper()
	a, b := was.Status.DeepCopy(), now.Status.DeepCopy()
	for _, st := range []*v1alpha1.RolloutStatus{a, b} {
		st.Conditions, st.ObservedGeneration, st.Summary, st.Published, st.Sequence = nil, 0, "", nil, 0
		st.Document.IssuedAt, st.Document.PollSeconds = metav1.Time{}, 0
		st.Step.Began, st.Step.Until, st.Step.HeldSince = nil, nil, nil
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("recorded (-before +after):\n%s", diff)
	}
	if now.Status.Sequence <= was.Status.Sequence || now.Status.Sequence < now.CreationTimestamp.Add(-time.Second).Unix() {
		t.Errorf("sequence %d follows on %d", now.Status.Sequence, was.Status.Sequence)
	}
}

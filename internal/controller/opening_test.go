package controller_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
)

const waits = "False WaitingForApproval: waits for 1 approval of role quality (needs approve on miniprograms/review-quality)"

// approved makes version 1.0.0 of program app, approved by rosa and not rolled out.
func (g *group) approved(t testing.TB, change ...func(*v1alpha1.MiniProgramVersion)) *v1alpha1.MiniProgramVersion {
	t.Helper()
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.configMap(t, "app-1.0.0", archive(t, "app 1.0.0"))
	g.version(t, "app", "1.0.0", change...)
	g.approve(t, "app-1.0.0")
	return g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "True Approved: has 1 of 1 approvals, for host app "+g.host)
}

// deleteVersion waits until the version, and the Reviews that went with it, are gone.
func (g *group) deleteVersion(t testing.TB) {
	t.Helper()
	v := &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app-1.0.0"}}
	g.must(t, g.admin.Delete(ctx(t), v, client.PropagationPolicy(metav1.DeletePropagationForeground)))
	eventually(t, "the version is gone", func() string {
		if err := g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), v); client.IgnoreNotFound(err) != nil || err == nil {
			return "it is still there"
		}
		return ""
	})
}

// refused requires that a request fails, with a text in the message.
func refused(t testing.TB, err error, with string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), with) {
		t.Errorf("got %v, want a refusal with %q", err, with)
	}
}

func TestAVersionThatIsDeletedAndCreatedAnewIsAskedForAnew(t *testing.T) {
	g := newGroup(t, "quality")
	g.approved(t)
	g.deleteVersion(t)
	g.version(t, "app", "1.0.0")
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, waits)
}

func TestAnApprovalThatIsPurgedCountsNoMore(t *testing.T) {
	g := newGroup(t, "quality")
	g.approved(t)
	var reviews v1alpha1.ReviewList
	g.must(t, g.admin.List(ctx(t), &reviews, client.InNamespace(g.ns)))
	refused(t, g.dana.Delete(ctx(t), &reviews.Items[0]), "forbidden")
	refused(t, g.rosa.Delete(ctx(t), &reviews.Items[0]), "forbidden")
	eventually(t, "the approval is recorded, and purged", func() string {
		if err := g.admin.Delete(ctx(t), &reviews.Items[0]); err != nil {
			return err.Error()
		}
		return ""
	})
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, waits+"; review "+reviews.Items[0].Name+" by "+g.rosaName+
		" was deleted: an approval counts only while its Review exists")
	g.pending(t, "app-1.0.0", "quality")
}

func TestAPendingReviewThatIsDeletedComesBack(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	was := g.pending(t, "app-1.0.0", "quality")
	g.must(t, g.admin.Delete(ctx(t), was))
	eventually(t, "another is there", func() string {
		if now := g.pending(t, "app-1.0.0", "quality"); now.UID == was.UID {
			return "it is the same"
		}
		return ""
	})
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, waits)
}

func TestTheDeclarationThatWasApprovedIsTheOneThatIsPublished(t *testing.T) {
	g := newGroup(t, "quality")
	g.approved(t)
	change(t, g, g.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) {
		p.Spec.Permissions = []v1alpha1.Permission{{Name: "location", Reason: "to follow you"}}
	})
	g.rollout(t, "app", "1.0.0")
	g.awaitRollout(t, "app", "stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Published != nil && ro.Status.Percent == "100%" })
	if got := g.published(t, "app").Stable.Declaration.Permissions; len(got) != 0 {
		t.Errorf("nobody approved these permissions: %s", show(got))
	}
}

func TestDevelopersDoNotChooseTheirPolicies(t *testing.T) {
	g := newGroup(t, "quality")
	g.approved(t)
	label := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"policy.miniprogram.dev/tier":"trusted"}}}`))
	program := &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"}}
	refused(t, g.dana.Patch(ctx(t), program, label), "ask for verb classify on miniprograms")
	empty := client.RawPatch(types.MergePatchType, []byte(`{"status":{"rejections":[]}}`))
	refused(t, g.dana.Status().Patch(ctx(t), program, empty), "forbidden")
	policy := &v1alpha1.ReviewPolicy{ObjectMeta: metav1.ObjectMeta{Name: g.ns}}
	refused(t, g.dana.Patch(ctx(t), policy, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"approvals":[{"role":"none"}]}}`))), "forbidden")
}

// tag points a tag at the manifest of another, as whoever may push can.
func (g *group) tag(t testing.TB, repository, tag, digest string) {
	t.Helper()
	url := "http://" + g.registry.Host() + "/v2/" + repository + "/manifests/"
	get, err := http.NewRequestWithContext(ctx(t), http.MethodGet, url+digest, http.NoBody)
	g.must(t, err)
	get.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
	got, err := http.DefaultClient.Do(get)
	g.must(t, err)
	manifest, err := io.ReadAll(got.Body)
	g.must(t, err)
	g.must(t, got.Body.Close())
	put, err := http.NewRequestWithContext(ctx(t), http.MethodPut, url+tag, bytes.NewReader(manifest))
	g.must(t, err)
	put.Header.Set("Content-Type", got.Header.Get("Content-Type"))
	answer, err := http.DefaultClient.Do(put)
	g.must(t, err)
	g.must(t, answer.Body.Close())
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("moving tag %s: %s", tag, answer.Status)
	}
}

func TestATagThatMovesMovesNothing(t *testing.T) {
	g := newGroup(t, "quality")
	staging := registry.New(registry.Options{Host: g.registry.Host(), Prefix: "staging", PlainHTTP: true, UserAgent: "test"})
	var sources []registry.Published
	for _, version := range []string{"1.0.0", "6.6.6"} {
		data := archive(t, "bytes of "+version)
		blob := func(b []byte) registry.Blob {
			return registry.Blob{Digest: "sha256:" + hexSum(b), Size: int64(len(b)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
		}
		a, err := registry.NewArtifact(g.ns+"/app", "app", registry.ArtifactConfig{AppID: "x.y.z", Version: version, VersionCode: 1, ArchiveSHA256: "sha256:" + hexSum(data)}, blob(data), blob([]byte("content")), nil)
		g.must(t, err)
		published, err := staging.Publish(ctx(t), a)
		g.must(t, err)
		sources = append(sources, published)
	}
	fromTag := func(v *v1alpha1.MiniProgramVersion) {
		v.Spec.Source = v1alpha1.BundleSource{OCI: &v1alpha1.OCISource{Ref: sources[0].Repository + ":1.0.0"}}
	}
	approved := g.approved(t, fromTag)

	_, path, _ := strings.Cut(sources[0].Repository, "/")
	g.tag(t, path, "1.0.0", sources[1].Digest)
	// The version is worked on again, and stays what it was.
	change(t, g, g.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.Description = "the tag has moved" })
	g.rollout(t, "app", "1.0.0")
	ro := g.awaitRollout(t, "app", "stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Published != nil && ro.Status.Percent == "100%" })
	if ro.Status.Stable.Digest != approved.Status.Artifact.Digest {
		t.Errorf("%s was approved and %s is served", approved.Status.Artifact.Digest, ro.Status.Stable.Digest)
	}
	// What the tag names now is asked for by itself.
	g.version(t, "app", "1.0.1", fromTag)
	g.awaitVersion(t, "app-1.0.1", v1alpha1.ConditionApproved, waits)
}

func TestAnApprovalIsNotRestoredFromGit(t *testing.T) {
	g := newGroup(t, "quality")
	version := g.approved(t)
	var reviews v1alpha1.ReviewList
	g.must(t, g.admin.List(ctx(t), &reviews, client.InNamespace(g.ns)))
	argo := g.gitOps(t)
	g.deleteVersion(t)

	// Git has the version and the decided Review, and an account that may do everything applies both.
	version.ObjectMeta = metav1.ObjectMeta{Namespace: g.ns, Name: version.Name}
	version.Status = v1alpha1.MiniProgramVersionStatus{}
	g.must(t, argo.Create(ctx(t), version))
	review := reviews.Items[0].DeepCopy()
	review.ObjectMeta = metav1.ObjectMeta{Namespace: g.ns, Name: review.Name}
	refused(t, argo.Create(ctx(t), review), "holds every right through a wildcard")
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, waits)
}

// gitOps returns a client of an account with every right, as Argo CD's controller has it.
func (g *group) gitOps(t testing.TB) client.Client {
	t.Helper()
	name := "argocd-" + g.ns
	g.must(t, g.admin.Create(ctx(t), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}},
	}))
	g.bindEverywhere(t, name, name)
	return g.as(t, name)
}

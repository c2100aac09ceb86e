package controller_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
)

// deletes makes the program app one whose artifacts are deleted, but for so many,
// and waits until its versions know.
func (g *group) deletes(t testing.TB, versions int32) {
	t.Helper()
	g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) {
		p.Spec.ArtifactDeletion, p.Spec.History = v1alpha1.ArtifactDelete, &v1alpha1.History{Versions: versions}
	})
	eventually(t, "versions are held", func() string {
		var list v1alpha1.MiniProgramVersionList
		g.must(t, g.admin.List(ctx(t), &list, client.InNamespace(g.ns)))
		for i := range list.Items {
			if !slices.Contains(list.Items[i].Finalizers, v1alpha1.ArtifactFinalizer) {
				return list.Items[i].Name
			}
		}
		return ""
	})
}

// publishes makes a version and waits until its artifact is there.
func (g *group) publishes(t testing.TB, version string) *v1alpha1.MiniProgramVersion {
	t.Helper()
	g.release(t, "app", version)
	return g.awaitVersion(t, "app-"+version, v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
}

// stored tells whether the registry has an artifact of program app, by its digest.
func (g *group) stored(t testing.TB, digest string) bool {
	t.Helper()
	artifacts := registry.New(registry.Options{Host: g.registry.Host(), Prefix: "miniprograms", PlainHTTP: true, UserAgent: "test"})
	_, err := artifacts.Resolve(ctx(t), g.ns+"/app", digest)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func (g *group) remove(t testing.TB, name string) {
	t.Helper()
	g.must(t, g.dana.Delete(ctx(t), &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: name}}))
}

const keepsTwo = ", as older than the 2 versions that MiniProgram app keeps (spec.history.versions): to release it again, delete the version and create it anew"

func TestArtifactsOlderThanTheHistoryAreDeleted(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	g.deletes(t, 2)
	stable := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionPublished, publishedAs(t, g, "app-1.0.0"))
	old := g.publishes(t, "1.1.0")
	g.publishes(t, "1.2.0")
	g.publishes(t, "1.3.0")

	v := g.awaitVersion(t, "app-1.1.0", v1alpha1.ConditionArtifactDeleted, "True ArtifactDeleted: the artifact is deleted in the registry"+keepsTwo)
	if g.stored(t, old.Status.Artifact.Digest) || !g.stored(t, stable.Status.Artifact.Digest) {
		t.Errorf("the registry has the old one: %v, the stable one: %v", g.stored(t, old.Status.Artifact.Digest), g.stored(t, stable.Status.Artifact.Digest))
	}
	for kind, want := range map[string]string{
		v1alpha1.ConditionReady:     "True Succeeded: its artifact is deleted in the registry, as older than those that are kept",
		v1alpha1.ConditionPublished: "False ArtifactDeleted: see condition ArtifactDeleted",
	} {
		if got := condition(v.Status.Conditions, kind); got != want {
			t.Errorf("%s is %q, want %q", kind, got, want)
		}
	}
	if v.Status.Artifact.Digest != old.Status.Artifact.Digest || v.Status.Summary != "artifact deleted" {
		t.Errorf("the version is %s", show(v.Status))
	}
	v = g.awaitVersion(t, "app-1.1.0", v1alpha1.ConditionApproved, "False ArtifactDeleted: nobody is asked for reviews any more: see condition ArtifactDeleted")
	eventually(t, "nothing holds the object", func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.1.0"), v))
		return strings.Join(v.Finalizers, " ")
	})
	g.wantEvent(t, "ArtifactDeleted", old.Status.Artifact.Repository+"@"+old.Status.Artifact.Digest+" is deleted in the registry: MiniProgram app keeps 2 versions")
	eventually(t, "nobody is asked to review it", func() string {
		for _, name := range g.reviews(t, v1alpha1.DecisionPending) {
			if strings.HasPrefix(name, "app-1.1.0-") {
				return name
			}
		}
		return ""
	})

	// It cannot be released, until it is created anew.
	g.target(t, "app", "app-1.1.0")
	g.awaitRollout(t, "app", "it is held", func(ro *v1alpha1.Rollout) bool {
		return strings.Contains(ro.Status.Summary, "the artifact of MiniProgramVersion app-1.1.0 is not kept in the registry (condition ArtifactDeleted): name another version, or delete this one and create it anew")
	})
	g.remove(t, "app-1.1.0")
	g.awaitGone(t, "app-1.1.0", &v1alpha1.MiniProgramVersion{})
	g.version(t, "app", "1.1.0")
	again := g.awaitVersion(t, "app-1.1.0", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	if again.Status.Artifact.Digest != old.Status.Artifact.Digest || !g.stored(t, old.Status.Artifact.Digest) {
		t.Errorf("created anew it is %s", show(again.Status))
	}
	// It is the newest now, and the Rollout names it.
	g.awaitVersion(t, "app-1.2.0", v1alpha1.ConditionArtifactDeleted, "True ArtifactDeleted: the artifact is deleted in the registry"+keepsTwo)
}

// publishedAs is the message of condition Published of what is in the registry.
func publishedAs(t testing.TB, g *group, name string) string {
	t.Helper()
	var v v1alpha1.MiniProgramVersion
	g.must(t, g.admin.Get(ctx(t), key(g.ns, name), &v))
	return "True Pushed: " + v.Status.Artifact.Repository + "@" + v.Status.Artifact.Digest
}

func TestWithoutDeletionEveryArtifactStays(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	g.deletes(t, 1)
	g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) { p.Spec.ArtifactDeletion = v1alpha1.ArtifactRetain })
	g.configMap(t, "app-1.0.0", archive(t, "app 1.0.0"))
	g.version(t, "app", "1.0.0", func(v *v1alpha1.MiniProgramVersion) { v.Spec.Review = v1alpha1.ReviewNotRequested })
	first := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	g.publishes(t, "1.1.0")
	// Of an artifact that is about to be deleted, nobody would be asked for a review.
	change(t, g, g.dana, &v1alpha1.MiniProgramVersion{}, "app-1.0.0", func(v *v1alpha1.MiniProgramVersion) { v.Spec.Review = v1alpha1.ReviewRequested })
	g.pending(t, "app-1.0.0", "quality")
	g.remove(t, "app-1.0.0")
	g.awaitGone(t, "app-1.0.0", &v1alpha1.MiniProgramVersion{})
	if len(first.Finalizers) > 0 || !g.stored(t, first.Status.Artifact.Digest) {
		t.Errorf("finalizers %v, in the registry: %v", first.Finalizers, g.stored(t, first.Status.Artifact.Digest))
	}
}

func TestADeletedVersionTakesItsArtifactAlong(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	g.deletes(t, 10)
	v := g.publishes(t, "1.0.0")
	if !slices.Contains(v.Finalizers, v1alpha1.ArtifactFinalizer) {
		t.Errorf("finalizers %v", v.Finalizers)
	}
	g.remove(t, "app-1.0.0")
	g.awaitGone(t, "app-1.0.0", &v1alpha1.MiniProgramVersion{})
	if g.stored(t, v.Status.Artifact.Digest) || g.stored(t, v.Status.Artifact.Findings) {
		t.Error("the registry still has it")
	}
	g.wantEvent(t, "ArtifactDeleted", v.Status.Artifact.Repository+"@"+v.Status.Artifact.Digest+" is deleted in the registry")
}

const (
	inUse  = "Rollout app hands the artifact out or can go back to it, and the version is deleted when that is over" + wayOut
	wayOut = "; to delete it now and keep the artifact, set spec.artifactDeletion of MiniProgram app to Retain, or remove the finalizer miniprogram.dev/artifact"
)

func TestAnArtifactThatARolloutNeedsIsNotDeleted(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	g.deletes(t, 10)
	g.must(t, g.admin.Delete(ctx(t), &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app-1.0.0"}}))
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionArtifactDeleted, "False ArtifactInUse: "+inUse)

	// What a Rollout leaves when it is deleted is handed out on and on: the object goes, the artifact stays.
	g.deleteRollout(t)
	g.awaitGone(t, "app-1.0.0", &v1alpha1.MiniProgramVersion{})
	g.wantEvent(t, "ArtifactKept", v.Status.Artifact.Repository+"@"+v.Status.Artifact.Digest+" stays in the registry: host apps still get it from a Rollout that is gone")
	if !g.stored(t, v.Status.Artifact.Digest) {
		t.Error("it is deleted in the registry")
	}
}

func TestAnArtifactIsDeletedWhenTheRolloutHasForgottenIt(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	one := int32(1)
	change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) { ro.Spec.RollbackHistory = &one })
	g.deletes(t, 10)
	next := func(version string) {
		t.Helper()
		g.release(t, "app", version)
		g.approve(t, "app-"+version)
		g.target(t, "app", "app-"+version)
		g.awaitRollout(t, "app", version+" is stable", func(ro *v1alpha1.Rollout) bool {
			return ro.Status.Stable.Version == version && isOut(ro)
		})
	}
	next("1.1.0")
	g.must(t, g.admin.Delete(ctx(t), &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app-1.0.0"}}))
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionArtifactDeleted, "False ArtifactInUse: "+inUse)
	next("1.2.0") // 1.1.0 is all that can be gone back to
	g.awaitGone(t, "app-1.0.0", &v1alpha1.MiniProgramVersion{})
	if g.stored(t, v.Status.Artifact.Digest) {
		t.Error("the registry still has it")
	}
}

// A Rollout can go back to a version whose object is gone, and another object of the
// version has its artifact.
func TestAnArtifactIsKeptForARolloutThatKnowsItByAnotherName(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	g.release(t, "app", "1.1.0")
	g.approve(t, "app-1.1.0")
	g.target(t, "app", "app-1.1.0")
	g.awaitRollout(t, "app", "1.1.0 is stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Stable.Version == "1.1.0" && isOut(ro) })
	g.must(t, g.admin.Delete(ctx(t), &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app-1.0.0"}}))
	g.awaitGone(t, "app-1.0.0", &v1alpha1.MiniProgramVersion{})
	g.version(t, "app", "1.0.0", func(v *v1alpha1.MiniProgramVersion) { v.Name = "twin" })
	g.awaitVersion(t, "twin", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	g.deletes(t, 10)
	g.remove(t, "twin")
	g.awaitVersion(t, "twin", v1alpha1.ConditionArtifactDeleted, "False ArtifactInUse: "+inUse)
}

func TestTwoObjectsOfOneVersionShareAnArtifact(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	g.deletes(t, 10)
	v := g.publishes(t, "1.0.0")
	g.version(t, "app", "1.0.0", func(v *v1alpha1.MiniProgramVersion) { v.Name = "twin" })
	g.awaitVersion(t, "twin", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	g.remove(t, "app-1.0.0")
	g.awaitGone(t, "app-1.0.0", &v1alpha1.MiniProgramVersion{})
	if !g.stored(t, v.Status.Artifact.Digest) {
		t.Fatal("the other object's artifact is deleted")
	}
	g.remove(t, "twin")
	g.awaitGone(t, "twin", &v1alpha1.MiniProgramVersion{})
	if g.stored(t, v.Status.Artifact.Digest) {
		t.Error("nobody deleted it")
	}
}

func TestARegistryThatDeletesNothingHoldsNoVersion(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	g.deletes(t, 1)
	g.undeletable.Store(g.ns+"/app", 405)
	old := g.publishes(t, "1.0.0")
	g.publishes(t, "1.1.0")
	says := "the registry " + g.registryHost() + " deletes nothing (405 Method Not Allowed): allow deletion there, or delete miniprograms/" + g.ns + "/app@" + old.Status.Artifact.Digest + " by hand"
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionArtifactDeleted, "False RegistryUnsupported: "+says)
	if got := condition(v.Status.Conditions, v1alpha1.ConditionReady); got != "True Succeeded: the artifact is published and checked" {
		t.Errorf("Ready is %s", got)
	}
	g.remove(t, "app-1.0.0")
	g.awaitGone(t, "app-1.0.0", &v1alpha1.MiniProgramVersion{})
	g.wantEvent(t, "ArtifactKept", old.Status.Artifact.Repository+"@"+old.Status.Artifact.Digest+" stays in the registry: "+says)
}

func TestAVersionDoesNotWaitForARegistryThatIsGone(t *testing.T) {
	for name, let := range map[string]func(g *group, t *testing.T){
		"the program keeps artifacts from now on": func(g *group, t *testing.T) {
			g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) { p.Spec.ArtifactDeletion = v1alpha1.ArtifactRetain })
		},
		"its developer takes the finalizer away": func(g *group, t *testing.T) {
			change(t, g, g.dana, &v1alpha1.MiniProgramVersion{}, "app-1.0.0", func(v *v1alpha1.MiniProgramVersion) { v.Finalizers = nil })
		},
		"the registry is back": func(g *group, _ *testing.T) { g.undeletable.Delete(g.ns + "/app") },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, "quality")
			g.program(t, "app")
			g.deletes(t, 10)
			old := g.publishes(t, "1.0.0")
			g.undeletable.Store(g.ns+"/app", 503)
			g.remove(t, "app-1.0.0")
			var v v1alpha1.MiniProgramVersion
			eventually(t, "it says what it waits for", func() string {
				g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
				want := "False RegistryUnavailable: the registry " + g.registryHost() + " cannot answer now (503 Service Unavailable); the deletion is tried again; at " +
					v.DeletionTimestamp.Add(3600e9).UTC().Format("2006-01-02T15:04:05Z") + " the version is deleted all the same, and its artifact stays" + strings.Replace(wayOut, " and keep the artifact", "", 1)
				if got := condition(v.Status.Conditions, v1alpha1.ConditionArtifactDeleted); got != want {
					return "got " + got + "\nwant " + want
				}
				return ""
			})
			let(g, t)
			g.awaitGone(t, "app-1.0.0", &v1alpha1.MiniProgramVersion{})
			if want := name != "the registry is back"; g.stored(t, old.Status.Artifact.Digest) != want {
				t.Errorf("in the registry: %v, want %v", !want, want)
			}
		})
	}
}

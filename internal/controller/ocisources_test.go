package controller_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

const published = "True Succeeded: the artifact is published and checked"

// zipLayer is a bundle as a layer of an artifact.
func zipLayer(data []byte) registrytest.Layer {
	return registrytest.Layer{MediaType: "application/zip", Data: data}
}

// fromRegistry lets a version come from a reference.
func fromRegistry(ref string) func(*v1alpha1.MiniProgramVersion) {
	return func(v *v1alpha1.MiniProgramVersion) {
		v.Spec.Source = v1alpha1.BundleSource{OCI: &v1alpha1.OCISource{Ref: ref}}
	}
}

// The registry answers what a tag names, and then no more until the tag names
// something else: as after a crash between the two, and with a tag that moves.
func TestATagIsResolvedOnceAndRecordedBeforeAnythingIsFetched(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	repository := "staging/" + g.ns + "/app"
	first, second := archive(t, "first"), archive(t, "second")
	recorded := func() string {
		var v v1alpha1.MiniProgramVersion
		if err := g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v); err != nil {
			return err.Error()
		}
		if v.Status.Source == nil {
			return "nothing"
		}
		return v.Status.Source.Resolved
	}
	var open atomic.Bool
	var mu sync.Mutex
	asked := map[string]string{} // the first time: what status said at that moment
	front := registrytest.Faulty(t, g.registry.Host(), func(r *http.Request) *registrytest.Fault {
		_, what, _ := strings.Cut(r.URL.Path, repository+"/")
		mu.Lock()
		defer mu.Unlock()
		if _, again := asked[what]; !again {
			asked[what] = recorded()
		}
		if what != "manifests/1.0.0" && !open.Load() {
			return &registrytest.Fault{Status: http.StatusServiceUnavailable}
		}
		return nil
	})
	was := registrytest.Push(t, g.registry.Host(), repository, "1.0.0", nil, zipLayer(first)).Digest.String()
	g.version(t, "app", "1.0.0", fromRegistry(front+"/"+repository+":1.0.0"))
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady,
		"False SourceUnavailable: "+front+"/"+repository+":1.0.0@"+was+" answers 503 Service Unavailable; it is tried again")

	registrytest.Push(t, g.registry.Host(), repository, "1.0.0", nil, zipLayer(second))
	open.Store(true)
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, published)
	got := []string{v.Status.Source.Resolved, v.Status.Artifact.Archive.Digest}
	if diff := cmp.Diff([]string{was, "sha256:" + hexSum(first)}, got); diff != "" {
		t.Error(diff)
	}
	mu.Lock()
	defer mu.Unlock()
	want := map[string]string{"manifests/1.0.0": "nothing", "manifests/" + was: was, "blobs/sha256:" + hexSum(first): was}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
}

func TestADigestNeedsNoResolving(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	repository := "staging/" + g.ns + "/app"
	desc := registrytest.Push(t, g.registry.Host(), repository, "", nil, zipLayer(archive(t, "by digest")))
	g.version(t, "app", "1.0.0", fromRegistry(g.registry.Host()+"/"+repository+"@"+desc.Digest.String()))
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, published)
	if v.Status.Source != nil {
		t.Errorf("something was recorded: %s", show(v.Status.Source))
	}
}

func TestATarLayerIsASource(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	repository := "staging/" + g.ns + "/app"
	push := func(version string, files ...*tar.Header) string {
		t.Helper()
		desc := registrytest.Push(t, g.registry.Host(), repository, "", nil,
			registrytest.Layer{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Data: tarGzip(t, files...)})
		ref := g.registry.Host() + "/" + repository + "@" + desc.Digest.String()
		g.version(t, "app", version, fromRegistry(ref))
		return ref
	}
	index := &tar.Header{Typeflag: tar.TypeReg, Name: "./index.html", Size: 64}
	push("1.0.0", index)
	push("1.0.1", index)
	// More than an archive may have, but not more than it may expand to.
	push("1.1.0", index, &tar.Header{Typeflag: tar.TypeReg, Name: "./big.txt", Size: 33 << 20})
	push("1.2.0", index, &tar.Header{Typeflag: tar.TypeSymlink, Name: "./passwd", Linkname: "/etc/passwd"})
	push("1.2.1", index, &tar.Header{Typeflag: tar.TypeReg, Name: "../up.js", Size: 1})

	first := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, published)
	again := g.awaitVersion(t, "app-1.0.1", v1alpha1.ConditionReady, published)
	if first.Status.Artifact.Archive.Digest != again.Status.Artifact.Archive.Digest {
		t.Errorf("the same layer became two archives: %s and %s", show(first.Status.Artifact), show(again.Status.Artifact))
	}
	g.awaitVersion(t, "app-1.1.0", v1alpha1.ConditionReady, published)
	const todo = "; publish a corrected bundle as a new MiniProgramVersion"
	v := g.awaitVersion(t, "app-1.2.0", v1alpha1.ConditionVerified, "False TarFileType: the bundle was not accepted: TarFileType: "+
		"it is a symbolic link, and a bundle holds regular files and folders only; put the file itself there (./passwd)"+todo)
	if f := v.Status.Findings; f == nil || f.Errors != 1 || f.First[0].Rule != "TarFileType" || v.Status.Artifact != nil {
		t.Errorf("got %s", show(v.Status))
	}
	g.awaitVersion(t, "app-1.2.1", v1alpha1.ConditionVerified, "False NameTraversal: the bundle was not accepted: NameTraversal: "+
		"the name has the part \"..\"; rename the file so that it is a plain path below the bundle's root (../up.js)"+todo)
}

// tarGzip fills the files with digits that do not repeat.
func tarGzip(t testing.TB, files ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	digits := hex.NewEncoder(w)
	for _, h := range files {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		random := rand.NewChaCha8([32]byte{})
		if _, err := io.CopyN(digits, random, h.Size/2); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, strings.Repeat(" ", int(h.Size%2))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

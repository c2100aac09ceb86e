package controller_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// ending is how the life of a published version ends.
type ending struct {
	publication
	end func(t *testing.T, name string)
	// known are some of the calls that it takes.
	known []string
	want  left
}

// lived publishes the version and then ends it, as far as people do that. It returns
// the digest of the findings.
func (c *crashes) lived(t *testing.T, e ending, name, dir string) (findings string) {
	t.Helper()
	p := e.publication
	if p.deletion == v1alpha1.ArtifactDelete {
		p.version += "-" + name // an artifact is deleted with the last object of its version
	}
	c.create(t, p, name)
	c.process(t, name, dir, &lifeline{}).live(t)
	findings = c.left(t, p.kind, name, dir).Findings
	e.end(t, name)
	return findings
}

// When a version is withdrawn its Reviews are taken back, and when it is deleted the
// artifact goes with it. A process may die at each call of that, too.
func TestACrashWhileAVersionEndsIsMendedByTheNextProcess(t *testing.T) {
	t.Parallel()
	c := newCrashes(t)
	c.configMap(t, "bundle", archive(t, "crash"))
	from := v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: "bundle", Key: "bundle.zip"}}
	for _, e := range []ending{
		{
			publication: publication{kind: "withdrawn", version: "1.0.0", from: from},
			end:         func(t *testing.T, name string) { c.withdrawVersion(t, name) },
			known:       []string{"DELETE /apis/miniprogram.dev/v1alpha1/namespaces/" + c.ns + "/reviews/", "PUT /apis/"},
			want:        left{Ready: published, Summary: "withdrawn"},
		},
		{
			publication: publication{kind: "deleted", version: "1.0.0", from: from, deletion: v1alpha1.ArtifactDelete, held: []string{v1alpha1.ArtifactFinalizer}},
			end: func(t *testing.T, name string) {
				c.must(t, c.admin.Delete(ctx(t), &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: c.ns, Name: name}}))
			},
			known: []string{"DELETE /v2/", "PATCH /apis/"},
			want:  left{Ready: "gone", Stored: []string{}},
		},
	} {
		t.Run(e.kind, func(t *testing.T) {
			c.programOf(t, e.publication)
			undisturbed, name, dir := &lifeline{}, e.kind+"-undisturbed", t.TempDir()
			c.lived(t, e, name, dir)
			c.process(t, name, dir, undisturbed).live(t)
			got, want := c.left(t, e.kind, name, dir, undisturbed), e.want
			if got.Ready != "gone" { // what was published stays as it was
				want.Digest, want.Findings, want.Archive, want.Pushed, want.Stored = got.Digest, got.Findings, got.Archive, got.Pushed, got.Stored
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("undisturbed (-want +got):\n%s", diff)
			}
			calls := undisturbed.all()
			for _, known := range e.known {
				if !slices.ContainsFunc(calls, func(call string) bool { return strings.HasPrefix(call, known) }) {
					t.Fatalf("%s is not among the calls %q", known, calls)
				}
			}
			eachDeath(t, e.kind, len(calls), func(t *testing.T, name string, first *lifeline) {
				dir, second := t.TempDir(), &lifeline{}
				findings := c.lived(t, e, name, dir)
				c.process(t, name, dir, first).live(t)
				c.process(t, name, dir, second).live(t)
				got := c.left(t, e.kind, name, dir, first, second)
				if got.Ready == "gone" {
					// Findings go after the list that names them: between the two they are left to
					// the registry, which collects what nothing names. And what is deleted is told
					// again rather than never.
					got.Stored = slices.DeleteFunc(got.Stored, func(s string) bool { return s == "manifest "+findings })
					got.Twice = nil
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("a process died at %s, and after the next one (-want +got):\n%s", first.all()[first.end-1], diff)
				}
			})
		})
	}
}

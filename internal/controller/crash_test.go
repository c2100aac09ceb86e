package controller_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// fate is what becomes of a call to something outside the process.
type fate int

const (
	made fate = iota
	// answerLost: the call has its effect, and the process does not live to see it.
	answerLost
	// neverMade: the process is dead before.
	neverMade
)

// lifeline numbers the calls that one process makes to anything outside of it, and
// lets it die at one of them: after that it has no effect any more.
type lifeline struct {
	mu    sync.Mutex
	calls []string
	// writes is how many calls have changed something in the API server.
	writes int
	events []string
	// end is the number of the last call, from 1, and last what becomes of that one.
	// 0: the process lives.
	end  int
	last fate
	// at is the call that is to be the last, whatever its number.
	at string
	// fault may answer what goes to the registry or to a source. Nil: nothing does.
	fault func(*http.Request) *registrytest.Fault
}

func (l *lifeline) call(what string) fate {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, what)
	if l.end == 0 && what == l.at {
		l.end = len(l.calls)
	}
	switch n := len(l.calls); {
	case l.end == 0 || n < l.end:
		return made
	case n == l.end:
		return l.last
	}
	return neverMade
}

// all are the calls so far. Some may go on when the process is dead.
func (l *lifeline) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

func (l *lifeline) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end != 0 && len(l.calls) >= l.end
}

var errDead = errors.New("the process is dead")

// crashes is where versions of one content are published over and over: each process
// has a prefix of its own in the registry, so that the same version of the same program,
// and so the same digest, is published in a new place.
type crashes struct {
	*group
	// identity is the manager's.
	identity *rest.Config
	storage  string
	// front stands before the registry, which has the sources, too.
	front string
	// lives are the lifelines of processes, by the names under which they introduce themselves.
	lives sync.Map
}

func newCrashes(t *testing.T) *crashes {
	t.Helper()
	c := &crashes{group: newGroup(t, "quality", "privacy"), storage: t.TempDir()}
	identity, err := c.cp.ServiceAccount(ctx(t), systemNamespace, "miniprogram-manager")
	c.must(t, err)
	c.identity = fast(identity)
	r := registrytest.Start(t, registrytest.Options{Dir: c.storage})
	c.front = registrytest.Faulty(t, r.Host(), func(r *http.Request) *registrytest.Fault {
		known, _ := c.lives.Load(r.UserAgent())
		line, ok := known.(*lifeline)
		if !ok {
			return nil
		}
		switch line.call(r.Method + " " + r.URL.Path) {
		case answerLost:
			return &registrytest.Fault{DropAnswer: true}
		case neverMade:
			return &registrytest.Fault{Drop: true}
		case made:
		}
		if line.fault == nil {
			return nil
		}
		return line.fault(r)
	})
	return c
}

// publication is one kind of source, and what is peculiar to it.
type publication struct {
	kind     string
	from     v1alpha1.BundleSource
	resolved string
	deletion string
	held     []string
	version  string
}

// programOf makes the program, and waits until the manager's cache has it.
func (c *crashes) programOf(t *testing.T, p publication) {
	t.Helper()
	c.must(t, c.dana.Create(ctx(t), &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.ns, Name: p.kind},
		Spec: v1alpha1.MiniProgramSpec{
			AppID: c.ns + "." + p.kind, DisplayName: p.kind, HostApps: []string{c.host}, Kind: "WebApp",
			ArtifactDeletion: p.deletion, History: &v1alpha1.History{Versions: 1000},
		},
	}))
	c.awaitCached(t, p.kind)
}

// create makes the version, under a name of its own.
func (c *crashes) create(t *testing.T, p publication, name string) {
	t.Helper()
	c.must(t, c.dana.Create(ctx(t), &v1alpha1.MiniProgramVersion{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.ns, Name: name, Labels: map[string]string{byHandLabel: "true"}},
		Spec: v1alpha1.MiniProgramVersionSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: p.kind}, Version: p.version,
			Source: p.from, Review: v1alpha1.ReviewRequested, SubmittedBy: c.danaName,
		},
	}))
	if p.held == nil {
		return
	}
	t.Cleanup(func() { // the manager does not see it, so nobody else lets it go
		v := &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: c.ns, Name: name}}
		err := c.admin.Patch(ctx(t), v, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))
		c.must(t, client.IgnoreNotFound(err))
	})
}

// left is all that a publication leaves behind, but for times and for the names of
// what is made for each version object.
type left struct {
	Ready, Summary, Resolved          string
	Digest, Findings, Archive, Pushed string
	Finalizers                        []string
	// Reviews by role, digest and decision.
	Reviews []string
	// Stored is what the registry holds: tags, manifests and blobs, by name.
	Stored []string
	// Twice are the events that were told more than once.
	Twice []string
	// Files that are there still, or still open.
	Files []string
}

func (c *crashes) left(t *testing.T, program, name, dir string, lives ...*lifeline) left {
	t.Helper()
	var v v1alpha1.MiniProgramVersion
	err := c.admin.Get(ctx(t), key(c.ns, name), &v)
	if apierrors.IsNotFound(err) {
		kept := slices.DeleteFunc(c.stored(t, name+"/"+c.ns+"/"+program), isBlob)
		return left{Ready: "gone", Stored: kept, Twice: twice(lives), Files: openIn(t, dir)} // Reviews are the cluster's to collect, and blobs the registry's
	}
	c.must(t, err)
	got := left{
		Ready: condition(v.Status.Conditions, v1alpha1.ConditionReady), Summary: v.Status.Summary,
		Finalizers: v.Finalizers, Stored: c.stored(t, name+"/"+c.ns+"/"+program), Twice: twice(lives), Files: openIn(t, dir),
	}
	if a := v.Status.Artifact; a != nil {
		got.Digest, got.Findings, got.Archive = a.Digest, a.Findings, a.Archive.Digest
		got.Pushed = strings.Replace(condition(v.Status.Conditions, v1alpha1.ConditionPublished), "/"+name+"/", "/PREFIX/", 1)
	}
	if v.Status.Source != nil {
		got.Resolved = v.Status.Source.Resolved
	}
	var reviews v1alpha1.ReviewList
	c.must(t, c.admin.List(ctx(t), &reviews, client.InNamespace(c.ns), client.MatchingFields{"spec.versionRef.name": name}))
	for _, r := range reviews.Items {
		got.Reviews = append(got.Reviews, strings.Join([]string{r.Spec.Role, r.Spec.Digest, r.Spec.Decision}, " "))
	}
	slices.Sort(got.Reviews)
	return got
}

// twice are the events that several processes have told.
func twice(lives []*lifeline) (again []string) {
	told := map[string]bool{}
	for _, l := range lives {
		for _, event := range l.events {
			if told[event] {
				again = append(again, event)
			}
			told[event] = true
		}
	}
	return again
}

// stored lists what the registry keeps on its disk of a repository. Uploads that
// nobody finished are not listed: registries remove them by themselves.
func (c *crashes) stored(t *testing.T, repository string) []string {
	t.Helper()
	root := filepath.Join(c.storage, "data", "docker", "registry", "v2", "repositories", filepath.FromSlash(repository))
	var found []string
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == "_uploads":
			return fs.SkipDir
		case d.Name() != "link":
			return nil
		}
		link, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		at, err := filepath.Rel(root, path)
		switch parts := strings.Split(filepath.ToSlash(at), "/"); {
		case parts[0] == "_layers":
			found = append(found, "blob "+string(link))
		case parts[1] == "revisions":
			found = append(found, "manifest "+string(link))
		case parts[3] == "current":
			found = append(found, "tag "+parts[2]+" "+string(link))
		}
		return err
	})
	c.must(t, err)
	slices.Sort(found)
	return found
}

// openIn lists the files in a folder, and those that this process has open there:
// what has no name takes room for as long as it is open.
func openIn(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		found = append(found, e.Name())
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open { // some are closed meanwhile
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, dir+"/") {
			found = append(found, name)
		}
	}
	return found
}

// undisturbed publishes without a crash, and returns what that leaves and how many
// calls it takes.
func (c *crashes) undisturbed(t *testing.T, p publication, archive string) (left, int) {
	t.Helper()
	name, dir, line := p.kind+"-undisturbed", t.TempDir(), &lifeline{}
	c.create(t, p, name)
	c.process(t, name, dir, line).live(t)
	got := c.left(t, p.kind, name, dir, line)
	index := c.indexOf(t, got)
	want := left{
		Ready: published, Summary: "waits for 1 approval of role privacy (needs approve on miniprograms/review-privacy); 1 approval of role quality (needs approve on miniprograms/review-quality)",
		Resolved: p.resolved, Digest: got.Digest, Findings: got.Findings, Archive: archive,
		Pushed:     "True Pushed: " + c.front + "/PREFIX/" + c.ns + "/" + p.kind + "@" + got.Digest,
		Finalizers: p.held,
		Reviews:    []string{"privacy " + got.Digest + " Pending", "quality " + got.Digest + " Pending"},
		Stored: append(slices.DeleteFunc(slices.Clone(got.Stored), func(s string) bool { return !isBlob(s) }), "manifest "+got.Digest, "manifest "+got.Findings, "manifest "+index,
			"tag 1.0.0 "+got.Digest, "tag "+strings.Replace(got.Digest, ":", "-", 1)+" "+index),
	}
	slices.Sort(want.Stored)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("undisturbed (-want +got):\n%s", diff)
	}
	calls := line.all()
	for _, known := range []string{"/manifests/1.0.0", "/blobs/uploads/", "/" + name + "/status", "/reviews", "event Published"} {
		if !slices.ContainsFunc(calls, func(call string) bool { return strings.HasSuffix(call, known) }) {
			t.Fatalf("%s is not among the calls %q", known, calls)
		}
	}
	return got, len(calls)
}

func isBlob(stored string) bool { return strings.HasPrefix(stored, "blob ") }

// sound is what must hold at every moment, for the next process may never come, and
// people go on with what is there.
func sound(t *testing.T, dead, whole left) {
	t.Helper()
	lacks := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return !slices.Contains(dead.Stored, p) })
	}
	if len(dead.Stored) > 0 && !slices.Equal(dead.Finalizers, whole.Finalizers) {
		t.Errorf("something was pushed of a version that is held by %q", dead.Finalizers)
	}
	tagged := !lacks("tag 1.0.0 " + whole.Digest)
	if tagged && lacks("manifest "+whole.Digest, "blob "+whole.Archive) {
		t.Errorf("the tag names what is not there: %q", dead.Stored)
	}
	if len(dead.Reviews) > 0 && !tagged {
		t.Errorf("people are asked for %q, which is not published", dead.Reviews)
	}
	if dead.Digest != "" && lacks(whole.Stored...) {
		t.Errorf("the status names an artifact of which only this is there: %q", dead.Stored)
	}
}

// A process may die at each call that it makes to anything outside: to a source, to the
// registry, to the API server. The calls are counted, not listed here: one that is
// added to the reconciler is a place to die, too.
func TestACrashAtAnyCallIsMendedByTheNextProcess(t *testing.T) {
	t.Parallel()
	c := newCrashes(t)
	data := archive(t, "crash")
	c.configMap(t, "bundle", data)
	staged := registrytest.Push(t, c.front, "staging/app", "1.0.0", nil, zipLayer(data))
	for _, p := range []publication{
		{
			kind: "configmap", version: "1.0.0",
			from:     v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: "bundle", Key: "bundle.zip"}},
			deletion: v1alpha1.ArtifactDelete, held: []string{v1alpha1.ArtifactFinalizer},
		},
		{kind: "http", version: "1.0.0", from: v1alpha1.BundleSource{HTTP: &v1alpha1.HTTPSource{URL: "http://" + c.front + "/v2/staging/app/blobs/sha256:" + hexSum(data)}}},
		{kind: "oci", version: "1.0.0", from: v1alpha1.BundleSource{OCI: &v1alpha1.OCISource{Ref: c.front + "/staging/app:1.0.0"}}, resolved: staged.Digest.String()},
	} {
		t.Run(p.kind, func(t *testing.T) {
			c.programOf(t, p)
			want, calls := c.undisturbed(t, p, "sha256:"+hexSum(data))
			eachDeath(t, p.kind, calls, func(t *testing.T, name string, first *lifeline) {
				dir, second := t.TempDir(), &lifeline{}
				c.create(t, p, name)
				c.process(t, name, dir, first).live(t)
				sound(t, c.left(t, p.kind, name, dir, first), want)
				c.process(t, name, dir, second).live(t)
				if diff := cmp.Diff(want, c.left(t, p.kind, name, dir, first, second)); diff != "" {
					t.Errorf("a process died at %s, and after the next one (-want +got):\n%s", first.all()[first.end-1], diff)
				}
			})
		})
	}
}

// eachDeath runs a test for each call that a process may die at, before it and after.
func eachDeath(t *testing.T, prefix string, calls int, test func(t *testing.T, name string, first *lifeline)) {
	for end := 1; end <= calls; end++ {
		for when, last := range map[string]fate{"before": neverMade, "after": answerLost} {
			name := fmt.Sprintf("%s-%s-%d", prefix, when, end)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				first := &lifeline{end: end, last: last}
				test(t, name, first)
				if !first.dead() {
					t.Errorf("the process made only %d calls", len(first.all()))
				}
			})
		}
	}
}

package controller_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controller"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
)

// process is a manager with one version to reconcile. All that it remembers goes
// with it.
type process struct {
	reconciler *controller.MiniProgramVersionReconciler
	line       *lifeline
	version    client.ObjectKey
	// ahead is how long the process has waited: its clock runs ahead of ours.
	ahead time.Duration
}

// process starts one for the version of that name, which is also its prefix in the
// registry and the name under which it introduces itself.
func (c *crashes) process(t *testing.T, name, dir string, line *lifeline) *process {
	t.Helper()
	c.lives.Store(name, line)
	p := &process{line: line, version: key(c.ns, name)}
	through := func(transport http.RoundTripper) client.Client {
		made, err := client.New(c.identity, client.Options{
			Scheme: c.scheme, Mapper: c.admin.RESTMapper(), HTTPClient: &http.Client{Transport: transport},
		})
		c.must(t, err)
		return made
	}
	transport, err := rest.TransportFor(c.identity)
	c.must(t, err)
	live := through(mortal{transport, line})
	shared := c.shared
	shared.Client = asIfCached{Client: live, now: through(transport), cache: c.shared.Client}
	shared.Live, shared.Events = live, teller{line: line}
	shared.Now = func() time.Time { return time.Now().Add(p.ahead) }
	artifacts := registry.New(registry.Options{Host: c.front, Prefix: name, PlainHTTP: true, UserAgent: name})
	guarded := source.NewTransport(source.Guard{
		AllowInsecure: true, AllowedNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RequestsPerSecond: 1000,
	})
	t.Cleanup(guarded.CloseIdleConnections)
	limits := source.Limits{Dir: dir}
	p.reconciler = &controller.MiniProgramVersionReconciler{
		Shared: shared, Registry: artifacts, Limits: bundle.DefaultLimits(), TempDir: dir, Packer: "test",
		HTTP: source.NewHTTP(guarded, limits, name), OCI: source.NewOCI(guarded, limits, name, artifacts.Place()),
	}
	return p
}

// live makes passes as a manager does: at first, whenever a pass has written
// something that is watched, when a pass asks for another, and after an error. It
// ends when nothing would wake the reconciler again, or when the process is dead.
func (p *process) live(t *testing.T) {
	t.Helper()
	for range 10 {
		wrote := p.line.written()
		result, err := p.reconciler.Reconcile(ctx(t), ctrl.Request{NamespacedName: p.version})
		switch {
		case p.line.dead():
			return
		case err != nil:
			p.ahead += time.Second
		case result.RequeueAfter > 0:
			p.ahead += result.RequeueAfter
		case p.line.written() == wrote:
			return
		}
	}
	t.Fatalf("%s does not come to rest: %v", p.version.Name, p.line.all())
}

func (l *lifeline) written() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writes
}

// mortal sends a process's requests to the API server, while it lives.
type mortal struct {
	http.RoundTripper
	line *lifeline
}

func (m mortal) RoundTrip(req *http.Request) (*http.Response, error) {
	fate := m.line.call(req.Method + " " + req.URL.Path)
	if fate == neverMade {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was read of it
		}
		return nil, errDead
	}
	resp, err := m.RoundTripper.RoundTrip(req)
	if err == nil && req.Method != http.MethodGet && resp.StatusCode < http.StatusBadRequest {
		m.line.mu.Lock()
		m.line.writes++
		m.line.mu.Unlock()
	}
	if err == nil && fate == answerLost {
		_ = resp.Body.Close() // nobody reads it any more
		return nil, errDead
	}
	return resp, err
}

// teller notes the events that a process tells.
type teller struct{ line *lifeline }

func (t teller) Eventf(_, _ runtime.Object, _, reason, action, note string, args ...any) {
	event := reason + " " + action + ": " + fmt.Sprintf(note, args...)
	if t.line.call("event "+reason) == neverMade {
		return
	}
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	t.line.events = append(t.line.events, event)
}

// asIfCached reads what a cache shows that was just filled: what the process itself
// changes is read as it is now, everything else in the cache of the tests' manager.
// A cache makes no calls, so these do not count.
type asIfCached struct {
	client.Client // for all but reading
	now, cache    client.Reader
}

func (c asIfCached) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	if _, is := into.(*v1alpha1.MiniProgramVersion); is {
		return c.now.Get(ctx, key, into, opts...)
	}
	return c.cache.Get(ctx, key, into, opts...)
}

// List finds by the cache's indexes, of which the API server does not know all.
func (c asIfCached) List(ctx context.Context, into client.ObjectList, opts ...client.ListOption) error {
	var asked client.ListOptions
	asked.ApplyOptions(opts)
	switch list := into.(type) {
	case *v1alpha1.ReviewList:
		if program, ok := asked.FieldSelector.RequiresExactMatch("rejects"); ok {
			return c.now.List(ctx, list, client.InNamespace(asked.Namespace),
				client.MatchingFields{"spec.decision": v1alpha1.DecisionRejected, "spec.miniProgramRef.name": program})
		}
		return c.now.List(ctx, list, opts...)
	case *v1alpha1.MiniProgramVersionList:
		program, ok := asked.FieldSelector.RequiresExactMatch("spec.miniProgramRef.name")
		if !ok {
			return fmt.Errorf("listing versions by %s: only by their program is known here", asked.FieldSelector)
		}
		err := c.now.List(ctx, list, client.InNamespace(asked.Namespace))
		list.Items = slices.DeleteFunc(list.Items, func(v v1alpha1.MiniProgramVersion) bool { return v.Spec.MiniProgramRef.Name != program })
		return err
	}
	return c.cache.List(ctx, into, opts...)
}

// awaitCached waits until the manager's cache has a program.
func (c *crashes) awaitCached(t *testing.T, program string) {
	t.Helper()
	eventually(t, "the cache has "+program, func() string {
		var p v1alpha1.MiniProgram
		if err := c.shared.Client.Get(ctx(t), key(c.ns, program), &p); err != nil {
			return err.Error()
		}
		return ""
	})
}

// indexOf is the one manifest that is neither the artifact nor its findings: the list
// of what refers to it, for registries that do not keep one by themselves.
func (c *crashes) indexOf(t *testing.T, l left) string {
	t.Helper()
	for _, s := range l.Stored {
		if digest, is := strings.CutPrefix(s, "manifest "); is && digest != l.Digest && digest != l.Findings {
			return digest
		}
	}
	t.Fatalf("there is no list of referrers among %q", l.Stored)
	return ""
}

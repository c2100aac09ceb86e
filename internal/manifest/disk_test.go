package manifest

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

func TestTheDiskCopyServesWhileTheAPIIsAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	f := newFixture(t, func(o *Options) { o.StateDir = dir })
	if f.service.Ready() {
		t.Error("a service without list and disk copy is ready")
	}
	f.hostApp(wallet())
	f.publish(shop(), shop(sequence(1001)))
	if err := f.service.disk.flush(); err != nil {
		t.Fatal(err)
	}

	f.start()
	if !f.service.Ready() {
		t.Error("a service with a disk copy is not ready")
	}
	f.wantServed(f.envelope(shop(sequence(1001))))
	// Also from the disk copy, nothing goes back.
	f.publish(shop())
	f.wantServed(f.envelope(shop(sequence(1001))))
	if err := f.service.disk.flush(); err != nil {
		t.Fatal(err)
	}
	f.start()
	f.wantServed(f.envelope(shop(sequence(1001))))
}

func TestTheDiskCopyIsCheckedAsEverythingElse(t *testing.T) {
	for name, damage := range map[string]func(string) string{
		"no JSON":         func(string) string { return "{" },
		"another name":    func(text string) string { return strings.Replace(text, shopConfigMap, "shop-team.other.rollout", 1) },
		"changed bytes":   func(text string) string { return strings.Replace(text, "eyJ0", "eyJ1", 1) },
		"a changed digit": func(text string) string { return strings.Replace(text, `\"sig\":\"M`, `\"sig\":\"N`, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(o *Options) { o.StateDir = t.TempDir() })
			f.hostApp(wallet())
			f.publish(shop())
			if err := f.service.disk.flush(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(f.options.StateDir, fileName(shopConfigMap))
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(damage(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
			f.start()
			if got := f.get(shopPath).Status; got != 404 {
				t.Errorf("served with %d, want 404", got)
			}
			f.publish(shop()) // the API has it
			f.wantServed(f.envelope(shop()))
		})
	}
}

func TestADocumentOfAKeyThatIsNotTrustedAnyMoreStaysOnDiskOnly(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.StateDir = t.TempDir() })
	f.hostApp(wallet())
	f.publish(shop())
	if err := f.service.disk.flush(); err != nil {
		t.Fatal(err)
	}
	f.trust(newKey(t))
	f.start()
	if got := f.get(shopPath).Status; got != 404 {
		t.Errorf("served with %d, want 404", got)
	}
}

func TestWhatCannotBeWrittenIsTriedAgain(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.StateDir = filepath.Join(t.TempDir(), "state") })
	f.hostApp(wallet())
	if err := os.RemoveAll(f.options.StateDir); err != nil {
		t.Fatal(err)
	}
	if err := f.service.disk.flush(); err == nil {
		t.Fatal("writing into a folder that is gone is no error")
	}
	f.publish(shop())
	if err := os.MkdirAll(f.options.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.service.disk.flush(); err != nil {
		t.Fatal(err)
	}
	f.start()
	f.wantServed(f.envelope(shop()))
}

func TestHealth(t *testing.T) {
	f := newFixture(t)
	private := httptest.NewServer(f.service.PrivateHandler())
	defer private.Close()
	f.server = private
	want := func(path string, status int, body string) {
		t.Helper()
		if got := f.get(path); got.Status != status || !strings.Contains(got.Body, body) {
			t.Errorf("%s: %d %.300s, want %d %s", path, got.Status, got.Body, status, body)
		}
	}
	want("/healthz", 200, "ok\n")
	want("/readyz", 503, "neither the first list nor a disk copy was loaded yet\n")
	f.service.becomeReady("a test")
	want("/readyz", 200, "ok\n")
	f.service.draining.Store(true)
	want("/readyz", 503, "the service is about to end\n")
	want("/healthz", 200, "ok\n")
	f.publish(shop(func(r *document.Release) { r.HostApps = []string{"wallet", "bank"} }))
	want("/metrics", 200, "\nminiprogram_manifest_documents 1\n")
	want("/debug/pprof/", 404, "")
}

func TestProfilesAreServedWhereTheyAreAskedForAndToNobodyElse(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Profiles = true })
	if got := f.get("/debug/pprof/"); got.Status != 404 {
		t.Errorf("host apps are served profiles: %d", got.Status)
	}
	private := httptest.NewServer(f.service.PrivateHandler())
	defer private.Close()
	f.server = private
	if got := f.get("/debug/pprof/"); got.Status != 200 || !strings.Contains(got.Body, "goroutine") {
		t.Errorf("answer %d %.300s", got.Status, got.Body)
	}
}

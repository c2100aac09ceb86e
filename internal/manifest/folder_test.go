package manifest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// folderFixture is a service that serves from a folder, which is looked into when a
// test says so.
type folderFixture struct {
	*fixture
	folder *publishedFolder
	// writes counts them: each has a time of its own, as on a disk whose clock is fine enough.
	writes time.Duration
}

func newFolderFixture(t *testing.T) *folderFixture {
	f := &folderFixture{fixture: newFixture(t, func(o *Options) { o.Client, o.Namespace, o.From = nil, "", t.TempDir() })}
	f.folder = openFolder(f.options.From)
	return f
}

func (f *folderFixture) write(name string, text []byte) {
	f.t.Helper()
	path := filepath.Join(f.options.From, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.writes += time.Second
	if at := now.Add(f.writes); os.Chtimes(path, at, at) != nil {
		f.t.Fatal("the time of a file cannot be set")
	}
}

func (f *folderFixture) delete(name string) {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.options.From, name)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folderFixture) look() { f.service.lookInto(f.folder) }

// asExported is a ConfigMap as the API server hands it out.
func asExported(r *record) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Name: r.Name, Namespace: "miniprogram-published", UID: "8d3f", ResourceVersion: "7",
			Labels: map[string]string{v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: r.Kind},
		},
		Data: r.Data,
	}
}

func asYAML(t testing.TB, value any) []byte {
	t.Helper()
	text, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// listOf is what kubectl get writes.
func listOf(records ...*record) map[string]any {
	items := []any{}
	for _, r := range records {
		items = append(items, asExported(r))
	}
	return map[string]any{"apiVersion": "v1", "kind": "List", "items": items, "metadata": map[string]any{"resourceVersion": ""}}
}

func TestAFolderServesWhatKubectlWrites(t *testing.T) {
	for name, files := range map[string]func(f *folderFixture) map[string][]byte{
		"a list": func(f *folderFixture) map[string][]byte {
			return map[string][]byte{"published.yaml": asYAML(f.t, listOf(hostAppRecord(f.t, wallet()), f.rolloutRecord(shop())))}
		},
		"a list as JSON": func(f *folderFixture) map[string][]byte {
			text, err := json.MarshalIndent(listOf(hostAppRecord(f.t, wallet()), f.rolloutRecord(shop())), "", "    ")
			if err != nil {
				f.t.Fatal(err)
			}
			return map[string][]byte{"published.json": text}
		},
		"one file each, and others": func(f *folderFixture) map[string][]byte {
			return map[string][]byte{
				"wallet.yml": asYAML(f.t, asExported(hostAppRecord(f.t, wallet()))), "shop.yaml": asYAML(f.t, asExported(f.rolloutRecord(shop()))),
				"README.md": []byte("# not for us"), ".shop.yaml.swp": []byte("\x00"),
			}
		},
		"several documents in a file": func(f *folderFixture) map[string][]byte {
			return map[string][]byte{"all.yaml": []byte("# exported\n---\n" + string(asYAML(f.t, asExported(hostAppRecord(f.t, wallet())))) + "---\n" +
				string(asYAML(f.t, asExported(f.rolloutRecord(shop())))) + "---\n")}
		},
		"other objects beside": func(f *folderFixture) map[string][]byte {
			secret := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "ledger"}, "data": map[string]string{"x": "y"}}
			return map[string][]byte{"a.yaml": asYAML(f.t, secret), "b.yaml": asYAML(f.t, listOf(hostAppRecord(f.t, wallet()), f.rolloutRecord(shop())))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolderFixture(t)
			f.look()
			if f.service.Ready() {
				t.Error("it is ready with an empty folder")
			}
			for name, text := range files(f) {
				f.write(name, text)
			}
			f.look()
			f.wantServed(f.envelope(shop()))
			if !f.service.Ready() {
				t.Error("it is not ready")
			}
			if n := testutil.ToFloat64(f.service.metrics.watchFails); n != 0 {
				t.Errorf("%v failures: %s", n, f.logs.text())
			}
		})
	}
}

func TestAFolderIsCheckedAsTheNamespaceIs(t *testing.T) {
	f := newFolderFixture(t)
	forged := &record{Name: shopConfigMap, Kind: delivery.KindRollout, Data: map[string]string{delivery.KeyEnvelope: signed(t, newKey(t), shop(sequence(2000)))}}
	f.write("a.yaml", asYAML(t, listOf(hostAppRecord(t, wallet()), f.rolloutRecord(shop()))))
	f.look()
	for name, next := range map[string]*record{"forged": forged, "older": f.rolloutRecord(shop(sequence(999)))} {
		f.write("a.yaml", asYAML(t, listOf(hostAppRecord(t, wallet()), next)))
		f.look()
		f.wantServed(f.envelope(shop()))
		if log := f.logs.text(); !strings.Contains(log, "is not taken over") {
			t.Errorf("%s: the log is %s", name, log)
		}
	}
	unlabelled := asExported(f.rolloutRecord(shop(sequence(3000))))
	delete(unlabelled.Labels, v1alpha1.PublishedLabel)
	f.write("b.yaml", asYAML(t, unlabelled))
	f.look()
	f.wantServed(f.envelope(shop()))
}

func TestAFileThatCannotBeReadKeepsWhatItHeld(t *testing.T) {
	whole := func(f *folderFixture, n int64) []byte {
		return asYAML(f.t, listOf(hostAppRecord(f.t, wallet()), f.rolloutRecord(shop(sequence(n)))))
	}
	for name, damage := range map[string]struct {
		damage func([]byte) []byte
		why    string
	}{
		"empty":     {func([]byte) []byte { return nil }, "it holds no object of Kubernetes"},
		"its head":  {func(text []byte) []byte { return text[:20] }, "error converting YAML to JSON"},
		"cut off":   {func(text []byte) []byte { return append(text[:len(text)*2/3], "\n\t"...) }, "error converting YAML to JSON"},
		"no object": {func([]byte) []byte { return []byte("a: b\n") }, "it holds no object of Kubernetes"},
		"HTML":      {func([]byte) []byte { return []byte("<html>") }, "cannot unmarshal string"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolderFixture(t)
			f.write("published.yaml", whole(f, 1001))
			f.look()
			f.write("published.yaml", damage.damage(whole(f, 1002)))
			f.look()
			f.look() // it is told of once
			f.wantServed(f.envelope(shop(sequence(1001))))
			if log := f.logs.text(); strings.Count(log, "reading "+filepath.Join(f.options.From, "published.yaml")) != 1 || !strings.Contains(log, damage.why) {
				t.Errorf("the log is %s, want %q once", log, damage.why)
			}
			f.wantNotCurrent(reasonDeleted, 0)
			f.write("published.yaml", whole(f, 1003))
			f.look()
			f.wantServed(f.envelope(shop(sequence(1003))))
		})
	}
}

func TestWhatIsCutOffBetweenTwoConfigMapsTakesNothingAway(t *testing.T) {
	f := newFolderFixture(t)
	f.write("published.yaml", asYAML(t, listOf(hostAppRecord(t, wallet()), f.rolloutRecord(shop()))))
	f.look()
	f.write("published.yaml", asYAML(t, listOf(hostAppRecord(t, wallet()))))
	f.look()
	f.wantServed(f.envelope(shop()))
	f.wantNotCurrent(reasonDeleted, 1)
	f.delete("published.yaml")
	f.look()
	f.wantServed(f.envelope(shop()))
	f.wantNotCurrent(reasonDeleted, 2)
}

func TestOfTwoFilesWithTheSameConfigMapTheLastCounts(t *testing.T) {
	f := newFolderFixture(t)
	f.write("2026-11-23.yaml", asYAML(t, asExported(f.rolloutRecord(shop(sequence(1002))))))
	f.write("2026-11-22.yaml", asYAML(t, listOf(hostAppRecord(t, wallet()), f.rolloutRecord(shop(sequence(1001))))))
	f.look()
	f.wantServed(f.envelope(shop(sequence(1002))))
	if log := f.logs.text(); strings.Contains(log, "not taken over") {
		t.Errorf("the log is %s", log)
	}
}

func TestAFileThatIsTooLargeIsNotRead(t *testing.T) {
	f := newFolderFixture(t)
	f.write("a.yaml", asYAML(t, listOf(hostAppRecord(t, wallet()), f.rolloutRecord(shop()))))
	f.write("b.yaml", nil)
	if err := os.Truncate(filepath.Join(f.options.From, "b.yaml"), maxFolderFileBytes+1); err != nil { // a hole: no byte is on the disk
		t.Fatal(err)
	}
	f.look()
	f.wantServed(f.envelope(shop()))
	if log := f.logs.text(); !strings.Contains(log, "it is no file of up to 67108864 bytes: put fewer ConfigMaps into each") {
		t.Errorf("the log is %s", log)
	}
}

func TestAFolderThatIsGoneLeavesEverythingInService(t *testing.T) {
	f := newFolderFixture(t)
	f.write("a.yaml", asYAML(t, listOf(hostAppRecord(t, wallet()), f.rolloutRecord(shop()))))
	f.look()
	if err := os.RemoveAll(f.options.From); err != nil {
		t.Fatal(err)
	}
	f.look()
	f.wantServed(f.envelope(shop()))
	f.wantNotCurrent(reasonDeleted, 0)
	if n := testutil.ToFloat64(f.service.metrics.watchFails); n != 1 {
		t.Errorf("%v failures, want 1", n)
	}
}

func TestAFolderIsLookedIntoAgainAndAgain(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Client, o.From, o.ReloadEvery = nil, t.TempDir(), time.Millisecond
	})
	ended := make(chan error, 1)
	running := &folderFixture{fixture: f}
	go func() { ended <- f.service.Run(t.Context()) }()
	running.write("a.yaml", asYAML(t, listOf(hostAppRecord(t, wallet()), f.rolloutRecord(shop()))))
	for _, n := range []int64{1000, 1001} {
		running.write("b.yaml", asYAML(t, asExported(f.rolloutRecord(shop(sequence(n))))))
		until(t, "it is never served", func() bool { return f.get(shopPath).Body == f.envelope(shop(sequence(n))) })
	}
}

func TestAServiceWithoutAClusterExplainsNothing(t *testing.T) {
	f := newFolderFixture(t)
	f.options.Explain = true
	const want = "the manifest service needs a Kubernetes client"
	if _, err := New(f.options); err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

// Whatever a file has, reading it ends, and what is accepted is a record with a name and a kind.
func FuzzPublishedFile(f *testing.F) {
	fixture := newFixture(f)
	f.Add(asYAML(f, listOf(hostAppRecord(f, wallet()), fixture.rolloutRecord(shop(func(r *document.Release) { r.Listing = nil })))))
	f.Add([]byte(`{"kind":"List","items":[{"kind":"ConfigMap","metadata":{"name":"a","labels":{"miniprogram.dev/published":"true","miniprogram.dev/document":"hostapp"}}}]}`))
	f.Add([]byte("---\n---\nkind: ConfigMap\n"))
	f.Add([]byte("a: &a [1]\nb: [*a, *a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		records, err := recordsIn(text)
		if err != nil && records != nil {
			t.Error("an error, and records")
		}
		for _, r := range records {
			if r.Name == "" || r.Kind != delivery.KindRollout && r.Kind != delivery.KindHostApp {
				t.Errorf("a record %q of kind %q", r.Name, r.Kind)
			}
		}
	})
}

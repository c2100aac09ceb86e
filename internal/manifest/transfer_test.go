package manifest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// moved is the shop's document after its app ID went to another developer group.
func moved(change ...func(*document.Release)) *document.Release {
	r := shop(sequence(1001), func(r *document.Release) { r.Rollout = document.Rollout{Namespace: "market-team", Name: "shop"} })
	for _, c := range change {
		c(r)
	}
	return r
}

func TestADocumentThatIsGoneAndReplacedEverywhereIsForgotten(t *testing.T) {
	for name, apply := range map[string]func(f *fixture){
		"the new one first": func(f *fixture) {
			f.publish(moved())
			f.remove(shopConfigMap)
		},
		"both at once, whatever the order": func(f *fixture) {
			r := f.rolloutRecord(moved())
			f.service.store.apply([]update{{name: shopConfigMap}, {name: r.Name, record: r}})
		},
		"while nobody watched": func(f *fixture) {
			f.publish(moved())
			f.service.store.vanishedExcept(map[string]bool{"wallet.hostapp": true, "market-team.shop.rollout": true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(o *Options) { o.StateDir = t.TempDir() })
			f.hostApp(wallet())
			f.publish(shop(withTarget(2500)))
			if err := f.service.disk.flush(); err != nil {
				t.Fatal(err)
			}
			apply(f)
			f.wantServed(f.envelope(moved()))
			f.wantRejected(reasonDeleted, 0)
			f.wantNotCurrent(reasonDeleted, 0)
			f.publish(moved(sequence(1002)))
			if log := f.logs.text(); strings.Count(log, "Several rollouts publish this program") > 1 {
				t.Errorf("it is a candidate still: %s", log)
			}

			// It does not come back where the new one no longer names the host app, and not from disk.
			f.publish(moved(sequence(1003), func(r *document.Release) { r.HostApps = []string{"bank"} }))
			if err := f.service.disk.flush(); err != nil {
				t.Fatal(err)
			}
			f.start()
			if got := f.get(shopPath); got.Status != http.StatusNotFound {
				t.Errorf("served is %d %.200s, want nothing", got.Status, got.Body)
			}
		})
	}
}

func TestADocumentThatIsGoneStaysWhereNothingReplacesIt(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	both := shop(func(r *document.Release) { r.HostApps = []string{"bank", "wallet"} })
	f.publish(both, moved(func(r *document.Release) { r.HostApps = []string{"bank"} }))
	f.remove(shopConfigMap)
	f.wantServed(f.envelope(both))
	f.wantNotCurrent(reasonDeleted, 1)
}

func TestBlobsComeFromAnyRepositoryThatTheConfigMapNames(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.source.set(moved().Stable.Archive.Digest, archiveText)
	r := f.rolloutRecord(moved())
	r.Data[delivery.KeyRepository] = "market-team/shop shop-team/shop"
	f.put(r)
	if got := f.get(archivePath()); got.Status != http.StatusOK || got.Body != archiveText {
		t.Errorf("answer %d %q", got.Status, got.Body)
	}
}

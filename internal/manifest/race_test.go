package manifest

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// With the race detector, this is what shows that snapshots are immutable.
func TestNobodySeesASequenceFallWhileSnapshotsAreSwapped(t *testing.T) {
	const last = 1150
	f := newBlobFixture(t)
	key, err := dsse.NewKey(&f.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for n := int64(1001); n <= last; n++ {
			f.publish(shop(sequence(n), withTarget(int32(n))))
			f.publish(shop(sequence(n - 2))) // an old one, which must not come in
			if n%10 == 0 {
				f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Poll.MinSeconds = int32(n) }))
				f.remove(shopConfigMap)
			}
		}
	})
	for range 4 {
		all.Go(func() {
			expect := release.Expect{AppID: "com.example.shop", Channel: "release", HostApp: "wallet", Keys: []dsse.Key{key}, Now: now}
			resolved := int64(0)
			for expect.Seen.Sequence < last {
				verified, err := release.Verify([]byte(f.get(shopPath).Body), expect)
				if err != nil {
					t.Errorf("the document: %v", err)
					return
				}
				expect.Seen = verified.Seen()
				var response resolveResponse
				body := f.do("POST", "/v1/hosts/wallet/resolve", `{"user":"u","programs":[{"appID":"com.example.shop"}]}`).Body
				if err := json.Unmarshal([]byte(body), &response); err != nil || response.Programs[0].Sequence < resolved {
					t.Errorf("resolved %s after sequence %d: %v", body, resolved, err)
					return
				}
				resolved = response.Programs[0].Sequence
				if list := f.get("/v1/hosts/wallet/programs").Body; !strings.Contains(list, "com.example.shop") {
					t.Errorf("the list is %s", list)
					return
				}
				if got := f.get(archivePath()); got.Body != archiveText {
					t.Errorf("the blob: %d %s", got.Status, got.Body)
					return
				}
			}
		})
	}
	all.Wait()
}

package manifest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// half is the share of users, in basis points, that tests are about.
const half = 5000

// userIn finds a user who is in the first half of the buckets, or is not.
func userIn(seed string, inside bool) string {
	for i := 0; ; i++ {
		user := fmt.Sprintf("user-%d", i)
		if (bucket.Of(seed, user) < half) == inside {
			return user
		}
	}
}

// resolveResponse is how a host app reads the answer.
type resolveResponse struct {
	Programs []resolveAnswer `json:"programs"`
}

func TestResolve(t *testing.T) {
	doc := shop(withTarget(half))
	inside, outside := userIn(doc.Split.Seed, true), userIn(doc.Split.Seed, false)
	suspended := shop(func(r *document.Release) {
		r.AppID, r.Rollout.Name, r.Availability = "com.example.bad", "bad", document.Suspended
	})
	expired := shop(func(r *document.Release) {
		r.AppID, r.Rollout.Name, r.Availability = "com.example.old", "old", document.Suspended
		r.IssuedAt, r.ExpiresAt = document.At(now.Add(-time.Hour)), document.At(now)
	})
	listed := shop(func(r *document.Release) {
		r.AppID, r.Rollout.Name, r.Decide = "com.example.list", "list", document.DecideService
	})
	blocked := shop(func(r *document.Release) { r.AppID, r.Rollout.Name = "com.example.no", "no" })

	f := newFixture(t)
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Blocks = []delivery.Block{{AppID: "com.example.no", Reason: "r"}} }))
	f.publish(doc, suspended, expired, listed, blocked)

	about := func(r *document.Release, v *document.Variant, rest string) string {
		text := `{"appID":"` + r.AppID + `","channel":"release","action":`
		blob := func(name string, b document.Blob) string {
			return fmt.Sprintf(`,%q:{"digest":%q,"size":%d,"mediaType":%q,"url":"https://mini.example.com/v1/blobs/sha256/%s"}`,
				name, b.Digest, b.Size, b.MediaType, b.Digest[len("sha256:"):])
		}
		action, rest, _ := strings.Cut(rest, " ")
		text += `"` + action + `"`
		if v != nil {
			text += `,"version":"` + v.Version + `","digest":"` + v.Digest + `","contentDigest":"` + v.ContentDigest + `"` +
				blob("archive", v.Archive) + blob("content", v.Content)
		}
		return text + `,"envelopeDigest":"` + digestOf([]byte(f.envelope(r))) + `",` + rest + `}`
	}
	const tail = `,"sequence":1000`
	tests := map[string]struct{ request, want string }{
		"a user in the share gets the target": {
			request: `{"user":"` + inside + `","programs":[{"appID":"com.example.shop"}]}`,
			want:    about(doc, doc.Target, `install "reason":"Bucketed"`+tail+fmt.Sprintf(`,"bucket":%d`, bucket.Of(doc.Split.Seed, inside))),
		},
		"a user outside has stable already": {
			request: `{"user":"` + outside + `","programs":[{"appID":"com.example.shop","channel":"release","installed":{"digest":"` + doc.Stable.Digest + `"}}]}`,
			want:    about(doc, doc.Stable, `none "reason":"OutsideShare"`+tail+fmt.Sprintf(`,"bucket":%d`, bucket.Of(doc.Split.Seed, outside))),
		},
		"a user outside who has the target is sent back": {
			request: `{"user":"` + outside + `","programs":[{"appID":"com.example.shop","installed":{"digest":"` + doc.Target.Digest + `"}}]}`,
			want:    about(doc, doc.Stable, `rollback "reason":"OutsideShare"`+tail+fmt.Sprintf(`,"bucket":%d`, bucket.Of(doc.Split.Seed, outside))),
		},
		"nobody without a key gets the target": {
			request: `{"programs":[{"appID":"com.example.shop"}]}`,
			want:    about(doc, doc.Stable, `install "reason":"NoKey"`+tail),
		},
		"a name in other case is another name": {
			request: `{"USER":"` + inside + `","later":1,"programs":[{"appID":"com.example.shop"}]}`,
			want:    about(doc, doc.Stable, `install "reason":"NoKey"`+tail),
		},
		"what is suspended is removed": {
			request: `{"programs":[{"appID":"com.example.bad","installed":{"digest":"` + doc.Stable.Digest + `"}}]}`,
			want:    about(suspended, nil, `remove "reason":"Suspended"`+tail),
		},
		"an expired document changes nothing": {
			request: `{"programs":[{"appID":"com.example.old","installed":{"digest":"` + doc.Stable.Digest + `"}}]}`,
			want:    about(expired, nil, `none "reason":"Expired"`+tail),
		},
		"a block changes nothing on the device": {
			request: `{"programs":[{"appID":"com.example.no","installed":{"digest":"` + doc.Stable.Digest + `"}}]}`,
			want:    about(blocked, nil, `none "reason":"HostBlocked"`+tail),
		},
		"lists that the service lacks": {
			request: `{"programs":[{"appID":"com.example.list"}]}`,
			want:    about(listed, nil, `none "reason":"ServiceDecides"`+tail),
		},
		"an unknown program": {
			request: `{"programs":[{"appID":"com.example.none","installed":{"digest":"sha256:x"}}]}`,
			want:    `{"appID":"com.example.none","channel":"release","action":"none","reason":"UnknownProgram"}`,
		},
		"a trial": {
			request: `{"programs":[{"appID":"com.example.shop","channel":"trial"}]}`,
			want:    `{"appID":"com.example.shop","channel":"trial","action":"none","reason":"ChannelNotEnabled"}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			body := `{"programs":[` + test.want + `]}`
			want := answer{Status: 200, Body: body, Header: http.Header{
				"Content-Type": {"application/json"}, "Cache-Control": {"private, no-store"}, "X-Content-Type-Options": {"nosniff"},
				"Etag": {etagOf([]byte(body))}, "Content-Length": lengthOf([]byte(body)),
			}}
			if diff := cmp.Diff(want, f.do("POST", "/v1/hosts/wallet/resolve", test.request)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
	for _, user := range []string{inside, outside} {
		if log := f.logs.text(); strings.Contains(log, user) {
			t.Errorf("the log has a user's key: %s", log)
		}
	}
}

func TestResolveGivesTheShareThatWasSet(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	doc := shop(withTarget(2500))
	f.publish(doc)
	got, want := 0, 0
	for i := range 1000 {
		user := fmt.Sprintf("u%d", i)
		var response resolveResponse
		body := f.do("POST", "/v1/hosts/wallet/resolve", `{"user":"`+user+`","programs":[{"appID":"com.example.shop"}]}`).Body
		if err := json.Unmarshal([]byte(body), &response); err != nil {
			t.Fatal(err)
		}
		if response.Programs[0].Version == "2.0.0" {
			got++
		}
		if bucket.Of(doc.Split.Seed, user) < 2500 {
			want++
		}
	}
	if got != want || got < 200 || got > 300 {
		t.Errorf("%d of 1000 got the target, want the %d whose bucket is below the share", got, want)
	}
}

func TestResolveHasOneAnswerForEachProgramInOrder(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop())
	body := f.do("POST", "/v1/hosts/wallet/resolve", `{"programs":[{"appID":"x.one"},{"appID":"com.example.shop"},{"appID":"x.one"}]}`).Body
	var response resolveResponse
	if err := json.Unmarshal([]byte(body), &response); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range response.Programs {
		got = append(got, p.AppID+" "+p.Reason)
	}
	if diff := cmp.Diff([]string{"x.one UnknownProgram", "com.example.shop NoTarget", "x.one UnknownProgram"}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestDimina(t *testing.T) {
	doc := shop(withTarget(half))
	inside, outside := userIn(doc.Split.Seed, true), userIn(doc.Split.Seed, false)
	aborted := shop(func(r *document.Release) {
		r.AppID, r.Rollout.Name, r.Listing = "com.example.back", "back", nil
		r.Recalls = []document.Recall{{By: "user", Seed: doc.Split.Seed, BasisPoints: half, Delivery: 3_700_000}}
	})
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(doc, aborted)
	text := func(appID, name string, v *document.Variant, delivery int64) string {
		hex := v.Archive.Digest[len("sha256:"):]
		return fmt.Sprintf(`{"appId":%q,"name":%q,"path":"pages/index","versionCode":%d,"versionName":%q,`+
			`"packageUrl":"https://mini.example.com/v1/blobs/sha256/%s","sha256":%q}`, appID, name, delivery, v.Version, hex, hex)
	}
	for name, test := range map[string]struct{ path, want, cache string }{
		"a user in the share gets the target": {
			path: "com.example.shop.json?user=" + inside,
			want: text("com.example.shop", "Shop & more", doc.Target, doc.Target.Delivery), cache: "private, max-age=5",
		},
		"a user outside gets stable": {
			path: "com.example.shop.json?channel=release&user=" + outside,
			want: text("com.example.shop", "Shop & more", doc.Stable, doc.Stable.Delivery), cache: "private, max-age=5",
		},
		"without a user everybody gets the same": {
			path: "com.example.shop.json",
			want: text("com.example.shop", "Shop & more", doc.Stable, doc.Stable.Delivery), cache: "public, max-age=5, stale-if-error=86400",
		},
		"who had the target goes back under a higher number": {
			path: "com.example.back.json?user=" + inside,
			want: text("com.example.back", "com.example.back", aborted.Stable, 3_700_000), cache: "private, max-age=5",
		},
		"who had not keeps the number": {
			path: "com.example.back.json?user=" + outside,
			want: text("com.example.back", "com.example.back", aborted.Stable, aborted.Stable.Delivery), cache: "private, max-age=5",
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := answer{Status: 200, Body: test.want, Header: http.Header{
				"Content-Type": {"application/json"}, "Cache-Control": {test.cache}, "X-Content-Type-Options": {"nosniff"},
				"Etag": {etagOf([]byte(test.want))}, "Content-Length": lengthOf([]byte(test.want)), "Vary": {"Accept-Encoding"},
			}}
			if diff := cmp.Diff(want, f.get("/dimina/v1/hosts/wallet/"+test.path)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

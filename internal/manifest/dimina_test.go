package manifest

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// diminaFiles are what every package needs.
func diminaFiles(version string) map[string]string {
	return map[string]string{
		"main/app-config.json": `{"app":{"entryPagePath":"pages/index","pages":["pages/index"]}}`,
		"main/logic.js":        "// " + version,
	}
}

// diminaVariant is a version with a package of the files, which the registry has.
func diminaVariant(f *fixture, version string, delivery int64, files map[string]string) *document.Variant {
	f.t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file, err := w.Create(name)
		if err != nil {
			f.t.Fatal(err)
		}
		if _, err := io.WriteString(file, files[name]); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.t.Fatal(err)
	}
	v := variant(version, delivery)
	v.Delivery = delivery
	v.Archive = document.Blob{Digest: digestOf(archive.Bytes()), Size: int64(archive.Len()), MediaType: document.ArchiveMediaType}
	f.source.set(v.Archive.Digest, archive.String())
	return v
}

func newDiminaFixture(t *testing.T) *fixture {
	f := newFixture(t, func(o *Options) { o.PublicURL = "" })
	f.hostApp(wallet())
	return f
}

// container is one of a user who has nothing installed; base: of whom it asks.
func (f *fixture) container(user, base string) *diminaClient {
	return &diminaClient{
		http: f.server.Client(), appID: "com.example.shop",
		url: base + "/dimina/v1/hosts/wallet/com.example.shop.json?user=" + url.QueryEscape(user),
	}
}

// fleet are containers of many users.
type fleet struct {
	f       *fixture
	users   []string
	clients map[string]*diminaClient
}

func newFleet(f *fixture) *fleet {
	all := &fleet{f: f, clients: map[string]*diminaClient{}}
	for i := range 200 {
		user := fmt.Sprintf("user %d", i)
		all.users = append(all.users, user)
		all.clients[user] = f.container(user, f.server.URL)
	}
	return all
}

// launch launches everywhere, and fails unless exactly those for whom it is due have
// downloaded something, and all then have the version that they should.
func (all *fleet) launch(what string, due func(user string) bool, version func(user string) string) {
	all.f.t.Helper()
	downloaded := 0
	for _, user := range all.users {
		c := all.clients[user]
		before := c.downloads
		outcome, err := c.launch()
		if err != nil || outcome == diminaFailed {
			all.f.t.Fatalf("%s: %s: %s %v", what, user, outcome, err)
		}
		if got := c.downloads > before; got != due(user) {
			all.f.t.Errorf("%s: %s has downloaded: %t, want %t", what, user, got, due(user))
		}
		if c.versionName != version(user) || c.files["main/logic.js"] != "// "+version(user) {
			all.f.t.Errorf("%s: %s has %s, want %s", what, user, c.versionName, version(user))
		}
		downloaded += c.downloads - before
	}
	all.f.t.Logf("%s: %d of %d downloads", what, downloaded, len(all.users))
}

func everybody(string) bool { return true }
func nobody(string) bool    { return false }

// The whole life of two versions, with containers that only ever go forward: an abort
// and a rollback reach those who had the version that is taken back, and nobody else
// downloads anything again.
func TestDiminaContainersFollowARollout(t *testing.T) {
	f := newDiminaFixture(t)
	one, two := diminaVariant(f, "1.0.0", 100, diminaFiles("1.0.0")), diminaVariant(f, "2.0.0", 200, diminaFiles("2.0.0"))
	seed := "com.example.shop@" + two.Digest
	cohort := func(basisPoints int) func(string) bool {
		return func(user string) bool { return bucket.Of(seed, user) < basisPoints }
	}
	version := func(has2 func(string) bool) func(string) string {
		return func(user string) string {
			if has2(user) {
				return "2.0.0"
			}
			return "1.0.0"
		}
	}
	publish := func(n int64, change func(*document.Release)) {
		f.publish(shop(sequence(n), func(r *document.Release) {
			r.Stable = one
			change(r)
		}))
	}
	share := func(basisPoints int32) func(*document.Release) {
		return func(r *document.Release) {
			r.Target, r.Split = two, &document.Split{Algorithm: "bucket/v1", By: "user", Seed: seed, BasisPoints: basisPoints}
		}
	}
	all := newFleet(f)

	publish(1, func(*document.Release) {})
	all.launch("first install", everybody, version(nobody))
	all.launch("nothing new", nobody, version(nobody))
	publish(2, share(1000))
	all.launch("10 %", cohort(1000), version(cohort(1000)))
	publish(3, share(3000))
	all.launch("30 %", func(user string) bool { return cohort(3000)(user) && !cohort(1000)(user) }, version(cohort(3000)))
	all.launch("30 % again", nobody, version(cohort(3000)))

	// What an abort leaves in the document: who had the target gets stable under a higher number.
	recalled := []document.Recall{{By: "user", Seed: seed, BasisPoints: 3000, Delivery: 300, Digest: two.Digest}}
	publish(4, func(r *document.Release) { r.Recalls = recalled })
	all.launch("abort", cohort(3000), version(nobody))
	all.launch("abort again", nobody, version(nobody))

	// The next attempt, for everybody.
	again := *two
	again.Delivery = 400
	publish(5, func(r *document.Release) { r.Stable, r.Recalls = &again, recalled })
	all.launch("2.0.0 is stable", everybody, version(everybody))

	// A rollback: the earlier version under a number that nobody has.
	back := *one
	back.Delivery = 500
	publish(6, func(r *document.Release) { r.Stable = &back })
	all.launch("rollback", everybody, version(nobody))

	// What a suspended program is answered with is no update, and takes nothing away.
	publish(7, func(r *document.Release) { r.Availability = document.Suspended })
	all.launch("suspended", nobody, version(nobody))
}

// flipping answers as the service does, but for one bit of each blob.
func flipping(f *fixture) *httptest.Server {
	target, err := url.Parse(f.server.URL)
	if err != nil {
		f.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // so that packages are asked for here, too
		},
		ModifyResponse: func(r *http.Response) error {
			if r.Header.Get("Repr-Digest") == "" {
				return nil
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			body[len(body)/2] ^= 1
			r.Body = io.NopCloser(bytes.NewReader(body))
			return nil
		},
	}
	server := httptest.NewServer(proxy)
	f.t.Cleanup(server.Close)
	return server
}

func TestADiminaContainerKeepsWhatItHasWhenAnUpdateIsBad(t *testing.T) {
	noLogic := diminaFiles("2.0.0")
	delete(noLogic, "main/logic.js")
	for name, spoil := range map[string]func(f *fixture, two *document.Variant, c *diminaClient){
		"the registry has other bytes": func(f *fixture, two *document.Variant, _ *diminaClient) {
			f.source.set(two.Archive.Digest, "other bytes")
		},
		"a bit is flipped on the way": func(f *fixture, _ *document.Variant, c *diminaClient) {
			c.url = f.container("u1", flipping(f).URL).url
		},
		"the registry lacks the package": func(f *fixture, two *document.Variant, _ *diminaClient) {
			f.source.forget(two.Archive.Digest)
		},
		"the package lacks a file": func(f *fixture, two *document.Variant, _ *diminaClient) {
			*two = *diminaVariant(f, "2.0.0", 200, noLogic)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDiminaFixture(t)
			c := f.container("u1", f.server.URL)
			f.publish(shop(func(r *document.Release) { r.Stable = diminaVariant(f, "1.0.0", 100, diminaFiles("1.0.0")) }))
			if outcome, err := c.launch(); outcome != "installed" || err != nil {
				t.Fatal(outcome, err)
			}
			two := diminaVariant(f, "2.0.0", 200, diminaFiles("2.0.0"))
			spoil(f, two, c)
			f.publish(shop(sequence(1001), func(r *document.Release) { r.Stable = two }))
			if outcome, err := c.launch(); outcome != diminaFailed || err != nil {
				t.Errorf("the update is %q, %v, want it to fail", outcome, err)
			}
			if diff := cmp.Diff(diminaFiles("1.0.0"), c.files); diff != "" || c.versionCode != 100 {
				t.Errorf("installed is version code %d, files (-want +got):\n%s", c.versionCode, diff)
			}
			c.url = f.container("u1", f.server.URL).url
			f.publish(shop(sequence(1002), func(r *document.Release) { r.Stable = diminaVariant(f, "3.0.0", 300, diminaFiles("3.0.0")) }))
			if outcome, err := c.launch(); outcome != diminaReady || err != nil || c.versionName != "3.0.0" {
				t.Errorf("the next update is %q, %v, installed is %s", outcome, err, c.versionName)
			}
		})
	}
}

func TestADiminaContainerIsNotTempted(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*document.Release)
		want   string
	}{
		"by a version without an entry page": {
			change: func(r *document.Release) { r.Stable.Declaration.EntryPages = nil },
			want:   `{"title":"The program has no version in this dialect's format","status":404,"detail":"version 1.0.0 of com.example.shop names no page to begin with, and Dimina containers take no manifest without one","code":"FormatNotSupported"}`,
		},
		"by a number of more than 32 bits": {
			change: func(r *document.Release) { r.Stable.Delivery = math.MaxInt32 + 1 },
			want:   `{"title":"The program has no version in this dialect's format","status":404,"detail":"delivery number 2147483648 of com.example.shop has more than the 31 bits that Dimina containers read","code":"FormatNotSupported"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDiminaFixture(t)
			f.publish(shop(test.change))
			got := f.get("/dimina/v1/hosts/wallet/com.example.shop.json?user=u1")
			if diff := cmp.Diff(answer{Status: 404, Header: problemHeader(test.want), Body: test.want}, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if _, err := f.container("u1", f.server.URL).launch(); err == nil {
				t.Error("it installs something")
			}
		})
	}
}

func TestADiminaManifestHasWhatContainersRead(t *testing.T) {
	f := newDiminaFixture(t)
	v := diminaVariant(f, "1.0.0", math.MaxInt32, diminaFiles("1.0.0"))
	f.publish(shop(func(r *document.Release) { r.Stable = v }))
	got, err := f.container("u1", f.server.URL).manifest()
	if err != nil {
		t.Fatal(err)
	}
	hexDigits := v.Archive.Digest[len("sha256:"):]
	want := &diminaPackage{
		appID: "com.example.shop", name: "Shop & more", path: "pages/index", versionCode: math.MaxInt32, versionName: "1.0.0",
		url: f.server.URL + "/v1/blobs/sha256/" + hexDigits, sha256: hexDigits,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(diminaPackage{})); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
}

package manifest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// reviewer stands for the part of the Kubernetes API that says whose a token is and what
// he may do: "explainer" may explain, "stranger" is known, and "broken" makes it fail.
func reviewer(t *testing.T) kubernetes.Interface {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review map[string]any
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Error(err)
		}
		token, _ := at(review, "spec", "token").(string)
		user, _ := at(review, "spec", "user").(string)
		if token == "broken" {
			http.Error(w, "it is broken", http.StatusTeapot)
			return
		}
		review["status"] = map[string]any{
			"authenticated": token == "explainer" || token == "stranger", "user": map[string]any{"username": token}, "allowed": user == "explainer",
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// heardAnswers collects which answers were given.
type heardAnswers struct {
	mu  sync.Mutex
	all map[string]bool
}

func (h *heardAnswers) add(operation, answer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all[operation+" "+answer] = true
}

// answering is a service with host apps and programs for every kind of answer.
func answering(t *testing.T, adjust ...func(*Options)) *fixture {
	f := newFixture(t, append([]func(*Options){func(o *Options) { o.Explain, o.Client = true, reviewer(t) }}, adjust...)...)
	f.hostApp(wallet(func(c *delivery.HostAppConfig) {
		c.Blocks = []delivery.Block{{AppID: "com.example.blocked", Reason: "a complaint"}}
	}))
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Name, c.Dialects = "bank", nil }))
	f.hostApp(wallet(withTokens(newToken), func(c *delivery.HostAppConfig) { c.Name = "safe" }))
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Name, c.Availability = "closed", "Disabled" }))
	f.publish(
		shop(withTarget(half)), programOf("com.example.blocked", 1),
		programOf("com.example.list", 1, func(r *document.Release) { r.Decide = document.DecideService }),
		programOf("com.example.web", 1, func(r *document.Release) { r.Stable.Format = "Web" }),
		programOf("com.example.bad", 1, availability(document.Suspended)),
		programOf("com.example.other", 1, func(r *document.Release) { r.Stable = variant("3.0.0", 300) }),
	)
	f.source.set("sha256:"+hex64(archiveText), archiveText)
	f.source.set("sha256:"+hex64("archive of 3.0.0"), "other bytes")
	f.service.streams.times.lifetime = time.Millisecond
	return f
}

// ask is a request; of its path {host} is wallet unless it begins with another's name.
type ask struct {
	method, path, body string
	header             []string
}

// asks are requests that bring about every answer that needs no special state, but for those
// that every address gives.
func asks() []ask {
	var all []ask
	get := func(path string, header ...string) {
		all = append(all, ask{"GET", path, "", header}, ask{"HEAD", path, "", header})
	}
	const host = "/v1/hosts/"
	blob := archivePath()
	for _, path := range []string{"/programs", "/programs/com.example.shop", "/config.json", "/events"} {
		for _, name := range []string{"wallet", "safe", "closed", "nobody"} {
			get(host + name + path)
		}
		get(host+"wallet"+path, "If-None-Match", "*")
	}
	for _, rest := range []string{"shop?channel=beta", "shop?channel=trial", "blocked", "none", "list"} {
		get(host + "wallet/programs/com.example." + rest)
	}
	for _, path := range []string{"/v1/keys", "/v1/openapi.json", blob} {
		get(path)
		get(path, "If-None-Match", "*")
	}
	get(blob, "Range", "bytes=1-2")
	get(blob, "Range", "bytes=900-")
	get(blob, "If-Match", `"other"`)
	get("/v1/blobs/sha256/X")
	get("/v1/blobs/sha256/" + strings.Repeat("0", 64))
	get("/v1/blobs/sha256/" + hex64("archive of 2.0.0")) // which the registry lacks
	get("/v1/blobs/sha256/" + hex64("archive of 3.0.0"))
	const dimina = "/dimina/v1/hosts/"
	for _, path := range []string{"wallet/com.example.shop.json", "safe/com.example.shop.json", "closed/com.example.shop.json", "nobody/com.example.shop.json",
		"bank/com.example.shop.json", "wallet/com.example.shop.json?channel=trial", "wallet/com.example.shop.json?channel=beta", "wallet/com.example.blocked.json",
		"wallet/com.example.none.json", "wallet/com.example.web.json", "wallet/com.example.bad.json", "wallet/com.example.shop", "wallet/com.example.shop.json?user=u"} {
		get(dimina + path)
	}
	get(dimina+"wallet/com.example.shop.json", "If-None-Match", "*")
	for what, body := range map[string]string{"resolve": resolveBody, "reports": `{"reports":[{"appID":"com.example.shop","digest":"d","event":"launch"}]}`, "explain": resolveBody} {
		for _, name := range []string{"wallet", "safe", "closed", "nobody", "bank"} {
			path := host + name + "/" + what
			header := []string{"Authorization", "Bearer explainer"}
			if name == "safe" {
				header = nil
			}
			all = append(all, ask{"POST", path, body, header}, ask{"POST", path, "{}", header},
				ask{"POST", path, `{"user":"` + strings.Repeat("x", maxRequestBytes) + `"}`, header},
				ask{"POST", path, "x", append([]string{"Content-Type", "text/plain"}, header...)})
		}
		for _, token := range []string{"stranger", "broken", "none"} {
			all = append(all, ask{"POST", host + "wallet/" + what, body, []string{"Authorization", "Bearer " + token}})
		}
	}
	return append(all, ask{method: "GET", path: "/v2"}, ask{method: "DELETE", path: shopPath}, ask{method: "GET", path: "/v1//keys"},
		ask{"OPTIONS", shopPath, "", []string{"Origin", "https://evil.example.com", "Access-Control-Request-Method", "GET"}})
}

// asksOfFiles are requests of the run host.
func asksOfFiles() []ask {
	var all []ask
	for _, method := range []string{"GET", "HEAD"} {
		for _, header := range [][]string{nil, {"Range", "bytes=1-2"}, {"Range", "bytes=900-"}, {"If-None-Match", "*"}, {"If-Match", `"other"`}} {
			all = append(all, ask{method, siteBase() + "assets/app.js", "", append([]string{"Host", runName}, header...)})
		}
	}
	return append(all, ask{"GET", siteBase() + "none.js", "", []string{"Host", runName}})
}

func TestEveryAnswerThatIsDescribedIsGiven(t *testing.T) {
	heard := &heardAnswers{all: map[string]bool{}}
	play := func(f *fixture, times int, all []ask) {
		for _, a := range all {
			for range times {
				f.do(a.method, a.path, a.body, a.header...)
			}
		}
	}
	listening := func(f *fixture) *fixture {
		f.heard = heard.add
		f.server.Config.Handler = watched(t, f.service.Handler(), heard.add)
		return f
	}
	play(listening(answering(t)), 1, asks())

	limited := listening(answering(t, func(o *Options) { o.Limits = Limits{1, 1, 1, 1} }))
	busy := listening(answering(t))
	busy.service.streams.max = 0
	for range explainersAtOnce {
		busy.service.explainers <- struct{}{}
	}
	silent := listening(answering(t, func(o *Options) { o.Explain = false }))
	for _, q := range limitedRequests {
		method := strings.Replace(q.method, "HEAD", "GET", 1)
		play(limited, burstSeconds+1, []ask{{method: method, path: q.path, body: q.body}})
		play(busy, 1, []ask{{method, q.path, q.body, []string{"Authorization", "Bearer explainer"}}})
		play(silent, 1, []ask{{method: method, path: q.path, body: q.body}})
	}
	for _, change := range []func(f *fixture, r *document.Release){
		func(*fixture, *document.Release) {},
		func(_ *fixture, r *document.Release) { r.Stable.Content.Digest = "sha256:" + hex64("gone") },
		func(f *fixture, r *document.Release) { f.source.set(r.Stable.Content.Digest, "other bytes") },
	} {
		f := listening(newFixture(t, func(o *Options) { o.RunURL = "https://" + runName }))
		f.hostApp(portal())
		f.publishSite(func(r *document.Release) { change(f, r) })
		play(f, 1, asksOfFiles())
	}
	play(listening(newPreviewFixture(t)), 1, []ask{
		{method: "GET", path: previewPath}, {method: "HEAD", path: previewPath}, {method: "GET", path: "/v1/preview/none"},
		{method: "GET", path: previewPath, header: []string{"If-None-Match", "*"}}, {method: "HEAD", path: previewPath, header: []string{"If-None-Match", "*"}},
	})
	broken := newFixture(t)
	broken.server.Config.Handler = watched(t, broken.service.route("/", func(http.ResponseWriter, *http.Request) *Problem { panic("boom") }), heard.add)
	broken.get("/v1/keys")

	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range c.described() {
		if !heard.all[one] {
			t.Errorf("%s is described in openapi.yaml and never given", one)
		}
	}
}

// described has every answer of every operation, and of what every address answers each once.
func (c *contract) described() []string {
	all := map[string]bool{}
	for path, item := range object(c.doc["paths"]) {
		for method := range object(item) {
			operation := strings.ToUpper(method) + " " + path
			for status := range object(at(item, method, "responses")) {
				response, _ := c.follow("/paths/" + escape(path) + "/" + method + "/responses/" + status)
				if status == "default" {
					continue
				}
				codes := object(at(response, "content", "application/problem+json", "examples"))
				for code := range codes {
					all[operation+" "+status+" "+code] = true
				}
				if n, err := strconv.Atoi(status); err == nil && n < 400 {
					all[operation+" "+status] = true
				}
			}
		}
	}
	for _, one := range []string{"GET / default NotFound", "DELETE /v1/hosts/{host}/programs/{appID} default MethodNotAllowed",
		"OPTIONS /v1/hosts/{host}/programs/{appID} default OriginNotAllowed", "GET /v1/keys default Internal"} {
		all[strings.Replace(one, "GET / ", "GET  ", 1)] = true
	}
	return slices.Sorted(maps.Keys(all))
}

func TestNoAnswerNoLogAndNoMetricRepeatsAKeyOfAUser(t *testing.T) {
	const key = "4915112345678-Zoe"
	f := answering(t)
	private := httptest.NewServer(f.service.PrivateHandler())
	defer private.Close()
	var answers strings.Builder
	tell := func(a ask) {
		got := f.do(a.method, a.path, a.body, a.header...)
		answers.WriteString(a.method + " " + a.path + " is answered " + got.Body)
		for name, values := range got.Header {
			answers.WriteString(" " + name + ": " + strings.Join(values, ","))
		}
		answers.WriteString("\n")
	}
	within := func(text string) string { // what the test itself asked for is no answer
		return strings.ReplaceAll(text, "user="+key, "")
	}
	bodies := []string{
		`{"user":"` + key + `","device":"` + key + `","attributes":{"city":"` + key + `"},"programs":[{"appID":"com.example.shop","installed":{"digest":"` + key + `"}},{"appID":"com.example.list"},{"appID":"com.example.none"}]}`,
		`{"user":"` + key + `"`, `{"user":"` + key + `","programs":[]}`, `{"user":["` + key + `"]}`, `"` + key + `"`, key,
		`{"attributes":{"` + key + `":7}}`, `{"` + key + `":{}}`, `{"user":"` + key + `","programs":[{"appID":"x","channel":"` + key + `"}]}`,
		`{"programs":[{"appID":"x","installed":{"versionCode":"` + key + `"}}]}`, `{"user":"` + key + strings.Repeat("x", maxRequestBytes) + `"}`,
		`{"reports":[{"appID":"` + key + `","digest":"` + key + `","event":"` + key + `","launchID":"` + key + `","user":"` + key + `"}]}`,
		`{"reports":[{"appID":"com.example.shop","user":"` + key + `"}]}`, `{"reports":"` + key + `"}`,
	}
	for _, host := range []string{"wallet", "bank", "safe", "closed", "nobody"} {
		for _, what := range []string{"resolve", "explain", "reports"} {
			for _, body := range bodies {
				for _, header := range [][]string{nil, {"Authorization", "Bearer explainer"}, {"Content-Type", "text/plain"}, {"Authorization", "Bearer " + key}} {
					tell(ask{"POST", "/v1/hosts/" + host + "/" + what, body, header})
				}
			}
		}
		for _, path := range []string{"/dimina/v1/hosts/" + host + "/com.example.shop.json", "/dimina/v1//hosts/" + host + "/com.example.shop.json", "/dimina/v1/hosts/" + host + "/./com.example.bad.json",
			"/dimina/v1/hosts/" + host + "/com.example.shop.json/", "/v1/hosts/" + host + "/programs", "/v1/hosts/" + host + "/programs/com.example.shop", "/v1/hosts/" + host + "/events", "/v1/keys"} {
			for _, query := range []string{"?user=" + key, "?user=" + key + "&channel=trial", "?user=" + key + "&channel=beta", "?x=%2&user=" + key} {
				tell(ask{"GET", path + query, "", nil})
				tell(ask{"DELETE", path + query, "", nil})
				tell(ask{"GET", path + query, "", []string{"Last-Event-ID", key, "X-Forwarded-For", key, "Forwarded", "for=" + key, "If-None-Match", key, "Authorization", "Basic " + key}})
			}
		}
	}
	f.server = private
	for _, path := range []string{"/metrics", "/internal/counts", "/readyz"} {
		tell(ask{"GET", path, "", nil})
	}
	for where, text := range map[string]string{"an answer": within(answers.String()), "the log": f.logs.text()} {
		for line := range strings.Lines(text) {
			if strings.Contains(line, key) {
				t.Errorf("%s has the key of a user: %.500s", where, line)
			}
		}
	}
}

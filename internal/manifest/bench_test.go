package manifest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// nowhere is a response that nobody reads.
type nowhere struct {
	header http.Header
	status int
}

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(status int)      { n.status = status }

func benchmarked(b *testing.B) *fixture {
	f := newFixture(b)
	f.hostApp(wallet())
	f.publish(shop(withTarget(500)))
	return f
}

// BenchmarkHandler measures each handler that is asked often, without a connection:
// time, memory and allocations of one answer.
func BenchmarkHandler(b *testing.B) {
	f := benchmarked(b)
	var programs []string
	for i := range 20 {
		id := fmt.Sprintf("com.example.p%d", i)
		f.publish(shop(withTarget(500), func(r *document.Release) { r.AppID, r.Rollout.Name = id, fmt.Sprintf("p%d", i) }))
		programs = append(programs, `{"appID":"`+id+`","channel":"release"}`)
	}
	resolve := func(n int) string {
		return `{"user":"u1","device":"d1","attributes":{"city":"Berlin","hostAppVersion":"8.1.0"},"programs":[` + strings.Join(programs[:n], ",") + `]}`
	}
	h := f.service.Handler()
	for name, ask := range map[string]struct {
		path, body string
		header     []string
		status     int
	}{
		"document":  {path: shopPath, header: []string{"Accept-Encoding", "gzip"}, status: http.StatusOK},
		"304":       {path: shopPath, header: []string{"If-None-Match", f.get(shopPath).Header.Get("Etag")}, status: http.StatusNotModified},
		"list":      {path: "/v1/hosts/wallet/programs", status: http.StatusOK},
		"dimina":    {path: "/dimina/v1/hosts/wallet/com.example.shop.json?user=u1", status: http.StatusOK},
		"resolve1":  {path: "/v1/hosts/wallet/resolve", body: resolve(1), status: http.StatusOK},
		"resolve20": {path: "/v1/hosts/wallet/resolve", body: resolve(20), status: http.StatusOK},
	} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, ask.path, nil)
			if ask.body != "" {
				r = httptest.NewRequest(http.MethodPost, ask.path, nil)
				r.Header.Set("Content-Type", "application/json")
			}
			for i := 0; i+1 < len(ask.header); i += 2 {
				r.Header.Set(ask.header[i], ask.header[i+1])
			}
			body := new(rewound)
			r.Body = body
			w := &nowhere{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				body.Reset(ask.body)
				h.ServeHTTP(w, r)
			}
			if w.status != ask.status {
				b.Errorf("the answer is %d, want %d", w.status, ask.status)
			}
		})
	}
}

const resolveBody = `{"user":"u1","device":"d1","attributes":{"city":"Berlin","hostAppVersion":"8.1.0"},"programs":[{"appID":"com.example.shop","channel":"release"}]}`

// rewound is a body that can be read again.
type rewound struct{ strings.Reader }

func (*rewound) Close() error { return nil }

func BenchmarkDocumentOverLoopback(b *testing.B) {
	f := benchmarked(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			response, err := f.server.Client().Get(f.server.URL + shopPath)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	})
}

// BenchmarkChange is one changed document among 10,000 programs of 5 host apps.
func BenchmarkChange(b *testing.B) {
	f := newFixture(b)
	hosts := []string{"wallet", "h1", "h2", "h3", "h4"}
	for _, name := range hosts {
		c := wallet()
		c.Name = name
		f.hostApp(c)
	}
	program := func(i int, n int64) *record {
		return f.rolloutRecord(shop(sequence(n), func(r *document.Release) {
			r.AppID, r.Rollout.Name, r.HostApps = fmt.Sprintf("com.example.p%d", i), fmt.Sprintf("p%d", i), hosts
			r.Stable = variant(fmt.Sprintf("1.0.%d", i), int64(i))
		}))
	}
	updates := make([]update, 0, 10_000)
	for i := range 10_000 {
		r := program(i, 1)
		updates = append(updates, update{name: r.Name, record: r})
	}
	f.service.store.apply(updates)
	n := int64(1)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		n++
		r := program(7, n)
		b.StartTimer()
		f.put(r)
	}
}

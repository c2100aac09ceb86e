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
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(int)             {}

func benchmarked(b *testing.B) *fixture {
	f := newFixture(b)
	f.hostApp(wallet())
	f.publish(shop(withTarget(500)))
	return f
}

func serveMany(b *testing.B, h http.Handler, r *http.Request) {
	b.ReportAllocs()
	w := &nowhere{header: http.Header{}}
	body, _ := r.Body.(*rewound)
	for b.Loop() {
		clear(w.header)
		if body != nil {
			body.Reset(resolveBody)
		}
		h.ServeHTTP(w, r)
	}
}

// rewound is a body that can be read again.
type rewound struct{ strings.Reader }

func (*rewound) Close() error { return nil }

func BenchmarkDocument(b *testing.B) {
	r := httptest.NewRequest("GET", shopPath, nil)
	r.Header.Set("Accept-Encoding", "gzip")
	serveMany(b, benchmarked(b).service.Handler(), r)
}

func BenchmarkDocumentNotModified(b *testing.B) {
	f := benchmarked(b)
	etag := f.get(shopPath).Header.Get("Etag")
	r := httptest.NewRequest("GET", shopPath, nil)
	r.Header.Set("If-None-Match", etag)
	serveMany(b, f.service.Handler(), r)
}

const resolveBody = `{"user":"u1","device":"d1","attributes":{"city":"Berlin","hostAppVersion":"8.1.0"},"programs":[{"appID":"com.example.shop","channel":"release"}]}`

func BenchmarkResolve(b *testing.B) {
	r := httptest.NewRequest("POST", "/v1/hosts/wallet/resolve", nil)
	r.Header.Set("Content-Type", "application/json")
	r.Body = &rewound{}
	serveMany(b, benchmarked(b).service.Handler(), r)
}

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

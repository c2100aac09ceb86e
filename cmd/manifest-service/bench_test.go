package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// rounds is how often ours and nginx are measured by turns.
const rounds = 5

// BenchmarkManifest measures the manifest service beside nginx, which serves files
// with the same bytes. Each has one core, the other core has who asks: wrk for the
// greatest rate, hack/openloop for how long answers take at 70 % of that. It reports
// medians of several runs by turns:
//
//   - rps, nginx_rps: answers in a second over 64 connections that are kept open
//   - ratio_nginx: ours divided by nginx's, in the same minute
//   - cpu_us, nginx_cpu_us: how many microseconds of a processor an answer took meanwhile,
//     which tells more than rates do where others use the machine, too
//   - p99_ms, nginx_p99_ms: within how many milliseconds 99 of 100 answers are there, when
//     70 % of its own greatest rate is asked of each, without coordinated omission
//   - bytes: of the answer's body
//
// The last two are about many documents and many streams of events; measureMany and
// measureEvents say what they report.
//
// What a resolve does nginx cannot; it is compared with nginx's answer to a GET of the
// document.
func BenchmarkManifest(b *testing.B) {
	theStage := sync.OnceValue(func() *stage { return newStage(b) })
	const resolve = "/v1/hosts/wallet/resolve"
	for _, one := range []struct {
		name string
		of   func(*stage) exchange
	}{
		{"document", func(s *stage) exchange {
			return exchange{path: programPath(0), nginx: "/document", status: http.StatusOK, body: s.envelopes[0]}
		}},
		{"304", func(*stage) exchange {
			return exchange{path: programPath(0), nginx: "/document", status: http.StatusNotModified, conditional: true}
		}},
		{"resolve1", func(*stage) exchange {
			return exchange{path: resolve, send: resolveOf(1), nginx: "/document", status: http.StatusOK}
		}},
		{"resolve20", func(*stage) exchange {
			return exchange{path: resolve, send: resolveOf(20), nginx: "/document", status: http.StatusOK}
		}},
		{"blob200KiB", func(s *stage) exchange {
			return exchange{path: "/v1/blobs/sha256/" + s.blobHex, nginx: "/blob", status: http.StatusOK, body: s.blob}
		}},
	} {
		b.Run(one.name, func(b *testing.B) {
			s := theStage()
			for b.Loop() {
				s.measure(b, one.of(s))
			}
		})
	}
	b.Run("50000", func(b *testing.B) {
		for b.Loop() {
			measureMany(b)
		}
	})
	b.Run("events5000", func(b *testing.B) {
		for b.Loop() {
			measureEvents(b)
		}
	})
}

// exchange is a request, what our answer to it is, and what of nginx's it is
// compared with.
type exchange struct {
	path, send, nginx string
	// conditional requests name the tag of what the client has.
	conditional bool
	status      int
	// body of both answers; empty: ours is another, or there is none.
	body string
}

func (s *stage) measure(b *testing.B, e exchange) {
	ours := request{addr: s.ours, pid: s.oursPID, path: e.path, send: e.send}
	theirs := request{addr: s.nginx, pid: s.nginxPID, path: e.nginx}
	bytes := s.try(b, &ours, e.conditional, e.status, e.body)
	status := e.status
	if e.send != "" {
		status = http.StatusOK
	}
	s.try(b, &theirs, e.conditional, status, e.body)

	var rates, theirRates, ratios, costs, theirCosts, times, theirTimes []float64
	for range rounds {
		our, cost := s.wrk(b, ours)
		their, theirCost := s.wrk(b, theirs)
		rates, theirRates, ratios = append(rates, our), append(theirRates, their), append(ratios, our/their)
		costs, theirCosts = append(costs, cost), append(theirCosts, theirCost)
	}
	const share = 0.7
	for range rounds {
		times = append(times, s.openLoop(b, ours, share*median(rates)))
		theirTimes = append(theirTimes, s.openLoop(b, theirs, share*median(theirRates)))
	}
	b.ReportMetric(median(ratios), "ratio_nginx")
	b.ReportMetric(median(rates), "rps")
	b.ReportMetric(median(theirRates), "nginx_rps")
	b.ReportMetric(median(costs), "cpu_us")
	b.ReportMetric(median(theirCosts), "nginx_cpu_us")
	b.ReportMetric(median(times), "p99_ms")
	b.ReportMetric(median(theirTimes), "nginx_p99_ms")
	b.ReportMetric(float64(bytes), "bytes")
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func resolveOf(programs int) string {
	items := make([]string, programs)
	for i := range items {
		items[i] = fmt.Sprintf(`{"appID":%q,"channel":"release"}`, appID(i))
	}
	return `{"user":"u1","device":"d1","attributes":{"city":"Berlin","hostAppVersion":"8.1.0"},"programs":[` + strings.Join(items, ",") + `]}`
}

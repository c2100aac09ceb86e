package manifest

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are those of one service, in a registry of its own. No label holds
// the name of a program or a host app: those come and go, and series stay.
type metrics struct {
	registry *prometheus.Registry

	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec

	documents  prometheus.Gauge
	hostApps   prometheus.Gauge
	changed    prometheus.Gauge
	swaps      prometheus.Counter
	rejected   *prometheus.CounterVec
	kept       *prometheus.GaugeVec
	watchFails prometheus.Counter
	keyFails   prometheus.Counter
	diskFails  prometheus.Counter

	blobs      *prometheus.CounterVec
	blobCached prometheus.Gauge
	blobLoaded prometheus.Counter

	unpacked      *prometheus.CounterVec
	unpackedBytes prometheus.Gauge

	reports *prometheus.CounterVec
	ignored *prometheus.CounterVec

	connections   prometheus.Gauge
	refused       *prometheus.CounterVec
	limited       *prometheus.CounterVec
	streams       prometheus.Gauge
	streamEnds    *prometheus.CounterVec
	events        *prometheus.CounterVec
	eventsDropped prometheus.Counter
}

func newMetrics() *metrics {
	const prefix = "miniprogram_manifest_"
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "http_requests_total",
			Help: "Requests by pattern of the path and status."}, []string{"route", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + "http_request_duration_seconds",
			Help:    "Time to answer by pattern of the path.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5, 30}}, []string{"route"}),
		documents: gauge("documents", "Documents in service."),
		hostApps:  gauge("host_apps", "Host apps in service."),
		changed:   gauge("snapshot_changed_timestamp_seconds", "When what is served last changed, in Unix time."),
		swaps:     counter("snapshot_swaps_total", "How often what is served changed."),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "rejected_total",
			Help: "ConfigMaps that were not taken over, by reason; the last good content stays in service."}, []string{"reason"}),
		kept: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + "not_current",
			Help: "ConfigMaps that are bad or gone at present, by reason; the last good content, if any, is in service."}, []string{"reason"}),
		watchFails: counter("watch_errors_total", "Failures to list or watch the publication namespace, or to read the folder that is served from."),
		keyFails:   counter("key_reload_errors_total", "Failures to read the trusted keys again; those read before stay."),
		diskFails:  counter("state_write_errors_total", "Failures to write the disk copy; it is tried again."),
		blobs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "blob_cache_requests_total",
			Help: "Blobs asked for, by result: hit, miss, mismatch or error."}, []string{"result"}),
		blobCached: gauge("blob_cache_bytes", "Size of the blobs in the disk cache."),
		blobLoaded: counter("blob_loaded_bytes_total", "Bytes read from the registry."),
		unpacked: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "unpacked_total",
			Help: "Versions unpacked for the run host, by result: ok or error."}, []string{"result"}),
		unpackedBytes: gauge("unpacked_bytes", "Size of the versions that are unpacked on disk."),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "reports_total",
			Help: "Reports of host apps that were counted, by event."}, []string{"event"}),
		ignored: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "reports_ignored_total",
			Help: "Reports that were not counted, by reason: event, version or repeated."}, []string{"reason"}),
		connections: gauge("connections", "Connections of host apps that are open."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "connections_refused_total",
			Help: "Connections that were turned away, by what had too many: total or address."}, []string{"limit"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "limited_total",
			Help: "Requests that were refused because their client address asked too often, by what they asked for."}, []string{"limit"}),
		streams: gauge("event_streams", "Streams of events that are open."),
		streamEnds: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "event_streams_ended_total",
			Help: "Streams of events that ended, by reason: client, revoked, lifetime or shutdown."}, []string{"reason"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "events_total",
			Help: "Events that were sent, by type: changed, or reset for those who may have missed one."}, []string{"type"}),
		eventsDropped: counter("events_dropped_total", "Events that were not kept for clients that do not read; they are sent one reset instead."),
	}
	m.registry.MustRegister(m.requests, m.durations, m.documents, m.hostApps, m.changed, m.swaps, m.rejected, m.kept,
		m.watchFails, m.keyFails, m.diskFails, m.blobs, m.blobCached, m.blobLoaded, m.unpacked, m.unpackedBytes,
		m.reports, m.ignored, m.connections, m.refused, m.limited, m.streams, m.streamEnds, m.events, m.eventsDropped,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// routeMetrics are what one path pattern counts, looked up once. The series of
// the usual codes exist from the start, for one that begins at its first event
// hides that event from rates.
type routeMetrics struct {
	duration prometheus.Observer
	usual    map[int]prometheus.Counter
	all      *prometheus.CounterVec
}

func (m *metrics) route(pattern string) *routeMetrics {
	r := &routeMetrics{
		duration: m.durations.WithLabelValues(pattern),
		usual:    map[int]prometheus.Counter{},
		all:      m.requests.MustCurryWith(prometheus.Labels{"route": pattern}),
	}
	for _, code := range []int{200, 304, 404, 500} {
		r.usual[code] = r.all.WithLabelValues(strconv.Itoa(code))
	}
	return r
}

func (r *routeMetrics) observe(code int, seconds float64) {
	counter, ok := r.usual[code]
	if !ok {
		counter = r.all.WithLabelValues(strconv.Itoa(code))
	}
	counter.Inc()
	r.duration.Observe(seconds)
}

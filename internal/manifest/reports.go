package manifest

import (
	"net/http"
	"sync"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// maxReports bounds a batch.
const maxReports = 100

// reportsRequest is a batch. What it has beside these keys is dropped, so that nobody's
// name gets further than this.
type reportsRequest struct {
	Reports []report `json:"reports"`
}

// report is one thing that happened to one launch.
type report struct {
	AppID  string `json:"appID"`
	Digest string `json:"digest"`
	Event  string `json:"event"`
	// LaunchID is random. It is used within the batch and nowhere else: an event is
	// counted once for each launch.
	LaunchID string `json:"launchID"`
}

// reportsResponse tells whoever builds a host app what became of a batch.
type reportsResponse struct {
	Counted int `json:"counted"`
	Ignored int `json:"ignored"`
}

// postReports counts what went well and wrong with what the host app was handed.
func (s *Service) postReports(w http.ResponseWriter, r *http.Request, h *host) *Problem {
	var request reportsRequest
	if p := readJSON(w, r, &request); p != nil {
		return p
	}
	if p := request.check(); p != nil {
		return p
	}
	var response reportsResponse
	counted := make(map[report]bool, len(request.Reports))
	for _, one := range request.Reports {
		if one.LaunchID != "" && counted[one] {
			response.Ignored++
			s.metrics.ignored.WithLabelValues(ignoredRepeated).Inc()
			continue
		}
		counted[one] = true
		if why := s.counts.add(h, &one); why != "" {
			response.Ignored++
			s.metrics.ignored.WithLabelValues(why).Inc()
			continue
		}
		response.Counted++
		s.metrics.reports.WithLabelValues(one.Event).Inc()
	}
	text, err := marshal(response)
	if err != nil {
		return problem(CodeInternal, "the answer cannot be written").because(err)
	}
	header := w.Header()
	header["Cache-Control"] = cacheNever
	header["Content-Type"] = []string{"application/json"}
	header["X-Content-Type-Options"] = noSniff
	header["Content-Length"] = lengthOf(text)
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write(text) // the client has gone: nobody to tell
	return nil
}

// check names places, never what stands there.
func (q *reportsRequest) check() *Problem {
	if n := len(q.Reports); n == 0 || n > maxReports {
		return problem(CodeInvalidRequest, "reports must have 1 to %d entries, it has %d", maxReports, n)
	}
	for i, one := range q.Reports {
		switch "" {
		case one.AppID:
			return problem(CodeInvalidRequest, "reports[%d].appID is missing", i)
		case one.Digest:
			return problem(CodeInvalidRequest, "reports[%d].digest is missing", i)
		case one.Event:
			return problem(CodeInvalidRequest, "reports[%d].event is missing", i)
		}
	}
	return nil
}

// Why a report is not counted.
const (
	ignoredEvent    = "event"    // not one that is known here
	ignoredVersion  = "version"  // no document in service hands it to the host app
	ignoredRepeated = "repeated" // another of the same launch in the batch
)

// counts are of what documents in service hand out, and of nothing else.
type counts struct {
	events map[string]bool
	mu     sync.Mutex
	// present tells what is in service, for it bounds what is kept.
	present func() *snapshot
	byKey   map[countKey]map[string]int64
	// pruneAt is how many there may be before those that nobody serves any longer are dropped.
	pruneAt int
}

// keptAnyway is how many counts may be there without a look at what is served.
const keptAnyway = 1000

// countKey is one version of one rollout, reported by host apps with or without tokens.
type countKey struct {
	namespace, rollout, appID, digest string
	token                             bool
}

func newCounts(present func() *snapshot) *counts {
	c := &counts{events: map[string]bool{}, present: present, byKey: map[countKey]map[string]int64{}, pruneAt: keptAnyway}
	for _, e := range guardrail.Events() {
		c.events[e] = true
	}
	return c
}

// add counts a report, or says why not.
func (c *counts) add(h *host, r *report) (ignored string) {
	if !c.events[r.Event] {
		return ignoredEvent
	}
	p := h.programs[slot{r.AppID, document.ChannelRelease}]
	if p == nil || p.block != nil || p.variant(r.Digest) == nil {
		return ignoredVersion
	}
	key := countKey{p.doc.Rollout.Namespace, p.doc.Rollout.Name, r.AppID, r.Digest, h.asksForTokens()}
	c.mu.Lock()
	defer c.mu.Unlock()
	events := c.byKey[key]
	if events == nil {
		if len(c.byKey) >= c.pruneAt { // which looks at all that is served: not for each new one
			c.prune()
			c.pruneAt = max(keptAnyway, 2*len(c.byKey))
		}
		events = map[string]int64{}
		c.byKey[key] = events
	}
	events[r.Event]++
	return ""
}

// variant is the one of a digest that the document hands out; nil: none.
func (e *entry) variant(digest string) *document.Variant {
	for _, v := range e.variants() {
		if v.Digest == digest {
			return v
		}
	}
	return nil
}

// prune drops what no document in service hands out any longer, and returns what
// is: version and cohort by namespace, rollout, app ID and digest.
func (c *counts) prune() map[countKey]guardrail.Count {
	served := map[countKey]guardrail.Count{}
	for _, h := range c.present().hosts {
		for _, p := range h.programs {
			for _, v := range p.variants() {
				key := countKey{p.doc.Rollout.Namespace, p.doc.Rollout.Name, p.doc.AppID, v.Digest, false}
				served[key] = guardrail.Count{
					Namespace: key.namespace, Rollout: key.rollout, AppID: key.appID, Digest: key.digest,
					Version: v.Version, Cohort: p.cohort(v),
				}
			}
		}
	}
	for key := range c.byKey {
		if _, is := served[key.public()]; !is {
			delete(c.byKey, key)
		}
	}
	return served
}

func (k countKey) public() countKey {
	k.token = false
	return k
}

// cohort follows from the document, whatever a host app says of it.
func (e *entry) cohort(v *document.Variant) string {
	switch v {
	case e.doc.Target:
		return "target"
	case e.doc.Stable:
		return "stable"
	}
	return "other"
}

// list is all that was counted of what is in service.
func (c *counts) list() []guardrail.Count {
	c.mu.Lock()
	defer c.mu.Unlock()
	served := c.prune()
	all := make([]guardrail.Count, 0, len(c.byKey))
	for key, events := range c.byKey {
		one := served[key.public()]
		one.Access, one.Events = v1alpha1.AccessPublic, make(map[string]int64, len(events))
		if key.token {
			one.Access = v1alpha1.AccessToken
		}
		for event, n := range events {
			one.Events[event] = n
		}
		all = append(all, one)
	}
	return all
}

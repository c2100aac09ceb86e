package controller

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
)

// What was published, and the journal
//
// An entry of the journal is made of a ConfigMap alone: whoever writes a document writes
// beside it what it rests on and what it is made of, and carries along what it replaces
// while that is not known to be in the journal. So the journal costs no write to the API
// server, delays nothing, and a registry that is away or a manager that dies loses nothing:
// the next look at the ConfigMap finds what is missing. Only what does not fit into a
// ConfigMap is lost, after a long time, and the entry after it says so.

// Journal is the journal in the registry, and what is known to be in it. It is safe for
// concurrent use.
type Journal struct {
	Registry *registry.Client

	// pace bounds how many ConfigMaps are looked after in a second: the registry and the machine
	// have more urgent work, as after a start, when all of them are looked at.
	pace     *rate.Limiter
	paceOnce sync.Once

	mu    sync.Mutex
	heads map[string]journalHead // by ConfigMap
	// waiting are the ConfigMaps whose content could not be written down when last tried.
	waiting map[string]bool
	// nothing are the UIDs of Rollouts that the journal has nothing of to go on from.
	nothing map[types.UID]bool
	// taken are what the records of Rollouts rest on that were taken up, until they publish.
	taken map[types.UID]*journal.Basis
}

// journalPerSecond is for one manager; what is published is written down in a moment all the
// same, for the steps of all rollouts together are bounded lower.
const journalPerSecond = 50

func (j *Journal) await(ctx context.Context) error {
	j.paceOnce.Do(func() { j.pace = rate.NewLimiter(journalPerSecond, journalPerSecond) })
	return j.pace.Wait(ctx)
}

// journalHead is the last entry of one journal.
type journalHead struct {
	order journal.Order
	link  journal.Link
}

// holds tells that what a ConfigMap held at a place in its order is in the journal, or that
// there is no journal.
func (j *Journal) holds(configMap string, o journal.Order) bool {
	if j == nil {
		return true
	}
	head, known := j.head(configMap)
	return known && o.Compare(head.order) <= 0
}

func (j *Journal) head(configMap string) (journalHead, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	head, known := j.heads[configMap]
	return head, known
}

func (j *Journal) setHead(configMap string, head journalHead) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.heads == nil {
		j.heads = map[string]journalHead{}
	}
	j.heads[configMap] = head
}

// wait notes whether a ConfigMap waits for the journal, and tells whether that is new.
func (j *Journal) wait(configMap string, waits bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.waiting[configMap] == waits {
		return false
	}
	if j.waiting == nil {
		j.waiting = map[string]bool{}
	}
	if waits {
		j.waiting[configMap] = true
	} else {
		delete(j.waiting, configMap)
	}
	journalWaiting.Set(float64(len(j.waiting)))
	return true
}

// looked tells that a Rollout was looked up, and there was nothing.
func (j *Journal) looked(uid types.UID) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.nothing[uid]
}

// look notes that there is nothing. What this process writes later is that Rollout's own.
func (j *Journal) look(uid types.UID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.nothing == nil {
		j.nothing = map[types.UID]bool{}
	}
	j.nothing[uid] = true
}

// keepBasis notes what a record rests on that is taken up.
func (j *Journal) keepBasis(uid types.UID, basis *journal.Basis) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.taken == nil {
		j.taken = map[types.UID]*journal.Basis{}
	}
	j.taken[uid] = basis
}

// basisBefore is what the document before rests on, which a ConfigMap has; where there is
// none, what was taken up.
func (j *Journal) basisBefore(uid types.UID, there *corev1.ConfigMap) *journal.Basis {
	j.mu.Lock()
	defer j.mu.Unlock()
	if there == nil {
		return j.taken[uid]
	}
	delete(j.taken, uid)
	return journal.ParseBasis(there.Data[delivery.KeyBasis])
}

// journalKeys of a ConfigMap are for the journal alone.
var journalKeys = []string{delivery.KeyBasis, delivery.KeyRecord, delivery.KeyBacklog}

// journalItem is what a rollout's ConfigMap has for the journal: beside a document that is
// there already, what is there already, so that nothing is written for its sake.
func (r *RolloutReconciler) journalItem(s *rolloutScope, there *corev1.ConfigMap, envelope []byte) map[string]string {
	out := map[string]string{}
	if there != nil && there.Data[delivery.KeyEnvelope] == string(envelope) {
		for _, key := range journalKeys {
			if value, ok := there.Data[key]; ok {
				out[key] = value
			}
		}
		return out
	}
	if r.Journal == nil {
		return out
	}
	var old map[string]string
	if there != nil {
		old = there.Data
	}
	_, next, err := journal.Document(envelope)
	if err != nil {
		return out // it was made a moment ago
	}
	last := documentItem(old)
	if last != nil && last.Order == next {
		last = nil // the same document, signed anew
	}
	if backlog := journal.Carry(old[delivery.KeyBacklog], last, func(o journal.Order) bool { return r.Journal.holds(documentName(s.before), o) }); backlog != "" {
		out[delivery.KeyBacklog] = backlog
	}
	if basis, err := json.Marshal(s.basis(r.Journal.basisBefore(s.before.UID, there))); err == nil {
		out[delivery.KeyBasis] = string(basis)
	}
	if record, err := json.Marshal(recordOf(&s.before.Status)); err == nil {
		out[delivery.KeyRecord] = journal.Pack(record)
	}
	return out
}

// recordOf is the part of a status that says what was decided.
func recordOf(st *v1alpha1.RolloutStatus) *v1alpha1.RolloutStatus {
	record := st.DeepCopy()
	record.Conditions, record.ObservedGeneration, record.Summary, record.Published, record.Guardrails = nil, 0, "", nil, nil
	return record
}

// documentItem is what a rollout's ConfigMap holds; nil: no document.
func documentItem(data map[string]string) *journal.Item {
	envelope := data[delivery.KeyEnvelope]
	if envelope == "" {
		return nil
	}
	doc, order, err := journal.Document([]byte(envelope))
	if err != nil {
		return nil
	}
	written, err := time.Parse(time.RFC3339, data[delivery.KeyWritten])
	if err != nil {
		written = doc.IssuedAt.Time
	}
	return &journal.Item{Order: order, Envelope: envelope, Written: written, Basis: journal.ParseBasis(data[delivery.KeyBasis])}
}

// hostAppItem is what a host app's ConfigMap has for the journal, with the number and the
// time of its last change.
func (r *HostAppReconciler) hostAppItem(there *corev1.ConfigMap, config *delivery.HostAppConfig) map[string]string {
	out := map[string]string{}
	var old map[string]string
	if there != nil {
		old = there.Data
	}
	last := hostAppItemOf(old)
	if r.Journal == nil || last != nil && sameHostApp(last.HostApp, hostAppFacts(config)) {
		for _, key := range []string{delivery.KeySequence, delivery.KeyWritten, delivery.KeyBacklog} {
			if value, ok := old[key]; ok {
				out[key] = value
			}
		}
		return out
	}
	now := rollout.WholeSecond(r.Now()).UTC()
	number := now.Unix()
	if last != nil {
		number = max(number, last.Number+1)
	}
	if backlog := journal.Carry(old[delivery.KeyBacklog], last, func(o journal.Order) bool { return r.Journal.holds(delivery.HostAppConfigMap(config.Name), o) }); backlog != "" {
		out[delivery.KeyBacklog] = backlog
	}
	maps.Copy(out, map[string]string{delivery.KeySequence: strconv.FormatInt(number, 10), delivery.KeyWritten: now.Format(time.RFC3339)})
	return out
}

// hostAppItemOf is what a host app's ConfigMap holds; nil: nothing that has a number.
func hostAppItemOf(data map[string]string) *journal.Item {
	config, err := delivery.ParseHostApp(data[delivery.KeyHostApp])
	if err != nil {
		return nil
	}
	number, err := strconv.ParseInt(data[delivery.KeySequence], 10, 64)
	if err != nil {
		return nil
	}
	written, err := time.Parse(time.RFC3339, data[delivery.KeyWritten])
	if err != nil {
		return nil
	}
	return &journal.Item{Order: journal.Order{Number: number, Second: written.Unix()}, HostApp: hostAppFacts(config), Written: written}
}

func hostAppFacts(c *delivery.HostAppConfig) *journal.HostApp {
	h := &journal.HostApp{Name: c.Name, Availability: c.Availability, Channels: c.Channels}
	for _, b := range c.Blocks {
		h.Blocked = append(h.Blocked, journal.Block(b))
	}
	return h
}

func sameHostApp(a, b *journal.HostApp) bool {
	return a.Name == b.Name && a.Availability == b.Availability && slices.Equal(a.Channels, b.Channels) && slices.Equal(a.Blocked, b.Blocked)
}

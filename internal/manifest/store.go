package manifest

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// store takes over what is published, and swaps the snapshot. Its methods may be
// called concurrently; reading the snapshot never waits for them.
type store struct {
	log     logr.Logger
	metrics *metrics
	now     func() time.Time
	// accepted is told of every record that was taken over, in order. It must not block.
	accepted func(*record)
	// forgotten is told the name of a ConfigMap that is gone and that nobody is served from. It must not block.
	forgotten func(name string)
	// swapped is told of every new snapshot when it is in service, in order. It must not block.
	swapped func(c *change, next *snapshot)

	current atomic.Pointer[snapshot]
	keys    atomic.Pointer[keySet]
	told    atomic.Pointer[keysAnswer] // what is told about keys

	mu      sync.Mutex // guards what follows: there is one writer at a time
	entries map[string]*entry
	hosts   map[string]*hostState
	configs map[string]string // ConfigMap of a host app → what it held
	chain   *keyChain         // of key documents; nil: none is known
	// keyNumber is the highest number of a key document that was ever served.
	keyNumber int64
	// previews by the name of their ConfigMap.
	previews map[string]*preview
	// wins counts the slots of host apps in which an entry is served.
	wins map[*entry]int
	// bad has the ConfigMaps whose present content is not in service.
	bad map[string]badRecord
	// parts of audiences by digest, and the digest that each ConfigMap of one holds.
	parts  map[string]*part
	partOf map[string]string
}

// badRecord is why a ConfigMap is not in service, and what it holds, so that it can be
// looked at again with other keys; nil when it is gone.
type badRecord struct {
	reason string
	record *record
}

// hostState is what documents say about one host app, whether it is configured
// or not.
type hostState struct {
	config     *delivery.HostAppConfig
	candidates map[slot][]*entry
	chosen     map[slot]*entry
	// seen is the newest that was ever served in a slot: also another rollout may
	// not fall behind it.
	seen map[slot]release.Seen
}

func newStore(log logr.Logger, m *metrics, now func() time.Time, keys *keySet) *store {
	st := &store{
		log: log, metrics: m, now: now, accepted: func(*record) {}, forgotten: func(string) {},
		swapped: func(*change, *snapshot) {},
		entries: map[string]*entry{}, hosts: map[string]*hostState{}, configs: map[string]string{}, previews: map[string]*preview{},
		wins: map[*entry]int{}, bad: map[string]badRecord{}, parts: map[string]*part{}, partOf: map[string]string{},
	}
	st.keys.Store(keys)
	st.answerKeys()
	st.current.Store(&snapshot{hosts: map[string]*host{}})
	return st
}

// update is a ConfigMap as it is now; record is nil when it is gone.
type update struct {
	name   string
	record *record
}

// apply takes over updates and swaps the snapshot once if anything changed.
func (st *store) apply(updates []update) {
	st.mu.Lock()
	defer st.mu.Unlock()
	c := st.begin()
	c.ahead = st.readAll(updates)
	for _, u := range partsFirst(updates) {
		if u.record != nil {
			st.take(c, u)
		}
	}
	st.takeWaiting(c)
	st.forgetPreviews(c, func(name string) bool {
		return slices.ContainsFunc(updates, func(u update) bool { return u.name == name && u.record == nil })
	})
	st.finish(c)
	// Last: what is gone may have been replaced in the same moment.
	for _, u := range updates {
		if u.record == nil {
			st.vanished(u.name)
		}
	}
	st.report()
}

func (st *store) take(c *change, u update) {
	var err error
	switch u.record.Kind {
	case delivery.KindRollout:
		err = st.takeDocument(c, u.record)
	case delivery.KindHostApp:
		err = st.takeHostApp(c, u.record)
	case delivery.KindKeys:
		err = st.takeKeys(u.record)
	case delivery.KindAudience:
		err = st.takePart(u.record)
	case delivery.KindPreview:
		err = st.takePreview(c, u.record)
	default:
		return // not for host apps
	}
	if err != nil {
		st.keep(u.name, err, u.record)
		return
	}
	delete(st.bad, u.name)
}

func (st *store) takeDocument(c *change, r *record) error {
	old := st.entries[r.Name]
	if old != nil && old.same(r) {
		return nil
	}
	e, err := c.ahead.entry(r, st.keys.Load())
	if err != nil {
		return err
	}
	if old != nil {
		if err := e.replaces(old); err != nil {
			return err
		}
	}
	if err := st.withParts(e); err != nil {
		return err
	}
	st.link(c, e)
	if old != nil {
		st.unlink(c, old)
	}
	st.entries[e.configMap] = e
	st.accepted(r)
	return nil
}

func (st *store) takeHostApp(c *change, r *record) error {
	config, err := readHostApp(r)
	if err != nil {
		return err
	}
	if text := r.Data[delivery.KeyHostApp]; st.configs[r.Name] != text {
		st.configs[r.Name] = text
		st.host(config.Name).config = config
		c.reconfigured[config.Name] = true
		st.accepted(r)
	}
	return nil
}

// vanished notes that a ConfigMap is gone. That takes nothing out of service:
// whoever may delete ConfigMaps may not therefore uninstall programs. A document
// in whose place another is served everywhere is forgotten.
func (st *store) vanished(name string) {
	if e := st.entries[name]; e != nil && st.wins[e] == 0 {
		st.unlink(st.begin(), e) // nobody is served it, so no snapshot changes
		st.forgotten(name)
	}
	_, isHostApp := st.configs[name]
	isKeys := st.chain != nil && st.chain.record.Name == name
	_, isPart := st.partOf[name]
	if isPart && !st.partGone(name) || !isPart && st.entries[name] == nil && !isHostApp && !isKeys {
		delete(st.bad, name)
		return
	}
	st.keep(name, reject(reasonDeleted, "the ConfigMap is gone"), nil)
}

func (st *store) keep(name string, err error, r *record) {
	reason := reasonMalformed
	if rejected, ok := errors.AsType[*rejection](err); ok {
		reason = rejected.reason
	}
	if before, ok := st.bad[name]; ok && before.reason == reason && before.record.equal(r) {
		return // told already: a watch that begins anew repeats everything
	}
	st.bad[name] = badRecord{reason: reason, record: r}
	st.metrics.rejected.WithLabelValues(reason).Inc()
	st.log.Info("A ConfigMap is not taken over; what it last held, if anything, stays in service.",
		"configMap", name, "reason", reason, "error", err.Error(), "inService", st.inService(name))
}

// vanishedExcept notes all ConfigMaps as gone that are not among names: those
// that were deleted while nobody watched.
func (st *store) vanishedExcept(names map[string]bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	c := st.begin()
	st.forgetPreviews(c, func(name string) bool { return !names[name] })
	st.finish(c)
	for _, name := range slices.Sorted(maps.Keys(st.entries)) {
		if !names[name] {
			st.vanished(name)
		}
	}
	for _, name := range slices.Concat(slices.Sorted(maps.Keys(st.configs)), slices.Sorted(maps.Keys(st.partOf))) {
		if !names[name] {
			st.vanished(name)
		}
	}
	if st.chain != nil && !names[st.chain.record.Name] {
		st.vanished(st.chain.record.Name)
	}
	st.report()
}

// setKeys trusts other keys from now on. Documents that none of them signed go
// out of service, as they would at the next start; those that waited for a key
// come in.
func (st *store) setKeys(keys *keySet) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.keys.Store(keys)
	st.recheckKeys()
	c := st.begin()
	for _, name := range slices.Sorted(maps.Keys(st.entries)) {
		e := st.entries[name]
		if _, err := verify(e.envelope(), keys.keys); err == nil {
			continue
		}
		st.unlink(c, e)
		r := &record{Name: name, Kind: delivery.KindRollout, Data: map[string]string{
			delivery.KeyEnvelope: string(e.envelope()), delivery.KeyRepository: e.repositories}}
		if _, isBad := st.bad[name]; !isBad {
			st.keep(name, reject(reasonSignature, "none of the keys that are trusted now signed it"), r)
		}
	}
	st.distrustPreviews(c, keys.keys)
	for _, name := range slices.Sorted(maps.Keys(st.bad)) {
		if r := st.bad[name].record; r != nil {
			st.take(c, update{name: name, record: r})
		}
	}
	st.finish(c)
}

func (st *store) host(name string) *hostState {
	h := st.hosts[name]
	if h == nil {
		h = &hostState{candidates: map[slot][]*entry{}, chosen: map[slot]*entry{}, seen: map[slot]release.Seen{}}
		st.hosts[name] = h
	}
	return h
}

// link makes an entry a candidate with its host apps.
func (st *store) link(c *change, e *entry) {
	st.entries[e.configMap] = e
	st.useParts(e)
	for _, name := range e.doc.HostApps {
		h := st.host(name)
		h.candidates[e.slot()] = append(h.candidates[e.slot()], e)
		c.touch(name, e.slot())
	}
}

func (st *store) unlink(c *change, e *entry) {
	delete(st.entries, e.configMap)
	st.leaveParts(e)
	for _, name := range e.doc.HostApps {
		h := st.host(name)
		h.candidates[e.slot()] = slices.DeleteFunc(h.candidates[e.slot()], func(other *entry) bool { return other == e })
		c.touch(name, e.slot())
	}
}

// choose picks what is served of several documents for one slot: the highest
// (sequence, time of issue), then the ConfigMap whose name comes first. Nil when
// there is none, or none as new as what was served before.
func (h *hostState) choose(s slot) *entry {
	candidates := h.candidates[s]
	if len(candidates) == 0 {
		delete(h.candidates, s)
		return nil
	}
	best := slices.MaxFunc(candidates, func(a, b *entry) int {
		if order := compareSeen(a.seen, b.seen); order != 0 {
			return order
		}
		return strings.Compare(b.configMap, a.configMap)
	})
	if compareSeen(best.seen, h.seen[s]) < 0 {
		return nil
	}
	h.seen[s] = best.seen
	return best
}

package manifest

import (
	"maps"
	"slices"
)

// change collects what a round of updates touches, so that the next snapshot
// copies only that.
type change struct {
	before       *snapshot
	touched      map[string]map[slot]bool // host app → slots
	reconfigured map[string]bool          // host apps
	blobs        blobChange
	previews     bool // there are others than before
	// ahead are the documents of the round that were read already.
	ahead ahead
}

func (st *store) begin() *change {
	before := st.current.Load()
	return &change{
		before:  before,
		touched: map[string]map[slot]bool{}, reconfigured: map[string]bool{},
		blobs: blobChange{index: before.blobs},
	}
}

func (c *change) touch(host string, s slot) {
	if c.touched[host] == nil {
		c.touched[host] = map[slot]bool{}
	}
	c.touched[host][s] = true
}

// finish swaps the snapshot if anything was touched.
func (st *store) finish(c *change) {
	defer st.report()
	if len(c.touched) == 0 && len(c.reconfigured) == 0 && !c.previews {
		return
	}
	for name, slots := range c.touched {
		for s := range slots {
			st.decide(c, name, s)
		}
	}
	next := &snapshot{hosts: maps.Clone(c.before.hosts), blobs: c.blobs.index, documents: len(st.wins)}
	if next.previews = c.before.previews; c.previews {
		next.previews = maps.Clone(st.previews)
	}
	names := maps.Clone(c.reconfigured)
	for name := range c.touched {
		names[name] = true
	}
	for name := range names {
		if h := st.rebuild(c, name); h != nil {
			next.hosts[name] = h
		}
	}
	if next.origins = c.before.origins; len(c.reconfigured) > 0 {
		next.origins = originsOf(next.hosts)
	}
	st.current.Store(next)
	st.swapped(c, next)
	st.metrics.swaps.Inc()
	st.metrics.changed.Set(float64(st.now().UnixMilli()) / 1000)
}

func originsOf(hosts map[string]*host) []string {
	var all []string
	for _, h := range hosts {
		all = append(all, h.config.Origins...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// decide chooses the document of one slot anew, and keeps count of where each is
// served.
func (st *store) decide(c *change, name string, s slot) {
	h := st.hosts[name]
	before, after := h.chosen[s], h.choose(s)
	st.tell(name, s, after)
	if before == after {
		return
	}
	if after == nil {
		delete(h.chosen, s)
	} else {
		h.chosen[s] = after
		if st.wins[after]++; st.wins[after] == 1 {
			c.blobs.add(after)
		}
	}
	if before != nil {
		if st.wins[before]--; st.wins[before] == 0 {
			delete(st.wins, before)
			c.blobs.remove(before)
		}
	}
}

// tell logs what a person should look into: two rollouts for one slot, and a
// slot that is empty although there is a document for it.
func (st *store) tell(name string, s slot, chosen *entry) {
	candidates := st.hosts[name].candidates[s]
	log := st.log.WithValues("hostApp", name, "appID", s.appID, "channel", s.channel)
	switch {
	case len(candidates) > 0 && chosen == nil:
		log.Info("Every document for this program is older than what was served; none is served.")
	case len(candidates) > 1:
		others := make([]string, 0, len(candidates))
		for _, e := range candidates {
			if e != chosen {
				others = append(others, e.configMap)
			}
		}
		slices.Sort(others)
		log.Info("Several rollouts publish this program; the one with the highest sequence is served.",
			"served", chosen.configMap, "sequence", chosen.seen.Sequence, "others", others)
	}
}

// rebuild makes a host app's part of the snapshot, or nil while it is not configured.
func (st *store) rebuild(c *change, name string) *host {
	h, before := st.hosts[name], c.before.hosts[name]
	if h.config == nil {
		return nil
	}
	var listed mark
	place := func(programs map[slot]*program, s slot) {
		if e := h.chosen[s]; e != nil {
			programs[s] = &program{entry: e, block: e.blockedBy(h.config.Blocks)}
		} else {
			delete(programs, s)
		}
	}
	if before == nil || c.reconfigured[name] {
		programs := make(map[slot]*program, len(h.chosen))
		for s := range h.chosen {
			place(programs, s)
			listed.flip(programs[s], s)
		}
		return newHost(h.config, programs, listed)
	}
	programs := maps.Clone(before.programs)
	listed = before.mark
	for s := range c.touched[name] {
		listed.flip(programs[s], s)
		place(programs, s)
		listed.flip(programs[s], s)
	}
	return newHost(h.config, programs, listed)
}

// report brings the gauges up to date.
func (st *store) report() {
	now := st.current.Load()
	st.metrics.documents.Set(float64(now.documents))
	st.metrics.hostApps.Set(float64(len(now.hosts)))
	st.metrics.kept.Reset()
	for _, b := range st.bad {
		st.metrics.kept.WithLabelValues(b.reason).Inc()
	}
}

package manifest

import (
	"maps"
	"slices"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Parts of audiences
//
// A part needs no signature: the signed document names it by its digest. It has to be
// there before the document that names it is taken over, so that whoever is in service can decide. One
// that vanishes stays for as long as a document in service names it; the next to go
// is out of memory and out of the disk copy with that document.

// part is the bytes of one digest. The store's lock guards all but data, which never changes.
type part struct {
	data document.PartData
	// there are the ConfigMaps that hold it at present.
	there map[string]bool
	// uses counts the documents that name it; from is a ConfigMap that held it last.
	uses int
	from string
}

// readPart checks the form of a part's record.
func readPart(r *record) (document.PartData, error) {
	if len(r.Part) == 0 {
		return nil, reject(reasonIncomplete, "the key %s is missing", delivery.KeyPart)
	}
	data := document.PartData(r.Part)
	if err := data.Check(); err != nil {
		return nil, reject(reasonMalformed, "%w", err)
	}
	return data, nil
}

func (st *store) takePart(r *record) error {
	data, err := readPart(r)
	if err != nil {
		return err
	}
	digest := data.Digest()
	if before, known := st.partOf[r.Name]; known && before != digest {
		st.partGone(r.Name)
	}
	p := st.parts[digest]
	if p == nil {
		p = &part{data: data, there: map[string]bool{}}
		st.parts[digest] = p
	}
	if !p.there[r.Name] {
		p.there[r.Name], p.from, st.partOf[r.Name] = true, r.Name, digest
		st.accepted(r)
	}
	return nil
}

// partGone notes that a ConfigMap does not hold a part any longer, and tells whether a
// document in service still names that one.
func (st *store) partGone(name string) (inUse bool) {
	digest, known := st.partOf[name]
	if !known {
		return false
	}
	delete(st.partOf, name)
	p := st.parts[digest]
	if delete(p.there, name); len(p.there) > 0 {
		st.forgotten(name)
		return false
	}
	st.dropPart(digest, p)
	return p.uses > 0
}

// dropPart forgets a part that no document names and no ConfigMap holds.
func (st *store) dropPart(digest string, p *part) {
	if p.uses > 0 || len(p.there) > 0 {
		return
	}
	delete(st.parts, digest)
	delete(st.bad, p.from)
	st.forgotten(p.from)
}

// withParts gives a document the parts that it names, or says which one is not there.
func (st *store) withParts(e *entry) error {
	all := delivery.Parts(e.doc)
	if len(all) == 0 {
		return nil // a document that asks for lists and names none is of a later kind
	}
	e.parts = make(map[string]document.PartData, len(all))
	for _, named := range all {
		p := st.parts[named.Digest]
		if p == nil {
			return reject(reasonPart, "the part %s of its audience is not there", named.Digest)
		}
		if p.data.Keys() != int(named.Keys) {
			return reject(reasonPart, "the part %s of its audience has %d keys, not %d", named.Digest, p.data.Keys(), named.Keys)
		}
		e.parts[named.Digest] = p.data
	}
	e.inPart = func(named document.Part, hash document.KeyHash) bool { return e.parts[named.Digest].Has(hash) }
	return nil
}

// inService tells whether what a ConfigMap last held is.
func (st *store) inService(name string) bool {
	_, isHostApp := st.configs[name]
	isPart := false
	for _, p := range st.parts {
		isPart = isPart || p.from == name && p.uses > 0
	}
	return isHostApp || isPart || st.entries[name] != nil
}

// useParts counts a document in, and leaveParts out.
func (st *store) useParts(e *entry) {
	for digest := range e.parts {
		st.parts[digest].uses++
	}
}

func (st *store) leaveParts(e *entry) {
	for digest := range e.parts {
		p := st.parts[digest]
		p.uses--
		st.dropPart(digest, p)
	}
}

// takeWaiting looks again at documents that waited for parts.
func (st *store) takeWaiting(c *change) {
	for _, name := range slices.Sorted(maps.Keys(st.bad)) {
		if b := st.bad[name]; b.reason == reasonPart {
			st.take(c, update{name: name, record: b.record})
		}
	}
}

// partsFirst orders updates so that a document finds its parts.
func partsFirst(updates []update) []update {
	isPart := func(u update) bool { return u.record != nil && u.record.Kind == delivery.KindAudience }
	rank := func(u update) int {
		if isPart(u) {
			return 0
		}
		return 1
	}
	out := slices.Clone(updates)
	slices.SortStableFunc(out, func(a, b update) int { return rank(a) - rank(b) })
	return out
}

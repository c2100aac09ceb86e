package manifest

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// ahead are documents that were read before their turn comes. Reading one, its signature
// above all, is nearly all that taking it over costs, and after a start there are
// thousands: they are read by all processors at once. The zero value has none.
type ahead struct {
	keys *keySet
	read map[*record]readAhead
}

type readAhead struct {
	entry *entry
	err   error
}

// worthAhead is from how many documents on it is worth while to share them out.
const worthAhead = 16

// readAll reads the documents of updates that the store does not have yet. It is for
// who holds the lock.
func (st *store) readAll(updates []update) ahead {
	var documents []*record
	for _, u := range updates {
		if u.record == nil || u.record.Kind != delivery.KindRollout {
			continue
		}
		if old := st.entries[u.name]; old == nil || !old.same(u.record) {
			documents = append(documents, u.record)
		}
	}
	if len(documents) < worthAhead {
		return ahead{}
	}
	a := ahead{keys: st.keys.Load(), read: make(map[*record]readAhead, len(documents))}
	done := make([]readAhead, len(documents))
	var next atomic.Int64
	var readers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		readers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(documents)); i = next.Add(1) - 1 {
				done[i].entry, done[i].err = readEntry(documents[i], a.keys.keys)
			}
		})
	}
	readers.Wait()
	for i, r := range documents {
		a.read[r] = done[i]
	}
	return a
}

// entry is the record's, read with the keys that are trusted now.
func (a *ahead) entry(r *record, keys *keySet) (*entry, error) {
	if done, is := a.read[r]; is && a.keys == keys {
		return done.entry, done.err
	}
	return readEntry(r, keys.keys)
}

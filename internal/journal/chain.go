package journal

import (
	"fmt"
	"slices"
	"time"
)

// Checked is an entry of a journal that was read, or why it could not be believed.
type Checked struct {
	Tag, Digest string
	// Entry is nil where Err is not.
	Entry *Entry
	Err   error
}

// Gaps says what a journal lacks, for people. The entries must be all of one journal, in
// their order. What was cut off at its end cannot be seen.
func Gaps(all []Checked) []string {
	var out []string
	before := ""
	known := map[string]string{}
	for _, c := range all {
		known[c.Tag] = c.Digest
		if c.Err != nil {
			out = append(out, fmt.Sprintf("entry %s cannot be believed: %v", c.Tag, c.Err))
			before = c.Tag
			continue
		}
		out = append(out, c.Entry.gaps(before, known)...)
		if !c.Entry.Late {
			before = c.Tag
		}
	}
	return out
}

// gaps of one entry. before is the tag before it, known are the digests of all up to it.
func (e *Entry) gaps(before string, known map[string]string) []string {
	var out []string
	tag := e.Tag()
	if l := e.Lost; l != nil {
		out = append(out, fmt.Sprintf("%d documents before entry %s were out and are not in the journal, of sequences %d to %d: the registry was away", l.Count, tag, l.First, l.Last))
	}
	switch {
	case e.Late:
	case e.Previous == nil && before != "":
		out = append(out, fmt.Sprintf("entry %s says that it is the first, and %s is there before it", tag, before))
	case e.Previous == nil:
	case known[e.Previous.Tag] == "":
		out = append(out, fmt.Sprintf("entry %s follows on %s, which is missing", tag, e.Previous.Tag))
	case known[e.Previous.Tag] != e.Previous.Digest:
		out = append(out, fmt.Sprintf("entry %s follows on other bytes of %s than are there", tag, e.Previous.Tag))
	case e.Previous.Tag != before:
		out = append(out, fmt.Sprintf("entry %s follows on %s, and %s is between them", tag, e.Previous.Tag, before))
	}
	return out
}

// Sort puts tags of a journal into their order and leaves out what is none of an entry.
func Sort(tags []string) []Order {
	var out []Order
	for _, tag := range tags {
		if o, ok := OrderOf(tag); ok {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, Order.Compare)
	return out
}

// Before are the entries from before a time, the highest first, and of those that hold
// the same document the last alone.
func Before(sorted []Order, at time.Time) []Order {
	var out []Order
	for _, o := range slices.Backward(sorted) {
		if o.Time().Before(at) && (len(out) == 0 || out[len(out)-1].Number != o.Number) {
			out = append(out, o)
		}
	}
	return out
}

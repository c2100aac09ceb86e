package journal

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"slices"
	"sort"
	"time"
)

// Item is something that was published, as a ConfigMap keeps it until it is in the journal.
type Item struct {
	Order
	// Envelope of a document, or the HostApp of a host app.
	Envelope string    `json:"envelope,omitempty"`
	HostApp  *HostApp  `json:"hostApp,omitempty"`
	Written  time.Time `json:"written"`
	Basis    *Basis    `json:"basis,omitempty"`
}

// Backlog is what a ConfigMap carries along that it held before and that is not known to be
// in the journal: it was replaced while the registry was away, or a moment before. It is
// written together with what replaces it, so that it costs no write of its own.
type Backlog struct {
	Items []Item `json:"items,omitempty"`
	Lost  *Lost  `json:"lost,omitempty"`
}

const (
	// maxBacklog bounds the text of a backlog, in bytes. Beside it the ConfigMap holds the
	// document, twice, and may have 1 MiB.
	maxBacklog = 160 << 10
	// maxUnpacked bounds what is read of one.
	maxUnpacked = 32 << 20
)

// Carry returns the backlog of a ConfigMap whose content was last, and is about to be
// replaced. held tells what is known to be in the journal. What does not fit is lost, the
// oldest first, and counted.
func Carry(old string, last *Item, held func(Order) bool) string {
	b := ParseBacklog(old)
	if last != nil {
		b.Items = append(b.Items, *last)
	}
	if n := len(b.Items); n > 0 && held(b.Items[n-1].Order) {
		return "" // and all before it
	}
	b.Items = slices.DeleteFunc(b.Items, func(i Item) bool { return held(i.Order) })
	if len(b.Items) == 0 && b.Lost == nil {
		return ""
	}
	text := b.text()
	if len(text) <= maxBacklog {
		return text
	}
	// Each try packs all that is left, and an abort waits for it: so the least that has to go
	// is found by halving, and not one by one.
	sort.Search(len(b.Items), func(n int) bool {
		shorter := b.without(n).text()
		fits := len(shorter) <= maxBacklog
		if fits {
			text = shorter
		}
		return fits
	})
	if len(text) > maxBacklog {
		text = b.without(len(b.Items)).text()
	}
	return text
}

// without is the backlog with the n oldest items lost.
func (b *Backlog) without(n int) *Backlog {
	if n == 0 {
		return b
	}
	lost := Lost{First: b.Items[0].Number}
	if b.Lost != nil {
		lost = *b.Lost
	}
	lost.Count, lost.Last = lost.Count+int64(n), b.Items[n-1].Number
	return &Backlog{Items: b.Items[n:], Lost: &lost}
}

// text gives the same text for the same backlog.
func (b *Backlog) text() string {
	raw, err := json.Marshal(b)
	if err != nil {
		panic("a backlog can be written as JSON: " + err.Error())
	}
	return Pack(raw)
}

// ParseBacklog reads what Carry wrote. What cannot be read is empty.
func ParseBacklog(text string) Backlog {
	var b Backlog
	if raw := Unpack(text); raw == nil || json.Unmarshal(raw, &b) != nil {
		return Backlog{}
	}
	return b
}

// Pack compresses bytes to a text for a ConfigMap.
func Pack(raw []byte) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(raw)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("a buffer takes everything: " + err.Error())
	}
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

// Unpack reads what Pack wrote; nil: it cannot be read.
func Unpack(text string) []byte {
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(packed) == 0 {
		return nil
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxUnpacked+1))
	if err != nil || len(raw) > maxUnpacked {
		return nil
	}
	return raw
}

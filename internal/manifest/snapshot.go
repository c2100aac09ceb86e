package manifest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

const (
	hostAppActive   = v1alpha1.HostAppActive
	hostAppDisabled = v1alpha1.HostAppDisabled
)

// snapshot is all that is served at one moment. It is immutable, and shares what
// did not change with the one before.
type snapshot struct {
	// hosts by name; only those whose configuration is known.
	hosts map[string]*host
	blobs blobIndex
	// previews by the name of their ConfigMap.
	previews map[string]*preview
	// origins of all host apps, sorted.
	origins []string
	// documents in service.
	documents int
}

// host is what one host app is served.
type host struct {
	config   *delivery.HostAppConfig
	programs map[slot]*program
	// mark stands for what the list has.
	mark mark
	// list is made when it is first asked for, for it is long and most
	// changes are never listed before the next one.
	list func() *encoded
}

// program is a document as one host app gets it.
type program struct {
	*entry
	// block keeps the document from this host app; nil: it gets it.
	block *delivery.Block
}

func newHost(config *delivery.HostAppConfig, programs map[slot]*program, m mark) *host {
	h := &host{config: config, programs: programs, mark: m}
	h.list = sync.OnceValue(h.encodeList)
	return h
}

// speaks tells whether the host app has opted into a dialect.
func (h *host) speaks(dialect string) bool { return slices.Contains(h.config.Dialects, dialect) }

// programLine is one program in a list.
type programLine struct {
	AppID          string                `json:"appID"`
	Channel        string                `json:"channel"`
	Sequence       int64                 `json:"sequence"`
	IssuedAt       document.Time         `json:"issuedAt"`
	Availability   document.Availability `json:"availability"`
	EnvelopeDigest string                `json:"envelopeDigest"`
	Listing        *document.Listing     `json:"listing,omitempty"`
}

// encodeList lists what the host app may list. Those that are Suspended,
// Withdrawn, Blocked or Removed by a signed document are in it too: a host app that
// polls only the list must see their sequence rise. Hidden ones are not, and
// neither is what the host app blocks itself.
func (h *host) encodeList() *encoded {
	slots := slices.SortedFunc(maps.Keys(h.programs), func(a, b slot) int {
		return strings.Compare(a.appID+"\n"+a.channel, b.appID+"\n"+b.channel)
	})
	var out bytes.Buffer
	name, err := json.Marshal(h.config.Name)
	if err != nil {
		panic("a string can be written as JSON: " + err.Error())
	}
	out.WriteString(`{"host":`)
	out.Write(name)
	out.WriteString(`,"programs":[`)
	first := true
	for _, s := range slots {
		p := h.programs[s]
		if !p.listed(s) {
			continue
		}
		if !first {
			out.WriteByte(',')
		}
		first = false
		out.Write(p.line)
	}
	out.WriteString(`]}`)
	return encode("application/json", out.Bytes())
}

// blobKey is the 32 bytes of a SHA-256.
type blobKey [32]byte

// blobRef is where a blob can be had, by one document.
type blobRef struct {
	owner      any // an *entry or a *preview
	repository string
	// size in bytes as signed; 0: not known.
	size      int64
	mediaType string
	// until is when it is handed out no more; zero: as long as the owner is in service.
	until time.Time
}

// blobIndex has all blobs that documents in service name, by the first byte of
// their digest, so that a change copies a few small maps.
type blobIndex [256]map[blobKey][]blobRef

func (x *blobIndex) find(key blobKey) []blobRef { return x[key[0]][key] }

// blobChange changes a copy of an index.
type blobChange struct {
	index  blobIndex
	copied [256]bool
}

func (c *blobChange) shard(key blobKey) map[blobKey][]blobRef {
	i := key[0]
	if !c.copied[i] {
		c.copied[i] = true
		if c.index[i] = maps.Clone(c.index[i]); c.index[i] == nil {
			c.index[i] = map[blobKey][]blobRef{}
		}
	}
	return c.index[i]
}

func (c *blobChange) add(e *entry) { c.addBlobs(e, e.blobs(), e.repositories, time.Time{}) }

func (c *blobChange) addBlobs(owner any, blobs []document.Blob, repositories string, until time.Time) {
	for _, b := range blobs {
		key, ok := parseHex(b.Digest[len("sha256:"):])
		if !ok {
			continue // document.Parse refuses such a digest
		}
		shard := c.shard(key)
		refs := slices.Clip(shard[key]) // a new slice: the old one belongs to a snapshot
		for _, repository := range strings.Fields(repositories) {
			refs = append(refs, blobRef{owner: owner, repository: repository, size: b.Size, mediaType: b.MediaType, until: until})
		}
		shard[key] = refs
	}
}

func (c *blobChange) remove(e *entry) { c.removeBlobs(e, e.blobs()) }

func (c *blobChange) removeBlobs(owner any, blobs []document.Blob) {
	for _, b := range blobs {
		key, ok := parseHex(b.Digest[len("sha256:"):])
		if !ok {
			continue
		}
		shard := c.shard(key)
		left := slices.DeleteFunc(slices.Clone(shard[key]), func(r blobRef) bool { return r.owner == owner })
		if len(left) == 0 {
			delete(shard, key)
			continue
		}
		shard[key] = left
	}
}

// parseHex reads 64 lower-case hexadecimal digits: one way to write a digest, so
// that caches hold a blob once.
func parseHex(text string) (blobKey, bool) {
	var key blobKey
	if len(text) != 2*len(key) || strings.ToLower(text) != text {
		return key, false
	}
	_, err := hex.Decode(key[:], []byte(text))
	return key, err == nil
}

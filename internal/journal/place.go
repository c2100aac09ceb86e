package journal

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const root = "journal.v1/"

// maxComponent bounds what of a name goes into a repository's, which registries bound at
// 255 characters together with the prefix.
const maxComponent = 100

// RolloutRepository holds the entries of a Rollout, below the client's prefix.
func RolloutRepository(namespace, rollout string) string {
	return root + "rollouts/" + component(namespace) + "/" + component(rollout)
}

// HostAppRepository holds the entries of a host app.
func HostAppRepository(hostApp string) string { return root + "hostapps/" + component(hostApp) }

// AppRepository names the Rollouts that have published for an app ID. App IDs have
// upper-case letters, which names of repositories have not: the name is a hash.
func AppRepository(appID string) string { return root + "apps/" + hash(appID) }

// AppTag is that of one Rollout in AppRepository.
func AppTag(namespace, rollout string) string { return hash(namespace + "/" + rollout) }

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// component cuts a name that is too long and ends it with a hash. Only such names have the
// greatest length, so that none can be given the name that another is cut to.
func component(name string) string {
	if len(name) < maxComponent {
		return name
	}
	end := "." + hash(name)
	begin := name[:maxComponent-len(end)]
	kept := strings.TrimRight(begin, ".-") // which may not stand before a dot
	return kept + strings.Repeat("x", len(begin)-len(kept)) + end
}

// Order is where an entry stands in its journal. Signing anew keeps the number and moves
// the time.
type Order struct {
	// Number is the sequence of a document, or counts the changes of a host app.
	Number int64 `json:"number"`
	// Second is when the document was issued, or the host app changed, in Unix time.
	Second int64 `json:"second"`
}

// Compare is negative where o comes before p.
func (o Order) Compare(p Order) int {
	return cmp.Or(cmp.Compare(o.Number, p.Number), cmp.Compare(o.Second, p.Second))
}

// Tag names the entry.
func (o Order) Tag() string { return fmt.Sprintf("s%d-%d", o.Number, o.Second) }

// Time is that of the second.
func (o Order) Time() time.Time { return time.Unix(o.Second, 0).UTC() }

// No order has two tags: numbers have no zeros before them.
var tagForm = regexp.MustCompile(`^s([1-9][0-9]{0,17})-(0|[1-9][0-9]{0,11})$`)

// OrderOf reads a tag; ok tells whether it is one of an entry.
func OrderOf(tag string) (o Order, ok bool) {
	parts := tagForm.FindStringSubmatch(tag)
	if parts == nil {
		return Order{}, false
	}
	number, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return Order{}, false
	}
	second, err := strconv.ParseInt(parts[2], 10, 64)
	return Order{Number: number, Second: second}, err == nil
}

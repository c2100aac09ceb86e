package delivery

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// DocumentLabel tells the ConfigMaps of the publication namespace apart by what they hold.
const DocumentLabel = "miniprogram.dev/document"

// LedgerLabel names the ledger of the app ID that a document is for, so that all
// documents of an app ID are found, whoever published them. It is a hint for
// whoever looks: what counts is what a document says that is signed.
const LedgerLabel = "miniprogram.dev/ledger"

// AudienceLabel names the Rollout that a part of an audience is of, as AudienceOwner does.
const AudienceLabel = "miniprogram.dev/audience"

// Values of DocumentLabel.
const (
	KindRollout  = "rollout"
	KindHostApp  = "hostapp"
	KindLedger   = "ledger"
	KindAudience = "audience"
	KindKeys     = "keys"
)

// Keys in the data of a rollout's ConfigMap.
const (
	// KeyEnvelope is the signed envelope, as host apps get it.
	KeyEnvelope = "envelope"
	// KeyDocument is the document in the envelope, for people to read; nothing reads it back.
	KeyDocument = "document"
	// KeySequence is the document's sequence in decimal digits; admission refuses to lower it.
	KeySequence = "sequence"
	// KeyPercent is the share of users that get the target, such as "5%", for people.
	KeyPercent = "percent"
	// KeyWritten is when the envelope came into the ConfigMap, RFC 3339, by the manager's clock and
	// rounded up to whole seconds. The pause of a step counts from it.
	KeyWritten = "written"
	// KeyRepository has the repositories where the artifacts' blobs are, below the prefix under
	// which the manager publishes, separated by spaces. It needs no signature: what is read there is
	// checked against digests that the document names.
	KeyRepository = "repository"
	// KeyBasis, KeyRecord and KeyBacklog are for the journal (internal/journal): what the document
	// rests on, the recorded status that it is made of, and what was here before and is not known
	// to be in the journal. Nothing that is handed out depends on them.
	KeyBasis   = "basis"
	KeyRecord  = "record"
	KeyBacklog = "backlog"
	// KeyHostApp is the JSON of HostAppConfig in a host app's ConfigMap.
	KeyHostApp = "hostapp"
	// KeyChain is the JSON of the chain of key documents, as host apps get it. Beside it,
	// KeySequence has the number of its last document.
	KeyChain = "chain"
)

// KeysConfigMap is the ConfigMap with the chain of key documents: the installation has one.
const KeysConfigMap = "installation.keys"

// Keys of a ConfigMap that holds a part of an audience.
const (
	// KeyPart in binaryData has the bytes: document.PartData.
	KeyPart = "part"
	// KeyPartDigest is the digest of these, by which documents name them.
	KeyPartDigest = "digest"
	// KeyPartRollout is the Rollout, as namespace/name.
	KeyPartRollout = "rollout"
)

// maxConfigMapName is Kubernetes' bound on the name of an object.
const maxConfigMapName = 253

// RolloutConfigMap names the ConfigMap of a rollout's document.
func RolloutConfigMap(namespace, rollout string) string {
	return bounded(namespace+"."+rollout, ".rollout")
}

// HostAppConfigMap names the ConfigMap of a host app.
func HostAppConfigMap(hostApp string) string { return bounded(hostApp, ".hostapp") }

// LedgerConfigMap names the ConfigMap that remembers an app ID. App IDs have
// upper-case letters, which names of objects have not: the name is a hash.
func LedgerConfigMap(appID string) string {
	sum := sha256.Sum256([]byte(appID))
	return hex.EncodeToString(sum[:16]) + ".ledger"
}

// AudienceConfigMap names the ConfigMap of a part of a Rollout's audience. Other bytes
// have another name, so that no part is ever changed: a document and its parts cannot
// come apart. It ends in the number of keys.
func AudienceConfigMap(namespace, rollout, digest string, keys int32) string {
	sum := sha256.Sum256([]byte(namespace + "/" + rollout + "\n" + digest))
	return hex.EncodeToString(sum[:16]) + ".audience." + strconv.Itoa(int(keys))
}

// AudienceOwner is the value of AudienceLabel for a Rollout.
func AudienceOwner(namespace, rollout string) string {
	sum := sha256.Sum256([]byte(namespace + "/" + rollout))
	return hex.EncodeToString(sum[:16])
}

// bounded cuts a name that is too long and ends it with a hash. Only such names
// have the greatest length: else an object could be given the name that another's
// long one is cut to.
func bounded(name, suffix string) string {
	if len(name)+len(suffix) < maxConfigMapName {
		return name + suffix
	}
	sum := sha256.Sum256([]byte(name))
	end := "." + hex.EncodeToString(sum[:16]) + suffix
	begin := name[:maxConfigMapName-len(end)]
	kept := strings.TrimRight(begin, ".-") // which may not stand before a dot
	return kept + strings.Repeat("x", len(begin)-len(kept)) + end
}

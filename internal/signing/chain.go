package signing

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

// Annotations of the ConfigMap with the trusted keys.
const (
	// RequestAnnotation is a person's: rotate@<number>, or drop@<number>/<key ID>, where the
	// number is that of the newest key document. An answer has a new number, so that nothing
	// is done twice. Whoever may write it may write the keys that the manifest service trusts,
	// so it needs no right of its own.
	RequestAnnotation = v1alpha1.ActionAnnotation
	// ReportAnnotation is the manager's: a Report as JSON.
	ReportAnnotation = "miniprogram.dev/keys"
)

// Report tells people about the keys.
type Report struct {
	// Number of the newest key document.
	Number int64 `json:"number"`
	// Message says how it goes.
	Message string `json:"message,omitempty"`
	// Keys that are trusted.
	Keys []ReportedKey `json:"keys"`
}

// ReportedKey is a key in a Report; see keychain.Key.
type ReportedKey struct {
	KeyID       string         `json:"keyID"`
	State       keychain.State `json:"state"`
	NotBefore   string         `json:"notBefore,omitempty"`
	RetireAfter string         `json:"retireAfter,omitempty"`
}

// chain is what is published of the keys.
type chain struct {
	object    *corev1.ConfigMap
	envelopes []dsse.Envelope
	documents []*keychain.Document
}

func (c *chain) newest() *keychain.Document { return c.documents[len(c.documents)-1] }

// earlier are the keys that were trusted and are not any more.
func (c *chain) earlier() []string {
	ids := map[string]bool{}
	for _, d := range c.documents {
		for _, k := range d.Keys {
			ids[k.KeyID] = true
		}
	}
	for _, k := range c.newest().Keys {
		delete(ids, k.KeyID)
	}
	return slices.Sorted(maps.Keys(ids))
}

// ours fails if none of the keys that are held signed the last document. The manager
// tells the manifest service whom to trust from it, and must not be made to tell it of a
// stranger. With no key at all there is something else to say: see Decide.
func (c *chain) ours(held map[string]*Signer) error {
	if len(held) == 0 {
		return nil
	}
	var keys []dsse.Key
	for _, s := range held {
		keys = append(keys, s.Key)
	}
	if _, _, err := c.envelopes[len(c.envelopes)-1].Verify(keys); err != nil {
		return fmt.Errorf("ConfigMap %s/%s: %w: restore it, or the Secrets, from a backup of one time: %w", c.object.Namespace, c.object.Name, errForged, err)
	}
	return nil
}

// readChain reads the chain; nil: there is none.
func (k *Keys) readChain(ctx context.Context) (*chain, error) {
	c := &chain{object: new(corev1.ConfigMap)}
	name := client.ObjectKey{Namespace: k.PublicationNamespace, Name: delivery.KeysConfigMap}
	err := k.Client.Get(ctx, name, c.object)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading ConfigMap %s: %w", name, err)
	}
	read, err := keychain.ParseChain([]byte(c.object.Data[delivery.KeyChain]))
	if err != nil {
		return nil, fmt.Errorf("reading ConfigMap %s: %w", name, err)
	}
	for i, e := range read.Documents {
		payload, err := e.Unverified()
		if err != nil {
			return nil, fmt.Errorf("reading document %d in ConfigMap %s: %w", i, name, err)
		}
		d, err := keychain.Parse(payload)
		if err != nil {
			return nil, fmt.Errorf("reading document %d in ConfigMap %s: %w", i, name, err)
		}
		c.documents = append(c.documents, d)
	}
	if len(c.documents) == 0 {
		return nil, fmt.Errorf("ConfigMap %s has no key document: restore it from a backup", name)
	}
	c.envelopes = read.Documents
	return c, nil
}

// write appends a document to the chain. The write carries the version that was read: a
// manager that leads no longer is refused, and admission refuses a lower number.
func (k *Keys) write(ctx context.Context, f *found, d *keychain.Document) error {
	for i := range d.Keys {
		key := &d.Keys[i]
		if signer := f.held[key.KeyID]; key.PublicKey == "" && signer != nil {
			key.Algorithm, key.PublicKey = keychain.Algorithm, signer.PEM
		}
	}
	envelope, err := vouch(d, f.Newest, f.held)
	if err != nil {
		return err
	}
	var all []dsse.Envelope
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: k.PublicationNamespace, Name: delivery.KeysConfigMap,
		Labels: map[string]string{v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: delivery.KindKeys},
	}}
	if f.chain != nil {
		all, cm = f.chain.envelopes, f.chain.object
	}
	all = append(slices.Clone(all), *envelope)
	// Who pinned a key of before that many documents needs a new build.
	all = all[max(len(all)-keychain.MaxDocuments, 0):]
	text, err := json.Marshal(keychain.Chain{Documents: all})
	if err != nil {
		return fmt.Errorf("writing the chain of keys: %w", err)
	}
	cm.Data = map[string]string{delivery.KeyChain: string(text), delivery.KeySequence: strconv.FormatInt(d.Number, 10)}
	if f.chain == nil {
		err = k.Client.Create(ctx, cm)
	} else {
		err = k.Client.Update(ctx, cm)
	}
	if err != nil {
		return fmt.Errorf("writing key document %d to ConfigMap %s/%s: %w", d.Number, cm.Namespace, cm.Name, err)
	}
	return nil
}

func (k *Keys) readTrusted(ctx context.Context) (*corev1.ConfigMap, error) {
	cm := new(corev1.ConfigMap)
	err := k.Client.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: k.TrustedName}, cm)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the trusted keys in ConfigMap %s/%s: %w", k.Namespace, k.TrustedName, err)
	}
	return cm, nil
}

// tell writes the public keys where the manifest service mounts them, and the report for
// people. Without a message the report stays.
func (k *Keys) tell(ctx context.Context, f *found, message string) error {
	cm := f.trusted
	if cm == nil {
		cm = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: k.TrustedName}}
	}
	report := cm.Annotations[ReportAnnotation]
	if message != "" {
		text, err := json.Marshal(reportOf(f.Newest, message))
		if err != nil {
			return fmt.Errorf("writing the report about the keys: %w", err)
		}
		report = string(text)
	}
	if f.Trusted && cm.Annotations[ReportAnnotation] == report {
		return nil
	}
	if cm.Annotations == nil {
		cm.Annotations = map[string]string{}
	}
	if cm.Data = trustedData(f.Newest.Keys); report != "" {
		cm.Annotations[ReportAnnotation] = report
	}
	var err error
	if f.trusted == nil {
		err = k.Client.Create(ctx, cm)
	} else {
		err = k.Client.Update(ctx, cm)
	}
	if err != nil {
		return fmt.Errorf("writing the trusted keys to ConfigMap %s/%s: %w", k.Namespace, k.TrustedName, err)
	}
	return nil
}

func reportOf(d *keychain.Document, message string) Report {
	r := Report{Number: d.Number, Message: message}
	for _, key := range d.Keys {
		line := ReportedKey{KeyID: key.KeyID, State: key.State}
		if !key.NotBefore.IsZero() {
			line.NotBefore = written(key.NotBefore.Time)
		}
		if !key.RetireAfter.IsZero() {
			line.RetireAfter = written(key.RetireAfter.Time)
		}
		r.Keys = append(r.Keys, line)
	}
	return r
}

// trustedData is a file for each key, which the manifest service reads as PEM.
func trustedData(keys []keychain.Key) map[string]string {
	data := map[string]string{}
	for _, k := range keys {
		data[k.KeyID+".pem"] = k.PublicKey
	}
	return data
}

// Package ledger remembers what must outlive the objects that it is about: who
// holds an app ID, and for each channel and host app the last sequence, the last
// delivery number, and the version that was stable.
//
// It is one ConfigMap for each app ID in the publication namespace. Two
// developer groups cannot hold one app ID, and a Rollout that is created anew
// goes on from the numbers that host apps have seen.
//
// An app ID changes its holder only by Transfer. The page counts its holders, and
// a transfer names the count that it was meant for: each takes effect at most
// once, however often it is asked for.
package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

const dataKey = "ledger"

// Holder is the MiniProgram that holds an app ID.
type Holder struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Entry is what a rollout had reached.
type Entry struct {
	Channel  string   `json:"channel"`
	HostApps []string `json:"hostApps"`
	// Namespace and Rollout that wrote the entry.
	Namespace string `json:"namespace"`
	Rollout   string `json:"rollout"`
	// Sequence and Delivery are the highest that were given out when it was written.
	Sequence int64             `json:"sequence"`
	Delivery int64             `json:"delivery"`
	Stable   *v1alpha1.Variant `json:"stable,omitempty"`
}

// page is the whole ledger of one app ID.
type page struct {
	AppID  string `json:"appID"`
	Holder Holder `json:"holder"`
	// Holders counts those who have held the app ID so far; the first is 1.
	Holders int64   `json:"holders"`
	Entries []Entry `json:"entries,omitempty"`
}

// TakenError says that another MiniProgram holds the app ID.
type TakenError struct {
	AppID string
	// Holder is not part of the text, which another developer group reads.
	Holder Holder
	// Holders counts those who have held the app ID so far.
	Holders int64
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("spec.appID %s is held by another MiniProgram", e.AppID)
}

// ErrUnclaimed says that nobody holds the app ID yet.
var ErrUnclaimed = errors.New("nobody holds the app ID yet")

// Ledger reads and writes pages. Client may read through a cache: every write
// carries the version that was read, so a stale one conflicts and is done again.
type Ledger struct {
	Client    client.Client
	Namespace string
}

// Claim records the holder of an app ID at the first call, and afterwards fails
// with a *TakenError for every other. It returns how many have held the app ID so
// far, the holder among them.
func (l *Ledger) Claim(ctx context.Context, appID string, holder Holder) (holders int64, err error) {
	p, cm, err := l.read(ctx, appID)
	if err != nil {
		return 0, err
	}
	if cm == nil {
		return 1, l.write(ctx, nil, page{AppID: appID, Holder: holder, Holders: 1})
	}
	return p.Holders, p.heldBy(holder)
}

// Holds fails with a *TakenError when somebody else holds the app ID, and with
// ErrUnclaimed when nobody does yet.
func (l *Ledger) Holds(ctx context.Context, appID string, holder Holder) error {
	p, cm, err := l.read(ctx, appID)
	if err != nil {
		return err
	}
	if cm == nil {
		return ErrUnclaimed
	}
	return p.heldBy(holder)
}

// Transfer makes to the holder of an app ID that has had exactly holders holders
// so far. With any other count it fails with a *TakenError and changes nothing, so
// that a transfer is never done twice; and so it does not matter who asks again,
// or when. It fails with ErrUnclaimed when nobody holds the app ID yet.
func (l *Ledger) Transfer(ctx context.Context, appID string, to Holder, holders int64) error {
	p, cm, err := l.read(ctx, appID)
	if err != nil {
		return err
	}
	if cm == nil {
		return ErrUnclaimed
	}
	taken := p.heldBy(to)
	if taken == nil || p.Holders != holders {
		return taken
	}
	p.Holder, p.Holders = to, holders+1
	return l.write(ctx, cm, p)
}

func (p *page) heldBy(holder Holder) error {
	if p.Holder != holder {
		return &TakenError{AppID: p.AppID, Holder: p.Holder, Holders: p.Holders}
	}
	return nil
}

// Find returns the entries of the channel that share a host app with hostApps,
// the highest sequence first.
func (l *Ledger) Find(ctx context.Context, appID, channel string, hostApps []string) ([]Entry, error) {
	p, _, err := l.read(ctx, appID)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(p.Entries, func(e Entry) bool {
		return e.Channel != channel || !slices.ContainsFunc(e.HostApps, func(h string) bool { return slices.Contains(hostApps, h) })
	})
	slices.SortStableFunc(found, func(a, b Entry) int { return cmp.Compare(b.Sequence, a.Sequence) })
	return found, nil
}

// Keepers returns those entries of the app ID, in whatever channel, whose stable
// version has the digest: host apps get it as long as nothing newer is published,
// also where the Rollout is gone that published it.
func (l *Ledger) Keepers(ctx context.Context, appID, digest string) ([]Entry, error) {
	p, _, err := l.read(ctx, appID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(p.Entries, func(e Entry) bool { return e.Stable == nil || e.Stable.Digest != digest }), nil
}

// Record writes what a rollout of the holder has reached in the place of what it
// wrote before, and fails with a *TakenError for every other.
// It writes nothing when nothing but the sequence changed: numbers are also
// derived from the time, so the ledger need not follow every step. An entry that e
// has outdated goes, or the page would grow with every Rollout that there ever was.
func (l *Ledger) Record(ctx context.Context, appID string, holder Holder, e Entry) error {
	p, cm, err := l.read(ctx, appID)
	if err != nil {
		return err
	}
	if cm == nil {
		return fmt.Errorf("recording %s/%s: nobody holds app ID %s yet", e.Namespace, e.Rollout, appID)
	}
	if err := p.heldBy(holder); err != nil {
		return err
	}
	e.HostApps = slices.Sorted(slices.Values(e.HostApps))
	i := slices.IndexFunc(p.Entries, func(o Entry) bool {
		return o.Channel == e.Channel && o.Namespace == e.Namespace && o.Rollout == e.Rollout
	})
	if i < 0 {
		p.add(e)
		return l.write(ctx, cm, p)
	}
	old := p.Entries[i]
	same := old
	same.Sequence = e.Sequence
	if reflect.DeepEqual(same, e) {
		return nil
	}
	e.Sequence, e.Delivery = max(e.Sequence, old.Sequence), max(e.Delivery, old.Delivery)
	p.Entries = slices.Delete(p.Entries, i, i+1)
	p.add(e)
	return l.write(ctx, cm, p)
}

// add puts e into the place of those whose host apps have all got something newer
// by it. What was stable there stays remembered while e has none.
func (p *page) add(e Entry) {
	p.Entries = slices.DeleteFunc(p.Entries, func(o Entry) bool {
		outdated := o.Channel == e.Channel && o.Sequence < e.Sequence && (e.Stable != nil || o.Stable == nil) &&
			!slices.ContainsFunc(o.HostApps, func(h string) bool { return !slices.Contains(e.HostApps, h) })
		if outdated {
			e.Delivery = max(e.Delivery, o.Delivery)
		}
		return outdated
	})
	p.Entries = append(p.Entries, e)
}

// Difference is what a write has changed in a page.
type Difference struct {
	// Holder: another MiniProgram holds the app ID, or nobody can tell.
	Holder bool
	// Rollouts are those whose entries are others, new or gone.
	Rollouts []client.ObjectKey
}

// Compare tells how a page differs from what it was.
func Compare(before, after *corev1.ConfigMap) Difference {
	var was, is page
	if json.Unmarshal([]byte(before.Data[dataKey]), &was) != nil || json.Unmarshal([]byte(after.Data[dataKey]), &is) != nil {
		return Difference{Holder: true}
	}
	d := Difference{Holder: was.AppID != is.AppID || was.Holder != is.Holder || was.Holders != is.Holders}
	lacks := func(entries []Entry, e Entry) bool {
		return !slices.ContainsFunc(entries, func(o Entry) bool { return reflect.DeepEqual(o, e) })
	}
	for _, e := range slices.Concat(was.Entries, is.Entries) {
		key := client.ObjectKey{Namespace: e.Namespace, Name: e.Rollout}
		if (lacks(was.Entries, e) || lacks(is.Entries, e)) && !slices.Contains(d.Rollouts, key) {
			d.Rollouts = append(d.Rollouts, key)
		}
	}
	return d
}

func (l *Ledger) read(ctx context.Context, appID string) (page, *corev1.ConfigMap, error) {
	var cm corev1.ConfigMap
	name := delivery.LedgerConfigMap(appID)
	err := l.Client.Get(ctx, client.ObjectKey{Namespace: l.Namespace, Name: name}, &cm)
	if apierrors.IsNotFound(err) {
		return page{}, nil, nil
	}
	if err != nil {
		return page{}, nil, fmt.Errorf("reading the ledger of app ID %s: %w", appID, err)
	}
	p, ok := parsePage(cm.Data[dataKey], appID)
	if !ok {
		return page{}, nil, fmt.Errorf("ConfigMap %s/%s, the ledger of app ID %s, was damaged: restore it, or delete it if nobody else ever held the app ID", l.Namespace, name, appID)
	}
	return p, &cm, nil
}

// parsePage reads what write wrote; not ok: it is no page of that app ID.
func parsePage(text, appID string) (p page, ok bool) {
	if json.Unmarshal([]byte(text), &p) != nil || p.AppID != appID {
		return page{}, false
	}
	p.Holders = max(p.Holders, 1)
	return p, true
}

func (l *Ledger) write(ctx context.Context, old *corev1.ConfigMap, p page) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("writing the ledger of app ID %s: %w", p.AppID, err)
	}
	if old != nil {
		cm := old.DeepCopy()
		cm.Data = map[string]string{dataKey: string(data)}
		if err := l.Client.Update(ctx, cm); err != nil {
			return fmt.Errorf("writing the ledger of app ID %s: %w", p.AppID, err)
		}
		return nil
	}
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: l.Namespace, Name: delivery.LedgerConfigMap(p.AppID),
			Labels: map[string]string{v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: delivery.KindLedger},
		},
		Data: map[string]string{dataKey: string(data)},
	}
	if err := l.Client.Create(ctx, cm); err != nil {
		return fmt.Errorf("writing the ledger of app ID %s: %w", p.AppID, err)
	}
	return nil
}

package controller

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

var (
	journalEntries = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "miniprogram_journal_entries_total", Help: "Entries of the journal, by result: Written, Failed for now, or Conflict with what is there.",
	}, []string{"result"})
	journalWaiting = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "miniprogram_journal_waiting", Help: "Rollouts and host apps whose last document or change could not be written into the journal yet.",
	})
)

func init() { metrics.Registry.MustRegister(journalEntries, journalWaiting) }

// Bounds of what the journal asks of the registry.
const (
	journalAtOnce   = 4
	journalTimeout  = 30 * time.Second
	journalLeast    = time.Second
	journalMost     = 5 * time.Minute
	resultWritten   = "Written"
	resultFailed    = "Failed"
	resultConflict  = "Conflict"
	reasonBehind    = "JournalBehind"
	reasonCaughtUp  = "JournalCaughtUp"
	reasonConflict  = "JournalConflict"
	reasonEntryLost = "JournalEntriesLost"
)

// JournalReconciler writes what is published into the journal. It looks at ConfigMaps
// alone, and nothing waits for it.
type JournalReconciler struct{ Shared }

// journalSheet is what a ConfigMap has for the journal.
type journalSheet struct {
	configMap, repository string
	// about is who is told; nil: it is gone.
	about client.Object
	index *journal.Index
	// items in their order. The last is what is published now, and record what it is made of.
	items  []journal.Item
	lost   *journal.Lost
	record []byte
}

func (j *journalSheet) last() journal.Order { return j.items[len(j.items)-1].Order }

// Reconcile writes down what one ConfigMap holds, and held before.
func (r *JournalReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	cm, err := r.findPublished(ctx, req.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	if cm == nil {
		r.Journal.wait(req.Name, false)
		return ctrl.Result{}, nil
	}
	// What is known to be written down needs no look at signatures.
	if item := itemOf(cm); item == nil || r.Journal.holds(cm.Name, item.Order) {
		return ctrl.Result{}, nil
	}
	set, err := r.keys(ctx)
	if err != nil {
		// KeysReconciler tells of it. A Secret that comes back cannot be watched.
		ctrl.LoggerFrom(ctx).V(1).Info("The journal waits for the keys.", "why", err.Error())
		return ctrl.Result{RequeueAfter: time.Minute}, nil
	}
	if err := r.Journal.await(ctx); err != nil {
		return ctrl.Result{}, err
	}
	sheet, err := r.read(ctx, cm, set)
	if err != nil || sheet == nil {
		return ctrl.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, journalTimeout)
	defer cancel()
	return ctrl.Result{}, r.report(sheet, r.write(ctx, set, sheet))
}

func itemOf(cm *corev1.ConfigMap) *journal.Item {
	if cm.Labels[delivery.DocumentLabel] == delivery.KindHostApp {
		return hostAppItemOf(cm.Data)
	}
	return documentItem(cm.Data)
}

// report tells who is concerned when the journal begins to lag, and when that is over.
func (r *JournalReconciler) report(sheet *journalSheet, err error) error {
	if err != nil {
		journalEntries.WithLabelValues(resultFailed).Inc()
	}
	if changed := r.Journal.wait(sheet.configMap, err != nil); !changed || sheet.about == nil {
		return err
	}
	if err != nil {
		r.event(sheet.about, corev1.EventTypeWarning, reasonBehind, "Journal", "what is published is not in the journal yet; nothing waits for that, and it is tried again: %v", err)
	} else {
		r.event(sheet.about, corev1.EventTypeNormal, reasonCaughtUp, "Journal", "the journal has all that was published")
	}
	return err
}

// read takes from a ConfigMap what is ours; nil: nothing.
func (r *JournalReconciler) read(ctx context.Context, cm *corev1.ConfigMap, set *signing.Set) (*journalSheet, error) {
	backlog, last := journal.ParseBacklog(cm.Data[delivery.KeyBacklog]), itemOf(cm)
	sheet := &journalSheet{configMap: cm.Name, items: append(backlog.Items, *last), lost: backlog.Lost}
	if last.HostApp != nil {
		sheet.repository = journal.HostAppRepository(last.HostApp.Name)
		return sheet, r.findAbout(ctx, sheet, &v1alpha1.HostApp{}, client.ObjectKey{Name: last.HostApp.Name})
	}
	doc := ours(set, cm.Name, last.Envelope)
	if doc == nil {
		return nil, nil // its Rollout publishes its own again
	}
	sheet.items = slices.DeleteFunc(sheet.items, func(i journal.Item) bool {
		carried := ours(set, cm.Name, i.Envelope)
		return carried == nil || carried.Rollout != doc.Rollout || i.Order != (journal.Order{Number: carried.Sequence, Second: carried.IssuedAt.Unix()})
	})
	sheet.record = journal.Unpack(cm.Data[delivery.KeyRecord])
	sheet.repository = journal.RolloutRepository(doc.Rollout.Namespace, doc.Rollout.Name)
	sheet.index = &journal.Index{AppID: doc.AppID, Namespace: doc.Rollout.Namespace, Rollout: doc.Rollout.Name}
	return sheet, r.findAbout(ctx, sheet, &v1alpha1.Rollout{}, client.ObjectKey{Namespace: doc.Rollout.Namespace, Name: doc.Rollout.Name})
}

// ours returns the document of an envelope that our keys have signed for a ConfigMap, or nil.
func ours(set *signing.Set, configMap, envelope string) *document.Release {
	doc, err := set.Verify([]byte(envelope))
	if err == nil && delivery.RolloutConfigMap(doc.Rollout.Namespace, doc.Rollout.Name) == configMap {
		return doc
	}
	return nil
}

func (r *JournalReconciler) findAbout(ctx context.Context, sheet *journalSheet, about client.Object, key client.ObjectKey) error {
	err := r.Client.Get(ctx, key, about)
	if err == nil {
		sheet.about = about
	}
	return client.IgnoreNotFound(err)
}

// write appends what is missing, in order.
func (r *JournalReconciler) write(ctx context.Context, set *signing.Set, sheet *journalSheet) error {
	head, there, err := r.findHead(ctx, sheet)
	if err != nil {
		return err
	}
	for i := range sheet.items {
		item := &sheet.items[i]
		if there[item.Order] {
			if err := r.compare(ctx, set, sheet, item); err != nil {
				return err
			}
			sheet.lost = nil
			continue
		}
		if head, err = r.add(ctx, set, sheet, item, head); err != nil {
			return err
		}
		sheet.lost = nil // the entry has told of them
	}
	if head.order.Compare(sheet.last()) < 0 {
		head.order = sheet.last() // it is there, or a conflict that was told
	}
	r.Journal.setHead(sheet.configMap, head)
	return nil
}

// findHead finds the last entry, and which of the items are there. What this process has
// written it need not ask for.
func (r *JournalReconciler) findHead(ctx context.Context, sheet *journalSheet) (journalHead, map[journal.Order]bool, error) {
	there := map[journal.Order]bool{}
	if head, known := r.Journal.head(sheet.configMap); known {
		sheet.items = slices.DeleteFunc(sheet.items, func(i journal.Item) bool { return i.Compare(head.order) <= 0 })
		return head, there, nil
	}
	if sheet.index != nil { // before the first entry, so that no entry is without
		if err := r.appendIndex(ctx, sheet.index); err != nil {
			return journalHead{}, nil, err
		}
	}
	tags, err := r.Journal.Registry.Tags(ctx, sheet.repository)
	if err != nil {
		return journalHead{}, nil, err
	}
	all := journal.Sort(tags)
	if len(all) == 0 {
		return journalHead{}, there, nil
	}
	for _, o := range all {
		there[o] = true
	}
	head := journalHead{order: all[len(all)-1]}
	digest, _, err := r.Journal.Registry.RecordLayers(ctx, sheet.repository, head.order.Tag())
	head.link = journal.Link{Tag: head.order.Tag(), Digest: digest}
	return head, there, err
}

func (r *JournalReconciler) appendIndex(ctx context.Context, index *journal.Index) error {
	err := r.Journal.Registry.AppendIndex(ctx, index)
	if _, taken := errors.AsType[*registry.TagTakenError](err); taken {
		journalEntries.WithLabelValues(resultConflict).Inc()
		return nil // who reads it sees that it is not what it should be; entries matter more
	}
	return err
}

// add writes one entry after head and returns what the head is then.
func (r *JournalReconciler) add(ctx context.Context, set *signing.Set, sheet *journalSheet, item *journal.Item, head journalHead) (journalHead, error) {
	a, entry, parts, err := r.entry(ctx, sheet, item, head)
	if err != nil {
		return head, err
	}
	payload, err := entry.Marshal()
	if err != nil {
		return head, err
	}
	if a.Entry, err = set.SignEntry(payload); err != nil {
		return head, err
	}
	digest, err := r.Journal.Registry.AppendEntry(ctx, sheet.repository, a, parts)
	if taken, is := errors.AsType[*registry.TagTakenError](err); is {
		// It came there after the list was read.
		return journalHead{order: item.Order, link: journal.Link{Tag: a.Tag, Digest: taken.Existing}}, r.compare(ctx, set, sheet, item)
	}
	if err != nil {
		return head, err
	}
	journalEntries.WithLabelValues(resultWritten).Inc()
	if l := entry.Lost; l != nil && sheet.about != nil {
		r.event(sheet.about, corev1.EventTypeWarning, reasonEntryLost, "Journal", "%d documents of sequences %d to %d are not in the journal: the registry was away for too long", l.Count, l.First, l.Last)
	}
	if entry.Late {
		return head, nil
	}
	return journalHead{order: item.Order, link: journal.Link{Tag: a.Tag, Digest: digest}}, nil
}

// entry makes an entry of an item that is not signed yet, with the names of the parts of
// its audiences in the document's order.
func (r *JournalReconciler) entry(ctx context.Context, sheet *journalSheet, item *journal.Item, head journalHead) (*journal.Artifact, *journal.Entry, []string, error) {
	a := &journal.Artifact{Tag: item.Tag(), Parts: map[string][]byte{}}
	e := &journal.Entry{Order: item.Order, HostApp: item.HostApp, Written: item.Written, Basis: item.Basis, Lost: sheet.lost}
	if head.link != (journal.Link{}) {
		e.Previous = &head.link
	}
	e.Late = item.Compare(head.order) < 0
	if item.HostApp != nil {
		return a, e, nil, nil
	}
	doc, _, err := journal.Document([]byte(item.Envelope))
	if err != nil {
		return nil, nil, nil, err
	}
	a.Document = []byte(item.Envelope)
	e.Rollout, e.AppID, e.Envelope = &doc.Rollout, doc.AppID, journal.Digest(a.Document)
	if item.Order == sheet.last() {
		e.Record = sheet.record
	}
	var parts []string
	for _, part := range delivery.Parts(doc) {
		if slices.Contains(parts, part.Digest) || slices.Contains(e.MissingParts, part.Digest) {
			continue
		}
		data, err := r.part(ctx, doc.Rollout.Namespace, doc.Rollout.Name, part.Digest, part.Keys)
		if err != nil {
			return nil, nil, nil, err
		}
		if data == nil {
			e.MissingParts = append(e.MissingParts, part.Digest)
			continue
		}
		parts, a.Parts[part.Digest] = append(parts, part.Digest), data
	}
	return a, e, parts, nil
}

// part reads the bytes of a part past the cache, which keeps only their digest; nil: it is gone.
func (r *JournalReconciler) part(ctx context.Context, namespace, name, digest string, keys int32) ([]byte, error) {
	cm, err := r.readPublished(ctx, r.Live, delivery.AudienceConfigMap(namespace, name, digest, keys))
	if err != nil || cm == nil || journal.Digest(cm.BinaryData[delivery.KeyPart]) != digest {
		return nil, err
	}
	return cm.BinaryData[delivery.KeyPart], nil
}

// compare tells people of an entry that is there and is not what was published. It is
// never overwritten.
func (r *JournalReconciler) compare(ctx context.Context, set *signing.Set, sheet *journalSheet, item *journal.Item) error {
	_, layers, err := r.Journal.Registry.RecordLayers(ctx, sheet.repository, item.Tag())
	if err != nil {
		return err
	}
	if item.HostApp == nil && slices.Contains(layers, journal.Digest([]byte(item.Envelope))) {
		return nil
	}
	a, why := r.Journal.Registry.ReadEntry(ctx, sheet.repository, item.Tag())
	if known, ok := errors.AsType[*registry.Error](why); why != nil && (!ok || known.Reason != registry.RegistryInconsistent) {
		return why
	}
	if why == nil {
		why = differs(a, set, item)
	}
	if why == nil {
		return nil
	}
	journalEntries.WithLabelValues(resultConflict).Inc()
	if sheet.about != nil {
		r.event(sheet.about, corev1.EventTypeWarning, reasonConflict, "Journal", "entry %s of the journal in %s is not what was published, and is left as it is: find out who else may push there: %v", item.Tag(), sheet.repository, why)
	}
	return nil
}

// differs says in what an entry is not about the item; nil: it is. Who signed the document
// does not matter, for keys are rotated.
func differs(a *journal.Artifact, set *signing.Set, item *journal.Item) error {
	if item.HostApp == nil {
		if !journal.SameDocument(a.Document, []byte(item.Envelope)) {
			return errors.New("it holds another document")
		}
		return nil
	}
	e, _, err := journal.Read(a, set.Believed())
	if err != nil {
		return err
	}
	if e.HostApp == nil || !sameHostApp(e.HostApp, item.HostApp) {
		return errors.New("it says something else of the host app")
	}
	return nil
}

// SetupWithManager registers the reconciler.
func (r *JournalReconciler) SetupWithManager(mgr ctrl.Manager) error {
	published := builder.WithPredicates(predicate.NewPredicateFuncs(func(o client.Object) bool {
		kind := o.GetLabels()[delivery.DocumentLabel]
		return kind == delivery.KindRollout || kind == delivery.KindHostApp
	}))
	return ctrl.NewControllerManagedBy(mgr).
		Named("journal").
		For(&corev1.ConfigMap{}, published).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: journalAtOnce,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](journalLeast, journalMost),
		}).
		Complete(r)
}

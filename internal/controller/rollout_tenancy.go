package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// What happens to documents when an app ID is transferred
//
// The manifest service serves, of all documents for an app ID, channel and host
// app, the one with the highest sequence. So a former holder's Rollout gives way:
// it records and publishes nothing, not even a tombstone when it is deleted. What it
// has published stays until the new holder's Rollout has published under a higher
// sequence to all its host apps, and is deleted then: nobody is without the
// program in between, and nothing is left that could come back when the new document
// no longer names a host app.
//
// A pass of the former holder that began before the transfer may publish once
// more. The new holder's Rollout is woken by that, and goes above it.

// rival is a document for the app ID that is not of the program's own Rollouts.
type rival struct {
	configMap corev1.ConfigMap
	document  *document.Release
}

// holder is who has to hold the app ID for this rollout to publish. It need not exist.
func (s *rolloutScope) holder() ledger.Holder {
	return ledger.Holder{Namespace: s.before.Namespace, Name: s.before.Spec.MiniProgramRef.Name}
}

// giveWay ends the pass of a Rollout whose app ID another MiniProgram holds. It
// records nothing, so that its record stays older than what the holder publishes.
func (r *RolloutReconciler) giveWay(ctx context.Context, s *rolloutScope) error {
	if s.seen.AppID == "" {
		return nil
	}
	s.claim = r.Ledger.Holds(ctx, s.seen.AppID, s.holder())
	taken, ok := errors.AsType[*ledger.TakenError](s.claim)
	if !ok {
		return nil // other errors must not keep from taking back: see gatherHolder
	}
	if err := inOrder(ctx, s, r.gatherStepReviews, r.askNobody); err != nil {
		return err
	}
	if !s.before.DeletionTimestamp.IsZero() {
		if err := client.IgnoreNotFound(r.patchFinalizer(ctx, s, controllerutil.RemoveFinalizer)); err != nil {
			return err
		}
	}
	return appIDTaken(s.holder(), taken)
}

// gatherRivals finds what others have published for the app ID.
func (r *RolloutReconciler) gatherRivals(ctx context.Context, s *rolloutScope) error {
	if s.seen.AppID == "" {
		return nil
	}
	var published corev1.ConfigMapList
	// They are the cache's own: to be read only. With ten host apps ten documents are looked at in each pass of ten.
	err := r.Client.List(ctx, &published, client.InNamespace(r.PublicationNamespace),
		client.MatchingFields{indexLedger: delivery.LedgerConfigMap(s.seen.AppID)}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("listing what is published for app ID %s: %w", s.seen.AppID, err)
	}
	for _, cm := range published.Items {
		owner, err := r.ownerOf(ctx, cm.Name)
		if err != nil {
			return err
		}
		if owner != nil && programIs(owner, s.before) {
			continue
		}
		// One of the same sequence is newer than ours too: see meet.
		doc, err := r.readDocument(ctx, s, &cm, s.before.Status.Sequence-1)
		if err != nil {
			return err
		}
		if doc == nil {
			continue
		}
		if owner == nil && doc.Tombstone != nil && doc.Rollout.Namespace == s.before.Namespace {
			// Of an earlier Rollout, which the ledger remembers.
			s.graves = append(s.graves, rival{configMap: cm, document: doc})
			s.seen.Floor = max(s.seen.Floor, doc.Sequence)
			continue
		}
		s.rivals = append(s.rivals, rival{configMap: cm, document: doc})
		s.meet(doc)
	}
	return nil
}

// meet takes the numbers of a rival's document into account.
func (s *rolloutScope) meet(doc *document.Release) {
	s.seen.LastSequence = max(s.seen.LastSequence, doc.Sequence)
	st := &s.before.Status
	if st.Sequence == 0 || st.Document == nil || doc.Sequence < st.Sequence {
		return
	}
	if slices.ContainsFunc(doc.HostApps, func(h string) bool { return slices.Contains(st.Document.HostApps, h) }) {
		s.seen.Overtaken = true
	}
}

// ownerOf finds the Rollout that a published document comes from, which is the cache's own: to be
// read only; nil: it is gone.
func (r *RolloutReconciler) ownerOf(ctx context.Context, configMap string) (*v1alpha1.Rollout, error) {
	var owners v1alpha1.RolloutList
	if err := r.Client.List(ctx, &owners, client.MatchingFields{indexPublished: configMap}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("finding the Rollout of ConfigMap %s: %w", configMap, err)
	}
	if len(owners.Items) == 0 {
		return nil, nil
	}
	return &owners.Items[0], nil
}

func programIs(a, b *v1alpha1.Rollout) bool {
	return a.Namespace == b.Namespace && a.Spec.MiniProgramRef == b.Spec.MiniProgramRef
}

// retireRivals deletes the documents of others, and those that Rollouts which are
// gone have left, once newer ones of this program are out for all of their host apps.
func (r *RolloutReconciler) retireRivals(ctx context.Context, s *rolloutScope) error {
	outworn := slices.Concat(s.rivals, s.graves)
	if len(outworn) == 0 || s.published == nil || s.published.Sequence != s.before.Status.Sequence {
		return nil
	}
	var mine v1alpha1.RolloutList
	if err := r.Client.List(ctx, &mine, beside(s.before, indexProgram, programOf(s.before))...); err != nil {
		return err
	}
	mine.Items = slices.DeleteFunc(mine.Items, func(o v1alpha1.Rollout) bool { return o.Name == s.before.Name })
	if err := r.onlyTrueClaims(ctx, mine.Items); err != nil {
		return err
	}
	current := s.before.DeepCopy()
	current.Status.Published = s.published
	mine.Items = append(mine.Items, *current)
	for _, old := range outworn {
		if !outdated(old.document, mine.Items) {
			continue
		}
		gone := client.Preconditions{UID: &old.configMap.UID, ResourceVersion: &old.configMap.ResourceVersion}
		if err := r.Client.Delete(ctx, &old.configMap, gone); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting ConfigMap %s, which newer documents have replaced: %w", old.configMap.Name, err)
		}
		from := old.document.Rollout
		if err := r.removeParts(ctx, from.Namespace, from.Name); err != nil {
			return err
		}
	}
	return nil
}

// onlyTrueClaims takes from the rollouts what they claim to have published and have not.
func (r *RolloutReconciler) onlyTrueClaims(ctx context.Context, rollouts []v1alpha1.Rollout) error {
	for i := range rollouts {
		ro := &rollouts[i]
		cm, err := r.findPublished(ctx, documentName(ro))
		if err != nil {
			return err
		}
		if claim := ro.Status.Published; claim != nil && (cm == nil || sumOf(cm) != claim.SHA256) {
			ro.Status.Published = nil
		}
	}
	return nil
}

// outdated tells that each host app of a document has a newer one of the rollouts.
func outdated(doc *document.Release, rollouts []v1alpha1.Rollout) bool {
	return !slices.ContainsFunc(doc.HostApps, func(host string) bool {
		return !slices.ContainsFunc(rollouts, func(ro v1alpha1.Rollout) bool {
			st := ro.Status
			return ro.Spec.Channel == doc.Channel && st.Document != nil && slices.Contains(st.Document.HostApps, host) &&
				st.Published != nil && st.Published.Sequence > doc.Sequence
		})
	})
}

// rolloutsOfConfigMap wakes the Rollout whose document was touched, and those of
// other programs with its app ID; and of a ledger, all with the app ID, also where
// the program is gone.
func (r *RolloutReconciler) rolloutsOfConfigMap(ctx context.Context, o client.Object) []reconcile.Request {
	if part, ok := o.(*corev1.ConfigMap); ok && o.GetLabels()[delivery.DocumentLabel] == delivery.KindAudience {
		namespace, name, _ := strings.Cut(part.Data[delivery.KeyPartRollout], "/")
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}}}
	}
	own, ledgerName := client.MatchingFields{indexPublished: o.GetName()}, o.GetLabels()[delivery.LedgerLabel]
	isLedger := o.GetLabels()[delivery.DocumentLabel] == delivery.KindLedger
	if isLedger {
		ledgerName = o.GetName()
		own = client.MatchingFields{indexLedger: ledgerName}
	}
	out := r.rollouts(ctx, own)
	if ledgerName == "" {
		return out
	}
	for _, p := range r.claimants(ctx, ledgerName) {
		others := r.rollouts(ctx, beside(&p, indexProgram, p.Name)...)
		if !isLedger && len(out) > 0 && slices.Contains(others, out[0]) {
			continue // the document is of this program, whose other Rollouts do not depend on it
		}
		out = append(out, others...)
	}
	return out
}

package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
)

// Two writes for a step
//
// A decision goes into status, and then its document into the ConfigMap, which also
// has the time of that. Status is first, for its resourceVersion is what keeps a
// manager that leads no longer from deciding: a document that was out before its
// decision was recorded could raise a share that somebody else has aborted. And
// status has all that the next pass needs to do the same again, which a document has not.
//
// So that no third write has to say that the document is out, status.published
// claims it together with the decision, outWithin after it. Every pass holds
// the claim against the ConfigMap. It is true if the bytes are there that it has the
// hash of, and it was in time if they were written by then. Otherwise status is
// mended: the same pass takes back the claim when the write fails, and after a crash
// the next one publishes, and counts from then. Between the two writes of one pass,
// and while no manager is alive to do the second, the claim is ahead of the truth.
//
// A document that somebody has deleted may never have been out, for the process that
// was to write it may have died: a step that began with it counts from when it is
// published again.

const (
	// outWithin is how long after the beginning of a pass its document is out, if nothing
	// comes in between. Longer makes every pause longer, shorter costs more third writes.
	outWithin = 500 * time.Millisecond
	// documentWrite is how long the API server may take to write a document. A process that
	// dies meanwhile leaves a time that is too early by no more than that.
	documentWrite = 10 * time.Second
)

// documentName is that of the rollout's ConfigMap.
func documentName(ro *v1alpha1.Rollout) string {
	return delivery.RolloutConfigMap(ro.Namespace, ro.Name)
}

// gatherPublished reads what is out, and since when, and which sequence host apps have
// seen: that of the published document, if it is ours.
func (r *RolloutReconciler) gatherPublished(ctx context.Context, s *rolloutScope) error {
	cm, err := r.findPublished(ctx, documentName(s.before))
	if claim := s.before.Status.Published; err == nil && claim != nil && (cm == nil || sumOf(cm) != claim.SHA256) {
		// The cache of ConfigMaps may be behind that of Rollouts, which shows the claim.
		cm, err = r.readPublished(ctx, r.Live, documentName(s.before))
	}
	if err != nil {
		return err
	}
	if s.published = nil; cm == nil {
		return nil
	}
	doc, err := r.readDocument(ctx, s, cm, s.before.Status.Sequence)
	claim, written := s.before.Status.Published, writtenAt(cm, s.now)
	s.configMap = cm
	switch {
	case claim != nil && sumOf(cm) == claim.SHA256:
		if written.IsZero() {
			written = claim.Time.Time
		}
		s.isOut(cm, claim.Sequence, written)
	case doc != nil:
		if written.IsZero() {
			written = doc.IssuedAt.Time
		}
		s.isOut(cm, doc.Sequence, written)
	}
	if doc != nil {
		s.seen.LastSequence, s.seen.Out = doc.Sequence, doc
	}
	return err
}

// isOut takes in that a document is out since a time. A claim that is true stays as it is.
func (s *rolloutScope) isOut(cm *corev1.ConfigMap, sequence int64, since time.Time) {
	s.configMap, s.outSince = cm, since
	s.published = publishedAs(cm, sequence, sumOf(cm), since)
	if claim := s.before.Status.Published; claim != nil && claim.SHA256 == s.published.SHA256 && claim.ConfigMap == s.published.ConfigMap && !since.After(claim.Time.Time) {
		s.published = claim.DeepCopy()
	}
}

// late tells that the document was out later than status claims.
func (s *rolloutScope) late() bool {
	claim := s.before.Status.Published
	return claim != nil && s.published != nil && claim.Sequence == s.published.Sequence && s.published.Time.After(claim.Time.Time)
}

// unpublished tells that what is recorded is not out.
func (s *rolloutScope) unpublished() bool { return lacks(s.published, s.before.Status.Sequence) }

// lacks tells that a decision has a document which is not the one that is published.
func lacks(published *v1alpha1.PublishedDocument, sequence int64) bool {
	return sequence != 0 && (published == nil || published.Sequence != sequence)
}

// claim is what status says of the document that a decision makes; nil: it makes none,
// or it is not sure to be written in this pass.
func (r *RolloutReconciler) claim(ctx context.Context, s *rolloutScope) *v1alpha1.PublishedDocument {
	was, next := &s.before.Status, &s.rollout.Status
	same := was.Document != nil && next.Document != nil && was.Sequence == next.Sequence && was.Document.IssuedAt.Equal(&next.Document.IssuedAt)
	if same || s.seen.Overtaken {
		return nil
	}
	payload, err := payloadOf(s.before, next)
	if err != nil {
		return nil
	}
	envelope, err := r.sign(ctx, s.configMap, payload)
	if err != nil {
		return nil // the next task says so
	}
	place := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: r.PublicationNamespace, Name: documentName(s.before)}}
	return publishedAs(place, next.Sequence, sum(envelope), s.seen.OutBy)
}

func publishedAs(cm *corev1.ConfigMap, sequence int64, sha256 string, since time.Time) *v1alpha1.PublishedDocument {
	return &v1alpha1.PublishedDocument{
		ConfigMap: cm.Namespace + "/" + cm.Name, Sequence: sequence, SHA256: sha256, Time: metav1.NewTime(rollout.WholeSecond(since)),
	}
}

// writtenAt is when the document came into the ConfigMap; zero: nobody can tell.
func writtenAt(cm *corev1.ConfigMap, now time.Time) time.Time {
	at, err := time.Parse(time.RFC3339, cm.Data[delivery.KeyWritten])
	if err != nil || at.After(now.Add(time.Second)) {
		return time.Time{}
	}
	return at
}

func sumOf(cm *corev1.ConfigMap) string { return sum([]byte(cm.Data[delivery.KeyEnvelope])) }

func sum(envelope []byte) string {
	h := sha256.Sum256(envelope)
	return "sha256:" + hex.EncodeToString(h[:])
}

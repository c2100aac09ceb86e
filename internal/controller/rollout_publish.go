package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// publishRecorded publishes the document that the recorded status prescribes. It
// mends a ConfigMap that was changed or deleted by hand in the same way.
func (r *RolloutReconciler) publishRecorded(ctx context.Context, s *rolloutScope) error {
	if s.frozen() {
		return nil
	}
	// What cannot be published is passed over: what is decided next may be, and
	// recordDecision asks.
	if payload, err := payloadOf(s.before, &s.before.Status); err == nil {
		err := r.writeRecorded(ctx, s)
		if _, gone := errors.AsType[*task.WaitError](err); gone {
			s.held = cmp.Or(s.held, err)
			return nil // nobody could take it over
		}
		if err != nil {
			return err
		}
		return r.signAndWrite(ctx, s, payload)
	}
	return nil
}

func (r *RolloutReconciler) signAndWrite(ctx context.Context, s *rolloutScope, payload []byte) error {
	envelope, err := r.sign(ctx, s.configMap, payload)
	if err != nil {
		return err
	}
	return r.writeDocument(ctx, s, payload, envelope)
}

// sign makes the same bytes of the same payload. What is out and believed stays as it is:
// where only a further key has to sign, KeysReconciler does it when its turn comes, else
// all documents would be written at once when a rotation begins.
func (r *RolloutReconciler) sign(ctx context.Context, out *corev1.ConfigMap, payload []byte) ([]byte, error) {
	keys, err := r.keys(ctx)
	if err != nil {
		return nil, err
	}
	if out != nil && keys.Good([]byte(out.Data[delivery.KeyEnvelope]), payload) {
		return []byte(out.Data[delivery.KeyEnvelope]), nil
	}
	return keys.Sign(payload)
}

// frozen tells that the record must not be published, nor remembered: a document
// of the app ID with a higher sequence is out. The record is old, of a manager
// that leads no longer, or from a backup, or from before others held the app ID,
// and the next decision goes above it.
func (s *rolloutScope) frozen() bool {
	return s.seen.LastSequence > s.before.Status.Sequence || s.seen.Overtaken
}

// payloadOf is what would be signed for a status.
func payloadOf(ro *v1alpha1.Rollout, st *v1alpha1.RolloutStatus) ([]byte, error) {
	doc, err := delivery.Render(ro.Namespace, ro.Name, ro.Spec.Channel, st)
	if err != nil {
		return nil, err
	}
	payload, err := document.Marshal(doc)
	if _, large := errors.AsType[*document.SizeError](err); large {
		return nil, task.Stall("DocumentTooLarge", fmt.Errorf("the document cannot be published, and what is published stays: %w: shorten spec.audience, or the descriptions and declarations of the MiniProgram", err))
	}
	if err != nil {
		return nil, task.Stall("DocumentInvalid", fmt.Errorf("the document cannot be published, and what is published stays: %w", err))
	}
	return payload, nil
}

func (r *RolloutReconciler) writeDocument(ctx context.Context, s *rolloutScope, payload, envelope []byte) error {
	st, name, there := &s.before.Status, documentName(s.before), s.configMap
	if err := r.removeForged(ctx, there, st.Sequence); err != nil {
		return err
	}
	written := s.outSince
	fresh := there == nil || there.Data[delivery.KeyEnvelope] != string(envelope) || written.IsZero()
	if fresh {
		written = rollout.WholeSecond(r.Now())
	}
	labels := map[string]string{delivery.DocumentLabel: delivery.KindRollout, delivery.LedgerLabel: delivery.LedgerConfigMap(st.Document.AppID)}
	// A write that is given up cannot take effect much later than its time in the ConfigMap says.
	ctx, cancel := context.WithTimeout(ctx, documentWrite)
	defer cancel()
	data := map[string]string{
		delivery.KeyEnvelope: string(envelope), delivery.KeyDocument: string(payload),
		delivery.KeySequence: strconv.FormatInt(st.Sequence, 10), delivery.KeyPercent: st.Percent,
		delivery.KeyRepository: delivery.Repositories(s.before.Namespace+"/"+s.before.Spec.MiniProgramRef.Name, st),
		delivery.KeyWritten:    written.Format(time.RFC3339),
	}
	maps.Copy(data, r.journalItem(s, there, envelope))
	now, err := r.applyOver(ctx, there, name, labels, data)
	if err != nil {
		return err
	}
	if fresh {
		written = rollout.WholeSecond(r.Now()) // it was out when that was answered, and hardly before
		countPublication(s, r.Now())
	}
	s.isOut(now, st.Sequence, written)
	return nil
}

// removeForged deletes a ConfigMap whose sequence somebody raised by hand:
// admission would refuse the lower one that is right, for ever. The manifest
// service keeps the last good document meanwhile.
func (r *RolloutReconciler) removeForged(ctx context.Context, cm *corev1.ConfigMap, sequence int64) error {
	if cm == nil || !raised(cm, sequence) {
		return nil
	}
	gone := client.Preconditions{UID: &cm.UID, ResourceVersion: &cm.ResourceVersion}
	if err := r.Client.Delete(ctx, cm, gone); err != nil {
		return fmt.Errorf("deleting ConfigMap %s, whose sequence was raised by hand: %w", cm.Name, err)
	}
	return task.Wait("Republishing", time.Second, "ConfigMap %s was changed by hand and is published anew", cm.Name)
}

// raised tells that the ConfigMap's sequence is higher than the one to publish. A
// document of ours with a higher one never comes here: see frozen.
func raised(cm *corev1.ConfigMap, sequence int64) bool {
	text, ok := cm.Data[delivery.KeySequence]
	if !ok {
		return false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return err != nil || n > sequence
}

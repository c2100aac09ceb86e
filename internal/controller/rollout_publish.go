package controller

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
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
	signer, err := r.signer(ctx)
	if err != nil {
		return err
	}
	envelope, err := signer.Sign(payload)
	if err != nil {
		return err
	}
	return r.writeDocument(ctx, s, payload, envelope)
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
	st := &s.before.Status
	name := delivery.RolloutConfigMap(s.before.Namespace, s.before.Name)
	if err := r.removeForged(ctx, name, st.Sequence); err != nil {
		return err
	}
	labels := map[string]string{delivery.DocumentLabel: delivery.KindRollout, delivery.LedgerLabel: delivery.LedgerConfigMap(st.Document.AppID)}
	err := r.applyPublished(ctx, name, labels, map[string]string{
		delivery.KeyEnvelope: string(envelope), delivery.KeyDocument: string(payload),
		delivery.KeySequence: strconv.FormatInt(st.Sequence, 10), delivery.KeyPercent: st.Percent,
		delivery.KeyRepository: delivery.Repositories(s.before.Namespace+"/"+s.before.Spec.MiniProgramRef.Name, st),
	})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(envelope)
	published := v1alpha1.PublishedDocument{
		ConfigMap: r.PublicationNamespace + "/" + name, Sequence: st.Sequence,
		SHA256: "sha256:" + hex.EncodeToString(sum[:]), Time: stampOf(s.now),
	}
	if p := st.Published; p != nil && p.SHA256 == published.SHA256 && p.ConfigMap == published.ConfigMap {
		published.Time = p.Time // it was out already
	}
	s.published = &published
	s.rollout.Status.Published = &published
	return nil
}

// removeForged deletes a ConfigMap whose sequence somebody raised by hand:
// admission would refuse the lower one that is right, for ever. The manifest
// service keeps the last good document meanwhile.
func (r *RolloutReconciler) removeForged(ctx context.Context, name string, sequence int64) error {
	cm, err := r.findPublished(ctx, name)
	if err != nil || cm == nil || !raised(cm, sequence) {
		return err
	}
	gone := client.Preconditions{UID: &cm.UID, ResourceVersion: &cm.ResourceVersion}
	if err := r.Client.Delete(ctx, cm, gone); err != nil {
		return fmt.Errorf("deleting ConfigMap %s, whose sequence was raised by hand: %w", name, err)
	}
	return task.Wait("Republishing", time.Second, "ConfigMap %s was changed by hand and is published anew", name)
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

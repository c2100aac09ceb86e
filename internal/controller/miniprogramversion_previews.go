package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Previews
//
// Whoever may edit a version may let people try it before anybody approves it, where
// the host app takes trials. The code is made by who asks, and only its hash comes
// here: neither etcd nor a log has what lets somebody in. What is asked for is an
// annotation for each code, so that several people ask at a time and nobody takes
// back what another asked.

// endPreviews takes back what is over, whatever else of the version is wrong.
func (r *MiniProgramVersionReconciler) endPreviews(ctx context.Context, s *versionScope) error {
	st := &s.version.Status
	asked := delivery.PreviewRequests(s.version.Annotations, s.now)
	var left []v1alpha1.PreviewStatus
	for _, p := range st.Previews {
		still := slices.ContainsFunc(asked, func(a delivery.PreviewRequest) bool { return a.CodeHash == p.CodeHash && a.Refused == "" })
		if still && !withdrawn(s.version) && !retired(s.version) {
			left = append(left, p)
			continue
		}
		if err := r.deletePreview(ctx, client.ObjectKeyFromObject(s.version), p.CodeHash); err != nil {
			return err
		}
	}
	st.Previews = left
	return nil
}

// handOutPreviews publishes those that may be, and takes back those that may be no more.
func (r *MiniProgramVersionReconciler) handOutPreviews(ctx context.Context, s *versionScope) error {
	asked := delivery.PreviewRequests(s.version.Annotations, s.now)
	before := s.version.Status.Previews
	s.version.Status.Previews = nil
	for i := range asked {
		a := &asked[i]
		p := v1alpha1.PreviewStatus{CodeHash: a.CodeHash, HostApp: a.HostApp, State: v1alpha1.PreviewRefused, Message: a.Refused}
		for _, old := range before {
			if old.CodeHash == a.CodeHash {
				p.StartTime = old.StartTime
			}
		}
		if !a.Expires.IsZero() {
			at := metav1.NewTime(a.Expires)
			p.ExpirationTime = &at
			s.lookAgainBy(a.Expires)
		}
		var err error
		if p.Message == "" {
			p.Message, err = r.previewRefused(ctx, s, a)
		}
		if err == nil && p.Message == "" {
			err = r.publishPreview(ctx, s, a, &p)
		} else if err == nil {
			err = r.deletePreview(ctx, client.ObjectKeyFromObject(s.version), a.CodeHash)
		}
		if err != nil {
			return err
		}
		p.Message = clip(p.Message, maxSummary)
		s.version.Status.Previews = append(s.version.Status.Previews, p)
	}
	return nil
}

// publishPreview signs and writes one, and notes in p that it did.
func (r *MiniProgramVersionReconciler) publishPreview(ctx context.Context, s *versionScope, a *delivery.PreviewRequest, p *v1alpha1.PreviewStatus) error {
	of := client.ObjectKeyFromObject(s.version).String()
	name := delivery.PreviewConfigMap(a.CodeHash)
	cm, err := r.findPublished(ctx, name)
	if err != nil {
		return err
	}
	if cm != nil && cm.Data[delivery.KeyVersion] != of { // or who sees a hash could have its code lead elsewhere
		p.Message = "another version has a preview under this hash: ask for a new code by kubectl miniprogram preview"
		return nil
	}
	if p.StartTime == nil || a.Expires.Sub(p.StartTime.Time) > document.MaxPreviewValidity {
		now := r.now()
		p.StartTime = &now
	}
	payload, refused := s.previewPayload(a, p.StartTime.Time)
	if refused != "" {
		p.Message = refused
		return nil
	}
	keys, err := r.keys(ctx)
	if err != nil {
		return err
	}
	envelope, err := keys.SignPreview(payload)
	if err != nil {
		return err
	}
	p.State = v1alpha1.PreviewLive
	return r.applyPublished(ctx, name, map[string]string{delivery.DocumentLabel: delivery.KindPreview}, map[string]string{
		delivery.KeyEnvelope: string(envelope), delivery.KeyRepository: repositoryOf(s.version), delivery.KeyVersion: of,
	})
}

// previewPayload is what is signed, or why there is nothing to sign.
func (s *versionScope) previewPayload(a *delivery.PreviewRequest, began time.Time) (payload []byte, refused string) {
	v := variantOf(s.version, s.judgment.verdict.Withheld)
	payload, err := document.MarshalPreview(delivery.Preview(a, s.program.Spec.AppID, &v, began))
	if err != nil {
		return nil, "it cannot be published: " + err.Error()
	}
	return payload, ""
}

// previewRefused says why the version may not be tried in the host app; empty: it may.
// The rules are those of a trial.
func (r *MiniProgramVersionReconciler) previewRefused(ctx context.Context, s *versionScope, a *delivery.PreviewRequest) (string, error) {
	v := s.version
	switch {
	case withdrawn(v):
		return "the version was withdrawn: create another version", nil
	case v.Status.Artifact == nil || v.Status.Bundle == nil || s.judgment == nil || !s.checkedPolicies:
		return "the version is not ready: " + v.Status.Summary, nil
	case retired(v):
		return "its artifact is not kept in the registry (condition ArtifactDeleted): create the version anew", nil
	case v.Status.Bundle.AppID != s.program.Spec.AppID:
		return fmt.Sprintf("the version was packaged for app ID %s, not %s: create another version", v.Status.Bundle.AppID, s.program.Spec.AppID), nil
	case availability(s.program) == v1alpha1.AvailabilitySuspended:
		return fmt.Sprintf("MiniProgram %s is suspended", s.program.Name), nil
	case s.objection() != "":
		return "a policy objects to the content: see condition PolicyPassed", nil
	case !slices.Contains(s.program.Spec.HostApps, a.HostApp):
		return fmt.Sprintf("MiniProgram %s is not meant for host app %s: add it to spec.hostApps", s.program.Name, a.HostApp), nil
	}
	err := r.Ledger.Holds(ctx, s.program.Spec.AppID, holderOf(s.program))
	if taken, ok := errors.AsType[*ledger.TakenError](err); ok {
		return taken.Error(), nil
	}
	if err != nil {
		return "", err
	}
	verdict := r.judgeTrial(s.judgment, v, s.program, s.now)
	if verdict.Rejected || !slices.Contains(verdict.ApprovedHostApps, a.HostApp) {
		return "the version may not be tried: " + verdict.Message, nil
	}
	var h v1alpha1.HostApp
	err = r.Client.Get(ctx, client.ObjectKey{Name: a.HostApp}, &h)
	if apierrors.IsNotFound(err) {
		return fmt.Sprintf("HostApp %s does not exist", a.HostApp), nil
	}
	if err != nil {
		return "", err
	}
	return r.previewNotTaken(ctx, s, &h)
}

// previewNotTaken says why the host app does not take it; empty: it does.
func (r *MiniProgramVersionReconciler) previewNotTaken(ctx context.Context, s *versionScope, h *v1alpha1.HostApp) (string, error) {
	var declaration v1alpha1.Declaration
	if s.version.Status.Declaration != nil {
		declaration = *s.version.Status.Declaration
	}
	blocked := slices.ContainsFunc(h.Spec.Blocks, func(b v1alpha1.Block) bool {
		return b.AppID == s.program.Spec.AppID || b.Digest == s.version.Status.Artifact.Digest
	})
	switch {
	case !delivery.HostAppConfigOf(h).Takes(v1alpha1.ChannelTrial):
		return fmt.Sprintf("host app %s does not take channel trial: ask the platform's administrators (HostApp spec.channels)", h.Name), nil
	case h.Spec.Availability == v1alpha1.HostAppDisabled:
		return fmt.Sprintf("host app %s is disabled", h.Name), nil
	case blocked:
		return fmt.Sprintf("host app %s blocks it: ask the platform's administrators (HostApp spec.blocks)", h.Name), nil
	case policy.Blocking(checkHostApps(declaration, []v1alpha1.HostApp{*h})) > 0:
		return fmt.Sprintf("host app %s cannot grant what the version needs: see condition PolicyPassed", h.Name), nil
	}
	return r.notTaken(ctx, h, s.program)
}

// deletePreview deletes one that is the version's.
func (r *MiniProgramVersionReconciler) deletePreview(ctx context.Context, version types.NamespacedName, codeHash string) error {
	cm, err := r.findPublished(ctx, delivery.PreviewConfigMap(codeHash))
	if err != nil || cm == nil || cm.Labels[delivery.DocumentLabel] != delivery.KindPreview || cm.Data[delivery.KeyVersion] != version.String() {
		return err
	}
	seen := client.Preconditions{UID: &cm.UID, ResourceVersion: &cm.ResourceVersion}
	return client.IgnoreNotFound(r.Client.Delete(ctx, cm, seen))
}

// forgetPreviews deletes those of a version that is gone, or about to be.
func (r *MiniProgramVersionReconciler) forgetPreviews(ctx context.Context, version types.NamespacedName) error {
	var all corev1.ConfigMapList
	err := r.Client.List(ctx, &all, client.InNamespace(r.PublicationNamespace), client.MatchingLabels{delivery.DocumentLabel: delivery.KindPreview})
	if err != nil {
		return fmt.Errorf("listing previews: %w", err)
	}
	for i := range all.Items {
		hash, _ := strings.CutSuffix(all.Items[i].Name, ".preview")
		if err := r.deletePreview(ctx, version, hash); err != nil {
			return err
		}
	}
	return nil
}

// versionOfPreview wakes the version of a preview that was touched, or that was left
// by a version that is gone.
func versionOfPreview(_ context.Context, o client.Object) []reconcile.Request {
	cm, ok := o.(*corev1.ConfigMap)
	if !ok || cm.Labels[delivery.DocumentLabel] != delivery.KindPreview {
		return nil
	}
	namespace, name, ok := strings.Cut(cm.Data[delivery.KeyVersion], "/")
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}}
}

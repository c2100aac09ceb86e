package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source/cosign"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

const ociSecretField = "spec.source.oci.secretRef"

// resolveSource finds out once what a tag names. The pass ends with that: only
// after the digest is recorded does another one fetch it, so that neither a crash
// nor a tag that moves on leads to other bytes.
func (r *MiniProgramVersionReconciler) resolveSource(ctx context.Context, s *versionScope) error {
	oci := s.version.Spec.Source.OCI
	if oci == nil || source.IsPinned(oci.Ref) || recordedDigest(s.version) != "" || s.version.Status.Artifact != nil || withdrawn(s.version) {
		return nil
	}
	cred, err := r.credentials(ctx, s.version.Namespace, oci.SecretRef, ociSecretField)
	if err != nil {
		return r.explainSource(s, err)
	}
	digest, err := r.OCI.Resolve(ctx, oci.Ref, cred)
	if err != nil {
		return r.explainSource(s, err)
	}
	s.version.Status.Source = &v1alpha1.SourceStatus{Resolved: digest}
	return task.Wait("SourceResolved", 0, "spec.source.oci.ref %s names %s, which is fetched next", oci.Ref, digest)
}

// trusted is whose signature the source must carry; nil: nobody's.
func (r *MiniProgramVersionReconciler) trusted(s *versionScope) (*cosign.Checker, error) {
	asked := s.program.Spec.Verification
	if asked == nil {
		return nil, nil
	}
	if s.version.Spec.Source.OCI == nil {
		return nil, task.Stall(source.SignatureMissing, fmt.Errorf("spec.verification of MiniProgram %s asks for a signature, and only spec.source.oci can carry one: push the bundle to a registry, sign it, and create another version from there", s.program.Name))
	}
	var trust cosign.Trust
	for _, k := range asked.Keys {
		trust.Keys = append(trust.Keys, cosign.Key{Name: k.Name, PEM: k.PublicKey})
	}
	for _, i := range asked.Identities {
		trust.Identities = append(trust.Identities, cosign.Identity{Issuer: i.Issuer, Subject: i.Subject, SubjectRegExp: i.SubjectRegExp})
	}
	checker, err := r.Signatures.For(trust)
	if err != nil {
		return nil, task.Stall("VerificationInvalid", fmt.Errorf("spec.verification of MiniProgram %s cannot be used: %w; correct it there", s.program.Name, err))
	}
	return checker, nil
}

// recordedDigest is what the tag of an OCI source named when it was resolved.
func recordedDigest(v *v1alpha1.MiniProgramVersion) string {
	if v.Status.Source == nil {
		return ""
	}
	return v.Status.Source.Resolved
}

func (r *MiniProgramVersionReconciler) fetch(ctx context.Context, s *versionScope) (*source.Fetched, error) {
	v := s.version
	trusted, err := r.trusted(s)
	if err != nil {
		return nil, err
	}
	switch src := v.Spec.Source; {
	case src.HTTP != nil:
		cred, err := r.credentials(ctx, v.Namespace, src.HTTP.SecretRef, "spec.source.http.secretRef")
		if err != nil {
			return nil, err
		}
		return r.HTTP.Fetch(ctx, src.HTTP.URL, src.HTTP.SHA256, cred)
	case src.OCI != nil:
		cred, err := r.credentials(ctx, v.Namespace, src.OCI.SecretRef, ociSecretField)
		if err != nil {
			return nil, err
		}
		return r.OCI.Fetch(ctx, source.Pin(src.OCI.Ref, recordedDigest(v)), cred, trusted)
	default:
		return r.fetchConfigMap(ctx, v)
	}
}

func (r *MiniProgramVersionReconciler) fetchConfigMap(ctx context.Context, v *v1alpha1.MiniProgramVersion) (*source.Fetched, error) {
	ref := v.Spec.Source.ConfigMap
	var cm corev1.ConfigMap
	if err := r.readGroupObject(ctx, v.Namespace, ref.Name, "ConfigMap", "spec.source.configMap", &cm); err != nil {
		return nil, err
	}
	data, ok := valueOf(&cm, ref.Key)
	if !ok {
		return nil, task.Wait(source.SourceMissing, 0, "ConfigMap %s/%s has no key %q, which spec.source.configMap.key names: add it under binaryData", v.Namespace, ref.Name, ref.Key)
	}
	return source.Bytes(data, ref.SHA256, fmt.Sprintf("ConfigMap %s/%s, key %s", v.Namespace, ref.Name, ref.Key))
}

// valueOf is what a ConfigMap has under a key, as bytes or as text.
func valueOf(cm *corev1.ConfigMap, key string) ([]byte, bool) {
	if data, ok := cm.BinaryData[key]; ok {
		return data, true
	}
	text, ok := cm.Data[key]
	return []byte(text), ok
}

func (r *MiniProgramVersionReconciler) credentials(ctx context.Context, namespace string, ref *v1alpha1.SecretReference, field string) (*source.Credentials, error) {
	if ref == nil {
		return nil, nil
	}
	var secret corev1.Secret
	if err := r.readGroupObject(ctx, namespace, ref.Name, "Secret", field, &secret); err != nil {
		return nil, err
	}
	if secret.Labels[v1alpha1.SourceLabel] != "true" {
		return nil, task.Wait("SourceForbidden", 0, "Secret %s/%s, which %s names, lacks the label %s=true: the manager reads no other Secrets", namespace, ref.Name, field, v1alpha1.SourceLabel)
	}
	cred, err := source.ReadSecret(secret.Data)
	if err != nil {
		return nil, task.Wait("SourceForbidden", 0, "Secret %s/%s, which %s names, cannot be used: %s", namespace, ref.Name, field, err)
	}
	return cred, nil
}

// readGroupObject reads one object of a developer group, past the cache.
func (s *Shared) readGroupObject(ctx context.Context, namespace, name, kind, field string, into client.Object) error {
	err := s.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	switch {
	case apierrors.IsNotFound(err):
		return task.Wait(source.SourceMissing, 0, "%s names %s %s, which does not exist in namespace %s: create it", field, kind, name, namespace)
	case apierrors.IsForbidden(err):
		return task.Wait("SourceForbidden", 0, "the manager may not read %s %s in namespace %s: give it the right with `kubectl create rolebinding miniprogram-source-reader -n %s --clusterrole=miniprogram-source-reader --serviceaccount=%s:miniprogram-manager`",
			kind, name, namespace, namespace, s.Namespace)
	}
	return err
}

// explainSource sorts the errors of fetching into what waits and what stalls.
// What is waited for here cannot be watched, so every wait has an end.
func (r *MiniProgramVersionReconciler) explainSource(s *versionScope, err error) error {
	backoff := retryAfter(s.version.Status.Conditions, s.version.CreationTimestamp, s.now)
	if _, ok := errors.AsType[*task.StallError](err); ok {
		return err // the MiniProgram is watched, and a change of it looks again
	}
	if wait, ok := errors.AsType[*task.WaitError](err); ok {
		return waitAtLeast(wait.Reason, backoff, wait.After, wait.Message)
	}
	if permanent, ok := errors.AsType[*source.PermanentError](err); ok {
		return task.Stall(permanent.Reason, permanent)
	}
	var asked time.Duration
	if retry, ok := errors.AsType[*source.RetryError](err); ok && (retry.Asked || backoff > time.Minute) {
		// A fault that was just made is often mended at once; an old one is looked at seldom.
		asked = retry.After
	}
	if temporary, ok := errors.AsType[*source.TemporaryError](err); ok {
		return waitAtLeast(temporary.Reason, backoff, asked, temporary.Message)
	}
	return err
}

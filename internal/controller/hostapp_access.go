package controller

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// Access tokens
//
// The manager reads the Secret and publishes hashes; the manifest service, which
// faces the internet, keeps the right to read ConfigMaps of one namespace and no
// Secret anywhere. A hash of a token that is random and long gives nobody access.
// The manager may get those Secrets for which an administrator says so by name, and
// neither list nor watch any, so that a change is found by looking again. Only a Secret that says by
// its label that it holds access tokens is used: a HostApp that names another one,
// such as the signing key's, must not make anything of it public.

// tokensRereadAfter is how long a removed token may go on to be good.
const tokensRereadAfter = 30 * time.Second

func asksForTokens(h *v1alpha1.HostApp) bool {
	return h.Spec.Access != nil && h.Spec.Access.Type != v1alpha1.AccessPublic
}

// tokenHashes are what is to be published. It has no error, for blocks are
// published with it and must not wait: a Secret that is gone or cannot be used
// lets nobody in, and one that cannot be read leaves what is published.
func (r *HostAppReconciler) tokenHashes(ctx context.Context, s *hostScope) []string {
	secret, err := r.readTokens(ctx, s)
	if err != nil {
		s.unreadable = err
		return nil
	}
	if secret == nil {
		return r.publishedTokens(ctx, s.host.Name)
	}
	hashes, err := delivery.TokenHashes(s.host.Name, secret.Data)
	if err != nil {
		s.unreadable = r.tokensLacking(s, fmt.Sprintf("Secret %s/%s: %s", r.Namespace, secret.Name, err))
	}
	s.tokens = len(hashes)
	return hashes
}

// readTokens returns the Secret, or nil where the API server does not say: then
// unreadable does.
func (r *HostAppReconciler) readTokens(ctx context.Context, s *hostScope) (*corev1.Secret, error) {
	if s.host.Spec.Access.SecretRef == nil { // an object from before the rule that asks for it
		return nil, r.tokensLacking(s, "spec.access.secretRef is unset: name a Secret with access tokens")
	}
	name := s.host.Spec.Access.SecretRef.Name
	var secret corev1.Secret
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: name}, &secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, r.tokensLacking(s, fmt.Sprintf(
			"spec.access.secretRef names Secret %s, which does not exist in namespace %s, so that nobody is let in: create it with a token under each key and the label %s=true",
			name, r.Namespace, v1alpha1.AccessTokensLabel))
	case apierrors.IsForbidden(err):
		s.unreadable = r.tokensLacking(s, fmt.Sprintf(
			"Secret %[1]s/%[2]s may not be read; access tokens from before count on, and without any nobody is let in: "+
				"kubectl create role access-tokens-%[3]s -n %[1]s --verb=get --resource=secrets --resource-name=%[2]s && "+
				"kubectl create rolebinding access-tokens-%[3]s -n %[1]s --role=access-tokens-%[3]s --serviceaccount=%[1]s:miniprogram-manager",
			r.Namespace, name, s.host.Name))
		return nil, nil
	case err != nil:
		s.unreadable = fmt.Errorf("reading Secret %s/%s: the access tokens from before count on: %w", r.Namespace, name, err)
		return nil, nil
	case secret.Labels[v1alpha1.AccessTokensLabel] != "true":
		return nil, r.tokensLacking(s, fmt.Sprintf(
			"Secret %s/%s is not marked as one with access tokens, so that nobody is let in: kubectl label secret %s -n %s %s=true",
			r.Namespace, name, name, r.Namespace, v1alpha1.AccessTokensLabel))
	}
	return &secret, nil
}

// tokensLacking waits: no watch tells of a Secret.
func (r *HostAppReconciler) tokensLacking(s *hostScope, message string) error {
	again := min(retryAfter(s.host.Status.Conditions, s.host.CreationTimestamp, r.Now()), tokensRereadAfter)
	return task.Wait("AccessTokensMissing", again, "%s", message)
}

// publishedTokens are the hashes that are published, if tokens are asked for there.
func (r *HostAppReconciler) publishedTokens(ctx context.Context, hostApp string) []string {
	cm, err := r.findPublished(ctx, delivery.HostAppConfigMap(hostApp))
	if err != nil || cm == nil {
		return nil
	}
	before, err := delivery.ParseHostApp(cm.Data[delivery.KeyHostApp])
	if err != nil {
		return nil
	}
	return before.TokenHashes
}

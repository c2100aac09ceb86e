package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// awaitAdmission waits until the API server can evaluate every policy. It learns
// of new kinds a moment after it serves them, and refuses meanwhile what a policy
// about them has to see.
func (s *stack) awaitAdmission(ctx context.Context) error {
	meta := metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, GenerateName: "admission-probe-"}
	reference := v1alpha1.MiniProgramReference{Name: "admission-probe"}
	return until(ctx, "the API server to know the kinds that admission policies name (it looks every 30 s)", 90*time.Second, s.tails(),
		func(ctx context.Context) error {
			for _, probe := range []client.Object{
				&v1alpha1.MiniProgramVersion{ObjectMeta: meta, Spec: v1alpha1.MiniProgramVersionSpec{
					MiniProgramRef: reference, Version: "1.0.0",
					Source: v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: "none", Key: "none"}},
				}},
				&v1alpha1.Review{ObjectMeta: meta, Spec: v1alpha1.ReviewSpec{
					MiniProgramRef: reference, VersionRef: v1alpha1.VersionReference{Name: "none"},
					Digest: "sha256:" + strings.Repeat("0", 64), Role: "probe", Decision: v1alpha1.DecisionPending,
				}},
			} {
				// Whether it would be let in does not matter, only that somebody can tell.
				err := s.client.Create(ctx, probe, client.DryRunAll)
				if apierrors.IsServiceUnavailable(err) || err != nil && strings.Contains(err.Error(), "failed to configure") {
					return err
				}
			}
			return nil
		})
}

// forgetPoliciesWithParameters removes the policies whose parameters are objects
// of our kinds. An API server that finds them when it starts looks for these kinds
// before it serves them, and then not again for 30 s, in which nobody can
// review. The next start installs them again.
func (s *stack) forgetPoliciesWithParameters() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	var policies admissionregistrationv1.ValidatingAdmissionPolicyList
	if err := s.client.List(ctx, &policies); err != nil {
		return fmt.Errorf("looking for policies with parameters: %w", err)
	}
	var errs []error
	for i := range policies.Items {
		kind := policies.Items[i].Spec.ParamKind
		if kind != nil && strings.HasPrefix(kind.APIVersion, v1alpha1.GroupName+"/") {
			errs = append(errs, client.IgnoreNotFound(s.client.Delete(ctx, &policies.Items[i])))
		}
	}
	return errors.Join(errs...)
}

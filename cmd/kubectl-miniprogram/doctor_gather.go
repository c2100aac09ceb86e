package main

import (
	"context"
	"errors"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
)

// known is what was asked for, or why that is not known.
type known[T any] struct {
	value T
	err   error
}

// gatherer reads with the rights of the caller.
type gatherer struct {
	client client.Client
	system string
}

// groupFacts are what is known of a developer group.
type groupFacts struct {
	name      string
	manager   string // the namespace of its account
	namespace known[*corev1.Namespace]
	// reads tells of each resource whether the manager may get it there.
	reads    map[string]known[bool]
	quotas   known[[]corev1.ResourceQuota]
	programs []v1alpha1.MiniProgram
	versions []v1alpha1.MiniProgramVersion
	rollouts []v1alpha1.Rollout
	// secrets and configMaps are those that versions name: what is wrong with each; empty: nothing.
	secrets, configMaps map[string]known[string]
	rights              known[rights]
	hostApps            known[[]v1alpha1.HostApp]
	policies            known[[]v1alpha1.ReviewPolicy]
}

// asked sorts an answer of the API server: forbidden is an answer too. Others end the command.
func asked[T any](value T, err error) (known[T], error) {
	if err == nil {
		return known[T]{value: value}, nil
	}
	if apierrors.IsForbidden(err) {
		return known[T]{err: fmt.Errorf("you may not ask: %w", short(err))}, nil
	}
	return known[T]{}, err
}

// short is an answer without what everybody knows by then.
func short(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		d := status.Status().Details
		if d.Name != "" {
			return fmt.Errorf("reading %s %s is forbidden to you", d.Kind, d.Name)
		}
		return fmt.Errorf("%s are forbidden to you", d.Kind)
	}
	return err
}

func list[L client.ObjectList](ctx context.Context, c client.Client, into L, opts ...client.ListOption) error {
	err := c.List(ctx, into, opts...)
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("the cluster does not have the kinds of miniprogram.dev: install the operator (`kubectl miniprogram doctor` tells what is missing): %w", err)
	}
	return err
}

func (g *gatherer) group(ctx context.Context, name string) (*groupFacts, error) {
	f := &groupFacts{name: name, manager: g.system, reads: map[string]known[bool]{}}
	var err error
	namespace := &corev1.Namespace{}
	err = g.client.Get(ctx, client.ObjectKey{Name: name}, namespace)
	if apierrors.IsNotFound(err) {
		return f, nil
	}
	if f.namespace, err = asked(namespace, err); err != nil {
		return nil, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	in := client.InNamespace(name)
	var programs v1alpha1.MiniProgramList
	var versions v1alpha1.MiniProgramVersionList
	var rollouts v1alpha1.RolloutList
	for _, l := range []client.ObjectList{&programs, &versions, &rollouts} {
		if err := list(ctx, g.client, l, in); err != nil {
			return nil, fmt.Errorf("reading group %s: %w", name, err) // whoever sees nothing of it is not served by guesses
		}
	}
	f.programs, f.versions, f.rollouts = programs.Items, versions.Items, rollouts.Items
	if err := g.platform(ctx, f); err != nil {
		return nil, err
	}
	for _, resource := range []string{"secrets", "configmaps"} {
		if f.reads[resource], err = g.managerReads(ctx, resource, name); err != nil {
			return nil, err
		}
	}
	if f.rights, err = g.rightsIn(ctx, name); err != nil {
		return nil, err
	}
	return f, g.sources(ctx, f)
}

// platform reads what the platform's administrators have made for the group.
func (g *gatherer) platform(ctx context.Context, f *groupFacts) (err error) {
	var quotas corev1.ResourceQuotaList
	err = g.client.List(ctx, &quotas, client.InNamespace(f.name))
	if f.quotas, err = asked(quotas.Items, err); err != nil {
		return fmt.Errorf("listing quotas: %w", err)
	}
	var hosts v1alpha1.HostAppList
	err = g.client.List(ctx, &hosts)
	if f.hostApps, err = asked(hosts.Items, err); err != nil {
		return fmt.Errorf("listing host apps: %w", err)
	}
	var policies v1alpha1.ReviewPolicyList
	err = g.client.List(ctx, &policies)
	if f.policies, err = asked(policies.Items, err); err != nil {
		return fmt.Errorf("listing review policies: %w", err)
	}
	return nil
}

// managerReads asks for the manager, which takes a right that administrators of a group have.
func (g *gatherer) managerReads(ctx context.Context, resource, namespace string) (known[bool], error) {
	review := &authorizationv1.LocalSubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:" + g.system + ":miniprogram-manager",
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + g.system, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: "get", Resource: resource,
		},
	}}
	review.Namespace = namespace
	err := g.client.Create(ctx, review)
	answer, err := asked(review.Status.Allowed, err)
	if err != nil {
		return answer, fmt.Errorf("asking what the manager may do in %s: %w", namespace, err)
	}
	return answer, nil
}

// sources reads what versions that are not packaged yet come from.
func (g *gatherer) sources(ctx context.Context, f *groupFacts) error {
	f.secrets, f.configMaps = map[string]known[string]{}, map[string]known[string]{}
	for i := range f.versions {
		v := &f.versions[i]
		if v.Status.Artifact != nil || v.Spec.Availability == v1alpha1.AvailabilityWithdrawn {
			continue
		}
		secret, from := sourcesOf(v)
		if _, seen := f.secrets[secret]; secret != "" && !seen {
			o := &corev1.Secret{}
			var err error
			if f.secrets[secret], err = wrong(g.client.Get(ctx, client.ObjectKey{Namespace: f.name, Name: secret}, o), func() string {
				if _, err := source.ReadSecret(o.Data); err != nil {
					return err.Error()
				}
				return ""
			}); err != nil {
				return fmt.Errorf("reading Secret %s: %w", secret, err)
			}
		}
		if from != nil {
			o := &corev1.ConfigMap{}
			var err error
			if f.configMaps[from.Name+"/"+from.Key], err = wrong(g.client.Get(ctx, client.ObjectKey{Namespace: f.name, Name: from.Name}, o), func() string {
				_, text := o.Data[from.Key]
				_, binary := o.BinaryData[from.Key]
				if !text && !binary {
					return "it has no key " + from.Key
				}
				return ""
			}); err != nil {
				return fmt.Errorf("reading ConfigMap %s: %w", from.Name, err)
			}
		}
	}
	return nil
}

// sourcesOf is the Secret that a version names, and the ConfigMap that it comes from.
func sourcesOf(v *v1alpha1.MiniProgramVersion) (secret string, from *v1alpha1.ConfigMapSource) {
	s := v.Spec.Source
	switch {
	case s.OCI != nil && s.OCI.SecretRef != nil:
		secret = s.OCI.SecretRef.Name
	case s.HTTP != nil && s.HTTP.SecretRef != nil:
		secret = s.HTTP.SecretRef.Name
	}
	return secret, s.ConfigMap
}

// wrong says what is wrong with an object that was read with err.
func wrong(err error, look func() string) (known[string], error) {
	if apierrors.IsNotFound(err) {
		return known[string]{value: "it does not exist"}, nil
	}
	if err != nil {
		return asked("", err)
	}
	return known[string]{value: look()}, nil
}

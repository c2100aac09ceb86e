package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// Who acts, as config/samples/platform names them.
const (
	installer = "installer" // installs everything, with every right

	dana  = "dana"  // develops in shop-team
	tariq = "tariq" // develops in transit-team
	rosa  = "rosa"  // reviews quality
	piet  = "piet"  // reviews privacy
	olu   = "olu"   // runs rollouts

	support = "support" // the service account of a support desk
)

// groups are those of the people who are in one, as the platform's directory says.
var groups = map[string][]string{
	dana: {"shop-developers"}, tariq: {"transit-developers"}, olu: {"shop-operators", "transit-operators"},
}

// reviewers are the people who were given a role.
var reviewers = map[string]string{"quality": rosa, "privacy": piet}

// samples is where the sample objects are, from the root.
const samples = "config/samples"

// applyPlatform applies what administrators give: namespaces, rights, host app
// and policy; and issues the certificates of the people that it names.
func (s *stack) applyPlatform(ctx context.Context) (string, error) {
	s.people = map[string]string{installer: s.kubeconfig}
	for _, name := range []string{dana, tariq, rosa, piet, olu} {
		s.people[name] = s.path("people", name+".kubeconfig")
		if err := os.MkdirAll(s.path("people"), 0o700); err != nil {
			return "", fmt.Errorf("creating the folder of people: %w", err)
		}
		if err := s.cp.WriteKubeconfig(s.people[name], s.cp.User(name, groups[name]...)); err != nil {
			return "", err
		}
	}
	if err := controlplane.Apply(ctx, s.cp.Admin(), filepath.Join(s.root, samples, "platform")); err != nil {
		return "", err
	}
	return "applied " + samples + "/platform: two developer groups, five people's rights, host app wallet, policy baseline", s.applySupport(ctx)
}

// applySupport lets a support desk ask why a user gets what he gets: the rights of
// the service, which config/components/explain has, and an account with a token,
// for that is what the service can ask the API server about.
func (s *stack) applySupport(ctx context.Context) error {
	for _, file := range []string{filepath.Join("config", "components", "explain", "role.yaml"), filepath.Join(samples, "support", "support.yaml")} {
		if _, err := s.cp.Kubectl(ctx, s.kubeconfig, "apply", "--server-side", "-f", filepath.Join(s.root, file)); err != nil {
			return err
		}
	}
	var err error
	s.people[support], err = s.accountConfig(ctx, support)
	return err
}

// clean removes what the last run left of the sample programs, so that the same
// life can be played again: the objects as anybody would, with the manager at work,
// and then what is published of them and remembered in the ledger, which nobody
// but an installer may do and nobody should where host apps have seen it. Numbers
// rise all the same, for they follow the clock.
func (s *stack) clean(ctx context.Context) (string, error) {
	namespaces := []string{programShop.namespace, programTransit.namespace}
	var left v1alpha1.MiniProgramList
	if err := s.client.List(ctx, &left); err != nil {
		return "", fmt.Errorf("looking for what the last run left: %w", err)
	}
	if len(left.Items) > 0 {
		// Rollouts first: the manager publishes their last word before it lets them go.
		for _, kind := range []struct {
			one  client.Object
			list client.ObjectList
		}{
			{&v1alpha1.Rollout{}, &v1alpha1.RolloutList{}},
			{&v1alpha1.MiniProgramVersion{}, &v1alpha1.MiniProgramVersionList{}},
			{&v1alpha1.Review{}, &v1alpha1.ReviewList{}},
			{&v1alpha1.MiniProgram{}, &v1alpha1.MiniProgramList{}},
		} {
			for _, namespace := range namespaces {
				if err := s.removeAll(ctx, kind.one, kind.list, namespace); err != nil {
					return "", err
				}
			}
		}
	}
	for _, p := range programs {
		for _, name := range []string{delivery.RolloutConfigMap(p.namespace, p.name), delivery.LedgerConfigMap(p.appID)} {
			cm := &corev1.ConfigMap{}
			cm.Namespace, cm.Name = publicationNamespace, name
			if err := client.IgnoreNotFound(s.client.Delete(ctx, cm)); err != nil {
				return "", fmt.Errorf("removing what the last run published: %w", err)
			}
		}
	}
	if err := s.cleanRegistry(ctx); err != nil {
		return "", err
	}
	if err := os.RemoveAll(s.serviceState()); err != nil {
		return "", fmt.Errorf("removing what the manifest service kept: %w", err)
	}
	if len(left.Items) == 0 {
		return "", nil
	}
	return "removed what the last run left in " + strings.Join(namespaces, " and "), nil
}

func (s *stack) removeAll(ctx context.Context, one client.Object, list client.ObjectList, namespace string) error {
	what := fmt.Sprintf("%T in namespace %s to go", one, namespace)
	return until(ctx, what, time.Minute, s.tails(), func(ctx context.Context) error {
		// Again each time: the manager may create a Review until its version is gone.
		if err := s.client.DeleteAllOf(ctx, one, client.InNamespace(namespace)); err != nil {
			return err
		}
		if err := s.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return err
		}
		if n := meta.LenList(list); n > 0 {
			return fmt.Errorf("%d are left", n)
		}
		return nil
	})
}

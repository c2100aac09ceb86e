package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
)

// clusterRepositories lists the repositories that the cluster's objects name, for
// registries without a catalogue.
func clusterRepositories(ctx context.Context, c client.Reader) ([]repository, error) {
	var versions v1alpha1.MiniProgramVersionList
	if err := c.List(ctx, &versions); err != nil {
		return nil, fmt.Errorf("listing the MiniProgramVersions of all namespaces: %w", err)
	}
	var rollouts v1alpha1.RolloutList
	if err := c.List(ctx, &rollouts); err != nil {
		return nil, fmt.Errorf("listing the Rollouts of all namespaces: %w", err)
	}
	var hostApps v1alpha1.HostAppList
	if err := c.List(ctx, &hostApps); err != nil {
		return nil, fmt.Errorf("listing the HostApps: %w", err)
	}
	return repositoriesOf(versions.Items, rollouts.Items, hostApps.Items), nil
}

// repositoriesOf has each repository once, with the digests that must be there: those of
// published versions, and those that Rollouts hand out or can go back to, which may be of
// a version that is gone, or in the repository of a former holder of the app ID. The journal
// is in repositories of its own, where it is kept.
func repositoriesOf(versions []v1alpha1.MiniProgramVersion, rollouts []v1alpha1.Rollout, hostApps []v1alpha1.HostApp) []repository {
	found := map[string]map[string]bool{}
	add := func(name, digest string) {
		if found[name] == nil {
			found[name] = map[string]bool{}
		}
		found[name][digest] = true
	}
	for i := range versions {
		v := &versions[i]
		if a := v.Status.Artifact; a != nil && a.DeletionTime == nil {
			add(v.Namespace+"/"+v.Spec.MiniProgramRef.Name, a.Digest)
		}
	}
	journals := map[string]bool{}
	for i := range hostApps {
		journals[journal.HostAppRepository(hostApps[i].Name)] = true
	}
	for i := range rollouts {
		r := &rollouts[i]
		served := slices.Clone(r.Status.Rollbacks)
		for _, v := range []*v1alpha1.Variant{r.Status.Stable, r.Status.Target} {
			if v != nil {
				served = append(served, *v)
			}
		}
		for _, v := range served {
			if name := delivery.BelowPrefix(v.Repository); name != "" {
				add(name, v.Digest)
			}
		}
		journals[journal.RolloutRepository(r.Namespace, r.Name)] = true
		if doc := r.Status.Document; doc != nil {
			journals[journal.AppRepository(doc.AppID)] = true
		}
	}
	var out []repository
	for name := range journals {
		out = append(out, repository{name: name, optional: true})
	}
	for name, digests := range found {
		r := repository{name: name}
		for d := range digests {
			r.digests = append(r.digests, d)
		}
		slices.Sort(r.digests)
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b repository) int { return strings.Compare(a.name, b.name) })
	return out
}

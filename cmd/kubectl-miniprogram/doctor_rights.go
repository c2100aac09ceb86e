package main

import (
	"context"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// rights are what the people of a group were given.
type rights struct {
	given []given
	// everywhere tells whether what was given in the whole cluster is among it.
	everywhere known[bool]
}

// given is a role with those who have it.
type given struct {
	subjects []rbacv1.Subject
	rules    []rbacv1.PolicyRule
}

// rightsIn reads the bindings of a namespace and of the cluster, with their roles. What is
// bound without a role that the caller may see counts as nothing.
func (g *gatherer) rightsIn(ctx context.Context, namespace string) (known[rights], error) {
	var bindings rbacv1.RoleBindingList
	var roles rbacv1.RoleList
	var everywhere rbacv1.ClusterRoleBindingList
	var clusterRoles rbacv1.ClusterRoleList
	for _, l := range []client.ObjectList{&bindings, &roles} {
		if answer, err := asked(rights{}, g.client.List(ctx, l, client.InNamespace(namespace))); err != nil || answer.err != nil {
			return answer, err
		}
	}
	r := rights{}
	for _, l := range []client.ObjectList{&everywhere, &clusterRoles} {
		answer, err := asked(true, g.client.List(ctx, l))
		if err != nil {
			return known[rights]{}, err
		}
		if answer.err != nil {
			r.everywhere = answer
		}
	}
	rules := map[string][]rbacv1.PolicyRule{}
	for i := range roles.Items {
		rules["Role/"+roles.Items[i].Name] = roles.Items[i].Rules
	}
	for i := range clusterRoles.Items {
		rules["ClusterRole/"+clusterRoles.Items[i].Name] = clusterRoles.Items[i].Rules
	}
	for _, b := range bindings.Items {
		r.given = append(r.given, given{b.Subjects, rules[b.RoleRef.Kind+"/"+b.RoleRef.Name]})
	}
	for _, b := range everywhere.Items {
		r.given = append(r.given, given{b.Subjects, rules[b.RoleRef.Kind+"/"+b.RoleRef.Name]})
	}
	return known[rights]{value: r}, nil
}

// holders are those who may approve a program's versions in a role. Who holds everything
// through a wildcard is none of them: admission refuses such a decision.
func (r rights) holders(role, program string) []string {
	var out []string
	for _, g := range r.given {
		if !slices.ContainsFunc(g.rules, func(rule rbacv1.PolicyRule) bool { return approves(rule, role, program) }) {
			continue
		}
		for _, s := range g.subjects {
			out = append(out, s.Kind+" "+s.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func approves(rule rbacv1.PolicyRule, role, program string) bool {
	return slices.Contains(rule.Verbs, "approve") && slices.Contains(rule.APIGroups, v1alpha1.GroupName) &&
		slices.Contains(rule.Resources, "miniprograms/review-"+role) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, program))
}

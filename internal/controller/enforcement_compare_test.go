package controller

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/config/admission"
)

// cluster is what a comparison reads.
type cluster struct {
	admission.Guards
	namespaces []corev1.Namespace
}

func (c *cluster) List(context.Context, client.ObjectList, ...client.ListOption) error {
	panic("a comparison reads by name")
}

func (c *cluster) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	for i := range c.Policies {
		if into, ok := o.(*admissionregistrationv1.ValidatingAdmissionPolicy); ok && c.Policies[i].Name == key.Name {
			c.Policies[i].DeepCopyInto(into)
			return nil
		}
	}
	for i := range c.Bindings {
		if into, ok := o.(*admissionregistrationv1.ValidatingAdmissionPolicyBinding); ok && c.Bindings[i].Name == key.Name {
			c.Bindings[i].DeepCopyInto(into)
			return nil
		}
	}
	for i := range c.namespaces {
		if into, ok := o.(*corev1.Namespace); ok && c.namespaces[i].Name == key.Name {
			c.namespaces[i].DeepCopyInto(into)
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

func (c *cluster) binding(name string) *admissionregistrationv1.ValidatingAdmissionPolicyBinding {
	i := slices.IndexFunc(c.Bindings, func(b admissionregistrationv1.ValidatingAdmissionPolicyBinding) bool { return b.Name == name })
	return &c.Bindings[i]
}

func (c *cluster) addNamespace(name string, labels map[string]string) {
	c.namespaces = append(c.namespaces, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
}

func TestWhatCountsAsTheSameGuards(t *testing.T) {
	const (
		byName    = "miniprogram-publication"
		elsewhere = "miniprogram-publication-elsewhere"
		ask       = ": ask a cluster administrator to apply config/admission of this version"
	)
	rename := func(c *cluster, bindings ...string) {
		for _, name := range bindings {
			renamePublication(c.binding(name).Spec.MatchResources, "news")
		}
	}
	for name, test := range map[string]struct {
		published string
		change    func(*cluster)
		want      string // without the beginning that all have
	}{
		"the files themselves": {published: "miniprogram-published", change: func(*cluster) {}},
		"with the API server's defaults": {published: "miniprogram-published", change: func(c *cluster) {
			for i := range c.Policies {
				c.Policies[i].Spec.MatchConstraints = normalMatch(c.Policies[i].Spec.MatchConstraints)
			}
			for i := range c.Bindings {
				c.Bindings[i].Spec.MatchResources = normalMatch(c.Bindings[i].Spec.MatchResources)
			}
		}},
		"a list without order in another one": {published: "miniprogram-published", change: func(c *cluster) {
			for i := range c.Policies {
				slices.Reverse(c.Policies[i].Spec.MatchConstraints.ResourceRules[0].Operations)
			}
		}},
		"labels and annotations are free": {published: "miniprogram-published", change: func(c *cluster) {
			c.Policies[0].Labels = map[string]string{"app.kubernetes.io/managed-by": "flux"}
		}},
		"an action more": {
			published: "miniprogram-published",
			change: func(c *cluster) {
				c.binding("miniprogram-actions").Spec.ValidationActions = append(c.binding("miniprogram-actions").Spec.ValidationActions, admissionregistrationv1.Audit)
			},
			want: `ValidatingAdmissionPolicyBinding miniprogram-actions has spec.validationActions[0] "Audit", which must be "Deny"` + ask,
		},
		"nothing but Deny gone": {
			published: "miniprogram-published",
			change:    func(c *cluster) { c.binding("miniprogram-actions").Spec.ValidationActions = nil },
			want:      `ValidatingAdmissionPolicyBinding miniprogram-actions has no spec.validationActions` + ask,
		},
		"another publication namespace with the label": {published: "news", change: func(c *cluster) {
			c.addNamespace("news", map[string]string{publicationLabel: "true"})
		}},
		"another publication namespace without": {
			published: "news",
			change:    func(c *cluster) { c.addNamespace("news", nil) },
			want:      "no ValidatingAdmissionPolicyBinding covers publication namespace news: ask a cluster administrator to label it miniprogram.dev/publication=true",
		},
		"another publication namespace that does not exist": {
			published: "news",
			change:    func(*cluster) {},
			want:      "no ValidatingAdmissionPolicyBinding covers publication namespace news: ask a cluster administrator to label it miniprogram.dev/publication=true",
		},
		"another name in both bindings": {published: "news", change: func(c *cluster) { rename(c, byName, elsewhere) }},
		"another name in the first only": {
			published: "news",
			change:    func(c *cluster) { rename(c, byName) },
			want:      `ValidatingAdmissionPolicyBinding miniprogram-publication-elsewhere has spec.matchResources.namespaceSelector.matchExpressions[0].values[0] "miniprogram-published", which must be "news"` + ask,
		},
		"another name in the second only": {
			published: "news",
			change: func(c *cluster) {
				c.addNamespace("news", map[string]string{publicationLabel: "true"})
				rename(c, elsewhere)
			},
			want: `ValidatingAdmissionPolicyBinding miniprogram-publication-elsewhere has spec.matchResources.namespaceSelector.matchExpressions[0].values[0] "news", which must be "miniprogram-published"` + ask,
		},
		"another name than the manager's": {
			published: "miniprogram-published",
			change:    func(c *cluster) { rename(c, byName, elsewhere) },
			want:      `ValidatingAdmissionPolicyBinding miniprogram-publication has spec.matchResources.namespaceSelector.matchLabels.kubernetes.io/metadata.name "news", which must be "miniprogram-published"` + ask,
		},
	} {
		t.Run(name, func(t *testing.T) {
			guards, err := admission.Read()
			if err != nil {
				t.Fatal(err)
			}
			c := &cluster{Guards: *guards}
			test.change(c)
			got := ""
			if err := compareGuards(t.Context(), c, test.published); err != nil {
				got = strings.TrimPrefix(err.Error(), errUnguarded.Error()+": ")
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestOfOtherPeoplesPoliciesOnlyTheNameIsKept(t *testing.T) {
	guards, err := admission.Read()
	if err != nil {
		t.Fatal(err)
	}
	theirs := guards.Policies[0].DeepCopy()
	theirs.Name = "no-latest-tag"
	slim(guards, theirs)
	ours := guards.Policies[0].DeepCopy()
	slim(guards, ours)
	if theirs.Name != "no-latest-tag" || len(theirs.Spec.Validations) != 0 || len(ours.Spec.Validations) == 0 {
		t.Errorf("kept %v of theirs and %v of ours", theirs, ours)
	}
}

// seen is a cluster as the manager's cache shows it.
type seen struct {
	cache.Cache
	cluster *cluster
}

func (s seen) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return s.cluster.Get(ctx, key, o, opts...)
}

// dryRuns says how the dry run of each Review ends.
type dryRuns struct {
	client.Client
	pending, decided error
}

func (d dryRuns) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	if review, ok := o.(*v1alpha1.Review); ok && review.Spec.Decision == v1alpha1.DecisionPending {
		return d.pending
	}
	return d.decided
}

func TestAProofTakesAComparisonAndTwoDryRuns(t *testing.T) {
	reviews := schema.GroupResource{Group: v1alpha1.GroupName, Resource: "reviews"}
	ours := apierrors.NewForbidden(reviews, "x", errors.New("ValidatingAdmissionPolicy 'miniprogram-review-decisions' with binding 'miniprogram-review-decisions' denied request: no"))
	for name, test := range map[string]struct {
		change           func(*cluster)
		unseen           bool
		pending, decided error
		unguarded        bool
		want             string
	}{
		"both dry runs end as they must": {decided: ours},
		"the decided one passes": {
			unguarded: true,
			want:      errUnguarded.Error() + ": the manager itself could decide a Review; apply config/admission, whose ValidatingAdmissionPolicy miniprogram-review-decisions keeps others from deciding",
		},
		"another guard stands before ours": {
			decided:   apierrors.NewForbidden(reviews, "x", errors.New("no verb create")),
			unguarded: true,
			want:      errUnguarded.Error() + `: a decided Review was refused, but not by ValidatingAdmissionPolicy miniprogram-review-decisions; apply config/admission: reviews.miniprogram.dev "x" is forbidden: no verb create`,
		},
		"the pending one is refused": {
			pending: ours, decided: ours,
			want: "a dry run of a pending Review in namespace system failed, so approvals cannot be shown to be guarded: " + ours.Error(),
		},
		"nobody answers": {
			decided: errors.New("connection refused"),
			want:    "a dry run of a decided Review was not refused by ValidatingAdmissionPolicy miniprogram-review-decisions (apply config/admission): connection refused",
		},
		"a policy that no dry run asks is missing": {
			change:    func(c *cluster) { c.Policies = c.Policies[1:] },
			decided:   ours,
			unguarded: true,
			want:      errUnguarded.Error() + ": ValidatingAdmissionPolicy miniprogram-actions is missing: ask a cluster administrator to apply config/admission of this version",
		},
		"the policies may not be seen": {
			unseen: true, decided: ours,
			want: "the admission policies were not seen yet, so approvals cannot be shown to be guarded: the manager needs list and watch on validatingadmissionpolicies and validatingadmissionpolicybindings (apply config/rbac of this version)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			guards, err := admission.Read()
			if err != nil {
				t.Fatal(err)
			}
			c := &cluster{Guards: *guards}
			if test.change != nil {
				test.change(c)
			}
			e := NewEnforcement(dryRuns{pending: test.pending, decided: test.decided}, seen{cluster: c}, "system", stockPublication)
			e.synced = []toolscache.InformerSynced{func() bool { return !test.unseen }}
			got := ""
			err = e.prove(t.Context())
			if err != nil {
				got = err.Error()
			}
			if got != test.want || errors.Is(err, errUnguarded) != test.unguarded {
				t.Errorf("got %q, want %q; unguarded is %t", got, test.want, errors.Is(err, errUnguarded))
			}
		})
	}
}

package admissiontest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// newVersionWithReview creates a version with a Review that rita approved and,
// when wanted, the version owns.
func (w *world) newVersionWithReview(ctx context.Context, namespace, name string, owned bool) (*v1alpha1.MiniProgramVersion, *v1alpha1.Review, error) {
	v := &v1alpha1.MiniProgramVersion{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.MiniProgramVersionSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "shop"},
			Version:        "3.0.0",
			Source:         v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: "bundle", Key: "bundle.zip"}},
		},
	}
	if err := w.as(dora).Create(ctx, v); err != nil {
		return nil, nil, err
	}
	r := &v1alpha1.Review{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name,
		},
		Spec: v1alpha1.ReviewSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "shop"},
			VersionRef:     v1alpha1.VersionReference{Name: name},
			Digest:         digest, Role: "privacy", RequestedBy: dora, Decision: v1alpha1.DecisionPending,
		},
	}
	if owned {
		yes := true
		r.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "MiniProgramVersion", Name: name, UID: v.UID,
			Controller: &yes, BlockOwnerDeletion: &yes,
		}}
	}
	if err := w.as(controller).Create(ctx, r); err != nil {
		return nil, nil, err
	}
	r.Spec.Decision, r.Spec.Reviewer = v1alpha1.DecisionApproved, rita
	return v, r, w.as(rita).Update(ctx, r)
}

// recordDecision does what the controller does when it has kept the decision.
func (w *world) recordDecision(ctx context.Context, r *v1alpha1.Review) error {
	now := metav1.Now()
	r.Status.RecordTime = &now
	return w.as(controller).Status().Update(ctx, r)
}

// gone waits until an object is gone.
func (w *world) gone(ctx context.Context, o client.Object) error {
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := w.as(installer).Get(ctx, client.ObjectKeyFromObject(o), o)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

func TestADecidedReviewGoesWithItsVersion(t *testing.T) {
	w := theWorld(t)
	for _, propagation := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground} {
		t.Run(string(propagation), func(t *testing.T) {
			v, r, err := w.newVersionWithReview(t.Context(), team, "collected-"+strings.ToLower(string(propagation)), true)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.as(dora).Delete(t.Context(), v, client.PropagationPolicy(propagation)); err != nil {
				t.Fatal(err)
			}
			if err := w.as(installer).Delete(t.Context(), r, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "nothing else tells of it yet") {
				t.Fatalf("deleting the Review before it is recorded: got %v", err)
			}
			if err := w.recordDecision(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			for _, o := range []client.Object{r, v} {
				if err := w.gone(t.Context(), o); err != nil {
					t.Errorf("waiting for %T %s to be gone: %v", o, o.GetName(), err)
				}
			}
		})
	}
}

func TestANamespaceIsDeletedWithDecisionsSuspensionsAndVetoes(t *testing.T) {
	w := theWorld(t)
	admin := w.as(installer)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "short-lived"}}
	if err := admin.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	for _, bound := range []struct{ kind, role, user string }{
		{"ClusterRole", "miniprogram-developer", dora},
		{"ClusterRole", "miniprogram-developer", rita},
		{"Role", "approves", rita},
	} {
		if err := admin.Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: bound.role + "-" + bound.user},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: bound.kind, Name: bound.role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: bound.user}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := admin.Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "approves"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"miniprograms/review-privacy"}, Verbs: []string{"approve"}}},
	}); err != nil {
		t.Fatal(err)
	}
	var kept *v1alpha1.Review
	// The rights take effect a moment after they were written.
	n := 0
	if err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		var err error
		n++
		_, kept, err = w.newVersionWithReview(ctx, ns.Name, fmt.Sprintf("kept-%d", n), false) // the collector would take an owned one
		if apierrors.IsForbidden(err) {
			return false, nil
		}
		return err == nil, err
	}); err != nil {
		t.Fatalf("creating a decided Review: %v", err)
	}
	program := &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "suspended"},
		Spec:       v1alpha1.MiniProgramSpec{AppID: "short.lived", DisplayName: "Short", HostApps: []string{"wallet"}, Availability: v1alpha1.AvailabilitySuspended},
	}
	if err := admin.Create(t.Context(), program); err != nil {
		t.Fatal(err)
	}
	program.Status.Rejections = []v1alpha1.Rejection{{Digest: digest, Role: "privacy", Reviewer: rita, Time: metav1.Now()}}
	if err := w.as(controller).Status().Update(t.Context(), program); err != nil {
		t.Fatal(err)
	}
	if err := admin.Delete(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{kept, program, ns} {
		if err := w.gone(t.Context(), o); err != nil {
			t.Errorf("waiting for %T %s to be gone: %v", o, o.GetName(), err)
		}
	}
}

func TestDeletingManyReviewsKeepsTheDecidedOnes(t *testing.T) {
	w := theWorld(t)
	err := w.as(rita).DeleteAllOf(t.Context(), &v1alpha1.Review{}, client.InNamespace(team), client.DryRunAll)
	if err == nil || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'miniprogram-review-deletion'") {
		t.Errorf("rita deletes all Reviews: got %v, want a denial by miniprogram-review-deletion", err)
	}
}

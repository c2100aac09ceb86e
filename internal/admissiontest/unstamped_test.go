package admissiontest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// stamps are the bindings of config/admission/mutating.
var stamps = []string{"miniprogram-stamp-action", "miniprogram-stamp-author", "miniprogram-stamp-reviewer", "miniprogram-stamp-supersedes"}

// withoutStamps makes the installation that of an older cluster until the test
// ends. Tests of this package do not run in parallel.
func (w *world) withoutStamps(t *testing.T) {
	t.Helper()
	admin := w.as(installer)
	for _, name := range stamps {
		binding := &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := admin.Delete(t.Context(), binding); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, name := range stamps {
			if err := admin.Create(ctx, &admissionv1.MutatingAdmissionPolicyBinding{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec:       admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name},
			}); err != nil {
				t.Error(err)
			}
		}
		if err := w.waitForStamps(ctx, true); err != nil {
			t.Error(err)
		}
	})
	if err := w.waitForStamps(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}

// waitForStamps waits until all stamps are written, or none.
func (w *world) waitForStamps(ctx context.Context, want bool) error {
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		v, err := w.try(ctx, dora, create("MiniProgramVersion", "new", version))
		if err != nil {
			return false, err
		}
		_, author := v.GetAnnotations()["miniprogram.dev/submitted-through"]
		_, reviewer := w.try(ctx, rita, patch("Review", "pending", "spec: {decision: Approved}"))
		_, action := w.try(ctx, olga, patch("Rollout", "shop", "metadata: {annotations: {miniprogram.dev/action: abort@1}}"))
		return author == want && (reviewer == nil) == want && (action == nil) == want, nil
	})
}

func TestWithoutStampsNothingIsForged(t *testing.T) {
	w := theWorld(t)
	w.withoutStamps(t)
	check(t, map[string]cell{
		"a version without an author":            {who: dora, do: create("MiniProgramVersion", "new", version)},
		"a version whose creator writes himself": {who: dora, do: create("MiniProgramVersion", "new", version+"\nmetadata: {annotations: {miniprogram.dev/submitted-through: dora}}")},
		"a version whose creator writes another": {
			who: gitops,
			do:  create("MiniProgramVersion", "new", version+"\n  submittedBy: dora\nmetadata: {annotations: {miniprogram.dev/submitted-through: dora}}"),
			want: denied("miniprogramversions", "new", "miniprogram-version-authors",
				"metadata.annotations[miniprogram.dev/submitted-through]: must be the user who creates the version, gitops, not dora: leave it out"),
		},
		"an action without a name": {
			who: olga,
			do:  patch("Rollout", "shop", "metadata: {annotations: {miniprogram.dev/action: abort@1}}"),
			want: denied("rollouts", "shop", "miniprogram-actions",
				"metadata.annotations[miniprogram.dev/action-by]: must be the user who sets miniprogram.dev/action, olga, not (unset)"),
		},
		"an action under the last one's name": {
			who: pia,
			do:  patch("Rollout", "aborted", "metadata: {annotations: {miniprogram.dev/action: pause@1}}"),
			want: denied("rollouts", "aborted", "miniprogram-actions",
				"metadata.annotations[miniprogram.dev/action-by]: must be the user who sets miniprogram.dev/action, pia, not olga"),
		},
		"a lifted rejection without the label": {
			who: rita,
			do:  patch("Review", "pending", "spec: {decision: Approved, reviewer: rita, supersedes: rejected}"),
			want: denied("reviews", "pending", "miniprogram-review-lifecycle",
				`metadata.labels[miniprogram.dev/supersedes]: must be "true" on a decision with spec.supersedes, for the policies that compare it with what it supersedes are bound by that label`),
		},
		"another's rejection lifted with the label": {
			who: wanda,
			do:  patch("Review", "pending", "metadata: {labels: {miniprogram.dev/supersedes: \"true\"}}\nspec: {decision: Approved, reviewer: wanda, supersedes: rejected}"),
			want: denied("reviews", "pending", "miniprogram-review-supersedes",
				"spec.supersedes: Review rejected is the word of rita, not of wanda: ask that reviewer to supersede it, or for verb overrule on miniprograms (resourceNames: shop)"),
		},
		"a decision with a name": {who: rita, do: decide("pending", "Approved", rita)},
	})
	w.addNoAuthor(t)
	_, err := w.try(t.Context(), rita, patch("Review", "pending", "spec: {decision: Approved}"))
	got, other := problems(err)
	if want := "spec: spec.reviewer is required with a decision: write your own user name, as kubectl auth whoami shows it"; other != nil || len(got) != 1 || got[0] != want {
		t.Errorf("a decision without a name: got %q, %v, want %q", got, other, want)
	}
}

// addNoAuthor tries to add an author to a version that was created without one.
func (w *world) addNoAuthor(t *testing.T) {
	t.Helper()
	v := &v1alpha1.MiniProgramVersion{
		ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "anonymous"},
		Spec: v1alpha1.MiniProgramVersionSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "shop"}, Version: "4.0.0",
			Source: v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: "bundle", Key: "bundle.zip"}},
		},
	}
	if err := w.as(dora).Create(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	_, err := w.try(t.Context(), gitops, patch("MiniProgramVersion", v.Name, "spec: {submittedBy: dora}"))
	got, other := problems(err)
	if diff := cmp.Diff(versionKeeps("submittedBy"), got); diff != "" || other != nil {
		t.Errorf("adding an author: %v (-want +got):\n%s", other, diff)
	}
	if err := w.as(dora).Delete(t.Context(), v); err != nil {
		t.Error(err)
	}
}

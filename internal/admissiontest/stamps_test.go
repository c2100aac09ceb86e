package admissiontest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

func TestWhatIsLeftOutIsStamped(t *testing.T) {
	w := theWorld(t)
	tests := map[string]struct {
		who   string
		do    request
		field []string
		want  string
	}{
		"the author of a version": {who: dora, do: create("MiniProgramVersion", "new", version), field: []string{"spec", "submittedBy"}, want: dora},
		"the account that creates a version": {
			who: gitops, do: create("MiniProgramVersion", "new", version+"\n  submittedBy: dora"),
			field: []string{"metadata", "annotations", "miniprogram.dev/submitted-through"}, want: gitops,
		},
		"but not over another author": {
			who: gitops, do: create("MiniProgramVersion", "new", version+"\n  submittedBy: dora"), field: []string{"spec", "submittedBy"}, want: dora,
		},
		"the account, over a name that was written": {
			who: gitops, do: create("MiniProgramVersion", "new", version+"\nmetadata: {annotations: {miniprogram.dev/submitted-through: dora}}"),
			field: []string{"metadata", "annotations", "miniprogram.dev/submitted-through"}, want: gitops,
		},
		"the reviewer": {who: rita, do: patch("Review", "pending", "spec: {decision: Approved}"), field: []string{"spec", "reviewer"}, want: rita},
		"the reviewer of a new Review": {
			who: rita, do: create("Review", "own", pendingReview+"\n  decision: Approved"), field: []string{"spec", "reviewer"}, want: rita,
		},
		"no reviewer without a decision": {who: dora, do: patch("Review", "pending", "spec: {decision: Withdrawn}"), field: []string{"spec", "reviewer"}},
		"who acts": {
			who: olga, do: patch("Rollout", "shop", "metadata: {annotations: {miniprogram.dev/action: abort@1}}"),
			field: []string{"metadata", "annotations", "miniprogram.dev/action-by"}, want: olga,
		},
		"who acts after somebody else": {
			who: pia, do: patch("Rollout", "aborted", "metadata: {annotations: {miniprogram.dev/action: pause@1}}"),
			field: []string{"metadata", "annotations", "miniprogram.dev/action-by"}, want: pia,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o, err := w.try(t.Context(), tt.who, tt.do)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := unstructured.NestedString(o.Object, tt.field...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%v (-want +got):\n%s", tt.field, diff)
			}
		})
	}
}

// apply applies a manifest of the team by server-side apply.
func (w *world) apply(ctx context.Context, user, manifest string) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &o.Object); err != nil {
		return nil, err
	}
	o.SetAPIVersion("miniprogram.dev/v1alpha1")
	o.SetNamespace(team)
	return o, w.as(user).Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("git"))
}

func TestStampsDoNotFightServerSideApply(t *testing.T) {
	w := theWorld(t)
	manifest := "kind: MiniProgramVersion\nmetadata: {name: applied}\n" + version
	// The server stores the default of status with the second write, stamps or not.
	if _, err := w.apply(t.Context(), dora, manifest); err != nil {
		t.Fatal(err)
	}
	first, err := w.apply(t.Context(), dora, manifest)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.as(dora).Delete(context.Background(), first); err != nil {
			t.Errorf("deleting the version: %v", err)
		}
	})
	for _, who := range []string{dora, dan, gitops} {
		again, err := w.apply(t.Context(), who, manifest)
		if err != nil {
			t.Fatalf("applying the same again as %s: %v", who, err)
		}
		if diff := cmp.Diff(first.Object, again.Object); diff != "" {
			t.Errorf("applying the same again as %s changes something (-first +again):\n%s", who, diff)
		}
	}
}

func TestTheManagerActsWithinItsRights(t *testing.T) {
	w := theWorld(t)
	for _, o := range []client.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "miniprogram-signing-key"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: published, Name: "x.ledger", Labels: map[string]string{"miniprogram.dev/published": "true"}}},
	} {
		if err := w.as(controller).Create(t.Context(), o, client.DryRunAll); err != nil {
			t.Errorf("the manager creates %s: %v", o.GetName(), err)
		}
	}
}

package charttest

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

const enforce = "pod-security.kubernetes.io/enforce"

// TestPodsKeepToTheRestrictedStandard has the API server judge the pods, as it would
// when a Deployment's are made.
func TestPodsKeepToTheRestrictedStandard(t *testing.T) {
	plane := controlplane.ForTest(t)
	admin, err := client.New(plane.Admin(), client.Options{})
	must(t, err)
	namespace := plane.Namespace(t)
	must(t, admin.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+enforce+`":"restricted"}}}`))))
	for _, account := range []string{"miniprogram-manager", "miniprogram-manifest-service"} {
		must(t, admin.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}))
	}
	for _, values := range []string{"least", "everything"} {
		for _, name := range []string{"miniprogram-manager", "miniprogram-manifest-service"} {
			t.Run(values+"/"+name, func(t *testing.T) {
				template := deployment(t, render(t, values)["Deployment "+system+" "+name]).Spec.Template
				pod := &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: name + "-", Labels: template.Labels, Annotations: template.Annotations},
					Spec:       template.Spec,
				}
				if err := admin.Create(t.Context(), pod.DeepCopy(), client.DryRunAll); err != nil {
					t.Error(err)
				}
				// A cluster that gives numbers to namespaces refuses any other.
				if own, container := pod.Spec.SecurityContext, pod.Spec.Containers[0].SecurityContext; own.RunAsUser != nil || own.RunAsGroup != nil || own.FSGroup != nil || container.RunAsUser != nil {
					t.Error("the pod says numbers of a user or of groups; the image has them")
				}
				pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil
				if err := admin.Create(t.Context(), pod, client.DryRunAll); err == nil {
					t.Error("the namespace takes pods that may gain rights, so it judges nothing")
				}
			})
		}
	}
}

package controller

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/config/admission"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// CacheByObject is what the manager's cache keeps of kinds that are not its own.
// Of ConfigMaps only those that are published may be listed and watched; others
// are read one by one. Of admission policies everybody's are seen, for a label on
// ours could be lost, but of other people's no more than the name is kept.
func CacheByObject(publicationNamespace string) (map[client.Object]cache.ByObject, error) {
	guards, err := admission.Read()
	if err != nil {
		return nil, err
	}
	policies := cache.ByObject{Transform: func(o any) (any, error) { return slim(guards, o), nil }}
	return map[client.Object]cache.ByObject{
		&corev1.ConfigMap{}: {
			Namespaces: map[string]cache.Config{publicationNamespace: {}},
			Transform:  func(o any) (any, error) { return slimPart(o), nil },
		},
		&admissionregistrationv1.ValidatingAdmissionPolicy{}:        policies,
		&admissionregistrationv1.ValidatingAdmissionPolicyBinding{}: policies,
	}, nil
}

// slimPart keeps of a part of an audience the digest of what it holds.
func slimPart(o any) any {
	cm, ok := o.(*corev1.ConfigMap)
	if !ok || cm.Labels[delivery.DocumentLabel] != delivery.KindAudience {
		return o
	}
	held := document.PartData(cm.BinaryData[delivery.KeyPart]).Digest()
	cm.BinaryData, cm.ManagedFields = nil, nil
	cm.Data = map[string]string{delivery.KeyPartRollout: cm.Data[delivery.KeyPartRollout], delivery.KeyPartDigest: held}
	return cm
}

// slim drops what nobody here reads.
func slim(guards *admission.Guards, o any) any {
	object, ok := o.(client.Object)
	if !ok {
		return o
	}
	object.SetManagedFields(nil)
	if concerns(guards, "", o) {
		return o
	}
	object.SetAnnotations(nil)
	switch p := o.(type) {
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		p.Spec, p.Status = admissionregistrationv1.ValidatingAdmissionPolicySpec{}, admissionregistrationv1.ValidatingAdmissionPolicyStatus{}
	case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
		p.Spec = admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{}
	}
	return o
}

// concerns tells that an object of the cluster is one that the proof reads.
func concerns(guards *admission.Guards, publicationNamespace string, o any) bool {
	switch o := o.(type) {
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		for i := range guards.Policies {
			if guards.Policies[i].Name == o.Name {
				return true
			}
		}
	case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
		for i := range guards.Bindings {
			if guards.Bindings[i].Name == o.Name {
				return true
			}
		}
	case *corev1.Namespace:
		return o.Name == publicationNamespace
	case toolscache.DeletedFinalStateUnknown:
		return concerns(guards, publicationNamespace, o.Obj)
	}
	return false
}

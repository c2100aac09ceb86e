package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of all kinds of this project.
const GroupName = "miniprogram.dev"

var (
	// GroupVersion is the group and version of the kinds in this package.
	GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme registers the kinds of this package.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&MiniProgram{}, &MiniProgramList{},
		&MiniProgramVersion{}, &MiniProgramVersionList{},
		&Review{}, &ReviewList{},
		&Rollout{}, &RolloutList{},
		&ReviewPolicy{}, &ReviewPolicyList{},
		&HostApp{}, &HostAppList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}

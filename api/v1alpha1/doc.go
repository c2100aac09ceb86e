// Package v1alpha1 holds the kinds of the group miniprogram.dev: MiniProgram,
// MiniProgramVersion, Review and Rollout for developer groups, ReviewPolicy
// and HostApp for the platform's administrators.
//
// A namespace is a developer group. Every kind has a status subresource whose
// default observedGeneration of -1 keeps a new object from being taken for an
// observed one, and conditions that follow kstatus: Ready, Reconciling and
// Stalled mean the same in every kind. Field docs start with the JSON name and
// give unit, what an unset field means, and whether it may change; bounds are
// markers. Lines are as long as kubectl explain shows them.
//
// The package imports nothing but apimachinery, so that clients of the API
// inherit no other dependency.
//
// +kubebuilder:object:generate=true
// +groupName=miniprogram.dev
package v1alpha1

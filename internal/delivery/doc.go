// Package delivery turns what a rollout recorded into what the manifest service
// serves: the published document (types, verification and decision are those of
// sdk/go) and the layout of the ConfigMaps in the publication namespace.
//
// Render is a pure function of the rollout's status: nothing but what was
// recorded decides what is published, so any pass can publish it again, also
// after a crash and when a version, a key or the registry is gone.
package delivery

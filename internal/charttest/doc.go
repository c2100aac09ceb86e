// Package charttest tests the Helm chart: that it renders what kustomize builds, that
// wrong values are refused, and that a real API server takes it, from the
// installation over an upgrade to its end, with the programs running as its
// Deployments say. It has no code but its tests.
package charttest

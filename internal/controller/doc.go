// Package controller is the imperative shell around the deciding packages: one
// reconciler for each kind. Every Reconcile gathers (all reads first), asks (one
// call of a core package), acts (one external effect for each task) and reports
// (all conditions, one status write at the end).
//
// What a pass found out is kept in a scope that its tasks share; conditions are
// computed from the scope and the error by pure functions in <kind>_status.go.
//
// The cache holds the six kinds, namespaces, admission policies, and the
// ConfigMaps of the publication namespace. Secrets and ConfigMaps of developer
// groups are read one by one, past the cache, with a right that a RoleBinding in
// their namespace gives.
package controller

// Package argocd is what Argo CD is told about our kinds: the files beside it, compiled
// in for tests.
package argocd

import _ "embed"

// ConfigMap is argocd-cm with the scripts, as hack/argocd renders it.
//
//go:embed argocd-cm.yaml
var ConfigMap []byte

// Unstamped is laid over ConfigMap where admission does not write whose request an action is.
//
//go:embed unstamped/argocd-cm.yaml
var Unstamped []byte

// Project is the AppProject of a developer group.
//
//go:embed group/project.yaml
var Project []byte

// ServerRole is what the account of Argo CD's server gets from us.
//
//go:embed server_role.yaml
var ServerRole []byte

// Groups is the ApplicationSet of the example.
//
//go:embed example/argocd/groups.yaml
var Groups []byte

// Platform is the Application of the example's platform.
//
//go:embed example/argocd/platform.yaml
var Platform []byte

// Operator is the Application of the operator itself.
//
//go:embed operator/application.yaml
var Operator []byte

#!/usr/bin/env bash
# Writes everything that is generated from the Go types and markers.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -d api ]; then
  go tool controller-gen object paths=./api/...
  go tool controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
  go run ./hack/crds
  go tool -modfile=hack/tools/go.mod crd-ref-docs --log-level=ERROR --source-path=./api/v1alpha1 \
    --config=hack/apidocs/config.yaml --templates-dir=hack/apidocs/templates --renderer=markdown --output-path=docs/api.md
fi
if [ -d internal/controller ]; then
  go tool controller-gen rbac:roleName=miniprogram-manager paths=./internal/controller/... output:rbac:dir=config/rbac
fi
if [ -d hack/samples ]; then
  go run ./hack/samples
fi
if [ -d hack/argocd ]; then
  go run ./hack/argocd
fi
if [ -d hack/chart ]; then
  go run ./hack/chart
fi

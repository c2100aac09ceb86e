# Everything here runs on a machine with Go, GNU make and git. `make` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# No toolchain is downloaded behind one's back.
export GOTOOLCHAIN ?= local

BIN := $(CURDIR)/bin
# Tags of sdk/go are of another module.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*' --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

# Modules of this repository, as folders.
MODULES := . sdk/go hack/controlplane hack/tools hack/interop hack/helm hack/release/tools hack/foreigncrds

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 } /^##@/ { printf "\n%s\n", substr($$0, 5) }' $(firstword $(MAKEFILE_LIST))

##@ To see it

.PHONY: demo
demo: controlplane registries ## Run everything on this machine and play the main job. CHECK=1: compare and exit.
	@go build -o $(BIN)/demo ./hack/demo && exec $(BIN)/demo $(if $(CHECK),-check) $(DEMO_ARGS)

.PHONY: demo-clean
demo-clean: ## Remove the state of the demo.
	@rm -rf .demo

##@ To work on it

.PHONY: build
build: ## Build the manager, the manifest service and the kubectl plugin into bin/.
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/manager ./cmd/manifest-service ./cmd/kubectl-miniprogram

.PHONY: generate
generate: ## Write what is generated: deep copies, CRDs, the API reference, RBAC, samples, the chart.
	@bash hack/generate.sh

.PHONY: test
test: controlplane registries $(BIN)/helm ## Run all tests, on a real control plane and real registries. ARGS are for go test.
	go test -timeout 30m $(ARGS) ./...
	cd sdk/go && go test $(ARGS) ./...

.PHONY: test-interop
test-interop: controlplane registries $(BIN)/cosign $(BIN)/crane ## Let skopeo, crane and cosign work on what is published and fetched. Building cosign takes minutes, once.
	PATH=$(BIN):$$PATH go test -tags interop -count 1 -run Interop $(ARGS) ./internal/registry

.PHONY: test-argocd
test-argocd: controlplane registries argocd $(BIN)/helm build ## Let a real Argo CD sync, heal, prune and steer what config/argocd/example says.
	go test -tags argocd -count 1 -timeout 30m -run '^TestArgoCD' -v $(ARGS) ./internal/argocdtest

# What is measured beside nginx, for itself, since it wants both cores.
BENCH_MANIFEST := ^Benchmark(Manifest|Handler|Bucket|Availability)$$

.PHONY: bench
bench: controlplane registries ## Run the benchmarks: a figure a line, and docs/bench/*.json. BENCH=: only these, and no file.
ifdef BENCH
	@go run ./hack/bench -bench '$(BENCH)'
else
	@bash hack/peers.sh
	@go run ./hack/bench -skip '$(BENCH_MANIFEST)'
	@$(MAKE) --no-print-directory bench-manifest
endif

.PHONY: bench-manifest
bench-manifest: controlplane registries ## Measure the manifest service beside nginx; writes docs/bench/manifest.json.
	@bash hack/peers.sh
	@go run ./hack/bench -bench '$(BENCH_MANIFEST)' -o docs/bench/manifest.json

.PHONY: bench-scale
bench-scale: controlplane registries ## Measure one manager with 10,000 Rollouts, of which 500 step (12 minutes); writes docs/bench/scale.json.
	@go run ./hack/bench -tags scale -bench '^BenchmarkRollout$$' -modules . -packages ./cmd/manager -o docs/bench/scale.json

MINUTES ?= 1

.PHONY: soak
soak: controlplane registries ## Create, step, abort and delete for MINUTES; what the manager keeps must not grow. CSV=: file for the series.
	go test -tags soak -count 1 -timeout 0 -run '^TestSoak$$' -v ./cmd/manager -soak $(MINUTES)m $(if $(CSV),-csv $(abspath $(CSV)))

.PHONY: figures
figures: ## Render the figures that were measured into README.md.
	@go run ./hack/readme

# How long each target of fuzz runs. Minimizing is bounded, for it takes the time
# that is meant for searching.
FUZZTIME ?= 1m

.PHONY: fuzz
fuzz: ## Fuzz with every target of the repository, one after another, FUZZTIME each.
	@git grep -l '^func Fuzz' -- '*_test.go' | xargs -n 1 dirname | sort -u | while read -r package; do \
	  cd "$(CURDIR)/$$package"; \
	  for target in $$(go test -list '^Fuzz' . | grep '^Fuzz'); do \
	    echo "fuzz $$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $(ARGS) . </dev/null; \
	  done; done

.PHONY: lint
lint: $(BIN)/golangci-lint ## Run the linters, on api/ with the conventions of Kubernetes APIs.
	@for module in . sdk/go hack/tools; do echo "lint $$module"; (cd $$module && $(BIN)/golangci-lint run --config $(CURDIR)/.golangci.yml ./...); done
	@echo "lint api" && $(BIN)/golangci-lint run --config .golangci-api.yml ./api/...

.PHONY: verify
verify: $(BIN)/golangci-lint ## Check formatting, vet, generated files, modules, shell scripts and lint.
	@bash hack/verify.sh $(MODULES)
	@$(MAKE) --no-print-directory lint

.PHONY: readme
readme: controlplane registries ## Play the checked demo and render its transcript and figures into README.md.
	@go build -o $(BIN)/demo ./hack/demo && $(BIN)/demo -check | tee docs/demo/transcript.txt
	@cp .demo/figures.json docs/demo/figures.json
	@go run ./hack/readme

.PHONY: mutants
mutants: controlplane registries $(BIN)/helm ## Break the code in known ways and require that its tests notice. ARGS: names.
	@go run ./hack/mutants $(ARGS)

CHART_VERSION ?= 0.0.0-dev
CHART_DIR ?= $(BIN)

.PHONY: chart
chart: $(BIN)/helm ## Package the Helm chart into CHART_DIR (bin/). CHART_VERSION: its version; VERSION: that of the image.
	@$(BIN)/helm package charts/miniprogram-operator --version '$(CHART_VERSION)' --app-version '$(VERSION)' --destination '$(CHART_DIR)'
##@ To release it

DIST := $(CURDIR)/dist

.PHONY: release
release: controlplane $(BIN)/helm $(BIN)/cyclonedx-gomod $(BIN)/ca-roots.pem ## Build all of a release into dist/. VERSION=v0.1.0: where HEAD has no tag. ARGS=-with-changes: to try it.
	@go run ./hack/release -version '$(VERSION)' -o '$(DIST)' $(ARGS)

.PHONY: record-upgrade
record-upgrade: controlplane registries ## Record an installation of REV (default: HEAD) as NAME, for the test that upgrades it.
	@bash hack/record-upgrade.sh '$(or $(REV),HEAD)' '$(or $(NAME),$(VERSION))'

.PHONY: clean
clean: demo-clean ## Remove all that was built, the control plane too.
	@rm -rf $(BIN) $(DIST)

##@ What the rest is built on (each is built once)

.PHONY: controlplane
controlplane: ## Build etcd, kube-apiserver, kube-controller-manager and kubectl, or use KUBEBUILDER_ASSETS.
	@bash hack/controlplane.sh

.PHONY: tools
tools: registries $(BIN)/helm $(BIN)/golangci-lint ## Build the registries of the tests, helm and the linter into bin/.

.PHONY: argocd
argocd: ## Build Argo CD and kustomize of the versions in hack/argocd.sh; install redis-server where it is missing.
	@bash hack/argocd.sh

.PHONY: registries
registries: $(BIN)/registry $(BIN)/referrers

TOOLS_MODULE := hack/tools/go.mod hack/tools/go.sum
build-tool = @echo "building $(@F)"; cd hack/tools && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $@

$(BIN)/registry: $(TOOLS_MODULE)
	$(build-tool) github.com/distribution/distribution/v3/cmd/registry

$(BIN)/referrers: $(TOOLS_MODULE) hack/tools/referrers/main.go
	$(build-tool) ./referrers

INTEROP_MODULE := hack/interop/go.mod hack/interop/go.sum
build-interop = @echo "building $(@F)"; cd hack/interop && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $@

$(BIN)/cosign: $(INTEROP_MODULE)
	$(build-interop) github.com/sigstore/cosign/v3/cmd/cosign

$(BIN)/crane: $(INTEROP_MODULE)
	$(build-interop) github.com/google/go-containerregistry/cmd/crane

.PHONY: helm
helm: $(BIN)/helm ## Build helm into bin/, once; it takes some minutes.

$(BIN)/helm: hack/helm/go.mod hack/helm/go.sum
	@echo "building helm"; cd hack/helm && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $@ helm.sh/helm/v4/cmd/helm

# golangci-lint with kube-api-linter in it.
$(BIN)/golangci-lint: $(TOOLS_MODULE)
	$(build-tool) sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter

RELEASE_TOOLS := hack/release/tools/go.mod hack/release/tools/go.sum
build-release-tool = @echo "building $(@F)"; cd hack/release/tools && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $@

$(BIN)/cyclonedx-gomod: $(RELEASE_TOOLS)
	$(build-release-tool) github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

$(BIN)/ca-roots.pem: $(RELEASE_TOOLS) hack/release/tools/caroots/main.go
	@mkdir -p $(@D) && cd hack/release/tools && go run ./caroots >$@

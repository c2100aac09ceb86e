#!/usr/bin/env bash
# Builds Argo CD, and the kustomize that it calls, into bin/argocd, each from its own
# module with that module's own go.mod, replace lines and go.sum: Argo CD cannot be
# required by another module. What is built is what the sums below name. What was built
# from the same is not built again. About ten minutes once on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

argocd=github.com/argoproj/argo-cd/v3@v3.2.0
argocd_sum='h1:m2eGAV+nXQGgzZbH5SyJD5laaPW27mzWXBrgisUHY/0='
kustomize=sigs.k8s.io/kustomize/kustomize/v5@v5.7.0 # the one that Argo CD's image has
kustomize_sum='h1:dqZGF+ZLNb0HYrInmEfZR7rStkWrivYO6fwH7QC1RG8='

out=$PWD/bin/argocd
stamp=$({ cat "hack/$(basename "$0")"; go version; } | git hash-object --stdin)

# Where a module lies, whose content has the wanted sum.
module() {
  local json sum
  json=$(cd / && go mod download -json "$1")
  sum=$(sed -n 's/^\t"Sum": "\(.*\)",$/\1/p' <<<"$json")
  if [ "$sum" != "$2" ]; then
    echo "$1 has the sum $sum, want $2" >&2
    return 1
  fi
  sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$json"
}

# A checkout of a module has no version control, so the version is told by the linker.
build() { # module's folder, output, package, flags of the linker
  (cd "$1" && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -p 2 -trimpath -buildvcs=false -ldflags "-s -w $4" -o "$out/$2.new" "$3")
  mv "$out/$2.new" "$out/$2"
}

install_missing() {
  command -v redis-server >/dev/null && return 0
  if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "missing: redis-server, in which Argo CD keeps what it has rendered; install it" >&2
    return 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # Nobody wants it to run for itself.
  RUNLEVEL=1 apt-get install -qq --no-install-recommends redis-server >/dev/null
}

install_missing
if [ -x "$out/argocd" ] && [ -x "$out/kustomize" ] && [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi

echo "building ${argocd##*/} and ${kustomize##*/} (once; about ten minutes on two cores)"
began=$SECONDS
mkdir -p "$out"
dir=$(module "$kustomize" "$kustomize_sum")
build "$dir" kustomize . "-X sigs.k8s.io/kustomize/api/provenance.version=${kustomize##*@}"
dir=$(module "$argocd" "$argocd_sum")
v=github.com/argoproj/argo-cd/v3/common
build "$dir" argocd ./cmd "-X $v.version=${argocd##*@v}"
install -m 0644 "$dir/manifests/install.yaml" "$out/install.yaml"
echo "$stamp" >"$out/.stamp"
echo "built in $((SECONDS - began)) s"

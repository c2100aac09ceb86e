#!/usr/bin/env bash
# Builds the control plane of the module hack/controlplane into bin/controlplane.
# What KUBEBUILDER_ASSETS has is not built; what was built from the same module
# is not built again. About five minutes once on two cores.
set -euo pipefail
cd "$(dirname "$0")/controlplane"

out=$(cd ../.. && pwd)/bin/controlplane
stamp=$(cat go.mod go.sum "../$(basename "$0")" | git hash-object --stdin)

package() {
  case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    *) echo "k8s.io/kubernetes/cmd/$1" ;;
  esac
}

missing=()
for name in etcd kube-apiserver kube-controller-manager kubectl; do
  if [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$name" ]; then continue; fi
  if [ -x "$out/$name" ] && [ "$(cat "$out/.$name.stamp" 2>/dev/null)" = "$stamp" ]; then continue; fi
  missing+=("$name")
done
[ ${#missing[@]} -gt 0 ] || exit 0

# Without a version the API server calls itself v0.0.0-master, which clients refuse.
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}
minor=${minor%%.*}
v=k8s.io/component-base/version
ldflags="-s -w -X $v.gitVersion=$version -X $v.gitMajor=1 -X $v.gitMinor=$minor -X $v.gitTreeState=clean -X $v.gitCommit=unknown -X $v.buildDate=1970-01-01T00:00:00Z"

echo "building the control plane $version: ${missing[*]} (once; about five minutes on two cores)"
began=$SECONDS
packages=()
for name in "${missing[@]}"; do packages+=("$(package "$name")"); done

# One build for all, so that linking one does not idle the cores. Nothing takes
# the place of an older binary before all are there.
rm -rf "$out/new"
mkdir -p "$out/new"
CGO_ENABLED=0 go build -trimpath -ldflags "$ldflags" -o "$out/new/" "${packages[@]}"
[ ! -e "$out/new/server" ] || mv "$out/new/server" "$out/new/etcd" # go names it after its folder
for name in "${missing[@]}"; do
  mv "$out/new/$name" "$out/$name"
  echo "$stamp" >"$out/.$name.stamp"
done
rmdir "$out/new"
echo "built in $((SECONDS - began)) s"

#!/usr/bin/env bash
# Records an installation of a revision, for the tests that upgrade it: that
# revision's own demo makes the objects, with its own manager, on real parts. Then a
# rollout is left in the middle of its steps and a version with one of two approvals,
# and all that an upgrade finds is packed: what etcd, the registry and the manifest
# service have stored, with its signing key, which is good for nothing else.
#
#   hack/record-upgrade.sh REVISION NAME
#
# writes cmd/manager/testdata/upgrade/NAME/{installation.tar.gz,crds.yaml,revision}.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD revision=$(git rev-parse "$1^{commit}") name=$2
target=$root/cmd/manager/testdata/upgrade/$name
work=$(mktemp -d)
demo=
cleanup() {
  [ -z "$demo" ] || { kill -INT "$demo" 2>/dev/null && wait "$demo" || true; }
  rm -rf "$work"
}
trap cleanup EXIT

mkdir -p "$work/tree/bin" "$work/state"
git archive "$revision" | tar -x -C "$work/tree"
ln -s "$root"/bin/{controlplane,registry,referrers} "$work/tree/bin/"
# Objects name the registry with its port, so the test needs the same one: none that
# other tests choose from (internal/controlplane/child).
mkdir "$work/tree/.demo"
echo '{"registry": 19473}' >"$work/tree/.demo/ports.json"
cd "$work/tree"
echo "building revision $revision"
go build -o bin/demo ./hack/demo
bin/demo >"$work/demo.log" 2>&1 &
demo=$!

# patiently COMMAND...: until it succeeds, for ten minutes, while the demo runs.
patiently() {
  local until=$((SECONDS + 600))
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $until ] || ! kill -0 "$demo" 2>/dev/null; then
      echo "never succeeded: $*" >&2
      tail -n 30 "$work/demo.log" >&2
      return 1
    fi
    sleep 1
  done
}
patiently test -s .demo/env
# shellcheck disable=SC1091
source .demo/env
as() { local who=$1; shift; kubectl --kubeconfig ".demo/people/$who.kubeconfig" -n shop-team "$@"; }
field() { [ "$(kubectl -n shop-team get "$1" -o "jsonpath=$2")" = "$3" ]; }
approved_by_rosa() {
  local review
  review=$(kubectl -n shop-team get mprev -o name | grep notes-0-9-1-quality) &&
    as rosa patch "$review" --type=merge -p '{"spec":{"decision":"Approved","comment":"Looked at on a device."}}'
}

echo "a rollout in the middle of its steps, and a version with one of two approvals"
as olu patch mpr shop --type=merge -p '{"spec":{"versionRef":{"name":"shop-1-1-0"}}}'
sed -e 's/notes-0-9-0/notes-0-9-1/' -e 's/version: 0.9.0/version: 0.9.1/' config/samples/shop-team/notes-0.9.0.yaml | as dana apply --server-side -f -
# 5 %, published: the document has the sequence that status has recorded.
patiently field mpr/shop '{.status.target.version}' 1.1.0
patiently field mpr/shop '{.status.basisPoints}' 500
patiently approved_by_rosa
patiently field mpv/notes-0-9-1 '{.status.conditions[?(@.type=="Published")].status}' True
settled() { [ "$(kubectl -n shop-team get mpr,mpv -o jsonpath='{.items[*].metadata.generation}')" = "$(kubectl -n shop-team get mpr,mpv -o jsonpath='{.items[*].status.observedGeneration}')" ]; }
patiently settled
published() {
  field mpr/shop '{.status.published.sequence}' "$(kubectl -n shop-team get mpr/shop -o jsonpath='{.status.sequence}')"
}
patiently published

kill -INT "$demo"
wait "$demo" || true
demo=

mkdir -p "$target"
tar -c --sort=name --owner=0 --group=0 --numeric-owner -C .demo controlplane/etcd registry/data manifest-service ports.json | gzip -9n >"$target/installation.tar.gz"
kubectl kustomize config/crd >"$target/crds.yaml"
echo "$revision" >"$target/revision"
du -h "$target"/*

#!/usr/bin/env bash
# Checks what a machine can check without running tests: formatting, vet, shell
# syntax, module files, and that what is generated is what stands in the tree. The
# arguments are the folders of the modules. All findings are shown before it fails.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
check() {
  local what=$1 began=$SECONDS
  shift
  if "$@"; then
    echo "verify: $what ($((SECONDS - began)) s)"
  else
    echo "verify: $what FAILED" >&2
    failed=1
  fi
}

# Also files that are new and not added yet; none that is deleted but not removed.
files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ -f "$f" ] && echo "$f"; done; }

formatted() {
  local wrong
  wrong=$(files '*.go' | grep -v /testdata/ | xargs gofmt -l)
  [ -z "$wrong" ] || { echo "$wrong"; echo "run: gofmt -w on these files"; return 1; } >&2
}

shell_syntax() {
  local f ok=0
  for f in $(files '*.sh' .ci/run); do bash -n "$f" || ok=1; done
  return $ok
}

# What git sees of the tree, new files and their content too.
tree() { git status --porcelain; files | git hash-object --stdin-paths | paste -d' ' - <(files); }

generated() {
  local before
  before=$(tree)
  bash hack/generate.sh >/dev/null || return 1 # set -e does not hold within a check
  diff <(echo "$before") <(tree) || { echo "generated files differ from the tree: run make generate and commit them" >&2; return 1; }
}

tidy() { (cd "$1" && go mod tidy -diff); }
vet() { (cd "$1" && go vet ./...); }

check "formatting" formatted
check "shell syntax" shell_syntax
for module in "$@"; do
  check "module files of $module" tidy "$module"
done
for module in . sdk/go hack/tools hack/release/tools; do
  check "vet of $module" vet "$module"
done
check "generated files" generated
check "README's figures" go run ./hack/readme -check
exit $failed

#!/usr/bin/env bash
# Says what is not there that the benchmarks compare with and measure with, before
# they have run for half an hour.
set -euo pipefail
missing=()
for tool in nginx wrk taskset; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
if ((${#missing[@]})); then
  echo "missing: ${missing[*]}. The manifest service is measured beside nginx, by wrk, on one core each. On Debian:" >&2
  echo "  apt-get install --no-install-recommends nginx wrk util-linux   # nginx need not run: the benchmark starts its own" >&2
  exit 1
fi

#!/usr/bin/env bash
# Runs clang-tidy on the changed .cc files; --all: on all; FILE...: on these.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! command -v clang-tidy >/dev/null; then
  echo "SKIPPED tidy: clang-tidy is not installed (./run setup --dev)"
  exit 0
fi
# Of its own: the builds compile most files in batches, for which clang-tidy finds no command.
database=build/tidy
if ! cmake --preset release -B $database -DVERACE_UNITY=OFF >/dev/null; then
  echo "tidy: cmake failed, see above"
  exit 2
fi

sources() { grep -E '^(kernels|engine|layers|optim|data|weights|apps)/.*\.cc$' || true; }
if [ "${1:-}" = --all ]; then
  mapfile -t files < <(git ls-files -co --exclude-standard | sources)
elif (($# > 0)); then
  files=("$@")
else
  mapfile -t files < <({
    git diff --name-only --diff-filter=d HEAD 2>/dev/null || git ls-files
    git ls-files -o --exclude-standard
  } | sort -u | sources)
fi
if ((${#files[@]} == 0)); then
  echo "tidy: nothing changed"
  exit 0
fi

# The build uses g++: clang-tidy needs its omp.h.
omp=$(dirname "$("$(scripts/setup.sh --print-compiler)" -print-file-name=include/omp.h)")
printf '%s\0' "${files[@]}" |
  xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p $database \
    --extra-arg=-idirafter"$omp" --extra-arg=-Wno-unknown-warning-option \
    2> >(grep -v 'warnings\? generated' >&2)
echo "tidy: ${#files[@]} files, no findings"

#!/usr/bin/env bash
# Formats all C++ and CUDA files with clang-format; --check only looks, and fails on differences.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! command -v clang-format >/dev/null; then
  echo "SKIPPED format: clang-format is not installed (./run setup --dev)"
  exit 0
fi
mode=(-i)
if [ "${1:-}" = --check ]; then mode=(--dry-run --Werror); fi
git ls-files -co --exclude-standard -z -- '*.h' '*.cc' '*.cu' '*.cuh' |
  xargs -0 -r clang-format "${mode[@]}"

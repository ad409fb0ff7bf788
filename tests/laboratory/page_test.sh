#!/usr/bin/env bash
# docs/kernel_laboratory.md shows the example variant as it is compiled, line by line.
#
#   page_test.sh REPOSITORY
set -uo pipefail

page=$1/docs/kernel_laboratory.md example=$1/bench/kernels/variants/leaky_relu_wide_blocks.cu
# shellcheck disable=SC2016  # backticks of Markdown
shown=$(sed -n '/^```cpp$/,/^```$/p' "$page" | sed '1d;/^```$/,$d')
if ! diff <(printf '%s\n' "$shown") "$example"; then
  echo "the example in $page is not $example"
  exit 1
fi

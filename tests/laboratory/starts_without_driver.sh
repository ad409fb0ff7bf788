#!/usr/bin/env bash
# A program built with nvcc starts where there is neither a driver nor any library of the toolkit.
#
#   starts_without_driver.sh PROGRAM [ARGUMENTS...]
set -uo pipefail

libraries=$(LC_ALL=C ldd "$1") || exit 1
if grep -E 'libcuda|libcudart|libcudnn|libcublas|libnvrtc' <<<"$libraries"; then
  echo "$1 wants these before it can start"
  exit 1
fi
"$@" >/dev/null
rc=$?
((rc == 0 || rc == 3)) && exit 0 # 3: no device
echo "exit code $rc"
exit 1

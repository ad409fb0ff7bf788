#!/usr/bin/env bash
# A verace built with CUDA, where the driver, cuDNN and cuBLASLt are hidden: it says what is missing.
#
#   hidden_libraries.sh VERACE STUBS
#
# STUBS: the toolkit's folder with a stub of the driver's library. Hidden means: the first file of
# that name that the loader finds is no library (and, where mounts can be hidden, that the folders of
# the toolkit and of Python are empty).
set -uo pipefail

verace=$(realpath "$1") stubs=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work"/{hidden,stub,nothing}
for library in libcuda.so.1 libcudnn.so.9 libcublasLt.so.{12,13}; do : >"$work/hidden/$library"; done
cd "$work" || exit 1
export LC_ALL=C LD_LIBRARY_PATH=$work/hidden HOME=$work/nothing OMP_WAIT_POLICY=passive
unset CUDA_HOME CUDA_PATH CUDA_VISIBLE_DEVICES VERACE_CUDA_LIBRARIES VIRTUAL_ENV CONDA_PREFIX

failures=0
fail() {
  echo "FAILED: $*"
  sed 's/^/    /' out err 2>/dev/null
  failures=$((failures + 1))
}

# expect CODE WORDS... : the last command ended with CODE and WORDS stand in what it printed.
expect() {
  local code=$1 words
  shift
  ((rc == code)) || fail "$ran: exit code $rc, not $code"
  for words in "$@"; do
    grep -qF -- "$words" out err || fail "$ran: does not say '$words'"
  done
}

run() {
  ran="verace $*"
  timeout 100 "$verace" "$@" >out 2>err </dev/null
  rc=$?
}

refused() { # WORDS ARGUMENTS...: exit code 2, one line that says WORDS, and no folder `new`
  local words=$1
  shift
  run "$@"
  expect 2 "$words"
  [ "$(wc -l <err)" = 1 ] || fail "$ran: more than one line of error"
  [ -e new ] && fail "$ran: has made a folder"
}

missing="NVIDIA's driver is missing ("
run gradcheck --layer dense --device cpu
expect 0 "dense"
run dump --device auto --layer conv1 --out look
expect 0 "device: cpu (auto: $missing" "loss "
[ -s look/index.csv ] || fail "$ran: no index.csv"
run info
expect 0 "cuda        runtime " "no driver" "cuda       not usable: $missing"

for device in cuda cuda:0 cuda:5; do
  refused "$missing" gradcheck --layer dense --device "$device"
done
refused "install NVIDIA's driver" train --data . --weights none --out new --device cuda
refused "$missing" demo --out new --device cuda
refused "$missing" dump --out new --device cuda
refused "$missing" info --device cuda
refused "use auto, cpu, reference, cuda or cuda:N" info --device gpu

if [ -e "$stubs/libcuda.so" ]; then
  ln -s "$stubs/libcuda.so" stub/libcuda.so.1
  export LD_LIBRARY_PATH=$work/stub:$work/hidden
  refused "is the toolkit's stub" gradcheck --layer dense --device cuda
  run dump --device auto --layer conv1 --out look2
  expect 0 "device: cpu (auto: CUDA cannot count its devices"
  export LD_LIBRARY_PATH=$work/hidden
else
  echo "SKIPPED cli/hidden_libraries [stub]: the toolkit has no stub of the driver's library"
fi

# Within a view of the file system of its own: the folders where libraries are looked for are empty.
# shellcheck disable=SC2016  # the inner shell expands it
hide='for folder in /usr/local/cuda*/lib64 /usr/local/cuda*/targets/*/lib /usr{,/local}/lib/python3*; do
  [ -d "$folder" ] && { mount --bind "$0/nothing" "$folder" || exit 77; }
done; exec "$@"'
if unshare --mount --map-root-user bash -c "$hide" "$work" true 2>/dev/null; then
  ran="verace info, the folders hidden"
  PATH=/usr/bin:/bin unshare --mount --map-root-user bash -c "$hide" "$work" "$verace" info >out 2>err
  rc=$?
  expect 0 "cuDNN 9 (libcudnn.so.9) was not found" "(libcublasLt.so.1" \
    "set VERACE_CUDA_LIBRARIES to its folder"
else
  echo "SKIPPED cli/hidden_libraries [folders]: unshare cannot hide folders here"
fi

((failures == 0)) || exit 1
echo "hidden libraries: as they should be"

#!/usr/bin/env bash
# The commands ./run gpu and ./run bundle; run sources it.
# shellcheck disable=SC2154  # logs and the like are run's

gpu_usage() {
  cat <<'END'
Usage: ./run gpu --phase check|plans|bench|peers [--results FOLDER] [--minutes N] [--groups "A B"]

  check    every test of kernels, engine and networks on the GPU (of convolutions where cuDNN 9, of
           matrix products where cuBLASLt is installed), every kernel against its emulated outputs,
           compute-sanitizer where it is installed
  plans    cuDNN's plan of every convolution of the networks, by its heuristics and by the clock: time,
           engine, workspace, what planning took, and what a second start finds again
  bench    the time of whole steps: inference, training, attack, in every precision, as a graph and
           operation by operation, against the roofline; then of every kernel
           (docs/kernel_laboratory.md)

  peers    PyTorch eager, compiled and with CUDA graphs on the same work, in the same run; --groups
           names some of it: "train64_none-fp32 infer64-tf32"

Each builds what it needs for sm_90, then takes 8 minutes (--minutes) at most on the GPU (docs/gpu.md).

Results: FOLDER/PHASE.json, PHASE.txt and logs (default: build/gpu).
Exit codes: 0 all right, 1 something failed, 2 usage or missing tools, 3 there is no GPU here.
END
}

# why_no_gpu: prints why no CUDA program can run here; fails when one may.
why_no_gpu() {
  if [ -n "${CUDA_VISIBLE_DEVICES+set}" ] && [ -z "$CUDA_VISIBLE_DEVICES" ]; then
    echo "CUDA_VISIBLE_DEVICES is empty"
  elif compgen -G '/dev/nvidia[0-9]*' >/dev/null || [ -e /dev/dxg ]; then
    return 1
  elif command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
    return 1
  else
    echo "there is no NVIDIA device in /dev, and nvidia-smi shows none"
  fi
}

current_commit() {
  git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown
}

command_gpu() {
  local phase='' results=build/gpu reason minutes=8 groups=''
  while (($# > 0)); do
    case $1 in
      -h | --help) gpu_usage && return 0 ;;
      --phase) phase=${2:-} ;;
      --results) results=${2:-} ;;
      --minutes) minutes=${2:-} ;;
      --groups) groups=${2:-} ;;
      *) gpu_usage && return 2 ;;
    esac
    shift 2 || { gpu_usage && return 2; }
  done
  case $phase in
    check | plans | bench | peers) ;;
    *) gpu_usage && return 2 ;;
  esac
  if reason=$(why_no_gpu); then
    say "no GPU: $reason"
    return 3
  fi
  if reason=$(find_cuda); then
    say "no CUDA build: $reason"
    return 2
  fi
  build cuda --target device_tests verace_laboratory verace_bench_model verace || return 1
  build emulated --target verace_laboratory || return 1
  local laboratory=bench/kernels/laboratory/verace_laboratory
  scripts/gpu_phases.sh "$phase" --tests build/cuda/tests \
    --laboratory "build/cuda/$laboratory" --emulated "build/emulated/$laboratory" \
    --speed build/cuda/bench/model/verace_bench_model --verace build/cuda/verace \
    --plan-cache build/gpu_plans --peers bench/peers --minutes "$minutes" --groups "$groups" \
    --results "$results" --commit "$(current_commit)"
}

# bundle_build PRESET TARGETS...: for any x86-64 machine, its libraries beside it.
bundle_build() {
  local preset=$1 folder=build/bundle-$1 compiler
  shift
  compiler=$(scripts/setup.sh --print-compiler) || compiler=${CXX:-c++}
  # DT_RPATH, not DT_RUNPATH: it holds for the libraries of libraries too.
  # shellcheck disable=SC2016  # the loader replaces $ORIGIN
  CXX=$compiler quietly "configure-bundle-$preset" cmake --preset "$preset" -B "$folder" \
    -DVERACE_ARCH=baseline -DVERACE_DEVICE_ONLY=ON -DVERACE_GOLDENS=goldens \
    '-DCMAKE_BUILD_RPATH=$ORIGIN/../lib' -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags &&
    quietly "build-bundle-$preset" cmake --build "$folder" --parallel "$(build_jobs)" --target "$@"
}

bundle_usage() {
  cat <<'END'
Usage: ./run bundle [FILE]

Packs what a GPU check needs into one tar, FILE (default: build/verace-gpu.tar.gz): programs, tests and
the shared libraries they need, for a machine with NVIDIA's driver and no compiler (docs/gpu.md).
END
}

command_bundle() {
  local reason file=${1:-build/verace-gpu.tar.gz}
  case $file in
    -h | --help) bundle_usage && return 0 ;;
    *.tar.gz) ;;
    *) say "bundle packs a .tar.gz, not '$file'" && bundle_usage && return 2 ;;
  esac
  if reason=$(find_cuda); then
    say "no CUDA build: $reason"
    return 2
  fi
  bundle_build cuda device_tests verace_laboratory verace_bench_model verace || return 1
  bundle_build emulated verace_laboratory || return 1
  scripts/pack_bundle.sh build/bundle-cuda build/bundle-emulated "$(current_commit)" "$file"
}

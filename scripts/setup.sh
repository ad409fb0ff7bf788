#!/usr/bin/env bash
# Installs the distribution's packages that Verace needs and checks the versions of the tools.
#
#   scripts/setup.sh [--dev] [--oracles] [--fuzz]   install what is missing (Debian 12, Ubuntu 24.04, newer)
#   scripts/setup.sh --cuda-headers        NVIDIA's headers, 3 MB of wheels, into build/cuda_headers
#   scripts/setup.sh --cudnn-frontend      cuDNN's C++ headers, 2 MB, into build/cudnn_frontend
#   scripts/setup.sh --list                print the package names and stop
#   scripts/setup.sh --print-compiler      print the C++ compiler to use (g++ 12 or newer)
#
# --dev adds the formatting and checking tools, --oracles what the Python comparison scripts import,
# --fuzz clang with libFuzzer.
# VERACE_SKIP_SETUP=1 checks and installs nothing: for other systems, where you bring the libraries.
# Exit codes: 0 everything is there, 1 installing failed, 2 you have to do something (it says what).
set -uo pipefail

readonly MIN_CMAKE=3.22 MIN_GXX=12

# One line per package: PACKAGE[|ALTERNATIVE...][=COMMAND]. An installed alternative or a COMMAND in
# PATH will do as well. This is the only package list.
readonly PACKAGES=(
  "cmake=cmake"
  "ninja-build=ninja"
  "ccache=ccache"
  "python3=python3"
  "xz-utils=xz"
  "curl=curl"  # verace weights fetch
  "libdnnl-dev"
  "ocl-icd-opencl-dev"  # libdnnl's CMake file asks for it, its package only recommends it
  "libjpeg-dev|libjpeg62-turbo-dev|libjpeg-turbo8-dev"
  "libstb-dev"
  "libcli11-dev"
  "nlohmann-json3-dev"
  "libfmt-dev"
  "libtomlplusplus-dev"
  "libavformat-dev"  # FFmpeg: videos; without them, folders of pictures only
  "libavcodec-dev"
  "libavutil-dev"
  "libswscale-dev"
  "doctest-dev"
  "libbenchmark-dev"
)
readonly DEV_PACKAGES=("clang-format=clang-format" "clang-tidy=clang-tidy" "shellcheck=shellcheck")
# clang brings its sanitizers and libFuzzer; libomp-dev its omp.h.
readonly FUZZ_PACKAGES=("clang=clang++" "libomp-dev")
# python3-venv: for the other engines of bench/peers/run.
# libopenblas: Debian's PyTorch else multiplies matrices with the reference BLAS, twenty times slower.
readonly ORACLE_PACKAGES=("python3-numpy" "python3-pil" "python3-torch" "python3-torchvision"
  "libopenblas0-pthread" "python3-venv")

say() { printf 'setup: %s\n' "$*"; }

installed() { dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

# satisfied ENTRY: the command is in PATH, or the package or one of its alternatives is installed.
satisfied() {
  local names=${1%%=*} command=${1#*=} name
  [ "$command" != "$1" ] && command -v "$command" >/dev/null && return 0
  local -a alternatives
  IFS='|' read -ra alternatives <<<"$names"
  for name in "${alternatives[@]}"; do
    installed "$name" && return 0
  done
  return 1
}

package_of() {
  local names=${1%%=*}
  echo "${names%%|*}"
}

# compiler: prints the first C++ compiler that is new enough; $CXX comes first.
compiler() {
  local candidate version
  for candidate in ${CXX:+"$CXX"} g++ g++-14 g++-13 g++-12; do
    command -v "$candidate" >/dev/null || continue
    version=$("$candidate" -dumpversion 2>/dev/null) || continue
    version=${version%%.*}
    if [[ $version =~ ^[0-9]+$ ]] && ((version >= MIN_GXX)); then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

cmake_is_new_enough() {
  local version
  version=$(cmake --version 2>/dev/null | head -n 1) || return 1
  version=${version##* }
  [ "$(printf '%s\n%s\n' "$MIN_CMAKE" "$version" | sort -V | head -n 1)" = "$MIN_CMAKE" ]
}

# as_root: sets `root_prefix` to what must stand before apt-get; fails when nothing would do.
as_root() {
  root_prefix=()
  [ "$(id -u)" = 0 ] && return 0
  command -v sudo >/dev/null || return 1
  if sudo -n true 2>/dev/null; then
    root_prefix=(sudo -n)
  elif [ -t 0 ]; then
    root_prefix=(sudo)
  else
    return 1
  fi
}

explain_and_stop() {
  say "these packages are missing: $*"
  if command -v apt-get >/dev/null; then
    say "installing them needs root; run this, then try again:"
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
  else
    say "there is no apt-get here: install the same libraries with your system's tools,"
    say "then set VERACE_SKIP_SETUP=1"
  fi
  exit 2
}

apt() {
  "${root_prefix[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 \
    "$@" </dev/null
}

install_packages() {
  if ! command -v apt-get >/dev/null || ! as_root; then explain_and_stop "$@"; fi
  say "installing: $*"
  local attempt
  for attempt in 1 2; do
    if apt update && apt install -y --no-install-recommends "$@"; then return 0; fi
    [ "$attempt" = 1 ] && say "that failed; trying once more" && sleep 5
  done
  say "apt-get could not install: $* (its messages stand above)"
  return 1
}

install_missing() {
  local -a missing=()
  local entry
  compiler >/dev/null || missing+=("g++")
  for entry in "$@"; do
    satisfied "$entry" || missing+=("$(package_of "$entry")")
  done
  ((${#missing[@]} == 0)) || install_packages "${missing[@]}" || exit 1
}

unpack_cuda_headers() { # UNPACKED_WHEELS TARGET
  # Of the C++ library only what the CUDA headers themselves include.
  rm -rf "$1/nvidia/cu13/include/cccl"
  mv "$1/nvidia/cu13/include" "$2/include" &&
    [ -f "$2/include/cuda_fp16.h" ] && [ -f "$2/include/cuda_runtime_api.h" ]
}

unpack_cudnn_frontend() { # UNPACKED_WHEELS TARGET
  mv "$1/include" "$2/include" && [ -f "$2/include/cudnn_frontend.h" ]
}

unpack_wheels() { # NAME FOLDER_OF_WHEELS TARGET
  local work=$2 target=$3 wheel
  for wheel in "$work"/*.whl; do
    python3 -m zipfile -e "$wheel" "$work/unpacked" || return 1
  done
  rm -rf "$target/include" "$target/licences" "$target/wheels.txt"
  mkdir "$target/licences" || return 1
  for wheel in "$work"/unpacked/*.dist-info; do
    cp -r "$wheel/licenses" "$target/licences/$(basename "$wheel" .dist-info)" || return 1
  done
  "unpack_$1" "$work/unpacked" "$target"
}

# wheels NAME TEXT PIP_OPTIONS...: headers that we compile against, into build/NAME. The wheels and
# their hashes stand in scripts/NAME.txt; they are NVIDIA's, under NVIDIA's licences (beside the
# headers), so they are downloaded, never part of this repository.
wheels() {
  local name=$1 text=$2 root target work
  shift 2
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  target=$root/build/$name
  if cmp -s "$root/scripts/$name.txt" "$target/wheels.txt"; then
    say "$text are in $target"
    return 0
  fi
  python3 -m pip --version >/dev/null 2>&1 || install_packages python3-pip || return 1
  mkdir -p "$target"
  work=$(mktemp -d "$target/download.XXXXXX") || return 1
  # The same files on every machine: headers do not depend on the processor.
  if ! python3 -m pip -q download --no-deps --require-hashes --only-binary=:all: "$@" \
    -r "$root/scripts/$name.txt" -d "$work"; then
    rm -rf "$work"
    say "downloading $text failed"
    return 1
  fi
  if ! unpack_wheels "$name" "$work" "$target"; then
    rm -rf "$work"
    say "unpacking $text failed: is the disc full?"
    return 1
  fi
  rm -rf "$work"
  cp "$root/scripts/$name.txt" "$target/wheels.txt" # last: it says that all is there
  say "$text are in $target"
}

# What the emulated presets compile against where no CUDA toolkit is installed.
cuda_headers() {
  wheels cuda_headers "NVIDIA's headers" --platform manylinux2014_x86_64
}

# What the cuda preset compiles its convolutions against (kernels/cudnn).
cudnn_frontend() {
  wheels cudnn_frontend "cudnn-frontend's headers" --platform manylinux_2_28_x86_64 \
    --python-version 3.11 --implementation cp --abi cp311
}

check_versions() {
  local package
  for package in g++-13 g++-12; do
    compiler >/dev/null && break
    say "g++ is older than $MIN_GXX"
    install_packages "$package" || true
  done
  if ! compiler >/dev/null; then
    say "no C++ compiler of version $MIN_GXX or newer: install one and name it with CXX=..."
    exit 2
  fi
  if ! cmake_is_new_enough; then
    say "cmake is older than $MIN_CMAKE: install a newer one (https://apt.kitware.com)"
    exit 2
  fi
}

main() {
  local -a wanted=("${PACKAGES[@]}")
  local argument entry list='' headers='' frontend=''
  for argument in "$@"; do
    case $argument in
      --dev) wanted+=("${DEV_PACKAGES[@]}") ;;
      --oracles) wanted+=("${ORACLE_PACKAGES[@]}") ;;
      --fuzz) wanted+=("${FUZZ_PACKAGES[@]}") ;;
      --cuda-headers) headers=1 ;;
      --cudnn-frontend) frontend=1 ;;
      --list) list=1 ;;
      --print-compiler)
        compiler && exit 0
        exit 2
        ;;
      *)
        say "unknown argument '$argument' (there are --dev, --oracles, --fuzz, --cuda-headers, --cudnn-frontend," \
          "--list, --print-compiler)"
        exit 2
        ;;
    esac
  done
  if [ -n "$list" ]; then
    echo "g++"
    for entry in "${wanted[@]}"; do package_of "$entry"; done
    exit 0
  fi
  if [ "${VERACE_SKIP_SETUP:-0}" = 1 ]; then
    say "skipped (VERACE_SKIP_SETUP=1)"
    exit 0
  fi
  install_missing "${wanted[@]}"
  check_versions
  say "all packages are there ($(compiler), $(cmake --version | head -n 1))"
  if [ -n "$headers" ]; then cuda_headers || exit 1; fi
  if [ -n "$frontend" ]; then cudnn_frontend || exit 1; fi
}

main "$@"

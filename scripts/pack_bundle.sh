#!/usr/bin/env bash
# Packs what a GPU check needs into one tar: pack_bundle.sh CUDA_BUILD EMULATED_BUILD COMMIT FILE
#
# It runs on a bare Linux of the same architecture with glibc, bash and NVIDIA's driver: no compiler,
# no CUDA toolkit, no root. Convolutions need cuDNN 9 besides, which is too large to be packed; where
# it is missing their tests say so. Every other shared library lies in lib/, found through the programs'
# RPATH ($ORIGIN/../lib); libraries.txt says which, and which glibc is needed.
set -euo pipefail

if (($# != 4)); then
  echo "usage: pack_bundle.sh CUDA_BUILD EMULATED_BUILD COMMIT FILE"
  exit 2
fi
cuda=$1 emulated=$2 commit=$3 file=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${file%.tar.gz}.d/verace-gpu # packed under the name verace-gpu
rm -rf "${root%/*}"
mkdir -p "$root"/{bin,emulated,lib,scripts,goldens}

# What the machine must bring: glibc's parts, the loader, the driver.
readonly SYSTEM='^(linux-vdso|ld-linux.*|libc|libm|libpthread|libdl|librt|libresolv|libutil|libcuda)\.so'

laboratory=bench/kernels/laboratory/verace_laboratory
cp "$cuda/$laboratory" "$cuda/bench/model/verace_bench_model" "$cuda/verace" "$root/bin/"
cp -P "$cuda"/tests/{kernels,engine,layers}_{tests,*_test} "$root/bin/" # programs, and a link for each file
cp "$emulated/$laboratory" "$root/emulated/"
find "$root/bin" -type f -exec strip {} + # not the emulated one: its reports name functions
cp -r "$here"/gpu_phases{,.sh} "$root/scripts/"
cp "$here/bundle_run.sh" "$root/run"
cp "$here"/../tests/goldens/*.{safetensors,json} "$root/goldens/"
mkdir -p "$root/peers/engines"
cp "$here"/../bench/peers/{run_gpu,rounds.py,speed_table.py,peer_list.py,make_workload.py} "$root/peers/"
cp "$here"/../bench/peers/engines/{network,worker,pytorch_engine,pytorch_cuda_engine}.py \
  "$root/peers/engines/"
echo "$commit" >"$root/commit.txt"

needed() { # PROGRAMS: "NAME PATH" of every shared library
  local program
  for program in "$@"; do LC_ALL=C ldd "$program"; done |
    sed -nE 's/^\t([^ ]+) => ([^ ]+) .*/\1 \2/p' | sort -u
}

packed=() system=()
while read -r name path; do
  if [ "$path" = not ]; then
    echo "pack_bundle: $name is not found" && exit 1
  elif [[ $name =~ $SYSTEM ]]; then
    system+=("$name")
  else
    cp -L "$path" "$root/lib/$name"
    packed+=("$name")
  fi
done < <(needed "$root"/bin/* "$root"/emulated/*)

glibc=$(for each in "$root"/{bin,emulated,lib}/*; do readelf -V --wide "$each"; done |
  grep -oE 'GLIBC_[0-9]+\.[0-9.]+' | sort -Vu | tail -n 1)
{
  echo "# Shared libraries of the programs in this folder"
  echo "glibc ${glibc#GLIBC_}"
  for name in "${packed[@]}"; do echo "packed $name"; done
  for name in "${system[@]}"; do echo "system $name"; done
  echo "optional libcuda.so.1 (NVIDIA's driver; without it the programs start and find no GPU)"
  echo "optional libcudnn.so.9 (without it the tests of convolutions are skipped on the GPU)"
  echo "optional libcublasLt.so (of the compiler's CUDA version; without it those of matrix products)"
} >"$root/libraries.txt"

tar -czf "$file" -C "${root%/*}" verace-gpu
rm -rf "${root%/*}"
echo "pack_bundle: $file, $(du -h "$file" | cut -f1); ${#packed[@]} libraries packed," \
  "glibc ${glibc#GLIBC_} or newer wanted"

#!/usr/bin/env bash
# The command of the GPU bundle: ./run gpu --phase check|plans|bench|peers [--results FOLDER]
#
# Needs glibc (libraries.txt says which), bash and NVIDIA's driver; no root, no compiler. Convolutions
# need cuDNN 9: without it their tests are counted as skipped on the GPU, by name. Results go to
# FOLDER (default: results). Exit codes: 0 all right, 1 something failed, 2 usage or a glibc that is
# too old, 3 no GPU.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

phase='' results=results minutes=8 groups=''
[ "${1:-}" = gpu ] && shift
while (($# > 1)); do
  case $1 in
    --phase) phase=$2 ;;
    --results) results=$2 ;;
    --minutes) minutes=$2 ;;
    --groups) groups=$2 ;;
    *) break ;;
  esac
  shift 2
done
if (($# > 0)) || [[ ! $phase =~ ^(check|plans|bench|peers)$ ]]; then
  echo "usage: ./run gpu --phase check|plans|bench|peers [--results FOLDER] [--minutes N] [--groups LIST]"
  exit 2
fi

wanted=$(sed -n 's/^glibc //p' libraries.txt)
have=$(getconf GNU_LIBC_VERSION 2>/dev/null)
have=${have##* }
if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" != "$wanted" ]; then
  echo "gpu: glibc $wanted or newer is needed, this machine has ${have:-another libc}"
  exit 2
fi

exec scripts/gpu_phases.sh "$phase" --tests bin --laboratory bin/verace_laboratory \
  --emulated emulated/verace_laboratory --speed bin/verace_bench_model --verace bin/verace \
  --plan-cache plan_cache --peers peers --minutes "$minutes" --groups "$groups" \
  --results "$results" --commit "$(cat commit.txt)"

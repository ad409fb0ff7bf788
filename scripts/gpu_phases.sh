#!/usr/bin/env bash
# What a GPU is asked for: gpu_phases.sh PHASE OPTIONS; `./run gpu` and the bundle call it.
#
#   --tests FOLDER        with kernels_*_test, engine_*_test, layers_*_test: links, each to a program that
#                         runs only the tests of the file that it is called by
#   --laboratory FILE     verace_laboratory, built for the GPU
#   --emulated FILE       verace_laboratory, built with the emulator (check)
#   --speed FILE          verace_bench_model, built for the GPU
#   --verace FILE         the program (check)
#   --peers FOLDER        bench/peers (peers)
#   --plan-cache FOLDER   where plans leaves what it made, and bench finds it
#   --results FOLDER      where PHASE.json, PHASE.txt and the logs go
#   --commit TEXT         for the reports
#   --minutes N           limit for the phase (8)
#   --groups "A B"        peers: only these, as train64_none-fp16
#   --rehearsal yes       tiny networks and few runs: every line of this once, figures that mean nothing
#
# VERACE_REQUIRE_CUDNN=1: fails where cuDNN or cuBLASLt is missing, instead of skipping the tests of
# convolutions and matrix products.
#
# Each phase is a file of gpu_phases/ (docs/gpu.md). JSON and table are complete after every step.
# Exit codes: 0 all right, 1 something failed, 2 usage, 3 no GPU.
set -uo pipefail

say() { printf 'gpu: %s\n' "$*"; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
phase=${1:-} && shift
tests='' laboratory='' emulated='' speed='' verace='' peers='' results=gpu-results commit=unknown
minutes=8 rehearsal=no plan_cache='' groups=()
while (($# > 1)); do
  case $1 in
    --tests | --laboratory | --emulated | --speed | --verace | --peers | --results | --commit | \
      --minutes | --rehearsal) declare "${1#--}=$2" ;;
    --plan-cache) plan_cache=$2 ;;
    --groups) read -ra groups <<<"$2" ;;
    *) say "unknown option $1" && exit 2 ;;
  esac
  shift 2
done
if [[ ! $phase =~ ^(check|plans|bench|peers)$ ]] || (($# > 0)); then
  say "the phases are check, plans, bench and peers"
  exit 2
fi
[ -x "$laboratory" ] || { say "$laboratory is missing" && exit 2; }

device=$("$laboratory" device 2>&1)
case $? in
  0) ;;
  3) say "$device" && exit 3 ;;
  *) say "the device cannot be asked: ${device##*$'\n'}" && exit 1 ;;
esac

mkdir -p "$results/logs" || exit 1
results=$(cd "$results" && pwd) || exit 1
table=$results/$phase.txt
plan_cache=${plan_cache:-$results/plan_cache}
part_end=$((SECONDS + minutes * 60))
started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
steps=() failures=0 unfinished=0 skipped=0
export OMP_WAIT_POLICY=passive # spinning threads take minutes where processors are few
export CUDA_MODULE_LOADING=LAZY

# What is timed: the network of the tables, or in a rehearsal a narrow one.
network=() kernels=() small=64 large=256 step_seconds=2
if [ "$rehearsal" = yes ]; then
  network=(--stem 4 --size 32) kernels=(--scale tiny --samples 2) small=2 large=3 step_seconds=0
fi
read -ra precisions <<<"$([ -x "$speed" ] && "$speed" --precisions --device cuda 2>/dev/null)"
if [ "$rehearsal" = yes ] && ((${#precisions[@]} > 2)); then
  precisions=("${precisions[0]}" "${precisions[-1]}")
fi

left() { # SECONDS_WANTED: what of it the phase still has; at least 1
  local rest=$((part_end - SECONDS))
  ((rest > $1)) && rest=$1
  ((rest < 1)) && rest=1
  echo "$rest"
}

quoted() { # TEXT: as a JSON string
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "$(printf '%s' "$text" | tr '\n\t' '  ' | tr -d '\000-\037')"
}

# The JSON objects in FILES, with commas between them.
joined() { # FILES...
  local file comma=''
  for file in "$@"; do
    [ -s "$file" ] || continue
    printf '%s\n' "$comma" && cat "$file"
    comma=,
  done
}

write_json() {
  local i outcome=ok
  ((unfinished > 0)) && outcome=unfinished
  ((failures > 0)) && outcome=failed
  {
    printf '{\n "phase": "%s",\n "commit": %s,\n "started": "%s",\n "rehearsal": "%s",\n' \
      "$phase" "$(quoted "$commit")" "$started" "$rehearsal"
    printf ' "seconds": %d,\n "device": %s,\n "result": "%s",\n "steps": [' \
      "$SECONDS" "$(quoted "$device")" "$outcome"
    for i in "${!steps[@]}"; do printf '%s\n  %s' "$( ((i == 0)) || echo ,)" "${steps[i]}"; done
    printf '\n ],\n "cases": ['
    case $phase in
      plans) joined "$results"/plans/*.json ;;
      bench) joined "$results"/cases/*.json ;;
      peers) joined "$results"/peers_figures.json ;;
    esac
    printf ']\n}\n'
  } >"$results/$phase.json.part" && mv "$results/$phase.json.part" "$results/$phase.json"
}

record() { # NAME ok|FAILED|skipped|unfinished SECONDS DETAIL
  printf '%-36s %-10s %6s s  %s\n' "$1" "$2" "$3" "$4" | tee -a "$table"
  steps+=("{\"step\": $(quoted "$1"), \"result\": \"$2\", \"seconds\": $3, \"detail\": $(quoted "$4")}")
  [ "$2" = FAILED ] && failures=$((failures + 1))
  [ "$2" = unfinished ] && unfinished=$((unfinished + 1))
  [ "$2" = skipped ] && skipped=$((skipped + 1))
  write_json
}

# The line that says most about a program that failed.
reason() { # LOG
  grep -aE 'ERROR|REFUSED|FAILED|WRONG|error|verace[a-z_]*:' "$1" | head -n 1 | cut -c 1-300
}

# step NAME LIMIT COMMAND...: runs it; the detail is the last line of what it prints.
step() {
  local name=$1 limit=$2 start=$SECONDS rc log
  shift 2
  log=$results/logs/${name//[^a-zA-Z0-9_]/_}.log
  if ((SECONDS >= part_end)); then
    record "$name" unfinished 0 "the phase's $minutes minutes were over"
    return 1
  fi
  timeout -k 5 "$(left "$limit")" "$@" >"$log" 2>&1
  rc=$?
  case $rc in
    0) record "$name" ok $((SECONDS - start)) "$(tail -n 1 "$log")" ;;
    124 | 137) record "$name" unfinished $((SECONDS - start)) "stopped at its time limit" ;;
    *) record "$name" FAILED $((SECONDS - start)) "exit code $rc: $(reason "$log")" ;;
  esac
  return "$rc"
}

# Clocks, power and temperature while figures are taken, twice a second, into PHASE-clocks.csv.
clocks_pid=''
watch_clocks() {
  command -v nvidia-smi >/dev/null || return
  nvidia-smi --format=csv,noheader,nounits -lms 500 \
    --query-gpu=clocks.sm,clocks.mem,power.draw,temperature.gpu,utilization.gpu \
    >"$results/$phase-clocks.csv" 2>/dev/null &
  clocks_pid=$!
}
stop_clocks() {
  if [ -z "$clocks_pid" ]; then
    record "clocks" skipped 0 "there is no nvidia-smi"
    return
  fi
  kill "$clocks_pid" 2>/dev/null
  wait "$clocks_pid" 2>/dev/null
  clocks_pid=''
  record clocks ok 0 "$(sort -n "$results/$phase-clocks.csv" | awk -F', *' '
    NF < 5 || $5 < 20 { next }  # idle
    { sm[++n] = $1; watts[n] = $3; if ($4 > hot) hot = $4 }
    END {
      if (n == 0) { print "no sample under load"; exit }
      for (i = 1; i <= n; i++) if (watts[i] > most) most = watts[i]
      printf "SM %d - %d MHz, median %d, of %d samples under load; at most %.0f W, %d C", sm[1],
        sm[n], sm[int((n + 1) / 2)], n, most, hot
    }')"
}
trap '[ -z "$clocks_pid" ] || kill "$clocks_pid" 2>/dev/null' EXIT

# shellcheck source=scripts/gpu_phases/check.sh
# shellcheck source=scripts/gpu_phases/plans.sh
# shellcheck source=scripts/gpu_phases/bench.sh
# shellcheck source=scripts/gpu_phases/peers.sh
source "$here/gpu_phases/$phase.sh"

: >"$table"
printf '%s\ncommit %s, %s\n\n' "$device" "$commit" "$started" | tee -a "$table"
[ "$rehearsal" = yes ] && echo "A rehearsal: the figures mean nothing." | tee -a "$table"
write_json
"phase_$phase"
printf '\n%d steps, %d failed, %d unfinished, %d skipped; %s\n' \
  ${#steps[@]} "$failures" "$unfinished" "$skipped" "$results/$phase.json" | tee -a "$table"
((failures == 0))

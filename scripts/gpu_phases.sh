#!/usr/bin/env bash
# What a GPU is asked for: gpu_phases.sh check|bench OPTIONS; `./run gpu` and the bundle call it.
#
#   --tests FOLDER        with the programs kernels_*_test
#   --laboratory FILE     verace_laboratory, built for the GPU
#   --emulated FILE       verace_laboratory, built with the emulator (check)
#   --results FOLDER      where PHASE.json, PHASE.txt and the logs go
#   --commit TEXT         for the reports
#   --minutes N           limit for the phase (8)
#
# VERACE_REQUIRE_CUDNN=1: fails where cuDNN or cuBLASLt is missing, instead of skipping the tests of
# convolutions and matrix products.
#
# check: the device; every test of the kernels on it; every kernel proven at shapes with tails, and
# its outputs against the emulated ones; compute-sanitizer, where it is installed.
# bench: the kernel laboratory's times.
# JSON and table are complete after every step. Exit codes: 0 all right, 1 something failed, 2 usage,
# 3 no GPU.
set -uo pipefail

say() { printf 'gpu: %s\n' "$*"; }

phase=${1:-} && shift
tests='' laboratory='' emulated='' results=gpu-results commit=unknown minutes=8
while (($# > 1)); do
  case $1 in
    --tests) tests=$2 ;;
    --laboratory) laboratory=$2 ;;
    --emulated) emulated=$2 ;;
    --results) results=$2 ;;
    --commit) commit=$2 ;;
    --minutes) minutes=$2 ;;
    *) say "unknown option $1" && exit 2 ;;
  esac
  shift 2
done
if [[ ! $phase =~ ^(check|bench)$ ]] || (($# > 0)); then
  say "the phases are check and bench"
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
part_end=$((SECONDS + minutes * 60))
started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
steps=() failures=0 unfinished=0 skipped=0
export OMP_WAIT_POLICY=passive # spinning threads take minutes where processors are few

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

write_json() {
  local i outcome=ok
  ((unfinished > 0)) && outcome=unfinished
  ((failures > 0)) && outcome=failed
  {
    printf '{\n "phase": "%s",\n "commit": %s,\n "started": "%s",\n' \
      "$phase" "$(quoted "$commit")" "$started"
    printf ' "seconds": %d,\n "device": %s,\n "result": "%s",\n "steps": [' \
      "$SECONDS" "$(quoted "$device")" "$outcome"
    for i in "${!steps[@]}"; do printf '%s\n  %s' "$( ((i == 0)) || echo ,)" "${steps[i]}"; done
    printf '\n ]\n}\n'
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
  grep -aE 'ERROR|REFUSED|FAILED|WRONG|error|verace_laboratory:' "$1" | head -n 1 | cut -c 1-300
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

# ---- tests --------------------------------------------------------------------------------------

run_test() { # PROGRAM: leaves its log and "RC SECONDS"
  local log=$results/logs/${1##*/} start=$SECONDS
  VERACE_REQUIRE_CUDA=1 VERACE_TEST_DEVICES=cuda OMP_NUM_THREADS=2 \
    timeout -k 5 "$(left 180)" "$1" >"$log.log" 2>&1
  echo "$? $((SECONDS - start))" >"$log.rc"
}

# What a test could not run here, which it says in lines "SKIPPED name: reason".
skips_of() { # LOG
  local line
  while read -r line; do
    line=${line#SKIPPED }
    record "${line%%: *}" skipped 0 "${line#*: }"
  done < <(grep -a '^SKIPPED [^:]*: ' "$1" | sort -u)
}

all_tests() {
  local program rc seconds cases running=0 programs=()
  for program in "$tests"/kernels_*_test; do [ -x "$program" ] && programs+=("$program"); done
  if ((${#programs[@]} == 0)); then
    record tests FAILED 0 "there are no programs kernels_*_test in '$tests'"
    return
  fi
  for program in "${programs[@]}"; do
    ((running >= 4)) && wait -n && running=$((running - 1))
    run_test "$program" &
    running=$((running + 1))
  done
  wait
  for program in "${programs[@]}"; do
    rc=unknown seconds=0
    read -r rc seconds <"$results/logs/${program##*/}.rc"
    cases=$(grep -a '^\[doctest\] test cases:' "$results/logs/${program##*/}.log" | tail -n 1 |
      sed -E 's/^[^|]*\| *//; s/ +/ /g')
    case $rc in
      0) record "${program##*/}" ok "$seconds" "${cases:-no summary}" ;;
      124 | 137) record "${program##*/}" unfinished "$seconds" "stopped at its time limit" ;;
      *) record "${program##*/}" FAILED "$seconds" \
        "exit code $rc; ${cases} $(reason "$results/logs/${program##*/}.log")" ;;
    esac
    skips_of "$results/logs/${program##*/}.log"
  done
}

# ---- the phases ---------------------------------------------------------------------------------

compare_with_emulated() {
  if [ ! -x "$emulated" ]; then
    record "emulated outputs" skipped 0 "there is no emulated laboratory"
    return
  fi
  step "outputs of this device" 60 "$laboratory" write "$results/outputs.device" || return
  step "emulated outputs" 120 "$emulated" write "$results/outputs.emulated" || return
  step "device against emulated" 60 "$laboratory" compare "$results/outputs.device" \
    "$results/outputs.emulated" --json "$results/compare.json"
  cat "$results/logs/device_against_emulated.log" >>"$table"
  rm -f "$results"/outputs.{device,emulated}
}

# Not initcheck: every output is poisoned, so nothing is uninitialised.
sanitize() {
  local tool program
  program=$(command -v compute-sanitizer) || program=/usr/local/cuda/bin/compute-sanitizer
  if [ ! -x "$program" ]; then
    record compute-sanitizer skipped 0 "it is not installed"
    return
  fi
  for tool in memcheck racecheck synccheck; do
    step "compute-sanitizer $tool" 90 "$program" --tool "$tool" --error-exitcode 9 \
      "$laboratory" prove
  done
}

printf '%s\ncommit %s, %s\n\n' "$device" "$commit" "$started" | tee "$table"
write_json
if [ "$phase" = check ]; then
  all_tests
  step "kernels at shapes with tails" 120 "$laboratory" prove
  compare_with_emulated
  sanitize
else
  start=$SECONDS
  timeout -k 5 "$(left 3600)" "$laboratory" time --commit "$commit" \
    --json "$results/laboratory.json" --seconds $((minutes * 60 - 30)) 2>&1 | tee -a "$table"
  case ${PIPESTATUS[0]} in
    0) record laboratory ok $((SECONDS - start)) "laboratory.json" ;;
    124 | 137) record laboratory unfinished $((SECONDS - start)) "stopped at its time limit" ;;
    *) record laboratory FAILED $((SECONDS - start)) "$(reason "$table")" ;;
  esac
fi
printf '\n%d steps, %d failed, %d unfinished, %d skipped; %s\n' \
  ${#steps[@]} "$failures" "$unfinished" "$skipped" "$results/$phase.json" | tee -a "$table"
((failures == 0))

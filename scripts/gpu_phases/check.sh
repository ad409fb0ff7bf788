#!/usr/bin/env bash
# The phase check of ./run gpu: everything that can be wrong; gpu_phases.sh sources it.
# shellcheck disable=SC2154  # results, table and the like are gpu_phases.sh's

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
  for program in "$tests"/{kernels,engine,layers}_*_test; do
    [ -x "$program" ] && programs+=("$program")
  done
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

learn() {
  if [ ! -x "$verace" ]; then
    record "a short training" skipped 0 "there is no verace"
    return
  fi
  step "a short training" 180 "$here/gpu_phases/learn.sh" "$verace" "$results/demo" --device cuda
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
  # A narrow network, with the libraries' kernels and a captured graph.
  step "compute-sanitizer memcheck, network" 60 "$program" --tool memcheck --error-exitcode 9 \
    "$speed" --device cuda --case train2_keras15 --stem 4 --size 64 --seconds 0
}

phase_check() {
  all_tests
  step "kernels at shapes with tails" 120 "$laboratory" prove
  compare_with_emulated
  learn
  sanitize
}

#!/usr/bin/env bash
# The phase bench of ./run gpu: times of whole steps, then of kernels; gpu_phases.sh sources it.
# shellcheck disable=SC2154  # results, table and the like are gpu_phases.sh's

# bench_row CASE PRECISION: one process; adds a row to rows.md, cases/*.json and operations/*.txt.
bench_row() {
  local name=$1-$2 how=heuristic
  grep -qsxF "$1 $2" "$plan_cache/tuned" && how=tuned # the phase plans has timed them
  step "$1 $2" 60 "$speed" --device cuda --case "$1" --precision "$2" "${network[@]}" \
    --seconds "$step_seconds" --plans "$how" --plan-cache "$plan_cache" \
    --rates "$results/rates.json" \
    --row "$results/rows.md" --report "$results/cases/$name.json" \
    --operations "$results/operations/$name.txt"
}

# The order of the table's worth: what fits no more into the phase's time is the least of it.
bench_cases() {
  local precision case
  local first=("infer$small" "train${small}_none" "train${small}_stages3" "fgsm$small" infer1
    "train${small}_keras15")
  local second=("infer$large" "train${large}_none" "train${large}_stages3" "fgsm$large"
    "train${large}_keras15")
  if [ "$rehearsal" = yes ]; then
    unset 'first[-1]'
    second=("infer$large")
  fi
  for precision in "${precisions[@]}"; do
    for case in "${first[@]}"; do bench_row "$case" "$precision"; done
  done
  for precision in "${precisions[@]}"; do
    for case in "${second[@]}"; do bench_row "$case" "$precision"; done
  done
}

bench_kernels() {
  local start=$SECONDS
  if ((part_end - SECONDS < 45)); then
    record laboratory unfinished 0 "no time was left for the kernels alone"
    return
  fi
  timeout -k 5 "$(left 3600)" "$laboratory" time --commit "$commit" "${kernels[@]}" \
    --json "$results/laboratory.json" --seconds $((part_end - SECONDS - 30)) \
    >"$results/laboratory.txt" 2>&1
  case $? in
    0) record laboratory ok $((SECONDS - start)) "laboratory.json, laboratory.txt" ;;
    124 | 137) record laboratory unfinished $((SECONDS - start)) "stopped at its time limit" ;;
    *) record laboratory FAILED $((SECONDS - start)) "$(reason "$results/laboratory.txt")" ;;
  esac
}

phase_bench() {
  mkdir -p "$results/cases" "$results/operations" || exit 1
  rm -f "$results"/{rows.md,rates.json} "$results"/cases/*.json
  watch_clocks
  if ((${#precisions[@]} == 0)); then
    record networks FAILED 0 "no precision of networks: is '$speed' a verace_bench_model?"
  fi
  bench_cases
  bench_kernels
  stop_clocks
  { echo && cat "$results/rows.md"; } 2>/dev/null | tee -a "$table"
}

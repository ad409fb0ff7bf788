#!/usr/bin/env bash
# The phase plans of ./run gpu: cuDNN's plans of all convolutions, made, timed and found again by a
# second process; gpu_phases.sh sources it.
# shellcheck disable=SC2154  # results, table and the like are gpu_phases.sh's

# plans_of WHICH HOW CASE PRECISION [OPTIONS...]: WHICH start (first, second), HOW heuristic or tuned.
plans_of() {
  local name=$2-$3-$4-$1 which=$1 how=$2 case=$3 precision=$4
  shift 4
  step "$case $precision, $how, $which start" 300 "$speed" --device cuda --time-plans \
    --case "$case" --precision "$precision" "${network[@]}" --plans "$how" \
    --plan-cache "$plan_cache" --row "$results/plan_rows.md" --report "$results/plans/$name.json" \
    --operations "$results/plans/$name.txt" "$@"
}

# First what takes seconds for all, then what may take minutes, the most used first.
phase_plans() {
  local precision case cases=("train${small}_none" "infer$small" "fgsm$small" infer1
    "train${small}_keras15" "train${small}_stages3" "infer$large" "fgsm$large" "train${large}_none")
  [ "$rehearsal" = yes ] && cases=("train${small}_stages3" infer1)
  mkdir -p "$results/plans" || exit 1
  rm -rf "$plan_cache" "$results"/plan_rows.md "$results"/plans/*
  if ((${#precisions[@]} == 0)); then
    record networks FAILED 0 "no precision of networks: is '$speed' a verace_bench_model?"
  fi
  for precision in "${precisions[@]}"; do
    for case in "${cases[@]}"; do plans_of first heuristic "$case" "$precision"; done
  done
  for precision in "${precisions[@]}"; do
    plans_of second heuristic "${cases[0]}" "$precision" --all-cached yes
  done
  for case in "${cases[@]}"; do
    for precision in "${precisions[@]}"; do
      plans_of first tuned "$case" "$precision" || continue
      echo "$case $precision" >>"$plan_cache/tuned" # bench takes these
      [ "$case" = "${cases[0]}" ] && plans_of second tuned "$case" "$precision" --all-cached yes
    done
  done
  { echo && cat "$results/plan_rows.md"; } 2>/dev/null | tee -a "$table"
}

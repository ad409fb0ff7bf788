#!/usr/bin/env bash
# `./run gpu` without a GPU, and a rehearsal of its phases with the programs that are built here.
#
#   phases_test.sh REPOSITORY LABORATORY SPEED|none FOLDER
set -uo pipefail

repository=$1 laboratory=$2 speed=$3 folder=$4
failures=0
rm -rf "$folder" && mkdir -p "$folder"/{tests,bin} || exit 1

# expect WHAT RC PATTERN COMMAND...
expect() {
  local what=$1 wanted=$2 pattern=$3 rc
  shift 3
  "$@" >"$folder/out" 2>&1
  rc=$?
  if ((rc != wanted)) || ! grep -qE "$pattern" "$folder/out"; then
    echo "FAILED $what: exit code $rc, wanted $wanted and a line like '$pattern'; it printed"
    tail -n 15 "$folder/out"
    failures=$((failures + 1))
  fi
}

check_speed=
[ "$speed" = none ] && check_speed=/bin/true
run=$repository/run phases=$repository/scripts/gpu_phases.sh
expect "no GPU" 3 '^run: no GPU: ' env CUDA_VISIBLE_DEVICES= "$run" gpu --phase check
[ "$(wc -l <"$folder/out")" = 1 ] || { echo "FAILED: more than one line" && failures=1; }
expect "no phase" 2 'Usage: ./run gpu' "$run" gpu
expect "no laboratory" 2 'is missing' "$phases" check --laboratory /nowhere

# The phases that run networks: plans, bench, peers.
rehearse_networks() {
  # plans: made, then found again; bench takes the tuned ones
  expect "plans" 0 ' 0 failed, 0 unfinished' "$phases" plans --laboratory "$laboratory" \
    --speed "$speed" --results "$folder/plans" --plan-cache "$folder/cache" --rehearsal yes
  for pattern in '^infer1 .*, heuristic, first start  *ok .* 0 from the cache' \
    '^train2_stages3 .*, heuristic, second start  *ok .* from the cache' \
    '^train2_stages3 .*, tuned, second start  *ok .* tuned .*, [1-9][0-9]* from the cache'; do
    grep -q "$pattern" "$folder/plans/plans.txt" ||
      { echo "FAILED plans.txt lacks $pattern" && failures=$((failures + 1)); }
  done
  grep -qxF 'infer1 fp32' "$folder/cache/tuned" ||
    { echo "FAILED no tuned plans of infer1" && failures=$((failures + 1)); }
  expect "plans that are not there" 1 'all-cached: [1-9][0-9]* plans were not in' "$speed" \
    --device cuda --stem 4 --size 32 --case infer4 --time-plans --all-cached yes \
    --plan-cache "$folder/cache"
  # the times: a wrong program, then the emulated one
  expect "bench without networks" 1 'no precision of networks' "$phases" bench \
    --laboratory "$laboratory" --speed /bin/false --results "$folder/none" --rehearsal yes
  expect "bench" 0 ' 0 failed, 0 unfinished' env PATH="$folder/bin:$PATH" "$phases" bench \
    --laboratory "$laboratory" --speed "$speed" --plan-cache "$folder/cache" \
    --results "$folder/bench" --rehearsal yes
  for precision in fp16 fp32; do
    for case in infer1 infer2 train2_none train2_stages3 fgsm2 infer3; do
      grep -qE "^\| $case \| $precision \| [a-z]+ \| [0-9.]+ \([0-9.]+ - [0-9.]+\) \|" "$folder/bench/bench.txt" ||
        { echo "FAILED bench.txt lacks $case in $precision" && failures=$((failures + 1)); }
      [ -s "$folder/bench/operations/$case-$precision.txt" ] ||
        { echo "FAILED no operations of $case in $precision" && failures=$((failures + 1)); }
    done
  done
  grep -q '^| infer1 | fp32 | tuned |' "$folder/bench/bench.txt" ||
    { echo "FAILED infer1 does not take the tuned plans" && failures=$((failures + 1)); }
  grep -q '^clocks .*SM 1500 - 1980 MHz, median 1980, of 3 samples under load; at most 650 W, 55 C$' \
    "$folder/bench/bench.txt" || { echo "FAILED the clocks" && failures=$((failures + 1)); }
  grep -q '^laboratory  *ok' "$folder/bench/bench.txt" || { echo "FAILED the laboratory" && failures=$((failures + 1)); }
  # PyTorch, where a python has it; on the CPU here
  expect "peers" 0 'PyTorch' env PATH="$folder/bin:$PATH" "$phases" peers --laboratory "$laboratory" \
    --speed "$speed" --peers "$repository/bench/peers" --results "$folder/peers" --rehearsal yes
  if grep -q '^PyTorch  *skipped' "$folder/peers/peers.txt"; then
    echo "SKIPPED laboratory/phases [peers]: no python3 here has torch"
  else
    for case in train2_none fgsm2; do
      grep -qE "^\| $case \| fp32 \| PyTorch eager \| [0-9.]+ \(.*\*[0-9.]+\*\* \(" \
        "$folder/peers/peers.txt" ||
        { echo "FAILED peers.txt lacks $case" && failures=$((failures + 1)); }
    done
  fi
  if command -v python3 >/dev/null; then
    expect "valid JSON" 0 'heuristic_seconds' python3 -m json.tool "$folder/plans/plans.json"
    expect "valid JSON" 0 'train2_stages3' python3 -m json.tool "$folder/bench/bench.json"
  fi
}

CUDA_VISIBLE_DEVICES='' "$laboratory" device >"$folder/device"
case $? in
  3) # a real build and no device
    expect "the program finds no device" 3 '^gpu: no CUDA device: ' \
      env CUDA_VISIBLE_DEVICES= "$phases" check --laboratory "$laboratory" --results "$folder/none"
    ;;
  0) # the emulated device: both phases, with four tests that pass, fail, hang and leave something out
    printf '#!/bin/sh\necho "[doctest] test cases: 2 | 2 passed | 0 failed"\n' >"$folder/tests/kernels_good_test"
    printf '#!/bin/sh\necho "x.cc:1: ERROR: CHECK( a \\"b\\" )"; exit 1\n' >"$folder/tests/kernels_bad_test"
    printf '#!/bin/sh\nexit 124\n' >"$folder/tests/kernels_hanging_test"
    printf '#!/bin/sh\necho "SKIPPED kernels_half_test [cuda]: cuDNN 9: not found"\n' >"$folder/tests/kernels_half_test"
    cat >"$folder/bin/nvidia-smi" <<'END'
#!/bin/sh
echo "1980, 2619, 600.5, 55, 99"
echo "1500, 2619, 650.2, 50, 80"
echo "1980, 2619, 300.0, 40, 20"
echo "345, 2619, 70.0, 30, 0"
exec sleep 60
END
    chmod +x "$folder"/{tests,bin}/*
    # `verace demo`, that learns, and that does not; and a compute-sanitizer
    for share in 95.4 51.2; do
      cat >"$folder/verace-$share" <<END
#!/bin/sh
[ "\$1 \$2 \$4 \$5 \$6" = "demo --out --quiet --device cuda" ] || exit 2
mkdir -p "\$3"
echo "first task, light:   $share % of 440 faces (95 % interval 91.5 to 97.3 %)" >"\$3/summary.txt"
echo "second task, real or fake:   79.9 % of 880 faces, AUC 0.8814" >>"\$3/summary.txt"
echo "time: 110 s" >>"\$3/summary.txt"
END
    done
    printf '#!/bin/sh\nshift 4\nexec "$@"\n' >"$folder/bin/compute-sanitizer"
    chmod +x "$folder"/verace-* "$folder/bin/compute-sanitizer"
    expect "a training that learns nothing" 1 '^FAILED to learn: 51.2 % in the first task' \
      "$repository/scripts/gpu_phases/learn.sh" "$folder/verace-51.2" "$folder/learn" --device cuda
    expect "check" 1 'steps, 1 failed, 1 unfinished' env PATH="$folder/bin:$PATH" "$phases" check \
      --tests "$folder/tests" --speed "${check_speed:-$speed}" --verace "$folder/verace-95.4" \
      --laboratory "$laboratory" --emulated "$laboratory" --results "$folder/check" --commit here
    for pattern in '"kernels_good_test", "result": "ok"' '"kernels_bad_test", "result": "FAILED"' \
      '"kernels_hanging_test", "result": "unfinished"' '"kernels_half_test", "result": "ok"' \
      '"kernels_half_test [cuda]", "result": "skipped", "seconds": 0, "detail": "cuDNN 9: not found"' \
      '"device against emulated", "result": "ok"' \
      '"a short training", "result": "ok"' '95.4 % in the first task, AUC 0.8814 in the second, 110 s' \
      '"compute-sanitizer racecheck", "result": "ok"' \
      '"compute-sanitizer memcheck, network", "result": "ok"' \
      '"kernels at shapes with tails", "result": "ok"' '"result": "failed"' '"commit": "here"'; do
      grep -qF "$pattern" "$folder/check/check.json" ||
        { echo "FAILED check.json lacks $pattern" && failures=$((failures + 1)); }
    done
    if command -v python3 >/dev/null; then
      expect "valid JSON" 0 '' python3 -m json.tool "$folder/check/check.json"
    fi
    if [ "$speed" = none ]; then
      echo "SKIPPED laboratory/phases [networks]: under the access checker they take minutes"
    else
      rehearse_networks
    fi
    ;;
  *) echo "FAILED: $(cat "$folder/device")" && failures=$((failures + 1)) ;;
esac

((failures == 0)) && echo "phases: all as expected"
exit $((failures > 0))

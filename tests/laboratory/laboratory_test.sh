#!/usr/bin/env bash
# The laboratory's program: what it accepts, what it refuses, what it writes. Needs a device.
#
#   laboratory_test.sh LABORATORY LABORATORY_WITH_WRONG_VARIANTS FOLDER
set -uo pipefail

good=$1 wrong=$2 folder=$3
failures=0
rm -rf "$folder" && mkdir -p "$folder" || exit 1
"$good" device >"$folder/device"
if (($? == 3)); then
  echo "SKIPPED laboratory: $(cat "$folder/device")"
  exit 0
fi

# expect WHAT RC PATTERN COMMAND...: the exit code, and a line of the output.
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

refuses() { # VARIANT PATTERN --only ARGUMENTS
  expect "'$1' refused" 1 "^REFUSED .*variant '$1': .*$2" "$wrong" prove "${@:3}"
}

expect "all shipped kernels proven" 0 '^[0-9]+ variants proven, 0 refused' "$good" prove
expect "the example accepted" 0 "^proven  leaky_relu_forward fp16, variant 'wide blocks'" \
  "$good" prove --only leaky_relu_forward
refuses "no tail" "y: .*differ" --only "leaky_relu_forward fp16"
refuses "no slope" "y: .*differ" --only "leaky_relu_forward fp32"
refuses "beyond the end" "" --only "add fp32"
refuses "changes its input" "changed its input dy" --only "leaky_relu_backward fp32"
refuses "gives up" "this variant gives up" --only "add bf16"

time_tiny=(time --scale tiny --samples 2 --json "$folder/times.json" --commit here)
expect "timing" 0 'leaky_relu_forward +fp16 +4099 +wide blocks +[0-9]' "$good" "${time_tiny[@]}"
if ! grep -q '"commit": "here"' "$folder/times.json" ||
  ! grep -q '"percent_of_roofline"' "$folder/times.json"; then
  echo "FAILED times.json" && failures=$((failures + 1))
fi
# What was refused is not timed, and the exit code says so.
expect "refused, not timed" 1 'REFUSED' "$wrong" "${time_tiny[@]}" --only "leaky_relu_forward fp16"
if grep -qE '^leaky_relu_forward .* no tail ' "$folder/out" ||
  ! grep -qE '^leaky_relu_forward .* shipped ' "$folder/out"; then
  echo "FAILED: a refused variant was timed, or the shipped one was not" && failures=$((failures + 1))
fi
expect "the time is up" 0 'LEFT OUT .*the time was up' "$good" "${time_tiny[@]}" --seconds 1e-9
expect "unknown operation" 2 "no operation matches 'nothing'" "$good" prove --only nothing
expect "unknown option" 2 'unknown option' "$good" prove --colour red
expect "no command" 2 'usage' "$good"

expect "outputs written" 0 '' "$good" write "$folder/a"
expect "again" 0 '' "$good" write "$folder/b"
expect "the same" 0 '[0-9]+ kernels: [0-9]+ bit-equal, 0 within tolerance, 0 failed' \
  "$good" compare "$folder/a" "$folder/b" --json "$folder/compare.json"
# The last kernel's last output ends in other bytes: the second file is not the first.
head -c -5 "$folder/a" >"$folder/b" && printf 'ABCD\n' >>"$folder/b"
expect "another" 1 'FAILED: 1: ' "$good" compare "$folder/a" "$folder/b"
head -c -5 "$folder/a" >"$folder/b"
expect "cut off" 2 'ends too early' "$good" compare "$folder/a" "$folder/b"

((failures == 0)) && echo "laboratory: all as expected"
exit $((failures > 0))

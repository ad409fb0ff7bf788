#!/usr/bin/env bash
# The parts of `./run test`: what each runs, what is counted, the table at the end; run sources it.
# shellcheck disable=SC2154  # part_end and the like are run's

names=() outcomes=() seconds=() passes=() fails=() skips=() # one entry per part
skip_lines=() fail_lines=()                                # "SKIPPED name: reason", "FAILED name"
part_passed=0 part_failed=0 part_skipped=0                 # of the current part
total_end=0

record() { # NAME OUTCOME SECONDS
  names+=("$1") outcomes+=("$2") seconds+=("$3")
  passes+=("$part_passed") fails+=("$part_failed") skips+=("$part_skipped")
}

# part NAME LIMIT_IN_MINUTES FUNCTION ARGS...: runs it, counts and times it; returns its status.
part() {
  local name=$1 minutes=$2 start=$SECONDS rc outcome=ok
  shift 2
  part_passed=0 part_failed=0 part_skipped=0
  part_end=$((SECONDS + minutes * 60))
  ((total_end > 0 && total_end < part_end)) && part_end=$total_end
  printf '\n== %s\n' "$name"
  "$@"
  rc=$?
  ((rc != 0 && part_failed == 0)) && part_failed=1
  if ((part_failed > 0)); then
    outcome=FAILED
    fail_lines+=("FAILED $name$( ((rc == 0)) || echo " (exit code $rc)")")
  fi
  record "$name" "$outcome" $((SECONDS - start))
  part_end=0
  ((part_failed == 0))
}

add_skip() { # NAME REASON
  skip_lines+=("SKIPPED $1: $2")
  part_skipped=$((part_skipped + 1))
}

skip_part() { # NAME REASON
  part_passed=0 part_failed=0 part_skipped=0
  add_skip "$1" "$2"
  record "$1" skipped 0
}

# read_ctest_log FOLDER: from ctest's log prints "PASSED FAILED", then one line per skip. A doctest
# program counts with its cases, any other test as one. "SKIPPED name: reason" stands for a case
# that did not run; "SKIPPED cuda: reason" and "SKIPPED name [variant]: reason" for cases that did,
# but without this device or variant, and for those that doctest leaves out and does not count as passed.
read_ctest_log() {
  local folder=$1/Testing/Temporary failed_names='' log
  log=$folder/LastTest.log
  [ -f "$log" ] || log=$log.tmp # ctest was stopped
  [ -f "$log" ] || { echo "0 0" && return; }
  [ -f "$folder/LastTestsFailed.log" ] && failed_names=$(cut -d: -f2- "$folder/LastTestsFailed.log")
  awk -v failed_names="$failed_names" '
    function finish() {
      if (name == "") return
      bad = name in is_failed
      if (has_cases) {
        passed += cases_passed - (cases_passed < not_run ? cases_passed : not_run)
        failed += cases_failed + (bad && cases_failed == 0)
      } else if (bad) failed++
      else if (!not_run) passed++
    }
    BEGIN { n = split(failed_names, list, "\n"); for (i = 1; i <= n; i++) is_failed[list[i]] = 1 }
    /^[0-9]+\/[0-9]+ Testing: / {
      finish()
      name = $0; sub(/^[0-9]+\/[0-9]+ Testing: /, "", name)
      has_cases = cases_passed = cases_failed = not_run = 0
    }
    /^SKIPPED [^:]+: / { lines = lines $0 "\n"; if ($0 !~ /^SKIPPED (cuda|[^:]+\]): /) not_run++ }
    /^\[doctest\] test cases:/ {
      split($0, field, "|"); has_cases = 1
      cases_passed += field[2]; cases_failed += field[3]
    }
    END { finish(); print passed + 0, failed + 0; printf "%s", lines }
  ' "$log"
}

# run_ctest PRESET CTEST ARGS...
run_ctest() {
  local preset=$1 rc line threads stop=() left=$((part_end - SECONDS - 10))
  shift
  ((left < 1)) && left=1
  threads=$(cores)
  rm -f "build/$preset/Testing/Temporary/"LastTest*
  # A test that hangs must be stopped by ctest itself: it would outlive it.
  ((part_end > 0 && left < max_test_seconds)) && stop=(--timeout "$left")
  # Two threads per test everywhere, whatever the machine: the same results. Many tests have only
  # one that works, and none spins while it waits: as many tests at once as there are cores.
  OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((threads < 2 ? 1 : 2))} \
    CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$threads} \
    limited ctest --preset "$preset" "${stop[@]}" "$@"
  rc=$?
  while read -r line; do
    if [[ $line == SKIPPED* ]]; then
      skip_lines+=("$line")
      part_skipped=$((part_skipped + 1))
    elif [ -n "$line" ]; then
      read -r part_passed part_failed <<<"$line"
    fi
  done < <(read_ctest_log "build/$preset")
  while read -r line; do
    fail_lines+=("FAILED ${line#*:} ($preset)")
  done < <(cat "build/$preset/Testing/Temporary/LastTestsFailed.log" 2>/dev/null)
  return "$rc"
}

# skip_label PRESET LABEL REASON: counts each test with this label as skipped.
skip_label() {
  local line
  while read -r line; do
    [[ $line =~ ^Test\ +\#[0-9]+:\ (.+)$ ]] && add_skip "${BASH_REMATCH[1]}" "$3"
  done < <(ctest --test-dir "build/$1" -N -L "^$2\$" 2>/dev/null)
}

check_style() {
  if ! command -v python3 >/dev/null; then
    add_skip style "python3 is not installed"
    return 0
  fi
  local arguments
  for arguments in --self-test ""; do
    # shellcheck disable=SC2086
    if limited python3 scripts/check_style.py $arguments; then
      part_passed=$((part_passed + 1))
    else
      part_failed=$((part_failed + 1))
    fi
  done
}

test_release() { # QUICK CTEST ARGS...
  local quick=$1 excluded='^style$'
  shift
  if ((quick)); then
    excluded='^(style|fullsize)$'
    skip_label release fullsize "--quick"
  fi
  run_ctest release -LE "$excluded" "$@"
}

test_minimal() {
  build minimal && limited scripts/check_ldd.sh build/minimal/verace && part_passed=1
}

test_asan() {
  skip_label asan fullsize "too slow under the sanitizers; the release part runs it"
  skip_label asan repeated "the tests of apps/ run the same here without the program; the release part runs it"
  if [ -z "$headers_missing" ]; then
    add_skip "laboratory [asan]" "too slow under the sanitizers; the emulated parts run it"
  else
    add_skip "emulated [asan]" "$headers_missing"
  fi
  logged_ctest asan -LE '^(style|fullsize|repeated)$' "$@"
}

# logged_ctest PRESET CTEST ARGS...: also keeps which emulated kernels have run; compile_cuda reads it.
logged_ctest() {
  rm -f "build/$1/kernels.log"
  VERACE_SIMT_LOG=$PWD/build/$1/kernels.log run_ctest "$@"
}

# why_no_cuda_tools: prints what is missing of the CUDA tool chain; fails when nothing is.
why_no_cuda_tools() {
  local header
  if ! command -v nvcc >/dev/null; then
    echo "nvcc is not installed"
  elif ! compgen -G 'kernels/*.cu' >/dev/null; then
    echo "there are no .cu files"
  else
    for header in cudnn.h cublasLt.h; do
      has_header "$header" || { echo "cuDNN's or cuBLASLt's header ($header) is not installed" && return; }
    done
    return 1
  fi
}

# has_header NAME: is among NVIDIA's headers. As in cmake/verace_cuda.cmake.
has_header() {
  local folder
  for folder in /usr{,/local,/local/cuda}/include /usr/include/*-linux-gnu \
    /usr/local/cuda/targets/*-linux/include; do
    [ -f "$folder/$1" ] && return 0
  done
  return 1
}

# why_no_cuda: prints why the CUDA code cannot be compiled here; fails when it can be.
why_no_cuda() {
  local folder=build/cudnn_frontend
  why_no_cuda_tools && return
  if [ ! -f "$folder/include/cudnn_frontend.h" ]; then
    echo "cudnn-frontend's headers are not there (./run setup --cudnn-frontend gets them)"
  elif ! cmp -s scripts/cudnn_frontend.txt "$folder/wheels.txt"; then # the last to be written
    echo "cudnn-frontend's headers are of another version (./run setup --cudnn-frontend gets them)"
  else
    return 1
  fi
}

# find_cuda: why_no_cuda, after getting cudnn-frontend's headers where only they can be missing.
find_cuda() {
  why_no_cuda_tools >/dev/null || scripts/setup.sh --cudnn-frontend >&2
  why_no_cuda
}

# why_no_headers: prints why the CUDA kernels cannot be emulated here; fails when they can be.
why_no_headers() {
  local folder
  for folder in /usr/local/cuda/include /usr/local/include /usr/include build/cuda_headers/include; do
    [ -f "$folder/cuda_fp16.h" ] && return 1
  done
  echo "NVIDIA's headers are not installed (./run setup --cuda-headers gets them)"
}

headers_missing= # why the CUDA kernels cannot be emulated; empty where they can be

# find_headers: sets headers_missing; gets NVIDIA's headers where they are not.
find_headers() {
  headers_missing=$(why_no_headers) || return 0
  scripts/setup.sh --cuda-headers
  headers_missing=$(why_no_headers)
  if [ -n "$headers_missing" ] && [ "${VERACE_REQUIRE_EMULATED:-0}" = 1 ]; then
    say "VERACE_REQUIRE_EMULATED=1, but $headers_missing"
    return 1
  fi
  return 0
}

test_emulated() { # PRESET CTEST ARGS...
  local name
  build "$1" || return
  if [ "$1" = emulated-check ]; then
    for name in loss_scale precision modes; do
      add_skip "layers/${name}_test [emulated-check]" "too slow under the access checker; the emulated part runs it"
    done
    add_skip "laboratory/phases [emulated-check]" "too slow under the access checker; the emulated part runs it"
    set -- "$1" -E '^(layers/(loss_scale|precision|modes)_test|laboratory/phases)$' "${@:2}"
  fi
  logged_ctest "$@"
}

# emulated_parts REASON CTEST ARGS...: the CUDA kernels on the CPU, fast and under the access
# checker (the asan parts have them under the sanitizers); all skipped when there is a REASON.
emulated_parts() {
  local reason=${1:-$headers_missing} preset
  shift
  for preset in emulated emulated-check; do
    if [ -n "$reason" ]; then
      skip_part "${preset/-/ }" "$reason"
    else
      part "${preset/-/ }" 15 test_emulated "$preset" "$@"
    fi
  done
}

# compile_cuda CTEST ARGS...: compiles; has cuDNN plan every convolution (build/cuda/cudnn_plans.md)
# and reads back what cuBLASLt is told; starts the programs where driver and libraries are hidden;
# writes build/cuda/device_code.md, the table of kernels; fails on spilled registers and, where the
# emulated parts have run all tests, on a kernel that has not run in each of them.
compile_cuda() {
  local ran=(--ran build/{emulated,asan,emulated-check}/kernels.log) log
  build cuda || return
  run_ctest cuda -L '^(cudnn|cublas|start)$' --no-tests=ignore "$@" || return
  part_passed=$((part_passed + 1))
  if ! command -v python3 >/dev/null; then
    add_skip device_code "python3 is not installed"
    return 0
  fi
  for log in "${ran[@]:1}"; do [ -s "$log" ] || ran=(); done
  (($# > 0)) && ran=() # only some tests have run
  ((${#ran[@]} == 0)) && add_skip "every kernel has run" "not all emulated tests have run"
  limited python3 scripts/device_code_report.py build/cuda "${ran[@]}" &&
    part_passed=$((part_passed + 1))
}

# cuda_parts CTEST ARGS...: compiles the CUDA code and plans by cuDNN, where both are there;
# VERACE_REQUIRE_CUDNN=1: fails where they are not.
cuda_parts() {
  local reason
  if ! reason=$(find_cuda); then
    part "cuda compile" 30 compile_cuda "$@"
  elif [ "${VERACE_REQUIRE_CUDNN:-0}" = 1 ]; then
    say "VERACE_REQUIRE_CUDNN=1, but $reason"
    part "cuda compile" 1 false
  else
    skip_part "cuda compile" "$reason"
  fi
}

minutes() { printf '%d.%d' $(($1 / 60)) $(($1 % 60 / 6)); }

summarise() {
  local i passed=0 failed=0 skipped=0
  printf '\n%-18s %-8s %8s %8s %8s %8s\n' part result minutes passed failed skipped
  for i in "${!names[@]}"; do
    printf '%-18s %-8s %8s %8d %8d %8d\n' "${names[i]}" "${outcomes[i]}" \
      "$(minutes "${seconds[i]}")" "${passes[i]}" "${fails[i]}" "${skips[i]}"
    passed=$((passed + passes[i])) failed=$((failed + fails[i])) skipped=$((skipped + skips[i]))
  done
  printf '%-18s %-8s %8s\n' all "" "$(minutes "$SECONDS")"
  if ((skipped > 0)); then
    printf '\n'
    printf '%s\n' "${skip_lines[@]}" | sort | uniq -c |
      sed -E 's/^ +1 //; s/^ +([0-9]+) (.*)/\2 (\1 times)/'
  fi
  if ((failed > 0)); then printf '\n' && printf '%s\n' "${fail_lines[@]}"; fi
  printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  ((failed == 0))
}

command_test() {
  local quick=0 asan_only=0 emulated_only=0 argument reason
  local -a rest=()
  for argument in "$@"; do
    case $argument in
      --quick) quick=1 ;;
      --asan-only) asan_only=1 ;;
      --emulated-only) emulated_only=1 ;;
      *) rest+=("$argument") ;;
    esac
  done
  if ((quick + asan_only + emulated_only > 1)); then
    say "--quick, --asan-only and --emulated-only exclude each other"
    return 2
  fi
  [ -n "${VERACE_TEST_MINUTES:-}" ] && total_end=$((SECONDS + VERACE_TEST_MINUTES * 60))
  [ -z "${VERACE_TEST_DATA:-}" ] && say "VERACE_TEST_DATA is not set: no tests on real data"

  if ! part setup 20 scripts/setup.sh; then
    summarise
    return 2
  fi
  if ((!quick)) && ! part "cuda headers" 10 find_headers; then
    summarise
    return 1
  fi
  if ((emulated_only)); then
    reason=--emulated-only
    for argument in style release minimal asan "cuda compile"; do skip_part "$argument" "$reason"; done
    emulated_parts "" "${rest[@]}"
    summarise
    return
  fi
  if ((asan_only)); then
    reason=--asan-only
    for argument in style "release build" minimal; do skip_part "$argument" "$reason"; done
  else
    part style 2 check_style
    if part "release build" 30 build release; then
      part "release tests" 30 test_release "$quick" "${rest[@]}"
    else
      skip_part "release tests" "the release build failed"
    fi
  fi
  if ((quick)); then
    reason=--quick
    for argument in minimal asan "cuda compile"; do skip_part "$argument" "$reason"; done
    emulated_parts "$reason"
    summarise
    return
  fi
  ((asan_only)) || part minimal 30 test_minimal
  if part "asan build" 30 build asan; then
    part "asan tests" 30 test_asan "${rest[@]}"
  else
    skip_part "asan tests" "the asan build failed"
  fi
  if ((asan_only)); then
    emulated_parts --asan-only
  else
    emulated_parts "" "${rest[@]}"
  fi
  if ((asan_only)); then
    skip_part "cuda compile" --asan-only
  else
    cuda_parts "${rest[@]}"
  fi
  summarise
}

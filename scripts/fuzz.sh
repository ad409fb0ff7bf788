#!/usr/bin/env bash
# Fuzzes the parsers of bytes from outside (tests/fuzz); run sources it.
# shellcheck disable=SC2154 # logs and the like are run's

fuzz_usage() {
  cat <<'END'
Usage: ./run fuzz [--seconds N] [--merge] [TARGET...]

Builds tests/fuzz by clang with libFuzzer and the address and undefined-behaviour sanitizers, and
runs each target (default: all) for N seconds (default 60), two at once. What it finds stays in
build/fuzz/corpus/TARGET and serves the next run; an input that fails is build/fuzz/TARGET-crash-*.
--merge then adds to tests/fuzz/corpus what covers more (small files only).
The table is build/fuzz/table.md.
END
}

# fuzz_one TARGET SECONDS: one target, its output in build/fuzz/TARGET.log.
fuzz_one() {
  local target=$1 seconds=$2 folder=build/fuzz rss=512 one=64
  mkdir -p "$folder/corpus/$target"
  # Memory: 512 MB in all, one allocation at most 64 MB: what a file claims must not be believed.
  # A small JPEG may be a large picture of one colour: for pictures what the limit of pixels allows.
  [ "$target" = picture ] && rss=2048 one=512
  "$folder/tests/fuzz/fuzz_$target" "$folder/corpus/$target" "tests/fuzz/corpus/$target" \
    -max_total_time="$seconds" -rss_limit_mb="$rss" -malloc_limit_mb="$one" -timeout=10 -max_len=16384 \
    -print_final_stats=1 -verbosity=1 -artifact_prefix="$folder/$target-" >"$folder/$target.log" 2>&1
}

# fuzz_row TARGET SECONDS RESULT
fuzz_row() {
  local log=build/fuzz/$1.log
  awk -v target="$1" -v seconds="$2" -v result="$3" '
    /^#[0-9]+.* cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "ft:") ft = $(i + 1) } }
    /number_of_executed_units/ { runs = $2 }
    /slowest_unit_time_sec/ { slow = $2 }
    /peak_rss_mb/ { rss = $2 }
    END { printf "| %s | %s | %s | %s | %s | %s | %s | %s |\n", target, seconds, runs, cov, ft, slow, rss, result }' "$log"
}

command_fuzz() {
  local seconds=60 merge=0 target rc failed=0
  local -a targets=() running=()
  while (($# > 0)); do
    case $1 in
      --seconds)
        seconds=${2:-}
        [[ $seconds =~ ^[0-9]+$ ]] || { say "--seconds wants a whole number" && return 2; }
        shift
        ;;
      --merge) merge=1 ;;
      -h | --help) fuzz_usage && return 0 ;;
      -*) say "fuzz has no option $1" && fuzz_usage && return 2 ;;
      *)
        [ -f "tests/fuzz/$1_fuzz.cc" ] || { say "there is no target $1 in tests/fuzz" && return 2; }
        targets+=("$1")
        ;;
    esac
    shift
  done
  if ! command -v clang++ >/dev/null; then
    say "fuzzing needs clang++ with libFuzzer: ./run setup --fuzz installs it"
    return 2
  fi
  scripts/setup.sh || return
  quietly configure-fuzz cmake --preset fuzz || return 1
  quietly build-fuzz cmake --build --preset fuzz --parallel "$(build_jobs)" || return 1
  if ((${#targets[@]} == 0)); then
    for target in tests/fuzz/*_fuzz.cc; do
      target=${target##*/}
      targets+=("${target%_fuzz.cc}")
    done
  fi
  {
    echo "| target | seconds | executions | covered edges | features | slowest (s) | peak memory (MB) | result |"
    echo "|--|--|--|--|--|--|--|--|"
  } >build/fuzz/table.md
  while ((${#targets[@]} > 0)); do
    running=("${targets[@]:0:2}")
    targets=("${targets[@]:2}")
    local -a pids=()
    for target in "${running[@]}"; do
      fuzz_one "$target" "$seconds" &
      pids+=($!)
    done
    for i in "${!pids[@]}"; do
      wait "${pids[i]}"
      rc=$?
      ((rc == 0)) || failed=1
      fuzz_row "${running[i]}" "$seconds" "$( ((rc == 0)) && echo "no finding" || echo "FINDING (exit $rc)")" |
        tee -a build/fuzz/table.md
    done
    if ((merge)); then
      for target in "${running[@]}"; do fuzz_merge "$target"; done
    fi
  done
  if ((failed)); then
    say "the inputs that failed: $(echo build/fuzz/*-{crash,leak,timeout,oom}-* 2>/dev/null)"
    return 1
  fi
}

# fuzz_merge TARGET: adds to the committed corpus the found files of up to 4 kB that cover more.
fuzz_merge() {
  local target=$1 folder=build/fuzz/small/$1
  rm -rf "$folder" && mkdir -p "$folder"
  find "build/fuzz/corpus/$target" -type f -size -4097c -exec cp {} "$folder" \;
  "build/fuzz/tests/fuzz/fuzz_$target" -merge=1 "tests/fuzz/corpus/$target" "$folder" \
    >"build/fuzz/$target-merge.log" 2>&1
}

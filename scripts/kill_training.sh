#!/usr/bin/env bash
# Kills `verace train` at random instants, resumes it, and compares what it leaves with an
# undisturbed run: scripts/kill_training.sh [KILLS] [SEED] [PRESET]; 200, 1 and release by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=${3:-release}
program=build/$preset/tests/cli_killed_training_test
if [ ! -x "$program" ]; then
  echo "kill_training: $program is not there: build it first (./run build $preset)" >&2
  exit 2
fi
VERACE_KILLS=${1:-200} VERACE_KILL_SEED=${2:-1} exec "$program"

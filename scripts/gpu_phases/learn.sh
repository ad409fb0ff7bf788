#!/usr/bin/env bash
# A short real training on the GPU, which must learn: learn.sh VERACE FOLDER [OPTIONS OF verace demo]
#
# The demonstration (two minutes on two cores, docs/report.md) reaches about 95 % in its first task and
# an AUC of 0.88 in its second on the CPU; other bits make other figures, and a network that learns
# nothing has 50 % and 0.5.
set -uo pipefail

verace=$1 folder=$2
shift 2
rm -rf "$folder"
"$verace" demo --out "$folder" --quiet "$@" || exit 1
awk '
  /^first task/ { for (i = 1; i <= NF; i++) if ($i == "%" && first == "") first = $(i - 1) }
  /AUC/ { for (i = 1; i <= NF; i++) if ($i == "AUC") area = $(i + 1) }
  /^time:/ { time = $2 " " $3 }
  END {
    learnt = first >= 80 && area >= 0.75
    printf "%s%s %% in the first task, AUC %s in the second, %s\n", learnt ? "" : "FAILED to learn: ",
      first, area, time
    exit !learnt
  }' "$folder/summary.txt"

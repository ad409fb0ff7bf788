#!/usr/bin/env bash
# The phase peers of ./run gpu: PyTorch on the same work, in the same run; gpu_phases.sh sources it.
# shellcheck disable=SC2154  # results, table and the like are gpu_phases.sh's

# The first Python that has PyTorch; VERACE_PEERS_PYTHON names another.
python_with_torch() {
  local python
  for python in "${VERACE_PEERS_PYTHON:-}" python3 python /usr/bin/python3 /opt/conda/bin/python; do
    [ -n "$python" ] && "$python" -c 'import numpy, torch' 2>/dev/null && echo "$python" && return
  done
  return 1
}

phase_peers() {
  local python minutes_left
  local options=(--binary "$speed" --out "$results/peers_figures.json" --plan-cache "$plan_cache"
    --workload "$plan_cache/workload")
  python=$(python_with_torch) || {
    record PyTorch skipped 0 "no python3 here has numpy and torch: VERACE_PEERS_PYTHON names one"
    return
  }
  if [ "$rehearsal" = yes ]; then
    options+=(--peer-device cpu --stem 4 --size 64 --rounds 2 --seconds 0 --variants eager,compile)
    options+=(train2_none-fp32 fgsm2-fp32)
  fi
  minutes_left=$(awk -v left=$((part_end - SECONDS - 15)) 'BEGIN { print left / 60 }')
  watch_clocks
  step "PyTorch, $("$python" -c 'import torch; print(torch.__version__)')" 3600 "$python" \
    "$peers/run_gpu" "${options[@]}" --minutes "$minutes_left" "${groups[@]}"
  stop_clocks
  { echo && cat "$results/peers_figures.md"; } 2>/dev/null | tee -a "$table"
}

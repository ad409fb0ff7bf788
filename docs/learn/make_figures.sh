#!/usr/bin/env bash
# Makes the figures of docs/learn anew by running the program: make_figures.sh [VERACE].
#
# Everything else goes to build/learn, which is kept: what is there already is not run again. About
# five minutes on two cores, the demonstration included. Numbers may differ in the last digits on
# another machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
verace=$(realpath "${1:-build/release/verace}")
figures=$PWD/docs/learn/figures
mkdir -p build/learn "$figures"
cd build/learn
faces=runs/demo/faces/test

# has FOLDER: whether a command has finished its folder; otherwise the folder is cleared for it.
has() {
  [ -e "$1/.done" ] && return 0
  rm -rf "$1"
  return 1
}
# keep FOLDER COMMAND...: runs the program with --out FOLDER unless it is there.
keep() {
  local folder=$1
  shift
  has "$folder" && return 0
  echo "verace $* --out $folder"
  "$verace" "$@" --quiet --out "$folder"
  touch "$folder/.done"
}
# figure NAME FILE: one figure, small enough for a repository.
figure() {
  cp "$2" "$figures/$1"
  if [ "$(stat -c %s "$figures/$1")" -gt 60000 ]; then
    echo "make_figures.sh: $1 is larger than 60 kB" >&2
    exit 1
  fi
}
# A small network from scratch on the demonstration's first task.
keep_training() {
  local folder=$1
  shift
  keep "$folder" train --data runs/demo/faces/light.csv --weights none --width 0.25 --input-size 64 \
    --init pytorch --no-flip --batch 32 --epochs 3 "$@"
}

keep runs/demo demo

# convolution.md
keep look/conv1 dump --model runs/demo/pretrained --layer conv1 --label 1 $faces/real/0630/00.jpg
figure conv1_output.png look/conv1/*_conv1_z.png
figure conv1_weight_gradient.png look/conv1/*_conv1.weight_gradient.png

# batch_norm.md
keep_training runs/bn-0 --lr 1e-3 --recalibrate 0
figure batch_norm_lagging.svg runs/bn-0/curve.svg

# softmax.md
keep look/softmax dump --model runs/demo/finetuned --mode inference --faces 8 --layer softmax
figure softmax_gradient.png look/softmax/*_dlogits.png

# adam.md
keep_training runs/bn-1024 --lr 1e-3
keep_training runs/lr-1e-5 --lr 1e-5
figure adam_1e-3.svg runs/bn-1024/curve.svg
figure adam_1e-5.svg runs/lr-1e-5/curve.svg

# attack.md
keep look/input dump --model runs/demo/finetuned --mode inference --layer input --label fake \
  $faces/fake/0630/00.jpg
figure attack_before.jpg $faces/fake/0630/00.jpg
figure attack_gradient.png look/input/*_dx.png
figure attack_after.png runs/demo/attack/eps_0.02/test/fake/0630/00.png

# freezing.md, planned_step.md, trace.md: the times are this machine's, the chapters quote those of
# the figures that are committed.
for freeze in none stages:3; do
  keep runs/step-${freeze/:/} train --data runs/demo/faces/light.csv \
    --weights runs/demo/pretrained/best.safetensors --freeze $freeze --batch 32 --epochs 1 --lr 1e-4 \
    --recalibrate 0 --threads 1
done
figure memory_none.svg runs/step-none/figures/memory_map_training.svg
figure memory_stages3.svg runs/step-stages3/figures/memory_map_training.svg
figure memory_inference.svg runs/step-none/figures/memory_map_inference.svg
figure memory_use.svg runs/step-none/figures/memory_use_training.svg
figure time_training.svg runs/step-none/figures/time_training.svg
figure time_inference.svg runs/step-none/figures/time_inference.svg

#!/usr/bin/env python3
"""Compares `verace weights convert` with the libraries whose files it reads and writes, bit for bit.

1. Each whole network of Keras beside this script (h5/keras3_full.h5, h5/keras1_notop.h5) is converted
   to .pth and to safetensors with --keep-conv-bias; torch.load(weights_only=True) and safetensors must
   give what h5py reads, its kernels turned by numpy.
2. A network with Hugging Face's names, written by safetensors here, whole and in shards with an index,
   is converted; the tensors must be those under torchvision's names.
3. Both new files converted once more to the other format must hold the same bytes.

Run (needs torch >= 1.13, numpy, h5py, safetensors; build the program first):
    python3 tests/goldens/check_convert.py [--verace build/release/verace]
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import torch
from safetensors.numpy import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
BLOCKS = (3, 4, 6, 3)
NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def keras_names():
    """(new, old, torchvision's) of every layer."""
    yield "conv1_conv", "conv1", "conv1"
    yield "conv1_bn", "bn_conv1", "bn1"
    for s, blocks in enumerate(BLOCKS):
        for b in range(blocks):
            new, letter, ours = f"conv{s + 2}_block{b + 1}", "abcdef"[b], f"layer{s + 1}.{b}"
            for k in (1, 2, 3):
                yield f"{new}_{k}_conv", f"res{s + 2}{letter}_branch2{'abc'[k - 1]}", f"{ours}.conv{k}"
                yield f"{new}_{k}_bn", f"bn{s + 2}{letter}_branch2{'abc'[k - 1]}", f"{ours}.bn{k}"
            if b == 0:
                yield f"{new}_0_conv", f"res{s + 2}{letter}_branch1", f"{ours}.downsample.0"
                yield f"{new}_0_bn", f"bn{s + 2}{letter}_branch1", f"{ours}.downsample.1"
    yield "predictions", "fc1000", "fc"


def read_h5(path):
    """Tensors under torchvision's names, from h5py."""
    out = {}
    with h5py.File(path, "r") as f:
        top = f["model_weights"] if "model_weights" in f else f
        for new, old, ours in keras_names():
            group = top[new] if new in top else top.get(old)
            if group is None:
                continue
            values = [np.array(group[n.decode() if isinstance(n, bytes) else n])
                      for n in group.attrs["weight_names"]]
            if values[0].ndim == 4:
                out[f"{ours}.weight"] = values[0].transpose(3, 2, 0, 1)
                out[f"{ours}.bias"] = values[1]
            elif values[0].ndim == 2:
                out[f"{ours}.weight"], out[f"{ours}.bias"] = values[0].T, values[1]
            else:
                out.update({f"{ours}.{kind}": v for kind, v in zip(NORM.values(), values)})
    return out


def hugging_face(ours):
    """Hugging Face's name of a tensor of ours."""
    layer, kind = ours.rsplit(".", 1)
    if layer in ("conv1", "bn1"):
        part = "convolution" if layer == "conv1" else "normalization"
        return f"resnet.embedder.embedder.{part}.{kind}"
    if layer == "fc":
        return f"classifier.1.{kind}"
    stage, block, rest = layer.split(".", 2)
    at = f"resnet.encoder.stages.{int(stage[5:]) - 1}.layers.{block}"
    part = "convolution" if rest.startswith("conv") or rest == "downsample.0" else "normalization"
    where = "shortcut" if rest.startswith("downsample") else f"layer.{int(rest[-1]) - 1}"
    return f"{at}.{where}.{part}.{kind}"


def read_any(path):
    if path.endswith(".pth"):
        return {n: t.numpy() for n, t in torch.load(path, weights_only=True).items()}
    return load_file(path)


def compare(what, got, want):
    if set(got) != set(want):
        sys.exit(f"{what}: other names: {sorted(set(got) ^ set(want))[:5]}")
    for name, value in want.items():
        if got[name].shape != value.shape or got[name].tobytes() != np.ascontiguousarray(value).tobytes():
            sys.exit(f"{what}: {name} differs")
    print(f"{what}: {len(want)} tensors, equal in every bit")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verace", default=os.path.join(HERE, "../../build/release/verace"))
    verace = os.path.abspath(parser.parse_args().verace)
    with tempfile.TemporaryDirectory() as folder:
        def convert(source, name):
            out = os.path.join(folder, name)
            subprocess.run([verace, "weights", "convert", source, "--out", out, "--keep-conv-bias",
                            "--quiet"], check=True, stdout=subprocess.DEVNULL)
            return out

        def check(what, source, want):
            for first, second in ((".pth", ".safetensors"), (".safetensors", ".pth")):
                once = convert(source, f"{what}_1{first}")
                twice = convert(once, f"{what}_2{second}")
                compare(f"{what} as {first}", read_any(once), want)
                compare(f"{what} as {first}, then {second}", read_any(twice), want)

        for name in ("keras3_full", "keras1_notop"):
            path = os.path.join(HERE, "h5", f"{name}.h5")
            check(name, path, read_h5(path))
        ours = {n: np.ascontiguousarray(v) for n, v in
                read_h5(os.path.join(HERE, "h5", "keras3_full.h5")).items()
                if not (n.endswith(".bias") and ("conv" in n or "downsample.0" in n))}
        theirs = {hugging_face(n): v for n, v in ours.items()}
        whole = os.path.join(folder, "hf.safetensors")
        save_file(theirs, whole, metadata={"format": "pt"})
        check("hugging_face", whole, ours)
        shards = {f"model-0000{k + 1}-of-00002.safetensors": dict(list(theirs.items())[k::2])
                  for k in (0, 1)}
        for shard, tensors in shards.items():
            save_file(tensors, os.path.join(folder, shard), metadata={"format": "pt"})
        index = os.path.join(folder, "model.safetensors.index.json")
        with open(index, "w", encoding="utf-8") as f:
            json.dump({"metadata": {"total_size": sum(v.nbytes for v in theirs.values())},
                       "weight_map": {n: s for s, t in shards.items() for n in t}}, f)
        check("shards", index, ours)


if __name__ == "__main__":
    main()

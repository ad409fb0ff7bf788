#!/usr/bin/env python3
"""Compares reading of Keras' HDF5 files with h5py's and Keras' own, bit for bit.

1. The whole networks in the folder h5 beside this script, and those named on the command line (the
   published weights, for example), are converted to safetensors by `verace weights convert`, and
   each tensor is compared with what h5py reads: same bits, kernels turned from [h, w, in, out] to
   [out, in, h, w], names as tables of this script translate them.
2. With --keras: ResNet-50 of full width as keras.applications makes it, with random values, saved by
   Keras 3 as .h5, .weights.h5 and .keras and by Keras 2 (tf_keras) as whole model and as weights; each is
   compared with the model's own get_weights().

Run (needs h5py and numpy, with --keras also tensorflow-cpu, keras 3 and tf_keras; build first):
    cmake --build build/release --target verace
    python3 tests/goldens/check_h5.py [--verace build/release/verace] [--keras] [FILE.h5 ...]
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import h5py
import numpy as np

import golden_file

HERE = os.path.dirname(os.path.abspath(__file__))
WHOLE = ("keras1_notop.h5", "keras3_full.h5")
NORM = ("weight", "bias", "running_mean", "running_var")
HEADS = ("fc1000", "probs", "predictions", "head", "fc")


def torch_layer(layer):
    """The layer's name in torchvision's network."""
    fixed = {"conv1": "conv1", "conv1_conv": "conv1", "bn_conv1": "bn1", "conv1_bn": "bn1"}
    if layer in fixed:
        return fixed[layer]
    if layer in HEADS:
        return "fc"
    old = re.fullmatch(r"(res|bn)(\d)([a-f])_branch(1|2[abc])", layer)
    new = re.fullmatch(r"conv(\d)_block(\d)_([0-3])_(conv|bn)", layer)
    if old:
        kind, stage, block, branch = old.groups()
        stage, block = int(stage) - 1, ord(block) - ord("a")
        number = 0 if branch == "1" else "abc".index(branch[1]) + 1
        kind = "conv" if kind == "res" else "bn"
    elif new:
        stage, block, number, kind = new.groups()
        stage, block, number = int(stage) - 1, int(block) - 1, int(number)
    else:
        raise ValueError(f"unknown layer {layer}")
    if number == 0:
        return f"layer{stage}.{block}.downsample.{0 if kind == 'conv' else 1}"
    return f"layer{stage}.{block}.{kind}{number}"


def add(tensors, layer, values):
    """Values in Keras' order and layout, as torchvision's tensors."""
    if len(values) not in (1, 2, 4):
        raise ValueError(f"layer {layer} has {len(values)} tensors")
    kinds = NORM if len(values) == 4 else NORM[:2]
    for kind, value in zip(kinds, values):
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim, range(value.ndim))
        tensors[f"{torch_layer(layer)}.{kind}"] = value.transpose(axes)


def by_h5py(path):
    tensors = {}
    with h5py.File(path) as file:
        root = file["model_weights"] if "model_weights" in file else file
        for layer in root.attrs["layer_names"]:
            layer = layer.decode() if isinstance(layer, bytes) else layer
            group = root[layer]
            values = [group[name][()] for name in group.attrs["weight_names"]]
            if values:
                add(tensors, layer, values)
    return tensors


def compare(verace, path, want):
    """Prints a line; the number of differences."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.safetensors")
        command = [verace, "weights", "convert", path, "--out", out, "--keep-conv-bias", "--quiet"]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            print(f"FAILED {path}: {run.stderr.strip()}")
            return 1
        got, _ = golden_file.read(out)
    wrong = sorted(set(got) ^ set(want))
    for name in set(got) & set(want):
        same = got[name].shape == want[name].shape
        if not same or got[name].tobytes() != np.ascontiguousarray(want[name]).tobytes():
            wrong.append(name)
    print(f"{'FAILED' if wrong or not want else 'same bits'} {os.path.basename(path)}: "
          f"{len(want)} tensors, {sum(value.size for value in want.values())} values, "
          f"{len(wrong)} differ {' '.join(wrong[:5])}")
    return len(wrong) + (not want)


def randomise(model, seed):
    """The model with random values, and what they are."""
    random = np.random.default_rng(seed)
    tensors = {}
    for layer in model.layers:
        values = [random.standard_normal(value.shape, np.float32) for value in layer.get_weights()]
        if values:
            layer.set_weights(values)
            add(tensors, layer.name, values)
    return tensors


def keras_checks(verace):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras
    import tf_keras
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        model = keras.applications.ResNet50(weights=None)
        want = randomise(model, 1)
        for name, save in (("keras3.h5", model.save), ("keras3.keras", model.save),
                           ("keras3.weights.h5", model.save_weights)):
            save(os.path.join(folder, name))
            failures += compare(verace, os.path.join(folder, name), want)
        for name, top in (("keras2.h5", True), ("keras2_notop.h5", False)):
            model = tf_keras.applications.ResNet50(weights=None, include_top=top)
            want = randomise(model, 2)
            (model.save if top else model.save_weights)(os.path.join(folder, name))
            failures += compare(verace, os.path.join(folder, name), want)
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--verace", default="build/release/verace")
    parser.add_argument("--keras", action="store_true", help="also files of full width by Keras")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    files = [os.path.join(HERE, "h5", name) for name in WHOLE] + arguments.files
    failures = sum(compare(arguments.verace, path, by_h5py(path)) for path in files)
    if arguments.keras:
        failures += keras_checks(arguments.verace)
    print(f"check_h5: {failures} differences")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

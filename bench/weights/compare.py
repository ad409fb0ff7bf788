#!/usr/bin/env python3
"""Reading speed of weight files: ours against torch.load, h5py and safetensors on the same files.

Makes a ResNet-50 of full size with random weights in every format (about 100 MB each) in a folder
of its own, and a narrow one. Each round is a new process, as a user's is, that reads the narrow
file first and then the large one, which is timed: the library that the format belongs to, and
verace_bench_weights, in turn, warm page cache. Prints one line per format: the fastest and the
median round of each, and our anonymous memory beyond the tensors.

    python3 bench/weights/compare.py --ours build/bench/bench/verace_bench_weights

Needs torch and numpy; h5py and safetensors where their formats shall be compared.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

BLOCKS = (3, 4, 6, 3)

READERS = {
    "torch": "import torch; read = lambda p: torch.load(p, map_location='cpu')",
    "h5py": """
import h5py
def read(p):
    out = {}
    with h5py.File(p, 'r') as f:
        f.visititems(lambda n, o: out.__setitem__(n, o[()]) if isinstance(o, h5py.Dataset) else None)
    return out""",
    "safetensors": "from safetensors.numpy import load_file as read",
}


def shapes(width):
    """Torchvision's names and shapes; `width` channels in the stem."""
    def norm(name, channels):
        return {f"{name}.{kind}": (channels,) for kind in
                ("weight", "bias", "running_mean", "running_var")}
    out = {"conv1.weight": (width, 3, 7, 7), **norm("bn1", width)}
    channels = width
    for stage, blocks in enumerate(BLOCKS):
        inner = width << stage
        for block in range(blocks):
            name = f"layer{stage + 1}.{block}"
            for k, (o, i, size) in enumerate(((inner, channels, 1), (inner, inner, 3),
                                              (4 * inner, inner, 1)), 1):
                out[f"{name}.conv{k}.weight"] = (o, i, size, size)
                out.update(norm(f"{name}.bn{k}", o))
            if block == 0:
                out[f"{name}.downsample.0.weight"] = (4 * inner, channels, 1, 1)
                out.update(norm(f"{name}.downsample.1", 4 * inner))
            channels = 4 * inner
    return {**out, "fc.weight": (1000, channels), "fc.bias": (1000,)}


def keras_layer(ours):
    """conv1 -> conv1_conv, layer2.0.downsample.1 -> conv3_block1_0_bn."""
    if ours in ("conv1", "bn1"):
        return "conv1_conv" if ours == "conv1" else "conv1_bn"
    if ours == "fc":
        return "predictions"
    stage, block, rest = ours[5], ours[7], ours[9:]
    number = "0" if rest.startswith("downsample") else rest[-1]
    kind = "conv" if rest.startswith("conv") or rest == "downsample.0" else "bn"
    return f"conv{int(stage) + 1}_block{int(block) + 1}_{number}_{kind}"


def write_h5(path, values):
    import h5py
    import numpy as np
    layers = {}
    for name, value in values.items():
        layer, kind = name.rsplit(".", 1)
        layers.setdefault(layer, {})[kind] = value
    with h5py.File(path, "w") as f:
        f.attrs["layer_names"] = [keras_layer(n).encode() for n in layers]
        for ours, tensors in layers.items():
            name = keras_layer(ours)
            group = f.create_group(name)
            stored = {}
            if "running_mean" in tensors:
                for kind, theirs in (("weight", "gamma"), ("bias", "beta"),
                                     ("running_mean", "moving_mean"),
                                     ("running_var", "moving_variance")):
                    stored[f"{name}/{theirs}:0"] = tensors[kind]
            else:
                weight = tensors["weight"]
                axes = (2, 3, 1, 0) if weight.ndim == 4 else (1, 0)
                stored[f"{name}/kernel:0"] = np.ascontiguousarray(weight.transpose(axes))
                if "bias" in tensors:
                    stored[f"{name}/bias:0"] = tensors["bias"]
            group.attrs["weight_names"] = [n.encode() for n in stored]
            for n, value in stored.items():
                group.create_dataset(n, data=value)


def write_all(folder, width):
    """Path and library of each file that could be written."""
    import numpy as np
    import torch
    random = np.random.default_rng(1)
    values = {n: random.standard_normal(s, dtype=np.float32) for n, s in shapes(width).items()}
    state = {n: torch.from_numpy(v) for n, v in values.items()}
    files = []
    for name, zipped in (("zip.pth", True), ("stream.pth", False)):
        torch.save(state, os.path.join(folder, name), _use_new_zipfile_serialization=zipped)
        files.append((name, "torch"))
    try:
        write_h5(os.path.join(folder, "keras.h5"), values)
        files.append(("keras.h5", "h5py"))
    except ImportError:
        print("h5py is not installed: no .h5", file=sys.stderr)
    try:
        from safetensors.numpy import save_file
        save_file(values, os.path.join(folder, "t.safetensors"))
        files.append(("t.safetensors", "safetensors"))
    except ImportError:
        print("safetensors is not installed: no .safetensors", file=sys.stderr)
    return files


def seconds_of_library(library, path, small):
    code = f"""
import time
{READERS[library]}
read({small!r})
start = time.perf_counter()
kept = read({path!r})
print(time.perf_counter() - start)"""
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True,
                                text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    print("| file | MB | library: fastest, median ms | Verace: fastest, median ms | "
          "beyond the tensors, MB |\n|--|--|--|--|--|")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as narrow:
        write_all(narrow, 4)
        for name, library in write_all(folder, 64):
            path, small = os.path.join(folder, name), os.path.join(narrow, name)
            theirs, ours, beyond = [], [], 0
            for _ in range(args.rounds):
                theirs.append(seconds_of_library(library, path, small))
                result = json.loads(subprocess.run([args.ours, path, small], check=True,
                                                   capture_output=True, text=True).stdout)
                ours.append(result["seconds"])
                beyond = max(beyond, result["anonymous_beyond_tensors"])
            cells = [f"{1e3 * min(s):.1f}, {1e3 * statistics.median(s):.1f}" for s in (theirs, ours)]
            print(f"| {name} | {os.path.getsize(path) / 1e6:.1f} | {library}: {cells[0]} | "
                  f"{cells[1]} | {beyond / 1e6:.1f} |", flush=True)


if __name__ == "__main__":
    main()

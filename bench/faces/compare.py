#!/usr/bin/env python3
"""Looking for faces by Verace and by PyTorch: the same network, weights and pictures, in turn.

    bench/faces/compare.py WEIGHTS.pth PICTURE... [--program FILE] [--threads 2] [--seconds 1]
                           [--rounds 5] [--sizes 500x500,480x640] [--batches 1,8]

WEIGHTS is a RetinaFace of MobileNet-0.25 as PyTorch stores it; the PICTUREs (repeated where there
are fewer than the largest batch) are stretched to each size (height x width). PyTorch runs in this
process, in every form that works here: eager, channels last, traced with folded batch norms, and
with --compile compiled; the fastest in a first try takes part in the rounds. Before the times the
maps of both are compared. Prints a table; the times are medians of the medians of the rounds.
"network" is from 8-bit pixels in memory to the maps before decoding, "detector" to faces: PyTorch's
decoding by numpy, after the threshold. Run with a Python that has torch, numpy and Pillow.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import torch
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "goldens"))
import make_retinaface as retinaface  # noqa: E402

MEAN = torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
SCORE, OVERLAP = 0.5, 0.4


class FromPixels(torch.nn.Module):
    """RGB [n, h, w, 3] of bytes -> maps."""

    def __init__(self, model, channels_last):
        super().__init__()
        self.model, self.channels_last = model, channels_last

    def forward(self, pixels):
        x = pixels.flip(3).permute(0, 3, 1, 2).to(torch.float32) - MEAN
        form = torch.channels_last if self.channels_last else torch.contiguous_format
        return tuple(self.model(x.contiguous(memory_format=form)))


def forms(model, pixels, compiled):
    """(name, function) of every form that works here."""
    def traced(last):
        base = FromPixels(model, last).eval()
        return torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(base, pixels)))
    makers = {"eager": lambda: FromPixels(model, False),
              "eager, channels last": lambda: FromPixels(
                  model.to(memory_format=torch.channels_last), True),
              "traced": lambda: traced(False), "traced, channels last": lambda: traced(True)}
    if compiled:
        makers["compiled"] = lambda: torch.compile(FromPixels(model, False))
        makers["compiled, channels last"] = lambda: torch.compile(FromPixels(model, True))
    for name, make in makers.items():
        try:
            form = make()
            for _ in range(3):
                form(pixels)
            yield name, form
        except Exception as error:  # noqa: BLE001: a form that this PyTorch does not have
            print(f"{name}: does not run here ({str(error).splitlines()[0][:80]})", file=sys.stderr)


def measure(work, seconds):
    for _ in range(2):
        work()
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        work()
        times.append((time.perf_counter() - before) * 1e3)
    return times


def load(path, slope):
    model = retinaface.mobilenet(8, 64)
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict({k.removeprefix("module."): v for k, v in state.items()})
    retinaface.Leaky.slope = slope
    return model.eval()


def ours(args, files, case, seconds, maps=None):
    n, h, w = case
    command = [args.program, args.weights, files[case], str(n), str(h), str(w), str(args.threads),
               str(seconds)] + ([maps] if maps else [])
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(args, files, case, model, pixels):
    n, h, w = case
    tried = {}
    for name, form in forms(model, pixels, args.compile):
        tried[name] = (statistics.median(measure(lambda f=form: f(pixels), args.seconds / 2)), form)
        print(f"  {name}: {tried[name][0]:.2f} ms", file=sys.stderr)
    best = min(tried, key=lambda name: tried[name][0])
    form = tried[best][1]
    with tempfile.NamedTemporaryFile() as out:
        ours(args, files, case, 0.01, out.name)
        got = np.fromfile(out.name, np.float32)
    want = np.concatenate([m.numpy().ravel() for m in form(pixels)])
    error = np.abs(got - want).max() / np.abs(want).max()
    if not error < 1e-4:
        sys.exit(f"the maps differ by {error:.2g} of the largest number: no comparison")

    def detect():
        maps = form(pixels)
        return [retinaface.faces(maps, i, h, w, SCORE, OVERLAP) for i in range(n)]
    rounds = {"ours": [], "ours faces": [], "theirs": [], "theirs faces": []}
    for _ in range(args.rounds):
        result = ours(args, files, case, args.seconds)
        rounds["ours"].append(statistics.median(result["network"]))
        rounds["ours faces"].append(statistics.median(result["detector"]))
        rounds["theirs"].append(statistics.median(measure(lambda: form(pixels), args.seconds)))
        rounds["theirs faces"].append(statistics.median(measure(detect, args.seconds)))
    if result["faces"] != sum(len(f) for f in detect()):
        sys.exit("not the same number of faces: no comparison")
    a, b, c, d = (statistics.median(rounds[k]) for k in rounds)
    print(f"| {n} x {h} x {w} | {a:.2f} ms | {c:.2f} ms ({best}) | {c / a:.2f} | {b:.2f} ms | "
          f"{d:.2f} ms | {d / b:.2f} | {n / b * 1e3:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--program",
                        default=os.path.join(ROOT, "build/release/bench/verace_bench_faces"))
    parser.add_argument("--slope", type=float, default=0.1, help="of the file's leaky ReLUs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="500x500,480x640")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--compile", action="store_true", help="also try torch.compile (minutes)")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.threads)
    model = load(args.weights, args.slope)
    print(f"PyTorch {torch.__version__}, {args.threads} threads, {args.rounds} rounds of "
          f"{args.seconds:g} s\n")
    print("| pictures | network, Verace | network, PyTorch | ratio | detector, Verace | detector, "
          "PyTorch | ratio | pictures/s |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        files = {}
        for size in args.sizes.split(","):
            h, w = (int(side) for side in size.split("x"))
            for n in (int(batch) for batch in args.batches.split(",")):
                names = [args.pictures[i % len(args.pictures)] for i in range(n)]
                pixels = np.stack([np.asarray(Image.open(p).convert("RGB").resize((w, h)))
                                   for p in names])
                case = (n, h, w)
                files[case] = os.path.join(folder, f"{n}.rgb")
                pixels.tofile(files[case])
                compare(args, files, case, model, torch.from_numpy(pixels))


if __name__ == "__main__":
    main()

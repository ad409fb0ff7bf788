#!/usr/bin/env python3
"""Compares the full-size ResNet-50 with PyTorch through the command line: answers, a step, FGSM.

For v1.5 with padded pooling and v1 with pooling in ceil mode it makes a random full-width network
whose statistics fit, writes it as safetensors, and pictures as PNG, and compares
  predict  five best classes of 1000, probabilities and logits of five pictures (two are resized)
  train    one step on 16 pictures, nothing frozen and keras:15: loss, every gradient (Adam's first
           moment after one step is a tenth of it), parameters, running statistics. The judge is
           PyTorch in float64; a gradient may be twice as far from it as PyTorch's own float32
  attack   FGSM on the 16 pictures: accuracy before and after, mean squared error
With --weights it compares predict on that file alone. Ends with status 1 where anything is off.

Run (after ./run setup --oracles: torch, torchvision, Pillow, numpy; some minutes on two cores):
    compare_full_size.py --verace build/release/verace
    compare_full_size.py --verace build/release/verace --weights resnet50.safetensors
    compare_full_size.py --self-test            the judges on right answers and on planted faults
"""
import argparse
import copy
import csv
import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../bench/peers"))
import finetune_pytorch  # noqa: E402
import resnet50_pytorch  # noqa: E402

VARIANTS = (("v1.5", "padded"), ("v1", "ceil"))
PROBABILITY_TOLERANCE = 1e-4  # absolute
LOGIT_TOLERANCE = 2e-4  # relative to the largest logit: fp32, 53 layers of sums
STATISTIC_TOLERANCE = 1e-4  # relative L2: one pass of sums over a batch
LOSS_TOLERANCE = 1e-4  # relative
# Of PyTorch's own float32 error, plus what one ReLU that rounds to the other side of zero does to
# the sum of 784 x 2048 terms of random signs, 1/sqrt(784 * 2048); relative L2.
GRADIENT_FACTOR, GRADIENT_FLOOR = 2.0, 1e-3
OFF_SHARE = 0.005  # of the parameters may be off by more than half a learning rate after Adam
LEARNING_RATE = 1e-4
EPSILON = 0.01


def randomise(model, x, head=0.05):
    """Scattered batch norms whose statistics fit, a classifier with logits of a few units."""
    torch.manual_seed(5)
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(*((0.2, 0.6) if name.endswith("bn3") else (0.6, 1.4)))
                module.bias.normal_(0, 0.2)
                module.momentum = 1.0
        model.fc.weight.normal_(0, head)
        model.fc.bias.normal_(0, 0.5)
        model.train()
        model(x)
        model.eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return model


def random_model(variant, pool, x, classes):
    torch.manual_seed(3)
    model = resnet50_pytorch.make_resnet50(variant == "v1", pool == "ceil", classes=classes)
    return randomise(model, x)


def write_safetensors(path, model, variant, pool):
    metadata = {"architecture": "resnet50", "variant": variant, "max_pool": pool,
                "batch_norm_epsilon": "1e-5",
                "input": "RGB/255, mean 0.485 0.456 0.406, std 0.229 0.224 0.225"}
    header, parts, offset = {"__metadata__": metadata}, [], 0
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        data = tensor.detach().float().contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(data)]}
        parts.append(data)
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(parts)


def make_pictures(folder, sizes):
    """Smooth colours, stripes and noise, deterministic."""
    rng = np.random.default_rng(11)
    paths = []
    for i, (h, w) in enumerate(sizes):
        coarse = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
        base = np.asarray(coarse.resize((w, h), Image.BICUBIC)).astype(np.float64)
        rows = np.sin(np.arange(h) * (0.05 + 0.1 * (i % 5)))[:, None, None] * 40
        noisy = base + rows + rng.normal(0, 5 + 5 * (i % 5), base.shape)
        path = os.path.join(folder, f"picture{i}.png")
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)
        paths.append(path)
    return paths


def pixels(path):
    with Image.open(path) as picture:
        picture = picture.convert("RGB").resize((224, 224), Image.BILINEAR)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255.0


def normalised(x):
    mean, std = (torch.tensor(v, dtype=x.dtype).view(1, 3, 1, 1)
                 for v in (finetune_pytorch.MEAN, finetune_pytorch.STD))
    return (x - mean) / std


def load(paths):
    return normalised(torch.cat([pixels(p) for p in paths]))


def verace(args, *words):
    done = subprocess.run([args.verace, *map(str, words)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words[:2]))} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def verdict(good, what):
    print(f"  {'ok ' if good else 'OFF'}  {what}", flush=True)
    return good


# --- predict


def judge_prediction(name, logits, entry):
    logits = logits.double().numpy()
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    order = np.argsort(-probabilities, kind="stable")[:5]
    got = [c["index"] for c in entry["top"]]
    # another order is right only between classes that are equal within the tolerance
    good = len(got) == 5 and all(probabilities[a] - probabilities[b] <= PROBABILITY_TOLERANCE
                                 for a, b in zip(order, got))
    off_p = np.abs(np.asarray(entry["probabilities"]) - probabilities).max()
    scale = np.abs(logits).max()
    off_l = np.abs(np.asarray(entry["logits"]) - logits).max() / scale
    good = bool(good and off_p <= PROBABILITY_TOLERANCE and off_l <= LOGIT_TOLERANCE)
    return verdict(good, f"{name}: classes {got}, probabilities off by {off_p:.1e}, logits by "
                         f"{off_l:.1e} of the largest ({scale:.2f})")


def compare_predict(args, model, weights, paths):
    with torch.no_grad():
        logits = [model(load([p]))[0] for p in paths]
    answer = json.loads(verace(args, "predict", "--model", weights, *paths, "--json", "--top", 5, "--fit", "stretch"))
    results = [judge_prediction(os.path.basename(p), l, e)
               for p, l, e in zip(paths, logits, answer["pictures"], strict=True)]
    return all(results)


# --- train


def pytorch_step(model, freeze, x, labels, dtype):
    """One step of Adam (PyTorch's epsilon); returns loss, gradients, and the state after it."""
    model = copy.deepcopy(model).to(dtype)
    freezer = finetune_pytorch.Freezer(model, freeze)
    freezer.train(model)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimiser = torch.optim.Adam(trained.values(), lr=LEARNING_RATE, eps=1e-8)
    loss = nn.functional.cross_entropy(model(x.to(dtype)), labels)
    loss.backward()
    gradients = {n: p.grad.double().numpy().copy() for n, p in trained.items()}
    optimiser.step()
    return float(loss), gradients, {n: t.double().numpy() for n, t in model.state_dict().items()}


def relative(got, want):
    size = np.linalg.norm(want)
    return float(np.linalg.norm(got - want) / size) if size > 0 else float(np.linalg.norm(got))


def judge_step(name, got, single, double):
    """got, single, double: (loss, gradients, state) of Verace, PyTorch float32 and float64."""
    results = [verdict(abs(got[0] - double[0]) <= LOSS_TOLERANCE * abs(double[0]),
                       f"{name}: loss {got[0]:.6f}, PyTorch {double[0]:.6f}")]
    worst, worst_name, own = 0.0, "", 0.0
    for n, want in double[1].items():
        ours, theirs = relative(got[1][n], want), relative(single[1][n], want)
        excess = ours / (GRADIENT_FACTOR * theirs + GRADIENT_FLOOR)
        if not excess <= worst:
            worst, worst_name, own = excess, f"{n} {ours:.1e}", theirs
    results.append(verdict(worst <= 1, f"{name}: {len(double[1])} gradients, the one furthest off: "
                                       f"{worst_name} of its length (PyTorch float32: {own:.1e})"))
    off = total = 0
    statistic, moved = 0.0, 0
    for n, want in double[2].items():
        if n in double[1]:
            off += int((~(np.abs(got[2][n] - want) <= LEARNING_RATE / 2)).sum())
            total += want.size
        elif n.endswith(("running_mean", "running_var")):
            error = relative(got[2][n], want)
            statistic = statistic if error <= statistic else error  # keeps NaN
            moved += 1
    results.append(verdict(off <= OFF_SHARE * total, f"{name}: {off} of {total} parameters off by "
                                                     "more than half a learning rate"))
    results.append(verdict(statistic <= STATISTIC_TOLERANCE,
                           f"{name}: {moved} running statistics off by {statistic:.1e}"))
    return all(results)


def compare_train(args, model, weights, manifest, paths, labels):
    x, good = load(paths), True
    for freeze in ("none", "keras:15"):
        run = f"{weights}-{freeze.replace(':', '')}"
        verace(args, "train", "--data", manifest, "--weights", weights, "--head", "keep",
               "--freeze", freeze, "--epochs", 1, "--batch", len(paths), "--lr", LEARNING_RATE,
               "--adam", "torch", "--no-flip", "--recalibrate", 0, "--allow-leak", "--out", run, "--quiet")
        tensors, _ = resnet50_pytorch.read_safetensors(os.path.join(run, "last.safetensors"))
        state = {n: t.double().numpy() for n, t in tensors.items()}
        with open(os.path.join(run, "metrics.jsonl"), encoding="utf-8") as file:
            loss = json.loads(file.readline())["train_loss"]
        prefix = "optimizer.m."
        gradients = {n[len(prefix):]: v / (1 - 0.9) for n, v in state.items()
                     if n.startswith(prefix)}
        single = pytorch_step(model, freeze, x, labels, torch.float32)
        double = pytorch_step(model, freeze, x, labels, torch.float64)
        if set(gradients) != set(double[1]):
            good = verdict(False, f"{freeze}: other parameters are trained: "
                                  f"{sorted(set(gradients) ^ set(double[1]))[:5]}")
            continue
        good = judge_step(freeze, (loss, gradients, state), single, double) and good
    return good


# --- attack


def compare_attack(args, model, weights, manifest, paths, labels):
    out = weights + "-attack"
    verace(args, "attack", "fgsm", "--model", weights, "--data", manifest, "--split", "test",
           "--epsilon", EPSILON, "--out", out)
    with open(os.path.join(out, "attack.json"), encoding="utf-8") as file:
        answer = json.load(file)
    figures = answer["epsilons"][0]
    x = torch.cat([pixels(p) for p in paths]).requires_grad_()
    logits = model(normalised(x))
    nn.functional.cross_entropy(logits, labels, reduction="sum").backward()
    with torch.no_grad():
        adversarial = (x + EPSILON * x.grad.sign()).clamp(0, 1)
        after = model(normalised(adversarial))
        mse = float(((adversarial - x).double() ** 2).mean())

    def accuracy(l):
        return float((l.argmax(1) == labels).float().mean())

    before, afterwards = accuracy(logits), accuracy(after)
    good = (abs(answer["accuracy_before"] - before) < 1e-6 and
            abs(figures["accuracy_after"] - afterwards) <= 1 / len(paths) + 1e-6 and
            abs(figures["mse"] - mse) <= 1e-3 * mse)
    return verdict(good, f"FGSM {EPSILON}: accuracy {answer['accuracy_before']:.4f} -> "
                         f"{figures['accuracy_after']:.4f} (PyTorch {before:.4f} -> "
                         f"{afterwards:.4f}), MSE {figures['mse']:.6e} ({mse:.6e})")


# --- all


def write_manifest(path, paths, labels):
    """All pictures in train, and copies of the rows in test (a step needs no unseen pictures)."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "video", "identity", "split"])
        for split in ("train", "test"):
            for p, c in zip(paths, labels):
                name = p if split == "train" else p.replace("picture", "again")
                stem = os.path.splitext(os.path.basename(name))[0]
                writer.writerow([name, ("real", "fake")[c], stem, stem, split])


def compare_variant(args, variant, pool, folder):
    print(f"{variant}, {pool} pooling", flush=True)
    paths = make_pictures(folder, ((224, 224),) * 3 + ((320, 260), (150, 200)))
    model = random_model(variant, pool, load(paths), 1000)
    weights = os.path.join(folder, f"{variant}-1000.safetensors")
    write_safetensors(weights, model, variant, pool)
    good = compare_predict(args, model, weights, paths)

    paths = make_pictures(folder, ((224, 224),) * 16)
    for path in paths:
        with Image.open(path) as picture:
            picture.save(path.replace("picture", "again"), optimize=True)
    labels = torch.tensor([i % 2 for i in range(len(paths))])
    model = random_model(variant, pool, load(paths), 2)
    weights = os.path.join(folder, f"{variant}-2.safetensors")
    write_safetensors(weights, model, variant, pool)
    manifest = os.path.join(folder, "manifest.csv")
    write_manifest(manifest, paths, labels.tolist())
    good = compare_train(args, model, weights, manifest, paths, labels) and good
    return compare_attack(args, model, weights, manifest, paths, labels) and good


def self_test():
    """The judges accept a right answer and refuse each planted fault."""
    logits = torch.linspace(-3, 4, 1000).roll(17)
    p = logits.double().softmax(0)

    def entry(shift=0.0, swap=False):
        top = torch.argsort(-p)[:5].tolist()
        top = top[::-1] if swap else top
        return {"top": [{"index": i} for i in top], "logits": (logits.double() + shift).tolist(),
                "probabilities": p.tolist()}

    torch.manual_seed(1)
    g = {"w": np.asarray(torch.randn(1000).double())}
    state = {"w": g["w"] * 0, "running_mean": g["w"]}
    right = (0.7, g, state)

    def step(loss=0.7, scale=1.0, shift=0.0, statistic=1.0):
        return judge_step("step", (loss, {"w": g["w"] * scale},
                                   {"w": state["w"] + shift, "running_mean": g["w"] * statistic}),
                          right, right)

    print("must be ok:")
    good = judge_prediction("same", logits, entry()) and step()
    print("must be OFF:")
    faults = [judge_prediction("shifted", logits, entry(0.01)),
              judge_prediction("order", logits, entry(swap=True)),
              judge_prediction("NaN", logits, entry(float("nan"))), step(loss=0.701),
              step(scale=1.002), step(scale=float("nan")), step(shift=1e-4),
              step(shift=float("nan")), step(statistic=1.01), step(statistic=float("nan"))]
    return good and not any(faults)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verace", help="the program")
    parser.add_argument("--weights", help="safetensors with torchvision names")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        sys.exit(0 if self_test() else 1)
    if not args.verace:
        parser.error("--verace is missing")
    with tempfile.TemporaryDirectory() as folder:
        if args.weights:
            tensors, metadata = resnet50_pytorch.read_safetensors(args.weights)
            model = resnet50_pytorch.make_resnet50(**resnet50_pytorch.options_of(metadata),
                                                   classes=tensors["fc.weight"].shape[0])
            resnet50_pytorch.load(model, tensors).eval()
            paths = make_pictures(folder, ((224, 224),) * 3 + ((320, 260), (150, 200)))
            good = compare_predict(args, model, args.weights, paths)
        else:
            good = all([compare_variant(args, *v, folder) for v in VARIANTS])
    print("all agree" if good else "NOT all agree")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

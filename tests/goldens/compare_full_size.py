#!/usr/bin/env python3
"""Compares full-size ResNet-50 answers of PyTorch and of `verace predict` on generated pictures.

Without --weights it makes two random full-width networks of 1000 classes (v1.5 with padded pooling,
v1 with pooling in ceil mode) with sensible statistics, writes them as safetensors into a temporary
folder, and compares both; with --weights it takes that file (torchvision names, variant and pooling
from its metadata). Pictures are PNG, 224x224, and two of other sizes (resized whole to 224x224,
antialiased bilinear). Then runs
    BINARY predict --model FILE PICTURE... --json --top 5
and compares for each picture the five best classes, their probabilities and, where the answer has
them, the logits. Ends with status 1 where something is further off than the tolerances.

Accepted answers: a JSON list, an object with a list under `pictures`, `results` or `predictions`, or
one object per line. Each entry holds its candidates as a list under `top`, `classes` or
`predictions` with `class`, `index` or `id`, with `probability` or `score` and perhaps `logit`; a
full list `logits` is compared where there is one.

Run (needs torch, torchvision, Pillow, numpy):
    compare_full_size.py --verace build/verace
    compare_full_size.py --verace build/verace --weights resnet50.safetensors
    compare_full_size.py --self-test            feeds PyTorch's own answers through the comparison
"""
import argparse
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

TYPES = {"F16": np.float16, "F32": np.float32}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PROBABILITY_TOLERANCE = 1e-4  # absolute
LOGIT_TOLERANCE = 2e-4  # relative to the largest logit: fp32, 53 layers of sums


def make_model(v1, ceil, epsilon=1e-5, classes=1000):
    from torchvision.models.resnet import Bottleneck, ResNet
    model = ResNet(Bottleneck, [3, 4, 6, 3], num_classes=classes)
    if v1:
        for stage in (model.layer2, model.layer3, model.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    if ceil:
        model.maxpool = nn.MaxPool2d(3, 2, 0, ceil_mode=True)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = epsilon
    return model


def randomise(model, x):
    """Scattered batch norms whose statistics fit, a classifier with logits of a few units."""
    torch.manual_seed(5)
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(*((0.2, 0.6) if name.endswith("bn3") else (0.6, 1.4)))
                module.bias.normal_(0, 0.2)
                module.momentum = 1.0
        model.fc.weight.normal_(0, 0.05)
        model.fc.bias.normal_(0, 0.5)
        model.train()
        model(x)
        model.eval()


def write_safetensors(path, model, metadata):
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


def read_model(path):
    """The network of a safetensors file with torchvision names."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] in TYPES:
            begin, end = entry["data_offsets"]
            array = np.frombuffer(data[begin:end], TYPES[entry["dtype"]])
            tensors[name] = torch.from_numpy(array.reshape(entry["shape"]).astype(np.float32))
    model = make_model(metadata.get("variant", "v1.5").split(":")[0] == "v1",
                       "ceil" in metadata.get("max_pool", "padded"),
                       float(metadata.get("batch_norm_epsilon", "1e-5")),
                       tensors["fc.weight"].shape[0])
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    missing = [n for n in missing if not n.endswith("num_batches_tracked")]
    if missing or unexpected:
        sys.exit(f"compare_full_size: missing {missing[:5]}, unexpected {unexpected[:5]}")
    return model.eval()


def make_pictures(folder):
    """Smooth colours, stripes and noise, deterministic."""
    rng = np.random.default_rng(11)
    paths = []
    for i, (h, w) in enumerate(((224, 224), (224, 224), (224, 224), (320, 260), (150, 200))):
        coarse = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
        base = np.asarray(coarse.resize((w, h), Image.BICUBIC)).astype(np.float64)
        rows = np.sin(np.arange(h) * (0.05 + 0.1 * i))[:, None, None] * 40
        noisy = base + rows + rng.normal(0, 5 + 5 * i, base.shape)
        path = os.path.join(folder, f"picture{i}.png")
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)
        paths.append(path)
    return paths


def load(path):
    with Image.open(path) as picture:
        picture = picture.convert("RGB").resize((224, 224), Image.BILINEAR)
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255.0
    return (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


def first(entry, *names):
    for name in names:
        if name in entry:
            return entry[name]
    return None


def parse(text):
    """List of entries of the answer, in whichever of the accepted forms."""
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        answer = [json.loads(line) for line in text.splitlines() if line.strip().startswith("{")]
    if isinstance(answer, dict):
        inner = first(answer, "pictures", "results", "predictions")
        answer = inner if isinstance(inner, list) else [answer]
    return answer


def compare_one(name, logits, entry):
    """Prints one line; returns whether the entry agrees with the reference logits."""
    logits = logits.double().numpy()
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    candidates = first(entry, "top", "classes", "predictions") or []
    order = np.argsort(-probabilities, kind="stable")[:5]
    got = [int(first(c, "class_index", "index", "id", "class")) for c in candidates]
    worst_p = worst_l = 0.0
    good = len(got) == min(5, len(logits))
    for place, (c, index) in enumerate(zip(candidates, got)):
        p = float(first(c, "probability", "score"))
        worst_p = max(worst_p, abs(p - probabilities[index]))
        if first(c, "logit") is not None:
            worst_l = max(worst_l, abs(float(c["logit"]) - logits[index]))
        # another order is right only between classes that are equal within the tolerance
        near = probabilities[order[place]] - probabilities[index] <= PROBABILITY_TOLERANCE
        good = good and (index == order[place] or near)
    full = entry.get("logits")
    if full is not None:
        worst_l = max(worst_l, float(np.abs(np.asarray(full, np.float64) - logits).max()))
    scale = np.abs(logits).max()
    good = good and worst_p <= PROBABILITY_TOLERANCE and worst_l <= LOGIT_TOLERANCE * scale
    print(f"  {name}: {'ok  ' if good else 'OFF '} expected {order.tolist()} got {got}, "
          f"probabilities off by {worst_p:.2e}, logits by {worst_l:.2e} of {scale:.2f}")
    return good


def reference(model, paths):
    with torch.no_grad():
        return [model(load(p))[0] for p in paths]


def own_answer(logits):
    """What a perfect engine would print, for --self-test."""
    entries = []
    for values in logits:
        p = values.double().softmax(0)
        top = torch.argsort(-p)[:5].tolist()
        entries.append({"top": [{"class": i, "probability": float(p[i])} for i in top]})
    return json.dumps({"pictures": entries})


def compare(title, model, weights, paths, args):
    logits = reference(model, paths)
    print(title)
    if args.self_test:
        text = own_answer(logits)
    else:
        command = [args.verace, "predict", "--model", weights, *paths, "--json", "--top", "5"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            print(f"  verace ended with {done.returncode}")
            return False
        text = done.stdout
    entries = parse(text)
    if len(entries) != len(paths):
        print(f"  {len(entries)} answers for {len(paths)} pictures")
        return False
    results = [compare_one(os.path.basename(p), l, e) for p, l, e in zip(paths, logits, entries)]
    return all(results)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verace", help="the program")
    parser.add_argument("--weights", help="safetensors with torchvision names")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if not args.verace and not args.self_test:
        parser.error("--verace is missing")
    good = True
    with tempfile.TemporaryDirectory() as folder:
        paths = make_pictures(folder)
        if args.weights:
            good = compare(os.path.basename(args.weights), read_model(args.weights),
                           args.weights, paths, args)
        else:
            for variant, pool in (("v1.5", "padded"), ("v1", "ceil")):
                torch.manual_seed(3)
                model = make_model(variant == "v1", pool == "ceil")
                randomise(model, torch.cat([load(p) for p in paths]))
                weights = os.path.join(folder, f"random_{variant}.safetensors")
                write_safetensors(weights, model, {
                    "architecture": "resnet50", "variant": variant, "max_pool": pool,
                    "batch_norm_epsilon": "1e-5",
                    "input": "RGB/255, mean 0.485 0.456 0.406, std 0.229 0.224 0.225"})
                good = compare(f"random weights, {variant}, {pool} pooling", model, weights,
                               paths, args) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

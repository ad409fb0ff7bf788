#!/usr/bin/env python3
"""Fine-tunes ResNet-50 on a manifest of faces with PyTorch: the peer of `verace train`.

The same recipe, written with what a PyTorch user would write: torchvision's ResNet-50 (variant and
pooling from the weight file's metadata), a head Linear-LeakyReLU-Linear with Keras' initialisation,
`keras:K` freezing (frozen batch norm in inference mode), Adam, cross-entropy from logits, Pillow
decoding and antialiased bilinear resize to 224, random flip. Prints loss, accuracy, balanced
accuracy and AUC of the test split per epoch (positive class = fake), seconds per epoch, and at the
end the effect of FGSM in [0,1] pixel space.

Run (about three minutes per epoch of 480 pictures on two cores):
    split_faces.py FACES --seed 1 --out split1.csv
    finetune_pytorch.py --manifest split1.csv --weights resnet50.safetensors --freeze keras:15 \
        --head 3000 --activation leaky:0.05 --epochs 3 --batch 64 --lr 1e-4 --seed 1 \
        --fgsm 0.01 --json result.json
"""
import argparse
import copy
import csv
import json
import math
import os
import random
import resource
import sys
import time

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torch.nn import functional as F

import resnet50_pytorch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "engines"))
from network import MEAN, STD, frozen_modules  # noqa: E402


def keras_linear(inputs, outputs, generator):
    """Linear layer with Keras' defaults: Glorot uniform kernel, zero bias."""
    layer = nn.Linear(inputs, outputs)
    limit = math.sqrt(6.0 / (inputs + outputs))
    with torch.no_grad():
        layer.weight.uniform_(-limit, limit, generator=generator)
        layer.bias.zero_()
    return layer


def make_head(inputs, hidden, activation, generator):
    if hidden == 0:
        return keras_linear(inputs, 2, generator)
    kind, _, slope = activation.partition(":")
    act = nn.ReLU() if kind == "relu" else nn.LeakyReLU(float(slope))
    return nn.Sequential(keras_linear(inputs, hidden, generator), act,
                         keras_linear(hidden, 2, generator))


class Freezer:
    """Frozen modules: no gradient, and batch norm in inference mode also while training."""

    def __init__(self, model, spec):
        modules = dict(model.named_modules())
        self.names = frozen_modules(spec)
        self.modules = [modules[n] for n in self.names]
        for module in self.modules:
            module.requires_grad_(False)

    def train(self, model):
        model.train()
        for module in self.modules:
            module.eval()


def load_picture(path, size=224):
    """uint8 HxWx3: EXIF orientation applied, RGB, Pillow's antialiased bilinear resize."""
    with Image.open(path) as picture:
        picture = ImageOps.exif_transpose(picture).convert("RGB")
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.BILINEAR)
    return np.asarray(picture)


def to_pixels(pictures):
    """List of HxWx3 uint8 -> NCHW (channels_last) float in [0,1]."""
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return batch.float().div_(255.0).contiguous(memory_format=torch.channels_last)


class Normalised(nn.Module):
    """Takes pixels in [0,1], so that gradients can be had in pixel space."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, pixels):
        return self.model((pixels - self.mean) / self.std)


def auc(scores, labels):
    """Area under the ROC curve by ranks, ties shared."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    sorted_scores = scores[order]
    start = 0
    while start < len(scores):
        end = start
        while end < len(scores) and sorted_scores[end] == sorted_scores[start]:
            end += 1
        ranks[order[start:end]] = (start + end + 1) / 2
        start = end
    positives, negatives = (labels == 1).sum(), (labels == 0).sum()
    if positives == 0 or negatives == 0:
        return None
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2)
                 / (positives * negatives))


def metrics(logits, labels):
    loss = float(F.cross_entropy(logits.double(), labels))
    scores = (logits[:, 1] - logits[:, 0]).double().numpy()
    truth = labels.numpy()
    right = (logits.argmax(1).numpy() == truth)
    recalls = [float(right[truth == c].mean()) for c in (0, 1) if (truth == c).any()]
    return {"loss": loss, "accuracy": float(right.mean()),
            "balanced_accuracy": sum(recalls) / len(recalls), "auc": auc(scores, truth),
            "recall_real": recalls[0], "recall_fake": recalls[-1]}


def evaluate(net, rows, batch, keep=None):
    net.eval()
    outputs = []
    with torch.no_grad():
        for begin in range(0, len(rows), batch):
            pixels = to_pixels([load_picture(p) for p, _ in rows[begin:begin + batch]])
            if keep is not None:
                keep.append(pixels)
            outputs.append(net(pixels))
    return metrics(torch.cat(outputs), torch.tensor([c for _, c in rows]))


def recalibrated(net, freezer_spec, rows, batch):
    """A copy of the net whose trainable batch norms got the mean statistics of `rows`."""
    twin = copy.deepcopy(net)
    freezer = Freezer(twin.model, freezer_spec)
    for module in twin.modules():
        if isinstance(module, nn.BatchNorm2d) and module not in freezer.modules:
            module.reset_running_stats()
            module.momentum = None  # cumulative average
    freezer.train(twin.model)
    with torch.no_grad():
        for begin in range(0, len(rows), batch):
            twin(to_pixels([load_picture(p) for p, _ in rows[begin:begin + batch]]))
    return twin


def fgsm(net, rows, batch, epsilon):
    """Foolbox' FGSM with bounds (0,1): one step of epsilon times the gradient's sign."""
    net.eval()
    clean, dirty, squares, values = [], [], 0.0, 0
    for begin in range(0, len(rows), batch):
        part = rows[begin:begin + batch]
        pixels = to_pixels([load_picture(p) for p, _ in part]).requires_grad_(True)
        logits = net(pixels)
        loss = F.cross_entropy(logits, torch.tensor([c for _, c in part]), reduction="sum")
        gradient, = torch.autograd.grad(loss, pixels)
        with torch.no_grad():
            adversarial = (pixels + epsilon * gradient.sign()).clamp_(0.0, 1.0)
            clean.append(logits.detach())
            dirty.append(net(adversarial))
            squares += float(((adversarial - pixels).double() ** 2).sum())
            values += pixels.numel()
    labels = torch.tensor([c for _, c in rows])
    return {"epsilon": epsilon, "pictures": len(rows), "mse": squares / values,
            "before": metrics(torch.cat(clean), labels),
            "after": metrics(torch.cat(dirty), labels)}


def read_manifest(path):
    base = os.path.dirname(os.path.abspath(path))
    splits = {"train": [], "test": []}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            splits[row["split"]].append((os.path.join(base, row["path"]),
                                         {"real": 0, "fake": 1}[row["label"]]))
    return splits["train"], splits["test"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--weights", required=True, help="safetensors with torchvision names")
    parser.add_argument("--freeze", default="keras:15",
                        help="keras:K, stages:N, backbone or none")
    parser.add_argument("--head", type=int, default=3000, help="hidden neurons, 0 for none")
    parser.add_argument("--activation", default="leaky:0.05", help="leaky:SLOPE or relu")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--head-lr", type=float, help="learning rate of the head, default --lr")
    parser.add_argument("--adam-eps", type=float, default=1e-8)
    parser.add_argument("--adam", choices=("torch", "keras"), default="torch",
                        help="where epsilon stands: after (torch) or before the bias correction")
    parser.add_argument("--bn-momentum", type=float, default=0.1)
    parser.add_argument("--precise-bn", action="store_true",
                        help="also evaluate with batch norm recalibrated on the training pictures")
    parser.add_argument("--no-flip", action="store_true")
    parser.add_argument("--fgsm", type=float, help="epsilon of the attack at the end")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--json", help="where to write the result")
    return parser.parse_args()


def build(args):
    tensors, metadata = resnet50_pytorch.read_safetensors(args.weights)
    options = resnet50_pytorch.options_of(metadata)
    model = resnet50_pytorch.make_resnet50(**options, momentum=args.bn_momentum, classes=0)
    resnet50_pytorch.load(model, {n: t for n, t in tensors.items() if not n.startswith("fc.")})
    generator = torch.Generator().manual_seed(args.seed)
    model.fc = make_head(2048, args.head, args.activation, generator)
    model = model.to(memory_format=torch.channels_last)
    return model, {"variant": "v1" if options["v1"] else "v1.5",
                   "pool": "ceil" if options["ceil_pool"] else "padded"}


def train_epoch(net, freezer, optimiser, rows, args, rng, step):
    """One pass; returns (mean loss, accuracy, seconds spent decoding, steps made so far)."""
    freezer.train(net.model)
    order = list(range(len(rows)))
    rng.shuffle(order)
    total = right = 0
    decoding = 0.0
    for begin in range(0, len(order), args.batch):
        part = [rows[i] for i in order[begin:begin + args.batch]]
        tick = time.perf_counter()
        pictures = [load_picture(p) for p, _ in part]
        if not args.no_flip:
            pictures = [p[:, ::-1] if rng.random() < 0.5 else p for p in pictures]
        pixels, labels = to_pixels(pictures), torch.tensor([c for _, c in part])
        decoding += time.perf_counter() - tick
        step += 1
        if args.adam == "keras":
            for group in optimiser.param_groups:
                group["eps"] = args.adam_eps / math.sqrt(1 - 0.999 ** step)
        optimiser.zero_grad(set_to_none=True)
        logits = net(pixels)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimiser.step()
        total += float(loss) * len(part)
        right += int((logits.argmax(1) == labels).sum())
    return total / len(rows), right / len(rows), decoding, step


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)
    train, test = read_manifest(args.manifest)
    model, kind = build(args)
    freezer = Freezer(model, args.freeze)
    net = Normalised(model)
    head = [p for p in model.fc.parameters()]
    body = [p for n, p in model.named_parameters()
            if p.requires_grad and not n.startswith("fc.")]
    groups = [{"params": head, "lr": args.head_lr or args.lr}]
    if body:
        groups.append({"params": body, "lr": args.lr})
    optimiser = torch.optim.Adam(groups, lr=args.lr, eps=args.adam_eps)
    result = {"engine": f"PyTorch {torch.__version__}", "threads": args.threads, **kind,
              "arguments": {k: v for k, v in vars(args).items()
                            if k not in ("manifest", "weights", "json")},
              "frozen": freezer.names, "train_pictures": len(train), "test_pictures": len(test),
              "trainable_parameters": sum(p.numel() for p in head + body), "epochs": []}
    print(f"{len(train)} training and {len(test)} test pictures, {kind}, frozen: "
          f"{' '.join(freezer.names)}; {result['trainable_parameters']} trainable", flush=True)
    step = 0
    for epoch in range(args.epochs):
        tick = time.perf_counter()
        loss, accuracy, decoding, step = train_epoch(net, freezer, optimiser, train, args, rng,
                                                     step)
        seconds = time.perf_counter() - tick
        entry = {"epoch": epoch + 1, "seconds": seconds, "decoding_seconds": decoding,
                 "train": {"loss": loss, "accuracy": accuracy}}
        tick = time.perf_counter()
        entry["test"] = evaluate(net, test, args.batch)
        entry["test_seconds"] = time.perf_counter() - tick
        if args.precise_bn:
            entry["test_precise_bn"] = evaluate(recalibrated(net, args.freeze, train, args.batch),
                                                test, args.batch)
        result["epochs"].append(entry)
        print(json.dumps(entry), flush=True)
    if args.fgsm is not None:
        result["fgsm"] = fgsm(net, test, min(args.batch, 32), args.fgsm)
        print(json.dumps(result["fgsm"]), flush=True)
    result["peak_rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()

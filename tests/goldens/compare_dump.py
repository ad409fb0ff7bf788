#!/usr/bin/env python3
"""Compares every tensor that `verace dump` writes with PyTorch in float64: activations, statistics, gradients.

A dump's own pictures and weights are run through torchvision's blocks with hooks. Which batch norms used
the batch's statistics, what was frozen and the labels follow from the dump itself. Every row of
index.csv must be compared; of a value that forks, the contributions to its gradient are covered by
their sum. Ends with status 1 where anything is off, is missing, or was not compared.

Run (seconds; needs torch, torchvision, numpy):
    compare_dump.py --verace build/release/verace     dumps of the small network in five forms
    compare_dump.py --dump DIR [--model FILE]         a dump that is there
    compare_dump.py --verace build/release/verace --self-test    planted faults must be found
"""
import argparse
import csv
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../bench/peers"))
import resnet50_pytorch  # noqa: E402

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Relative L2: fp32 through 53 layers, and back through batch norms that subtract means. Among ten
# million ReLUs of the full-size network some round to the other side of zero: they change single
# elements of gradients by much, and their sums by little.
FORWARD_TOLERANCE, BACKWARD_TOLERANCE = 1e-4, 1e-2
FORMS = ([], ["--mode", "inference"], ["--freeze", "keras:15"],
         ["--freeze", "keras:15", "--frozen-bn", "batch"], ["--freeze", "stages:2", "--faces", "5"])


def read_dump(folder):
    """{tensor: row}, each row with its array under "values"."""
    with open(os.path.join(folder, "index.csv"), newline="") as file:
        rows = {row["tensor"]: row for row in csv.DictReader(file)}
    for row in rows.values():
        row["values"] = np.load(os.path.join(folder, row["npy"]))
        shape = tuple(int(n) for n in row["shape"].split("x"))
        if row["values"].shape != shape or row["values"].dtype != np.float32:
            sys.exit(f"{row['npy']}: {row['values'].shape} {row['values'].dtype}, index {shape}")
    return rows


def make_model(tensors, metadata):
    """torchvision's blocks with the widths of the file, in float64."""
    from torchvision.models.resnet import Bottleneck
    options = resnet50_pytorch.options_of(metadata)
    model = resnet50_pytorch.make_resnet50(**options)
    width = tensors["conv1.weight"].shape[0]
    model.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
    model.bn1 = nn.BatchNorm2d(width)
    model.inplanes = width
    for stage, blocks in enumerate((3, 4, 6, 3)):
        layer = model._make_layer(Bottleneck, width << stage, blocks, stride=1 if stage == 0 else 2)
        if options["v1"] and stage > 0:
            layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
        setattr(model, f"layer{stage + 1}", layer)
    if "fc.0.weight" in tensors:
        hidden, features = tensors["fc.0.weight"].shape
        model.fc = nn.Sequential(nn.Linear(features, hidden), nn.LeakyReLU(0.05),
                                 nn.Linear(hidden, tensors["fc.2.weight"].shape[0]))
    else:
        model.fc = nn.Linear(*reversed(tensors["fc.weight"].shape))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = options["epsilon"]
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return resnet50_pytorch.load(model, tensors).double()


def nhwc(tensor):
    tensor = tensor.detach()
    return (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).numpy()


def with_hooks(model):
    """Collects outputs under the engine's names while the model runs."""
    seen = {}

    def keep(name):
        def hook(_module, _inputs, output):
            if output.requires_grad:
                output.retain_grad()
            seen[name] = output
        return hook

    def keep_in_turn(names):
        names = list(names)

        def hook(module, inputs, output):
            keep(names[0])(module, inputs, output)
            names.append(names.pop(0))
        return hook

    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(keep(name + " z"))
        if name.endswith("downsample.1"):
            module.register_forward_hook(keep(name[:-1] + "0 output"))
        if isinstance(module, nn.ReLU):
            prefix = name[:-len("relu")]
            convs = ["conv1"] if not prefix else ["conv1", "conv2", "conv3"]
            module.register_forward_hook(keep_in_turn(f"{prefix}{c} output" for c in convs))
        if isinstance(module, nn.Linear):
            module.register_forward_hook(keep(name + " output"))
        if isinstance(module, nn.LeakyReLU):
            module.register_forward_hook(keep("fc.0 activation"))
    model.maxpool.register_forward_hook(keep("maxpool output"))
    model.avgpool.register_forward_hook(
        lambda m, i, out: keep("avgpool output")(m, i, out))
    return seen


def expected(rows, model):
    """What each tensor should be: {name: array}; gradients by what they are gradients of."""
    pictures = torch.from_numpy(rows["pictures"]["values"]).double().requires_grad_()
    x = (pictures - torch.tensor(MEAN).double()) / torch.tensor(STD).double()
    x.retain_grad()
    model.train()
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d) and name + " mean" not in rows:
            module.eval()
    seen = with_hooks(model)
    logits = model(x.permute(0, 3, 1, 2))
    # The gradient p - onehot is negative at the label alone.
    labels = torch.from_numpy(rows["dlogits"]["values"].argmin(1))
    losses = nn.functional.cross_entropy(logits, labels, reduction="none")
    (losses.sum() if "dx" in rows else losses.mean()).backward()
    want = {"pictures": pictures.detach().numpy(), "input": x.detach().numpy(),
            "loss": losses.detach().numpy(), "probabilities": nhwc(torch.softmax(logits, 1))}
    of = {"pictures": pictures.grad.numpy(), "input": x.grad.numpy()}
    for name, tensor in seen.items():
        flat = tensor.flatten(1) if name == "avgpool output" else tensor
        want[name] = nhwc(flat)
        if tensor.grad is not None:
            grad = tensor.grad.flatten(1) if name == "avgpool output" else tensor.grad
            of[name] = nhwc(grad)
        if name.endswith("output") and name in of:  # behind the ReLU of a folded layer
            conv = name.split()[0]
            closed = 1.0 if conv.endswith("downsample.0") else want[name] > 0
            want[conv + " dz"] = of[name] * closed
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            last = name.rsplit(".", 1)[-1]
            conv = name[:len(name) - len(last)] + ("0" if last == "1" else last.replace("bn", "conv"))
            z = want[conv + " z"].reshape(-1, module.num_features)
            want[name + " mean"] = z.mean(0)
            want[name + " inv_std"] = 1 / np.sqrt(z.var(0) + module.eps)
    for name, parameter in model.named_parameters():
        grad = parameter.grad.numpy()
        of[name] = grad.transpose(0, 2, 3, 1) if grad.ndim == 4 else grad
    return want, of


def judge(rows, want, of):
    """Prints what is off; returns (compared, covered, faults)."""
    summed = {row["gradient_of"] for row in rows.values()
              if row["tensor"] == row["gradient_of"] + " gradient" and row["kind"] == "gradient"}
    compared, covered, faults, worst = 0, 0, 0, {"forward": 0.0, "backward": 0.0}
    for name, row in rows.items():
        target = row["gradient_of"]
        if row["kind"] == "gradient" and target in summed and name != target + " gradient":
            covered += 1
            continue
        backward = "gradient" in row["kind"]
        reference = of.get(target) if target else want.get(name)
        if reference is None or reference.shape != row["values"].shape:
            print(f"  {name}: nothing to compare it with")
            faults += 1
            continue
        error = np.linalg.norm(row["values"] - reference) / np.linalg.norm(reference)
        tolerance = BACKWARD_TOLERANCE if backward else FORWARD_TOLERANCE
        if not error <= tolerance:  # a NaN is no agreement
            print(f"  {name}: relative error {error:.1e}, allowed {tolerance:.0e}")
            faults += 1
        part = "backward" if backward else "forward"
        worst[part] = max(worst[part], float(error))
        compared += 1
    print(f"  {compared} tensors compared, {covered} contributions covered by their sums, "
          f"{faults} faults; worst: forward {worst['forward']:.1e}, backward {worst['backward']:.1e}")
    return compared, covered, faults


def compare(folder, model_file):
    rows = read_dump(folder)
    model = make_model(*resnet50_pytorch.read_safetensors(model_file))
    want, of = expected(rows, model)
    return rows, want, of


def run_dump(verace, folder, form):
    subprocess.run([verace, "dump", "--out", folder, "--no-pictures", "--quiet", *form], check=True,
                   stdout=subprocess.DEVNULL)
    return compare(folder, os.path.join(folder, "model.safetensors"))


def self_test(rows, want, of):
    """Each fault must be found; returns the number of those that were not."""
    def other(name, values):
        return {**rows, name: {**rows[name], "values": values}}
    z = rows["layer1.0.conv2 z"]["values"]
    dw = rows["layer1.0.conv2.weight gradient"]["values"]
    faults = {
        "height and width swapped": other("layer1.0.conv2 z", z.transpose(0, 2, 1, 3).copy()),
        "another layer's activation": other("layer1.0.conv2 z", rows["layer1.1.conv2 z"]["values"]),
        "another layer's gradient": other("layer1.0.conv2.weight gradient",
                                          rows["layer1.1.conv2.weight gradient"]["values"]),
        "filter gradient swapped": other("layer1.0.conv2.weight gradient", dw.swapaxes(1, 2)),
        "one contribution for the sum": other("maxpool output gradient",
                                              rows["layer1.0.conv1 dx"]["values"]),
        "NaN": other("fc.2 output", rows["fc.2 output"]["values"] * np.nan),
        "unknown tensor": {**rows, "x": {**rows["loss"], "tensor": "x"}},
    }
    missed = 0
    for name, broken in faults.items():
        print(f"planted: {name}")
        missed += judge(broken, want, of)[2] == 0
    print(f"{len(faults) - missed} of {len(faults)} planted faults found")
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verace")
    parser.add_argument("--dump")
    parser.add_argument("--model", help="default: model.safetensors in the dump")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    if arguments.dump:
        model = arguments.model or os.path.join(arguments.dump, "model.safetensors")
        sys.exit(judge(*compare(arguments.dump, model))[2] > 0)
    if not arguments.verace:
        parser.error("give --verace or --dump")
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for i, form in enumerate(FORMS):
            print("verace dump", *form)
            results = run_dump(arguments.verace, os.path.join(folder, str(i)), form)
            if arguments.self_test:
                sys.exit(self_test(*results) > 0)
            bad += judge(*results)[2]
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()

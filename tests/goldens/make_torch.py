#!/usr/bin/env python3
"""Makes the whole-network goldens of a narrow torchvision ResNet-50 v1.5 (width 1/16).

Writes beside itself
    torch_v15_narrow.safetensors         weights/*, input, labels, eval/*
    torch_v15_narrow_train.safetensors   train/*, grad/*, after1/*, losses10, keras15/*
    torch_v15_narrow_attack.safetensors  input_gradient, fgsm/0.02
Activations and pictures are NHWC, weights OIHW or [out,in] under torchvision's names; the picture
holds pixels in [0,1], torch mean and std are applied inside. Weights, running statistics and input
are rounded to float32 first, everything else is then computed in float64 and stored as float32;
fgsm/* alone is float32 arithmetic (Foolbox' order of operations), so it can be demanded to the bit.

Run (seconds; needs torch, torchvision, numpy):
    python3 tests/goldens/make_torch.py
`--check` also prints how far PyTorch's own float32 is from these figures.
"""
import argparse
import copy
import os
import sys

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import golden_file

HERE = os.path.dirname(os.path.abspath(__file__))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# keras:15 = stem, block 1 without the batch norms of its last convolution and of its shortcut
KERAS15 = ("conv1", "bn1", "layer1.0.conv1", "layer1.0.bn1", "layer1.0.conv2", "layer1.0.bn2",
           "layer1.0.downsample.0", "layer1.0.conv3")
BATCH, SIZE, HIDDEN, LR, EPSILON = 6, 64, 24, 1e-3, 0.02


def narrow_resnet50():
    """torchvision's own classes and wiring, a sixteenth of the width."""
    from torchvision.models.resnet import Bottleneck, ResNet
    model = ResNet(Bottleneck, [1, 1, 1, 1])
    model.inplanes = 4
    model.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
    model.bn1 = nn.BatchNorm2d(4)
    model.layer1 = model._make_layer(Bottleneck, 4, 3)
    model.layer2 = model._make_layer(Bottleneck, 8, 4, stride=2)
    model.layer3 = model._make_layer(Bottleneck, 16, 6, stride=2)
    model.layer4 = model._make_layer(Bottleneck, 32, 3, stride=2)
    model.fc = nn.Sequential(nn.Linear(128, HIDDEN), nn.LeakyReLU(0.05), nn.Linear(HIDDEN, 2))
    return model


class Pixels(nn.Module):
    """NHWC pixels in [0,1] -> logits; keeps the outputs of the four stages."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.stages = {}
        for name in ("layer1", "layer2", "layer3", "layer4"):
            getattr(model, name).register_forward_hook(
                lambda _, __, out, name=name: self.stages.__setitem__(name, out))

    def twin(self):
        """An independent copy; the deep copy of a hook would still write here."""
        self.stages.clear()
        model = copy.deepcopy(self.model)
        for name in ("layer1", "layer2", "layer3", "layer4"):
            getattr(model, name)._forward_hooks.clear()
        return Pixels(model)

    def forward(self, pixels):
        x = pixels.permute(0, 3, 1, 2)
        mean = torch.tensor(MEAN, dtype=x.dtype).view(1, 3, 1, 1)
        std = torch.tensor(STD, dtype=x.dtype).view(1, 3, 1, 1)
        return self.model((x - mean) / std)


def randomise(model, pixels):
    """He weights, scattered batch norms whose running statistics roughly fit the input."""
    with torch.no_grad():
        for name, module in model.model.named_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                module.weight.normal_(0, (2.0 / module.in_features) ** 0.5)
                module.bias.uniform_(-0.1, 0.1)
            elif isinstance(module, nn.BatchNorm2d):
                last = name.endswith("bn3")
                module.weight.uniform_(*((0.2, 0.6) if last else (0.6, 1.4)))
                module.bias.normal_(0, 0.2)
                module.momentum = 1.0  # running statistics := those of this batch
        model.train()
        model(pixels)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                spread = module.running_var.sqrt()
                module.running_mean += 0.2 * spread * torch.randn_like(spread)
                module.running_var *= torch.empty_like(spread).uniform_(0.7, 1.5)
                module.momentum = 0.1
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.float().double())


def nhwc(tensor):
    return tensor.detach().permute(0, 2, 3, 1).contiguous().numpy()


def state(model):
    return {n: t.detach().numpy().copy() for n, t in model.model.state_dict().items()
            if not n.endswith("num_batches_tracked")}


def losses(model, pixels, labels, steps, frozen=()):
    """Adam steps on one batch; frozen modules without gradient, their batch norm in inference."""
    modules = dict(model.model.named_modules())
    model.train()
    for name in frozen:
        modules[name].requires_grad_(False)
        modules[name].eval()
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=LR,
                                 eps=1e-8)
    result = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(pixels), labels)
        loss.backward()
        optimiser.step()
        result.append(float(loss.detach()))
    return np.array(result)


def evaluate(model, pixels, out):
    model.eval()
    with torch.no_grad():
        logits = model(pixels)
    out["eval/logits"] = logits.numpy()
    out["eval/probabilities"] = logits.softmax(1).numpy()
    for name, stage in model.stages.items():
        out[f"eval/{name}"] = nhwc(stage)


def train(model, pixels, labels, out):
    """Step 1 in detail, then ten steps free and ten with keras:15 frozen."""
    again = model.twin()
    again.train()
    optimiser = torch.optim.Adam(again.parameters(), lr=LR, eps=1e-8)
    logits = again(pixels)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    out["train/logits"], out["train/loss"] = logits.detach().numpy(), loss.detach().numpy()
    for name, stage in again.stages.items():
        out[f"train/{name}"] = nhwc(stage)
    for name, parameter in again.model.named_parameters():
        out[f"grad/{name}"] = parameter.grad.numpy().copy()
    optimiser.step()
    out.update({f"after1/{n}": t for n, t in state(again).items()})
    out["losses10"] = losses(model.twin(), pixels, labels, 10)
    out["keras15/losses10"] = losses(model.twin(), pixels, labels, 10, KERAS15)


def attack(model, pixels, labels, out):
    model.eval()
    x = pixels.clone().requires_grad_(True)
    gradient, = torch.autograd.grad(F.cross_entropy(model(x), labels, reduction="sum"), x)
    out["input_gradient"] = gradient.numpy()
    # Foolbox: x0 + clip(x - x0, -eps, eps), clipped to the bounds, and projected once more
    x0, sign = pixels.float(), gradient.sign().float()
    adversarial = (x0 + (x0 + EPSILON * sign - x0).clamp(-EPSILON, EPSILON)).clamp(0.0, 1.0)
    out[f"fgsm/{EPSILON}"] = (x0 + (adversarial - x0).clamp(-EPSILON, EPSILON)).numpy()


def make():
    torch.manual_seed(20240601)
    torch.set_default_dtype(torch.float64)
    # smooth pictures plus noise, a few saturated pixels
    coarse = torch.rand(BATCH, 3, 8, 8)
    pixels = F.interpolate(coarse, size=SIZE, mode="bilinear", align_corners=False)
    pixels = (pixels * 1.1 - 0.05 + 0.05 * torch.randn_like(pixels)).clamp(0, 1)
    pixels = pixels.permute(0, 2, 3, 1).contiguous().float().double()
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    model = Pixels(narrow_resnet50().double())
    randomise(model, pixels)
    return model, pixels, labels


def figures(model, pixels, labels):
    base = {f"weights/{n}": t for n, t in state(model).items()}
    base.update({"input": pixels.numpy(), "labels": labels.numpy()})
    evaluate(model, pixels, base)
    training, attacked = {}, {}
    train(model, pixels, labels, training)
    attack(model, pixels, labels, attacked)
    return base, training, attacked


def check(model, pixels, labels, reference):
    """How far float32 PyTorch is from the float64 figures."""
    torch.set_default_dtype(torch.float32)
    parts = figures(model.twin().float(), pixels.float(), labels)
    for want, got in zip(reference, parts):
        worst = {}
        for name in want:
            group = name.split("/")[0] if name.startswith(("grad", "after1")) else name
            scale = float(np.abs(want[name]).max()) or 1.0
            error = float(np.abs(np.float64(got[name]) - want[name]).max()) / scale
            worst[group] = max(worst.get(group, (0, "")), (error, name))
        for group, (error, name) in worst.items():
            if not group.startswith("weights"):
                print(f"  float32 against float64, share of the largest value: {error:.2e} {name}")
    signs = np.sign(parts[2]["input_gradient"]) == np.sign(reference[2]["input_gradient"])
    print(f"  equal signs of the input gradient: {signs.mean():.6f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, pixels, labels = make()
    parts = figures(model, pixels, labels)
    metadata = {
        "made_by": "tests/goldens/make_torch.py",
        "versions": f"torch {torch.__version__}, torchvision {torchvision.__version__}, "
                    f"numpy {np.__version__}, python {sys.version.split()[0]}",
        "network": "torchvision ResNet-50 v1.5 at width 1/16 (stem 4, stages 4 8 16 32, "
                   f"expansion 4), head fc.0 {HIDDEN}, leaky ReLU 0.05, fc.2 2",
        "variant": "v1.5", "max_pool": "padded", "batch_norm_epsilon": "1e-5",
        "batch_norm_momentum": "0.1 (PyTorch's meaning), running variance unbiased",
        "input": "NHWC pixels in [0,1], torch mean and std applied inside",
        "loss": "mean cross-entropy from logits; input_gradient: sum instead of mean, eval mode",
        "optimiser": "Adam, PyTorch placement, lr 1e-3, eps 1e-8, betas 0.9 0.999",
        "keras15": "frozen in inference mode: " + " ".join(KERAS15),
        "precision": "computed in float64 from float32 inputs, stored as float32; fgsm in float32"}
    for suffix, tensors in zip(("", "_train", "_attack"), parts):
        golden_file.write(os.path.join(HERE, f"torch_v15_narrow{suffix}.safetensors"), tensors,
                          metadata)
    print("losses", parts[1]["losses10"], "keras15", parts[1]["keras15/losses10"])
    print("eval logits", parts[0]["eval/logits"].tolist())
    if args.check:
        check(model, pixels, labels, parts)


if __name__ == "__main__":
    main()

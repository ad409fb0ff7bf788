"""PyTorch, the distribution's or a newer one, at the cases of the speed table.

Variants of inference: eager_nchw, eager_nhwc, fold_nhwc (batch norms folded by torch.fx), jit_nchw,
jit_nhwc (traced, frozen, optimize_for_inference), compile (inductor, weights frozen into the graph).
Of training and FGSM: nchw, nhwc, compile. On a GPU: pytorch_cuda_engine.py.
"""
import torch
from torch import nn

import worker
from network import (BLOCKS, EPSILON, FREEZE, HIDDEN, MEAN, SLOPE, STD, STEM, frozen_modules,
                     read_weights)


class Bottleneck(nn.Module):
    """torchvision's, by its names; torchvision itself would be one more thing to load and install."""

    def __init__(self, inputs, width, stride, shortcut):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width, EPSILON)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width, EPSILON)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width, EPSILON)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if shortcut:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False),
                                            nn.BatchNorm2d(4 * width, EPSILON))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class ResNet50(nn.Module):
    def __init__(self, stem=STEM, hidden=HIDDEN):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False), nn.BatchNorm2d(stem, EPSILON)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        inputs = stem
        for stage, blocks in enumerate(BLOCKS, 1):
            width = stem << stage >> 1
            layers = []
            for block in range(blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                layers.append(Bottleneck(inputs, width, stride, block == 0))
                inputs = 4 * width
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(nn.Linear(32 * stem, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, 2))

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def load_model(path):
    tensors = {name: torch.from_numpy(array) for name, array in read_weights(path).items()}
    model = ResNet50(len(tensors["conv1.weight"]), len(tensors["fc.0.weight"]))
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if unexpected or [name for name in missing if not name.endswith("num_batches_tracked")]:
        raise RuntimeError(f"the weights do not fit: {missing[:3]} {unexpected[:3]}")
    return model


def layout(variant):
    return torch.contiguous_format if variant.endswith("nchw") else torch.channels_last


def make_input(array, variant):
    return torch.from_numpy(array.transpose(0, 3, 1, 2).copy()).contiguous(
        memory_format=layout(variant))


def compiled(function):
    if not hasattr(torch, "compile"):
        raise RuntimeError("no torch.compile in " + torch.__version__)
    return torch.compile(function)


def inference(args, model):
    variant = args.variant
    x = make_input(worker.normalised(args), variant)
    if variant.startswith("jit"):
        with torch.no_grad():
            model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x)))
    elif variant == "fold_nhwc":
        from torch.fx.experimental.optimization import fuse
        model = fuse(model).to(memory_format=torch.channels_last)
    elif variant == "compile":
        model = compiled(model)
        from torch._inductor import config
        config.freezing = True

    def step():
        with torch.no_grad() if variant == "compile" else torch.inference_mode():
            return model(x).numpy()
    return step, 0


def training(args, model):
    """Frozen batch norms are in inference mode; Adam is fused where this PyTorch can."""
    x = make_input(worker.normalised(args), args.variant)
    labels = torch.from_numpy(worker.labels(args))
    modules = dict(model.named_modules())
    model.train()
    for name in frozen_modules(FREEZE[args.case.split("_")[1]]):
        modules[name].requires_grad_(False).eval()
    parameters = [p for p in model.parameters() if p.requires_grad]
    try:
        optimiser = torch.optim.Adam(parameters, lr=worker.LEARNING_RATE, fused=True)
    except (RuntimeError, TypeError):  # older than 2.4: fused on CUDA only
        optimiser = torch.optim.Adam(parameters, lr=worker.LEARNING_RATE)
    net = compiled(model) if args.variant == "compile" else model

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        optimiser.step()
        return float(loss.detach())
    return step, sum(p.numel() for p in parameters)


def fgsm(args, model):
    model.requires_grad_(False)
    import numpy as np
    pixels = make_input(worker.pixels(args).astype(np.float32) / np.float32(255), args.variant)
    labels = torch.from_numpy(worker.labels(args))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    net = compiled(model) if args.variant == "compile" else model

    def step():
        x = pixels.detach().requires_grad_(True)
        loss = nn.functional.cross_entropy(net((x - mean) / std), labels, reduction="sum")
        gradient, = torch.autograd.grad(loss, x)
        return (pixels + worker.FGSM_EPSILON * gradient.sign()).clamp_(0.0, 1.0)
    return lambda: step().permute(0, 2, 3, 1).numpy(), 0


def make(args):
    torch.set_num_threads(args.threads)
    model = load_model(args.workload + "/network.safetensors").eval()
    model = model.to(memory_format=layout(args.variant))
    kind = worker.parse_case(args.case)[0]
    step, trained = {"infer": inference, "train": training, "fgsm": fgsm}[kind](args, model)
    return worker.Work("PyTorch " + torch.__version__, step, trained)


if __name__ == "__main__":
    worker.main(make)

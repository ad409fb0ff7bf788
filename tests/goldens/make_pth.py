#!/usr/bin/env python3
"""Makes the small PyTorch files that tests/weights/torch_golden_test.cc reads.

Writes beside itself
    pth_narrow_zip.pth      a ResNet-50 of 1/32 of the width (torchvision's names, all 320 tensors, two
                            classes), torch.save() as it is: the zip container
    pth_narrow_stream.pth   the same numbers in the stream container, as training programs leave them:
                            {"epoch", "arch", "state_dict": {"module." + name: ...}, "best_acc1", "optimizer"}
    pth_kinds_zip.pth       every element type and layout that a state dict may hold
    pth_kinds_stream.pth    the same in the stream container
    pth_kinds_torch2.pth    the same, written by PyTorch >= 2.3, with the element types that it added
    pth_no_crc_torch2.pth   by PyTorch >= 2.7 without checksums
Value i of tensor t of the narrow network is ((31 t + 17 i) % 257 - 128) / 64, of integer ones 5 t + i.

Run once with torch 1.13 and torchvision (files of 1.x) and once with a recent torch (files of torch2):
    python3 tests/goldens/make_pth.py [--folder DIR] [--only PART-OF-NAME]
"""
import argparse
import collections
import os

import torch
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 250_000


def value_of(index, tensor):
    places = torch.arange(tensor.numel(), dtype=torch.int64)
    if tensor.dtype.is_floating_point:
        return (((31 * index + 17 * places) % 257 - 128).double() / 64).to(tensor.dtype).reshape(tensor.shape)
    return (5 * index + places).to(tensor.dtype).reshape(tensor.shape)


def narrow_resnet50():
    """torchvision's own classes and wiring, a thirty-second of the width."""
    from torchvision.models.resnet import Bottleneck, ResNet
    model = ResNet(Bottleneck, [1, 1, 1, 1])
    model.inplanes = 2
    model.conv1 = nn.Conv2d(3, 2, 7, 2, 3, bias=False)
    model.bn1 = nn.BatchNorm2d(2)
    model.layer1 = model._make_layer(Bottleneck, 2, 3)
    model.layer2 = model._make_layer(Bottleneck, 4, 4, stride=2)
    model.layer3 = model._make_layer(Bottleneck, 8, 6, stride=2)
    model.layer4 = model._make_layer(Bottleneck, 16, 3, stride=2)
    model.fc = nn.Linear(64, 2)
    state = model.state_dict()
    for index, tensor in enumerate(state.values()):
        tensor.copy_(value_of(index, tensor))
    return model


def checkpoint(model):
    """As torchvision's and the ImageNet example's training programs save it, from nn.DataParallel."""
    state = collections.OrderedDict(("module." + k, v) for k, v in model.state_dict().items())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for parameter in list(model.parameters())[:3]:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()  # so that there are buffers
    for index, tensor in enumerate(model.state_dict().values()):
        tensor.copy_(value_of(index, tensor))
    return {"epoch": 3, "arch": "resnet50", "state_dict": state, "best_acc1": torch.tensor(76.25),
            "optimizer": optimizer.state_dict()}


def kinds():
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    out = collections.OrderedDict()
    for name in ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"):
        out[name] = torch.arange(5).to(getattr(torch, name))
    out["bool"] = torch.tensor([True, False, True])
    out["complex64"] = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64)
    out["scalar"] = torch.tensor(2.5)
    out["empty"] = torch.empty(0, 7)
    out["base"] = base
    out["transposed"] = base.permute(2, 0, 1)  # the same storage, other strides
    out["slice"] = base[1, :, 1:3]  # an offset
    out["expanded"] = base[0, 0, :1].expand(3, 4)
    out["channels_last"] = torch.arange(48).float().reshape(2, 3, 2, 4).to(memory_format=torch.channels_last)
    out["parameter"] = nn.Parameter(torch.tensor([0.5, -0.5]))
    out["special"] = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0])
    out["tied"] = out["parameter"]
    out["comment"] = "no tensor"
    out["count"] = 2**70
    out["päth.weight"] = torch.tensor([1.0])
    return out


def new_kinds():
    out = kinds()
    for name in ("uint16", "uint32", "uint64"):
        out[name] = torch.arange(5).to(getattr(torch, name))
    for name in ("float8_e4m3fn", "float8_e5m2"):
        out[name] = torch.arange(5).float().to(getattr(torch, name))
    out["uint16_slice"] = out["uint16"][2:]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", default=HERE)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    recent = int(torch.__version__.split(".")[0]) >= 2
    files = {
        "pth_narrow_zip.pth": (lambda: narrow_resnet50().state_dict(), True),
        "pth_narrow_stream.pth": (lambda: checkpoint(narrow_resnet50()), False),
        "pth_kinds_zip.pth": (kinds, True),
        "pth_kinds_stream.pth": (kinds, False),
        "pth_kinds_torch2.pth": (new_kinds, True),
        "pth_no_crc_torch2.pth": (lambda: {"a": torch.arange(4)}, True),
    }
    for name, (content, as_zip) in files.items():
        if arguments.only not in name or ("torch2" in name) != recent:
            continue
        path = os.path.join(arguments.folder, name)
        if "no_crc" in name:
            torch.serialization.set_crc32_options(False)
        torch.save(content(), path, _use_new_zipfile_serialization=as_zip)
        size = os.path.getsize(path)
        if size > LIMIT:
            raise SystemExit(f"{path} has {size} bytes, the limit is {LIMIT}")
        print(f"{name}: {size} bytes (PyTorch {torch.__version__})")


if __name__ == "__main__":
    main()

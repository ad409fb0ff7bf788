"""PyTorch's ResNet-50 of either variant, from safetensors files (shared by the comparison scripts)."""
import json
import struct
import sys

import numpy as np
import torch
from torch import nn

TYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I64": np.int64}


def read_safetensors(path):
    """Returns ({name: float32 tensor}, metadata)."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = np.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.astype(np.float32))
    return tensors, metadata


def make_resnet50(v1=False, ceil_pool=False, epsilon=1e-5, momentum=0.1, classes=1000):
    """torchvision's ResNet-50; v1 puts the stride on the first 1x1; classes=0: no classifier."""
    from torchvision.models.resnet import Bottleneck, ResNet
    model = ResNet(Bottleneck, [3, 4, 6, 3], num_classes=classes or 1000)
    if not classes:
        model.fc = nn.Identity()
    if v1:
        for stage in (model.layer2, model.layer3, model.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    if ceil_pool:
        model.maxpool = nn.MaxPool2d(3, 2, 0, ceil_mode=True)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = epsilon, momentum
    return model


def options_of(metadata):
    """make_resnet50's options that a weight file's metadata states."""
    return {"v1": metadata.get("variant", "v1.5").split(":")[0] == "v1",
            "ceil_pool": "ceil" in metadata.get("max_pool", "padded"),
            "epsilon": float(metadata.get("batch_norm_epsilon", "1e-5"))}


def load(model, tensors):
    """Loads tensors by name; ends the program where the names do not fit."""
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    missing = [n for n in missing if not n.endswith("num_batches_tracked")]
    if missing or unexpected:
        sys.exit(f"the file does not fit: missing {missing[:5]}, unexpected {unexpected[:5]}")
    return model

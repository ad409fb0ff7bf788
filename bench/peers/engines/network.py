"""The network of the speed table for all engines: ResNet-50 v1.5 and its head, frozen sets, weights."""
import json
import struct

BLOCKS = (3, 4, 6, 3)
EPSILON = 1e-5
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STEM, SIZE, HIDDEN, SLOPE = 64, 224, 3000, 0.05  # a rehearsal's weights have other sizes
FREEZE = {"none": "none", "keras15": "keras:15", "stages3": "stages:3"}


def read_weights(path):
    """{name: fp32 array} of a safetensors file; the arrays are views of the mapped file."""
    import numpy as np
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    data = np.memmap(path, np.uint8, "c", 8 + size)  # copy on write: PyTorch wants it writable
    return {name: data[entry["data_offsets"][0]:entry["data_offsets"][1]].view(np.float32)
            .reshape(entry["shape"]) for name, entry in header.items()}


def build(ops, x):
    """Applies the network to x; `ops` has conv_norm, relu, add, max_pool, average_pool and head."""
    x = ops.max_pool(ops.relu(ops.conv_norm(x, "conv1", "bn1", 2, 3)))
    for stage, blocks in enumerate(BLOCKS, 1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = ops.relu(ops.conv_norm(x, f"{at}.conv1", f"{at}.bn1", 1, 0))
            y = ops.relu(ops.conv_norm(y, f"{at}.conv2", f"{at}.bn2", stride, 1))
            y = ops.conv_norm(y, f"{at}.conv3", f"{at}.bn3", 1, 0)
            if block == 0:
                x = ops.conv_norm(x, f"{at}.downsample.0", f"{at}.downsample.1", stride, 0)
            x = ops.relu(ops.add(y, x))
    return ops.head(ops.average_pool(x))


def keras_layers():
    """Keras' model.layers of ResNet50(include_top=False) as (Keras name, torch module or None)."""
    layers = [("input", None), ("conv1_pad", None), ("conv1_conv", "conv1"), ("conv1_bn", "bn1"),
              ("conv1_relu", None), ("pool1_pad", None), ("pool1_pool", None)]
    for stage, blocks in enumerate(BLOCKS, start=1):
        for block in range(blocks):
            k, t = f"conv{stage + 1}_block{block + 1}", f"layer{stage}.{block}"
            for i in (1, 2):
                layers += [(f"{k}_{i}_conv", f"{t}.conv{i}"), (f"{k}_{i}_bn", f"{t}.bn{i}"),
                           (f"{k}_{i}_relu", None)]
            if block == 0:
                layers += [(f"{k}_0_conv", f"{t}.downsample.0"), (f"{k}_3_conv", f"{t}.conv3"),
                           (f"{k}_0_bn", f"{t}.downsample.1"), (f"{k}_3_bn", f"{t}.bn3")]
            else:
                layers += [(f"{k}_3_conv", f"{t}.conv3"), (f"{k}_3_bn", f"{t}.bn3")]
            layers += [(f"{k}_add", None), (f"{k}_out", None)]
    return layers


def frozen_modules(spec):
    """Names of the torch modules with weights that a freeze specification freezes."""
    layers = keras_layers()
    if spec == "none":
        return []
    if spec == "backbone":
        return [t for _, t in layers if t]
    kind, _, number = spec.partition(":")
    if kind == "keras":
        return [t for _, t in layers[:int(number)] if t]
    if kind == "stages":
        prefixes = ("conv1", "bn1") + tuple(f"layer{s}." for s in range(1, int(number) + 1))
        return [t for _, t in layers if t and t.startswith(prefixes)]
    raise ValueError(f"unknown freeze specification {spec}")

#!/usr/bin/env python3
"""Writes the speed table's workload into a folder: weights, pictures, and each engine's own model files.

    make_workload.py FOLDER --plain [--stem N --size S]     only network.safetensors and pixels.u8, with
                                             numpy alone; for a rehearsal of other sizes
    make_workload.py FOLDER                  network.safetensors, pixels.u8, face.jpg (numpy, Pillow)
    make_workload.py FOLDER --for ENGINE     what ENGINE loads, made from network.safetensors with ENGINE:
                                             onnxruntime: network_N.onnx, openvino: network_N.xml,
                                             tensorflow: saved_model/, pytorch: network.pt
The weights are random, but of the sizes that keep every layer's values near 1, so that the logits
differ from picture to picture and a wrong stride or padding shows. The same seed gives the same files.
"""
import argparse
import json
import os
import struct
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "engines"))
import network  # noqa: E402

METADATA = {"variant": "v1.5", "verace.format": "1", "verace.head_slope": str(network.SLOPE),
            "verace.input_scale": "torch", "verace.class_names": '["real","fake"]'}


class RandomWeights:
    """The network's operations on the mean square of a layer's values; notes weights as it goes."""

    def __init__(self, seed, stem=network.STEM):
        self.random, self.tensors, self.stem = np.random.default_rng(seed), {}, stem

    def conv_norm(self, x, conv, norm, stride, padding):
        square, inputs = x
        kernel = 7 if conv == "conv1" else 3 if padding else 1
        stage = int(conv[5]) if conv.startswith("layer") else 1
        outputs = self.stem if conv == "conv1" else (self.stem << stage >> 1) * (
            4 if "conv3" in conv or "downsample" in conv else 1)
        products = inputs * kernel * kernel
        shape = (outputs, inputs, kernel, kernel)
        self.tensors[conv + ".weight"] = self.random.normal(0, products ** -0.5, shape)
        scale = 0.4 if "conv3" in conv else 1.0  # the sums along the shortcuts stay small
        gamma = scale * self.random.uniform(0.7, 1.3, outputs)
        self.tensors[norm + ".weight"] = gamma
        self.tensors[norm + ".bias"] = self.random.normal(0, 0.1, outputs)
        self.tensors[norm + ".running_mean"] = self.random.normal(0, 0.1 * square ** 0.5, outputs)
        self.tensors[norm + ".running_var"] = square * self.random.uniform(0.8, 1.2, outputs)
        return float(np.mean(gamma ** 2)) + 0.02, outputs

    def relu(self, x):
        return x[0] / 2, x[1]

    def add(self, x, y):
        return x[0] + y[0], x[1]

    def max_pool(self, x):
        return x[0] * 2, x[1]

    def average_pool(self, x):
        return x

    def head(self, x):
        features = x[1]
        limit = (6 / (features + network.HIDDEN)) ** 0.5
        self.tensors["fc.0.weight"] = self.random.uniform(-limit, limit, (network.HIDDEN, features))
        self.tensors["fc.0.bias"] = np.zeros(network.HIDDEN)
        self.tensors["fc.2.weight"] = self.random.normal(0, 0.0015, (2, network.HIDDEN))
        self.tensors["fc.2.bias"] = np.zeros(2)
        return x


def write_safetensors(path, tensors, metadata=None):
    header, offset = {"__metadata__": metadata or METADATA}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [offset, offset + 4 * array.size]}
        offset += 4 * array.size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(array.astype("<f4").tobytes())


def make_picture(random, height, width):
    """Smooth colours, stripes and noise."""
    from PIL import Image
    coarse = Image.fromarray(random.integers(0, 256, (7, 7, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.BICUBIC)).astype(np.float64)
    stripes = np.sin(np.arange(height) * random.uniform(0.05, 0.5))[:, None, None] * 40
    noisy = smooth + stripes + random.normal(0, random.uniform(3, 25), smooth.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def make_common(folder):
    from PIL import Image
    random = np.random.default_rng(7)
    weights = RandomWeights(1)
    network.build(weights, (1.0, 3))
    write_safetensors(folder + "/network.safetensors", weights.tensors)
    np.stack([make_picture(random, 224, 224) for _ in range(16)]).tofile(folder + "/pixels.u8")
    Image.fromarray(make_picture(random, 480, 360)).save(folder + "/face.jpg", quality=92)


def make_plain_picture(random, size):
    """As make_picture, without Pillow: smooth colours between 7 x 7 points."""
    coarse = random.integers(0, 256, (7, 7, 3)).astype(np.float64)
    at = np.linspace(0, 6, size)
    low = np.minimum(at.astype(int), 5)
    share = (at - low)[:, None]
    rows = coarse[low] * (1 - share[:, :, None]) + coarse[low + 1] * share[:, :, None]
    smooth = rows[:, low] * (1 - share) + rows[:, low + 1] * share
    stripes = np.sin(np.arange(size) * random.uniform(0.05, 0.5))[:, None, None] * 40
    noisy = smooth + stripes + random.normal(0, random.uniform(3, 25), smooth.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def make_plain(folder, stem, size):
    random = np.random.default_rng(7)
    weights = RandomWeights(1, stem)
    network.build(weights, (1.0, 3))
    write_safetensors(folder + "/network.safetensors", weights.tensors,
                      dict(METADATA, **{"verace.input_size": str(size)}))
    np.stack([make_plain_picture(random, size) for _ in range(16)]).tofile(folder + "/pixels.u8")


class OnnxOps:
    """The network as ONNX nodes, batch norms folded into the convolutions as exporters do."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], []

    def node(self, kind, inputs, **attributes):
        from onnx import helper
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, name, array):
        from onnx import numpy_helper
        self.constants.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def conv_norm(self, x, conv, norm, stride, padding):
        w = self.weights[conv + ".weight"]
        gamma, beta, mean, variance = (self.weights[f"{norm}.{part}"].astype(np.float64) for part in (
            "weight", "bias", "running_mean", "running_var"))
        scale = gamma / np.sqrt(variance + network.EPSILON)
        inputs = [x, self.constant(conv + ".weight", w * scale[:, None, None, None]),
                  self.constant(conv + ".bias", beta - mean * scale)]
        return self.node("Conv", inputs, strides=[stride] * 2, pads=[padding] * 4,
                         kernel_shape=list(w.shape[2:]))

    def relu(self, x):
        return self.node("Relu", [x])

    def add(self, x, y):
        return self.node("Add", [x, y])

    def max_pool(self, x):
        return self.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)

    def average_pool(self, x):
        return self.node("Flatten", [self.node("GlobalAveragePool", [x])])

    def head(self, x):
        x = self.node("LeakyRelu", [self.dense(x, "fc.0")], alpha=network.SLOPE)
        return self.dense(x, "fc.2")

    def dense(self, x, name):
        parts = [self.constant(f"{name}.{p}", self.weights[f"{name}.{p}"]) for p in ("weight", "bias")]
        return self.node("Gemm", [x, *parts], transB=1)


def write_onnx(folder, n):
    import onnx
    from onnx import TensorProto, helper
    ops = OnnxOps(network.read_weights(folder + "/network.safetensors"))
    out = network.build(ops, "pictures")
    graph = helper.make_graph(
        ops.nodes, "resnet50",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, [n, 3, 224, 224])],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, [n, 2])], ops.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, f"{folder}/network_{n}.onnx")


def make_for(engine, folder):
    if engine == "onnxruntime":
        for n in (1, 16):
            write_onnx(folder, n)
    elif engine == "openvino":
        import openvino
        for n in (1, 16):
            write_onnx(folder, n)
            openvino.save_model(openvino.convert_model(f"{folder}/network_{n}.onnx"),
                                f"{folder}/network_{n}.xml", compress_to_fp16=False)
    elif engine == "tensorflow":
        import tensorflow as tf
        from tensorflow_engine import load_model
        model = load_model(folder + "/network.safetensors")

        class Verdict(tf.Module):
            @tf.function(input_signature=[tf.TensorSpec((1, 224, 224, 3), tf.float32)])
            def ask(self, x):
                return model(x, training=False)
        verdict = Verdict()
        verdict.model = model
        tf.saved_model.save(verdict, folder + "/saved_model")
    else:
        import torch
        from pytorch_engine import load_model
        model = load_model(folder + "/network.safetensors").eval()
        with torch.no_grad():
            frozen = torch.jit.freeze(torch.jit.trace(model, torch.zeros(1, 3, 224, 224)))
        torch.jit.save(frozen, f"{folder}/network_{torch.__version__.split('+')[0]}.pt")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--for", dest="engine",
                        choices=("onnxruntime", "openvino", "tensorflow", "pytorch"))
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--stem", type=int, default=network.STEM)
    parser.add_argument("--size", type=int, default=network.SIZE)
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    if args.plain:
        make_plain(args.folder, args.stem, args.size)
    elif args.engine:
        make_for(args.engine, args.folder)
    else:
        make_common(args.folder)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes the whole-network goldens of a narrow Keras ResNet50 v1 (width 1/16) and the frozen sets.

Writes beside itself
    keras_v1_narrow.safetensors         weights/*, input, labels, eval/*
    keras_v1_narrow_train.safetensors   train/*, grad/*, after1/*, losses10, keras15/*, adam/*
    keras_v1_narrow_attack.safetensors  input_gradient, fgsm/0.02
    keras_frozen_sets.json              model.layers of the full-width keras.applications.ResNet50,
                                        what layers[:K] freezes, parameter counts with a 3000 head
The network is built from Keras' own residual block function and layers. Tensors carry torchvision's
names (kernels OIHW, dense [out,in]; convolution biases `conv1.bias`, `layer1.0.conv1.bias`, ...),
activations and pictures are NHWC, the picture holds pixels in [0,1] and 'caffe' preprocessing of
255 times it is applied inside. Weights, statistics and input are rounded to float32 first, the rest
is computed by Keras in float64 and stored as float32; fgsm/* alone is float32 arithmetic.
`grad/*.bias` and `after1/*.bias` of convolutions before a training batch norm are rounding noise
(the exact gradient is 0): leave them out of comparisons.

Run (a minute; needs tensorflow-cpu, keras 3, numpy):
    python3 tests/goldens/make_keras.py
"""
import json
import os
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402
from keras.src.applications.resnet import stack_residual_blocks_v1  # noqa: E402

import golden_file  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH, SIZE, HIDDEN, LR, EPSILON = 6, 64, 24, 1e-3, 0.02
STAGES = {"layer1": "conv2_block3_out", "layer2": "conv3_block4_out",
          "layer3": "conv4_block6_out", "layer4": "conv5_block3_out"}
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


def torch_name(keras_name):
    """conv2_block1_0_conv -> layer1.0.downsample.0 and so on; None for layers without weights."""
    fixed = {"conv1_conv": "conv1", "conv1_bn": "bn1", "fc_0": "fc.0", "fc_2": "fc.2"}
    if keras_name in fixed:
        return fixed[keras_name]
    match = re.fullmatch(r"conv(\d)_block(\d)_(\d)_(conv|bn)", keras_name)
    if not match:
        return None
    stage, block, index, kind = match.groups()
    base = f"layer{int(stage) - 1}.{int(block) - 1}."
    if index == "0":
        return base + ("downsample.0" if kind == "conv" else "downsample.1")
    return base + kind + index


def narrow_resnet50():
    """keras.applications' ResNet50 with a sixteenth of the width, logits at the end."""
    image = layers.Input((SIZE, SIZE, 3), name="input")
    x = layers.ZeroPadding2D(3, name="conv1_pad")(image)
    x = layers.Conv2D(4, 7, strides=2, name="conv1_conv")(x)
    x = layers.BatchNormalization(axis=3, epsilon=1.001e-5, name="conv1_bn")(x)
    x = layers.Activation("relu", name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    x = stack_residual_blocks_v1(x, 4, 3, stride1=1, name="conv2")
    x = stack_residual_blocks_v1(x, 8, 4, name="conv3")
    x = stack_residual_blocks_v1(x, 16, 6, name="conv4")
    x = stack_residual_blocks_v1(x, 32, 3, name="conv5")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = layers.Dense(HIDDEN, name="fc_0")(x)
    x = layers.LeakyReLU(negative_slope=0.05, name="fc_1")(x)
    return keras.Model(image, layers.Dense(2, name="fc_2")(x))


class Network:
    """The model with its preprocessing, and one more view of it that gives the stage outputs."""

    def __init__(self):
        self.model = narrow_resnet50()
        outputs = [self.model.get_layer(n).output for n in STAGES.values()]
        self.view = keras.Model(self.model.input, [self.model.output] + outputs)

    def __call__(self, pixels, training):
        """(logits, stage outputs in order); the layers are shared by both views."""
        x = pixels * 255.0
        x = x[..., ::-1] - tf.constant(CAFFE_MEAN_BGR, x.dtype)
        out = self.view(x, training=training)
        return out[0], out[1:]


def torch_layout(values):
    """A weight in torch's order of dimensions."""
    values = np.asarray(values)
    if values.ndim == 4:
        return values.transpose(3, 2, 0, 1)
    return values.T if values.ndim == 2 else values


def named(layer):
    """[(torchvision name, Keras variable)] of one layer."""
    base = torch_name(layer.name)
    if isinstance(layer, layers.BatchNormalization):
        parts = ("weight", "bias", "running_mean", "running_var")
    else:
        parts = ("weight", "bias")
    return [(f"{base}.{p}", v) for p, v in zip(parts, layer.weights)]


def state(model):
    """In the order of torchvision's state dictionary, as far as Keras' order of layers allows."""
    return {n: torch_layout(v.numpy()) for l in model.layers for n, v in named(l)}


def randomise(network, pixels):
    """He kernels, scattered biases and batch norms, statistics that roughly fit the input."""
    rng = np.random.default_rng(20240602)
    norms = []
    for layer in network.model.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = layer.gamma.shape[0]
            last = layer.name.endswith("3_bn")
            layer.gamma.assign(rng.uniform(*((0.2, 0.6) if last else (0.6, 1.4)), n))
            layer.beta.assign(rng.normal(0, 0.2, n))
            layer.momentum = 0.0  # moving statistics := those of this batch
            norms.append(layer)
        elif isinstance(layer, (layers.Conv2D, layers.Dense)):
            shape = layer.kernel.shape
            deviation = np.sqrt(2.0 / np.prod(shape[:-1]))
            layer.kernel.assign(rng.normal(0, deviation, shape))
            scale = 20.0 if layer.name == "conv1_conv" else 0.2
            layer.bias.assign(rng.normal(0, scale, shape[-1]))
    network(pixels, training=True)
    for layer in norms:
        spread = np.sqrt(layer.moving_variance.numpy())
        layer.moving_mean.assign_add(0.2 * spread * rng.normal(size=spread.shape))
        layer.moving_variance.assign(layer.moving_variance.numpy()
                                     * rng.uniform(0.7, 1.5, spread.shape))
        layer.momentum = 0.99
    for variable in network.model.weights:
        variable.assign(variable.numpy().astype(np.float32))


def twin(network):
    other = Network()
    other.model.set_weights(network.model.get_weights())
    return other


def mean_loss(labels, logits):
    return tf.reduce_mean(keras.losses.categorical_crossentropy(labels, logits, from_logits=True))


def step(network, optimiser, pixels, labels):
    with tf.GradientTape() as tape:
        logits, stages = network(pixels, training=True)
        loss = mean_loss(labels, logits)
    variables = network.model.trainable_variables
    gradients = tape.gradient(loss, variables)
    optimiser.apply(gradients, variables)
    return loss.numpy(), logits, stages, {id(v): g.numpy() for v, g in zip(variables, gradients)}


def adam():
    return keras.optimizers.Adam(learning_rate=LR, epsilon=1e-7)


def ten_losses(network, pixels, labels, frozen=0):
    for layer in network.model.layers[:frozen]:
        layer.trainable = False
    optimiser = adam()
    optimiser.build(network.model.trainable_variables)
    return np.array([step(network, optimiser, pixels, labels)[0] for _ in range(10)])


def evaluate(network, pixels, out):
    logits, stages = network(pixels, training=False)
    out["eval/logits"] = logits.numpy()
    out["eval/probabilities"] = tf.nn.softmax(logits).numpy()
    for name, stage in zip(STAGES, stages):
        out[f"eval/{name}"] = stage.numpy()


def train(network, pixels, labels, out):
    again = twin(network)
    optimiser = adam()
    optimiser.build(again.model.trainable_variables)
    loss, logits, stages, gradients = step(again, optimiser, pixels, labels)
    out["train/logits"], out["train/loss"] = logits.numpy(), loss
    for name, stage in zip(STAGES, stages):
        out[f"train/{name}"] = stage.numpy()
    for layer in again.model.layers:
        for name, variable in named(layer):
            if id(variable) in gradients:
                out[f"grad/{name}"] = torch_layout(gradients[id(variable)])
    out.update({f"after1/{n}": t for n, t in state(again.model).items()})
    out["losses10"] = ten_losses(twin(network), pixels, labels)
    out["keras15/losses10"] = ten_losses(twin(network), pixels, labels, 15)


def adam_sequence(out):
    """Ten steps of Keras' own Adam on given gradients; some are small enough for epsilon to count."""
    rng = np.random.default_rng(7)
    start = rng.normal(size=40).astype(np.float32)
    scale = 10.0 ** rng.uniform(-9, 1, 40)
    gradients = (rng.normal(size=(10, 40)) * scale).astype(np.float32)
    variable = keras.Variable(start.astype(np.float64), dtype="float64")
    optimiser = adam()
    optimiser.build([variable])
    steps = []
    for gradient in gradients:
        optimiser.apply([tf.constant(gradient, tf.float64)], [variable])
        steps.append(variable.numpy().copy())
    out.update({"adam/p0": start, "adam/gradients": gradients, "adam/p": np.array(steps)})


def attack(network, pixels, labels, out):
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        logits, _ = network(pixels, training=False)
        loss = tf.reduce_sum(keras.losses.categorical_crossentropy(labels, logits,
                                                                   from_logits=True))
    gradient = tape.gradient(loss, pixels).numpy()
    out["input_gradient"] = gradient
    # Foolbox: x0 + clip(x - x0, -eps, eps), clipped to the bounds, and projected once more
    x0, e = pixels.numpy().astype(np.float32), np.float32(EPSILON)
    x = x0 + np.clip(x0 + e * np.sign(gradient).astype(np.float32) - x0, -e, e)
    x = np.clip(x, np.float32(0), np.float32(1))
    out[f"fgsm/{EPSILON}"] = x0 + np.clip(x - x0, -e, e)


def frozen_sets():
    """What layers[:K] of the real keras.applications.ResNet50 with a 3000 head freezes."""
    base = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg",
                                       input_shape=(224, 224, 3))
    x = layers.Dense(3000, name="fc_0")(base.output)
    x = layers.LeakyReLU(negative_slope=0.05)(x)
    head = layers.Dense(2, name="fc_2")
    model = keras.Model(base.input, head(x))

    def count(weights):
        return int(sum(np.prod(w.shape) for w in weights))

    result = {"keras": keras.__version__, "head": 3000,
              "total_parameters": count(model.weights),
              "backbone_parameters": count(base.weights), "sets": {},
              "layers": [{"index": i, "name": "input" if i == 0 else l.name,
                          "class": type(l).__name__, "torch": torch_name(l.name),
                          "parameters": count(l.weights)} for i, l in enumerate(base.layers)]}
    for k in (0, 5, 10, 15, 20, 175):
        for i, layer in enumerate(base.layers):
            layer.trainable = i >= k
        result["sets"][str(k)] = {
            "frozen": [l.name for l in base.layers[:k] if l.weights],
            "frozen_torch": [torch_name(l.name) for l in base.layers[:k] if l.weights],
            "trainable": [l.name for l in model.layers if l.weights and l.trainable],
            "trainable_parameters": count(model.trainable_weights),
            "not_trainable_parameters": count(model.non_trainable_weights)}
    return result


def write_json(path, result):
    """One layer per line, one list of names per line."""
    top = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in result.items()
           if k not in ("sets", "layers")]
    sets = [f"  {json.dumps(k)}: {{\n" + ",\n".join(f"   {json.dumps(n)}: {json.dumps(v)}"
                                                    for n, v in s.items()) + "\n  }"
            for k, s in result["sets"].items()]
    top.append(' "sets": {\n' + ",\n".join(sets) + "\n }")
    top.append(' "layers": [\n' + ",\n".join("  " + json.dumps(l) for l in result["layers"])
               + "\n ]")
    text = "{\n" + ",\n".join(top) + "\n}\n"
    assert json.loads(text) == result
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    print(os.path.basename(path), {k: s["trainable_parameters"]
                                   for k, s in result["sets"].items()},
          "total", result["total_parameters"])


def main():
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    write_json(os.path.join(HERE, "keras_frozen_sets.json"), frozen_sets())
    keras.backend.clear_session()
    keras.config.set_floatx("float64")
    rng = np.random.default_rng(20240601)
    coarse = rng.uniform(size=(BATCH, 8, 8, 3))
    pixels = tf.image.resize(coarse, (SIZE, SIZE)).numpy().astype(np.float64)
    pixels = np.clip(pixels * 1.1 - 0.05 + 0.05 * rng.normal(size=pixels.shape), 0, 1)
    pixels = tf.constant(pixels.astype(np.float32), tf.float64)
    classes = np.array([0, 1, 1, 0, 1, 0])
    labels = tf.one_hot(classes, 2, dtype=tf.float64)
    network = Network()
    randomise(network, pixels)

    base = {f"weights/{n}": t for n, t in state(network.model).items()}
    base.update({"input": pixels.numpy(), "labels": classes})
    training, attacked = {}, {}
    evaluate(network, pixels, base)
    train(network, pixels, labels, training)
    adam_sequence(training)
    attack(network, pixels, labels, attacked)
    frozen = [l.name for l in network.model.layers[:15] if l.weights]
    metadata = {
        "made_by": "tests/goldens/make_keras.py",
        "versions": f"keras {keras.__version__}, tensorflow {tf.__version__}, "
                    f"numpy {np.__version__}, python {sys.version.split()[0]}",
        "network": "Keras ResNet50 v1 at width 1/16 (stem 4, stages 4 8 16 32, expansion 4), "
                   f"convolution biases, head fc.0 {HIDDEN}, leaky ReLU 0.05, fc.2 2",
        "variant": "v1", "max_pool": "padded (explicit zero pad 1, then valid)",
        "batch_norm_epsilon": "1.001e-5",
        "batch_norm_momentum": "0.99 in Keras' meaning (0.01 in PyTorch's), "
                               "moving variance biased (Keras 3; tf.keras 2 fused: unbiased)",
        "input": "NHWC RGB pixels in [0,1]; inside: times 255, BGR, minus 103.939 116.779 123.68",
        "loss": "mean categorical cross-entropy from logits; input_gradient: sum, inference mode",
        "optimiser": "Adam, Keras placement, lr 1e-3, eps 1e-7, betas 0.9 0.999",
        "frozen_sets": "keras:15 freezes layers[:15] in inference mode: " + " ".join(frozen)
                       + "; all sets: keras_frozen_sets.json",
        "noise": "grad/ and after1/ of convolution biases before a training batch norm are "
                 "rounding noise",
        "precision": "computed in float64 from float32 inputs, stored as float32; fgsm in float32"}
    for suffix, tensors in zip(("", "_train", "_attack"), (base, training, attacked)):
        golden_file.write(os.path.join(HERE, f"keras_v1_narrow{suffix}.safetensors"), tensors,
                          metadata)
    print("losses", training["losses10"], "keras15", training["keras15/losses10"])
    print("eval logits", base["eval/logits"].tolist())
    print("largest gradient of a convolution bias",
          max(float(np.abs(t).max()) for n, t in training.items()
              if n.startswith("grad/") and n.endswith(".bias") and "conv" in n))


if __name__ == "__main__":
    main()

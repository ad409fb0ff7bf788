"""TensorFlow with Keras at the cases of the speed table; variants: graph (tf.function), xla."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow import keras  # noqa: E402

import network  # noqa: E402
import worker  # noqa: E402


class KerasOps:
    """The network's operations as Keras layers with our weights, channels last."""

    def __init__(self, weights, frozen):
        self.weights, self.frozen, self.set_later = weights, frozen, []

    def conv_norm(self, x, conv, norm, stride, padding):
        w = self.weights[conv + ".weight"]
        if padding and stride > 1:  # "same" would pad on the other side
            x, padding = keras.layers.ZeroPadding2D(padding)(x), 0
        layer = keras.layers.Conv2D(w.shape[0], w.shape[2], stride, "same" if padding else "valid",
                                    use_bias=False, trainable=conv not in self.frozen)
        x = layer(x)
        self.set_later.append((layer, [w.transpose(2, 3, 1, 0)]))
        layer = keras.layers.BatchNormalization(momentum=0.9, epsilon=network.EPSILON,
                                                trainable=norm not in self.frozen)
        x = layer(x)
        self.set_later.append((layer, [self.weights[f"{norm}.{part}"] for part in (
            "weight", "bias", "running_mean", "running_var")]))
        return x

    def relu(self, x):
        return keras.layers.ReLU()(x)

    def add(self, x, y):
        return keras.layers.Add()([x, y])

    def max_pool(self, x):
        return keras.layers.MaxPooling2D(3, 2)(keras.layers.ZeroPadding2D(1)(x))

    def average_pool(self, x):
        return keras.layers.GlobalAveragePooling2D()(x)

    def head(self, x):
        for name, units in (("fc.0", network.HIDDEN), ("fc.2", 2)):
            layer = keras.layers.Dense(units)
            x = layer(x)
            self.set_later.append((layer, [self.weights[name + ".weight"].T,
                                           self.weights[name + ".bias"]]))
            if units != 2:
                x = keras.layers.LeakyReLU(negative_slope=network.SLOPE)(x)
        return x


def load_model(path, frozen=()):
    ops = KerasOps(network.read_weights(path), set(frozen))
    x = keras.Input((224, 224, 3))
    model = keras.Model(x, network.build(ops, x))
    for layer, values in ops.set_later:
        layer.set_weights(values)
    return model


def inference(args, path):
    model = load_model(path)
    x = tf.constant(worker.normalised(args))
    ask = tf.function(lambda x: model(x, training=False), jit_compile=args.variant == "xla")
    return lambda: ask(x).numpy(), 0


def training(args, path):
    model = load_model(path, network.frozen_modules(network.FREEZE[args.case.split("_")[1]]))
    optimiser = keras.optimizers.Adam(worker.LEARNING_RATE, epsilon=1e-8)
    optimiser.build(model.trainable_variables)
    x, labels = tf.constant(worker.normalised(args)), tf.constant(worker.labels(args))

    @tf.function(jit_compile=args.variant == "xla")
    def train(x, labels):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        optimiser.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss
    trained = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    return lambda: float(train(x, labels)), trained


def fgsm(args, path):
    model = load_model(path)
    model.trainable = False
    pixels = tf.constant(worker.pixels(args).astype(np.float32) / np.float32(255))
    labels = tf.constant(worker.labels(args))

    @tf.function(jit_compile=args.variant == "xla")
    def attack(x, labels):
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = model((x - network.MEAN) / network.STD, training=False)
            loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        step = worker.FGSM_EPSILON * tf.sign(tape.gradient(loss, x))
        return tf.clip_by_value(x + step, 0.0, 1.0)
    return lambda: attack(pixels, labels).numpy(), 0


def make(args):
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    kind = "train" if args.case.startswith("train") else args.case.rstrip("0123456789")
    path = args.workload + "/network.safetensors"
    step, trained = {"infer": inference, "train": training, "fgsm": fgsm}[kind](args, path)
    return worker.Work(f"TensorFlow {tf.__version__}, Keras {keras.__version__}", step, trained)


if __name__ == "__main__":
    worker.main(make)

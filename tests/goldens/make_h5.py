#!/usr/bin/env python3
"""Makes the Keras HDF5 files of tests/weights/keras_hdf5*_test.cc, in the folder h5 beside itself.

Written by Keras itself:
    keras3_full.h5           Keras 3, model.save(): ResNet-50 of width 1/32 with a top of 10 classes
    keras3_nested.h5         Keras 3, model.save(): a partly frozen model as a layer, then a head
    keras3_nested.weights.h5 Keras 3, save_weights() of the same
    keras3_nested.keras      Keras 3, save() of the same in its own format
    keras2_nested.h5         Keras 2 (tf_keras), model.save() of the same
    keras2_stem.h5           Keras 2 (tf_keras), save_weights(): stem and one block
Written by h5py, as Keras wrote them:
    keras1_notop.h5          ResNet-50 of width 1/32, the old names, without top: the published
                             files' layout (their strings have a fixed length)
    tiny.h5                  two layers: what the tests damage byte by byte
    *.h5                     small files, sound or to be refused: see small_files()

Every value is a function of its tensor's name "LAYER/KIND" and its index, value_of() below; the
tests compute the same. The files are the same in every run, but for libver_*.h5, virtual.h5
and keras3_nested.keras, which hold the time.

Run (a minute; needs tensorflow-cpu, keras 3, tf_keras, h5py, numpy):
    python3 tests/goldens/make_h5.py
"""
import hashlib
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import h5py  # noqa: E402
import numpy as np  # noqa: E402

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "h5")
STAGES = ((2, 3), (4, 4), (8, 6), (16, 3))  # inner channels, blocks
BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
KERNEL = ("kernel", "bias")


def value_of(name, shape, dtype=np.float32):
    """Multiples of 2^-16 from -0.5 to 0.5; from 0.5 to 1.5 where a network wants positive ones."""
    seed = 0
    for byte in name.encode():
        seed = (seed * 31 + byte) % 2**32
    index = np.arange(int(np.prod(shape)), dtype=np.uint64)
    low = (index * 7919 + seed) % 65536
    positive = name.endswith(("gamma", "moving_variance"))
    return (low / 65536 + (0.5 if positive else -0.5)).astype(dtype).reshape(shape)


def path(name):
    return os.path.join(HERE, name)


# ---------------------------------------------------------------------- written by Keras itself

def residual_block(layers, x, filters, stride, shortcut, name):
    """keras.applications' residual block of version 1, for either Keras."""
    def conv_bn(x, filters, size, stride, part):
        x = layers.Conv2D(filters, size, strides=stride, padding="same" if size == 3 else "valid",
                          name=f"{name}_{part}_conv")(x)
        return layers.BatchNormalization(axis=3, epsilon=1.001e-5, name=f"{name}_{part}_bn")(x)

    short = conv_bn(x, 4 * filters, 1, stride, 0) if shortcut else x
    x = layers.Activation("relu", name=name + "_1_relu")(conv_bn(x, filters, 1, stride, 1))
    x = layers.Activation("relu", name=name + "_2_relu")(conv_bn(x, filters, 3, 1, 2))
    x = layers.Add(name=name + "_add")([short, conv_bn(x, 4 * filters, 1, 1, 3)])
    return layers.Activation("relu", name=name + "_out")(x)


def resnet50(keras, stages=STAGES, size=32, classes=0):
    layers = keras.layers
    image = layers.Input((size, size, 3), name="input_1")
    x = layers.ZeroPadding2D(3, name="conv1_pad")(image)
    x = layers.Conv2D(2, 7, strides=2, name="conv1_conv")(x)
    x = layers.BatchNormalization(axis=3, epsilon=1.001e-5, name="conv1_bn")(x)
    x = layers.Activation("relu", name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, (filters, blocks) in enumerate(stages, 2):
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 2 else 1
            x = residual_block(layers, x, filters, stride, block == 1,
                               f"conv{stage}_block{block}")
    if classes:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(image, x, name="resnet50")


def nested(keras):
    """Transfer learning: the base is one layer of the model, and its stem is frozen."""
    base = resnet50(keras, ((2, 1),))
    for layer in base.layers[:5]:
        layer.trainable = False
    layers = keras.layers
    return keras.Sequential([layers.Input((32, 32, 3), name="picture"), base,
                             layers.GlobalAveragePooling2D(name="avg_pool"),
                             layers.Dropout(0.5, name="dropout"),
                             layers.Dense(2, name="head")], name="detector")


def fill(model):
    for layer in model.layers:
        if hasattr(layer, "layers"):
            fill(layer)
            continue
        shapes = [weight.shape for weight in layer.get_weights()]
        kinds = BATCH_NORM if len(shapes) == 4 else KERNEL
        layer.set_weights([value_of(f"{layer.name}/{kind}", shape)
                           for kind, shape in zip(kinds, shapes)])
    return model


def keras_files():
    import keras
    import tf_keras
    fill(resnet50(keras, classes=10)).save(path("keras3_full.h5"))
    keras.backend.clear_session()
    model = fill(nested(keras))
    model.save(path("keras3_nested.h5"))
    model.save_weights(path("keras3_nested.weights.h5"))
    model.save(path("keras3_nested.keras"))
    fill(nested(tf_keras)).save(path("keras2_nested.h5"))
    fill(resnet50(tf_keras, ((2, 1),))).save_weights(path("keras2_stem.h5"))


# ------------------------------------------------------------------------------ written by h5py

def old_layers():
    """(layer, shapes) of the old ResNet50 in the published file's order, then the weightless."""
    def conv(name, *shape):
        return name, [shape, (shape[-1],)]

    def norm(name, channels):
        return name, [(channels,)] * 4

    yield "input_1", []
    yield "zeropadding2d_1", []
    yield conv("conv1", 7, 7, 3, 2)
    yield norm("bn_conv1", 2)
    yield "activation_1", []
    yield "max_pooling2d_1", []
    channels = 2
    for stage, (filters, blocks) in enumerate(STAGES, 2):
        for block in "abcdef"[:blocks]:
            name = f"{stage}{block}_branch"
            yield conv(f"res{name}2a", 1, 1, channels, filters)
            yield norm(f"bn{name}2a", filters)
            yield conv(f"res{name}2b", 3, 3, filters, filters)
            yield norm(f"bn{name}2b", filters)
            yield conv(f"res{name}2c", 1, 1, filters, 4 * filters)
            if block == "a":
                yield conv(f"res{name}1", 1, 1, channels, 4 * filters)
            yield norm(f"bn{name}2c", 4 * filters)
            if block == "a":
                yield norm(f"bn{name}1", 4 * filters)
            channels = 4 * filters


def old_weight_names(layer, count):
    kinds = ("gamma", "beta", "running_mean", "running_std") if count == 4 else ("W", "b")[:count]
    return [f"{layer}_{kind}:0".encode() for kind in kinds]


def fixed(names):
    """Strings of a fixed length, as h5py wrote lists of them until version 3.0; [] has none."""
    return np.array(list(names))


def write_layers(root, layers, weight_names=old_weight_names, **options):
    """What Keras' save_weights() does, with its names; `options` go to create_dataset."""
    root.attrs["layer_names"] = fixed(name.encode() for name, _ in layers)
    for layer, shapes in layers:
        group = root.create_group(layer)
        names = weight_names(layer, len(shapes))
        group.attrs["weight_names"] = fixed(names)
        kinds = BATCH_NORM if len(shapes) > 2 else KERNEL
        for name, kind, shape in zip(names, kinds, shapes):
            dtype = options.get("dtype", np.float32)
            value = value_of(f"{layer}/{kind}", shape, dtype)
            group.create_dataset(name, data=value, **options)


CONV, NORM = [("conv1", [(1, 1, 2, 3), (3,)])], [("bn_conv1", [(3,)] * 4)]
KERNEL_ONLY, TINY = [("conv1", [(1, 1, 2, 3)])], CONV + NORM


def tiny(name, layers, **options):
    with h5py.File(path(name), "w") as file:
        write_layers(file, layers, **options)


def compact_dataset(group, name, value):
    """h5py has no word for the compact layout: values inside of the object header."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    properties.set_obj_track_times(False)
    space = h5py.h5s.create_simple(value.shape)
    kind = h5py.h5t.py_create(value.dtype)
    dataset = h5py.h5d.create(group.id, name, kind, space, dcpl=properties)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(value))


def small_files():
    with h5py.File(path("tiny.h5"), "w") as file:
        write_layers(file, TINY)
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.1.6"

    # Sound.
    tiny("float16.h5", CONV, dtype=np.float16)
    tiny("float64.h5", CONV, dtype=np.float64)
    tiny("kernels_only.h5", [("conv1", [(1, 1, 2, 3)]), ("dense", [(3, 2)])])
    with h5py.File(path("compact.h5"), "w") as file:
        file.attrs["layer_names"] = [b"conv1"]
        group = file.create_group("conv1")
        group.attrs["weight_names"] = [b"kernel", b"bias"]
        for kind, shape in (("kernel", (1, 1, 2, 3)), ("bias", (3,))):
            compact_dataset(group, kind.encode(), value_of("conv1/" + kind, shape))
    with h5py.File(path("split_names.h5"), "w") as file:  # Keras divides lists above 64 kB
        write_layers(file, TINY)
        file.attrs["layer_names0"] = fixed([b"conv1"])
        file.attrs["layer_names1"] = fixed([b"bn_conv1"])
        names = list(file["bn_conv1"].attrs["weight_names"])
        del file.attrs["layer_names"], file["bn_conv1"].attrs["weight_names"]
        file["bn_conv1"].attrs["weight_names0"] = fixed(names[:3])
        file["bn_conv1"].attrs["weight_names1"] = fixed(names[3:])

    # Outside of the profile.
    tiny("chunked.h5", KERNEL_ONLY, chunks=True)
    tiny("gzip.h5", KERNEL_ONLY, compression="gzip")
    tiny("big_endian.h5", KERNEL_ONLY, dtype=">f4")
    tiny("integers.h5", KERNEL_ONLY, dtype=np.int32)
    for bound in ("v108", "latest"):
        with h5py.File(path(f"libver_{bound}.h5"), "w", libver=bound) as file:
            write_layers(file, CONV)
    with h5py.File(path("user_block.h5"), "w", userblock_size=512) as file:
        write_layers(file, CONV)
    with open(path("user_block.h5"), "r+b") as file:
        file.write(b"#!")
    with h5py.File(path("external_storage.h5"), "w") as file:
        write_layers(file, CONV)
        del file["conv1/conv1_b:0"]
        file["conv1"].create_dataset("conv1_b:0", (3,), np.float32,
                                     external=[("values.bin", 0, h5py.h5f.UNLIMITED)])
    for kind, link in (("soft", h5py.SoftLink("/conv1/conv1_W:0")),
                       ("external", h5py.ExternalLink("/etc/passwd", "/conv1/conv1_b:0"))):
        with h5py.File(path(f"{kind}_link.h5"), "w") as file:
            write_layers(file, CONV)
            del file["conv1/conv1_b:0"]
            file["conv1"]["conv1_b:0"] = link
    with h5py.File(path("many_links.h5"), "w") as file:  # too many for an object header
        write_layers(file, CONV)
        for i in range(9):
            file["conv1"][f"link{i}"] = h5py.ExternalLink("other.h5", "/")
    with h5py.File(path("virtual.h5"), "w", libver="v110") as file:
        write_layers(file, NORM)
        layout = h5py.VirtualLayout((3,), np.float32)
        layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
        del file["bn_conv1/bn_conv1_beta:0"]
        file["bn_conv1"].create_virtual_dataset("bn_conv1_beta:0", layout)
    with h5py.File(path("committed_type.h5"), "w") as file:
        write_layers(file, CONV)
        file["number"] = np.dtype(np.float32)
        del file["conv1/conv1_b:0"]
        file["conv1"].create_dataset("conv1_b:0", (3,), file["number"])
    with h5py.File(path("never_written.h5"), "w") as file:
        write_layers(file, CONV)
        del file["conv1/conv1_b:0"]
        file["conv1"].create_dataset("conv1_b:0", (3,), np.float32)
    with h5py.File(path("same_dataset_twice.h5"), "w") as file:
        write_layers(file, NORM)
        del file["bn_conv1/bn_conv1_beta:0"]
        file["bn_conv1/bn_conv1_beta:0"] = file["bn_conv1/bn_conv1_gamma:0"]
    with h5py.File(path("number_names.h5"), "w") as file:
        write_layers(file, CONV)
        file["conv1"].attrs["weight_names"] = np.arange(2)
    with h5py.File(path("layer_is_dataset.h5"), "w") as file:
        write_layers(file, CONV)
        del file["conv1"]
        file["conv1"] = np.zeros(3, np.float32)
    with h5py.File(path("layer_in_itself.h5"), "w") as file:  # Keras 3's layout
        layer = file.create_group("layers/functional")
        layer["layers"] = file["layers"]
    with h5py.File(path("deep_models.h5"), "w") as file:
        file.create_group("layers/" + "m/layers/" * 17)
    with h5py.File(path("same_group_twice.h5"), "w") as file:
        write_layers(file, CONV)
        file["conv2"] = file["conv1"]
        file.attrs["layer_names"] = fixed([b"conv1", b"conv2"])
    with h5py.File(path("no_layer_name.h5"), "w") as file:  # Keras 2's save_weights("x.weights.h5")
        file["layers/dense/vars/0"] = value_of("dense/kernel", (3, 2))
    with h5py.File(path("same_layer_twice.h5"), "w") as file:
        for group in ("dense", "dense_1"):
            file[f"layers/{group}/vars/0"] = value_of("dense/kernel", (3, 2))
            file[f"layers/{group}/vars"].attrs["name"] = "dense"
    tiny("no_scale.h5", [("bn_conv1", [(3,)] * 3)],
         weight_names=lambda layer, count: [b"beta", b"mean", b"variance"])
    tiny("uneven_norm.h5", [("bn_conv1", [(3,), (3,), (3,), (4,)])])
    tiny("wrong_bias.h5", [("conv1", [(1, 1, 2, 3), (2,)])])
    with h5py.File(path("not_keras.h5"), "w") as file:
        file["x"] = np.zeros(3, np.float32)


def main():
    os.makedirs(HERE, exist_ok=True)
    for name in os.listdir(HERE):
        os.remove(path(name))
    with h5py.File(path("keras1_notop.h5"), "w") as file:
        write_layers(file, list(old_layers()))
    small_files()
    keras_files()
    total = 0
    for name in sorted(os.listdir(HERE)):
        with open(path(name), "rb") as file:
            data = file.read()
        total += len(data)
        print(f"{name:26} {len(data):7} {hashlib.sha256(data).hexdigest()[:16]}")
    print(f"{total} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

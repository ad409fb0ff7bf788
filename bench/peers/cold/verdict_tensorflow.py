"""One verdict with TensorFlow, as lean as it goes: verdict_tensorflow.py WORKLOAD PICTURE THREADS VARIANT.

Variant: saved_model (a traced function; Keras is not loaded).
"""
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from PIL import Image  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../engines"))
import network  # noqa: E402

workload, picture, threads, variant = sys.argv[1:]
tf.config.threading.set_intra_op_parallelism_threads(int(threads))
tf.config.threading.set_inter_op_parallelism_threads(int(threads))
model = tf.saved_model.load(workload + "/saved_model")
with Image.open(picture) as image:
    pixels = np.asarray(image.convert("RGB").resize((224, 224), Image.BILINEAR))
x = (pixels.astype(np.float32) / 255 - np.float32(network.MEAN)) / np.float32(network.STD)
logits = model.ask(tf.constant(x[None])).numpy()[0]
print("fake", float(1 / (1 + np.exp(logits[0] - logits[1]))), flush=True)
os._exit(0)

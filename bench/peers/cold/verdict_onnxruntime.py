"""One verdict with ONNX Runtime, as lean as it goes: verdict_onnxruntime.py WORKLOAD PICTURE THREADS VARIANT.

Variant: default (the network is optimised when it is loaded).
"""
import os
import sys

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../engines"))
import network  # noqa: E402
from onnxruntime_engine import session  # noqa: E402

workload, picture, threads, variant = sys.argv[1:]
net = session(workload + "/network_1.onnx", int(threads))
with Image.open(picture) as image:
    pixels = np.asarray(image.convert("RGB").resize((224, 224), Image.BILINEAR))
x = (pixels.astype(np.float32) / 255 - np.float32(network.MEAN)) / np.float32(network.STD)
logits = net.run(None, {"pictures": x.transpose(2, 0, 1)[None].copy()})[0][0]
print("fake", float(1 / (1 + np.exp(logits[0] - logits[1]))), flush=True)
os._exit(0)

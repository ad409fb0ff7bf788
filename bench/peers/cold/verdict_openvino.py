"""One verdict with OpenVINO, as lean as it goes: verdict_openvino.py WORKLOAD PICTURE THREADS VARIANT.

Variants: ir (compiled anew), cache (the compiled network is kept in the workload's folder).
"""
import os
import sys

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../engines"))
import network  # noqa: E402
from openvino_engine import compile_model  # noqa: E402

workload, picture, threads, variant = sys.argv[1:]
more = {"CACHE_DIR": workload + "/openvino_cache"} if variant == "cache" else {}
net = compile_model(workload + "/network_1.xml", int(threads), "latency", **more)
with Image.open(picture) as image:
    pixels = np.asarray(image.convert("RGB").resize((224, 224), Image.BILINEAR))
x = (pixels.astype(np.float32) / 255 - np.float32(network.MEAN)) / np.float32(network.STD)
logits = net(x.transpose(2, 0, 1)[None].copy())[0][0]
print("fake", float(1 / (1 + np.exp(logits[0] - logits[1]))), flush=True)
os._exit(0)

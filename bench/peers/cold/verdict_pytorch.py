"""One verdict with PyTorch, as lean as it goes: verdict_pytorch.py WORKLOAD PICTURE THREADS VARIANT.

Variants: eager (parameters without initialisation, weights mapped), jit (a traced, frozen network).
"""
import os
import sys

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../engines"))
import network  # noqa: E402

workload, picture, threads, variant = sys.argv[1:]
torch.set_num_threads(int(threads))
if variant == "jit":
    model = torch.jit.load(f"{workload}/network_{torch.__version__.split('+')[0]}.pt")
else:
    from pytorch_engine import ResNet50
    with torch.device("meta"):
        model = ResNet50()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in network.read_weights(
        workload + "/network.safetensors").items()}, strict=False, assign=True)
    model = model.eval()
with Image.open(picture) as image:
    pixels = np.asarray(image.convert("RGB").resize((224, 224), Image.BILINEAR))
x = (pixels.astype(np.float32) / 255 - np.float32(network.MEAN)) / np.float32(network.STD)
with torch.inference_mode():
    logits = model(torch.from_numpy(x.transpose(2, 0, 1)[None].copy()))
    print("fake", float(torch.softmax(logits, 1)[0, 1]), flush=True)
os._exit(0)

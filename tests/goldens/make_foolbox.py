#!/usr/bin/env python3
"""Makes the FGSM goldens with Foolbox 3: tests/goldens/foolbox_fgsm.safetensors.

Attacks the narrow network of torch_v15_narrow.safetensors (run make_torch.py first) in float32 with
bounds (0,1) and torch mean and std as Foolbox' preprocessing. Tensors, pictures NHWC in [0,1]:
    input, labels               four pictures with black and white areas (clipping counts there);
                                labels: the predicted class, but one picture is labelled wrongly
    logits                      in inference mode, before the attack
    gradient                    of the summed cross-entropy with respect to the pixels
    raw/EPS, adversarial/EPS    what Foolbox returns first and second (the latter projected again)
    success/EPS                 1 where argmax differs from the label (already wrong counts too)
    logits_after/EPS            of adversarial/EPS
for EPS 0.01 and 0.02.

Run (seconds; needs torch, torchvision, foolbox 3):
    python3 tests/goldens/make_foolbox.py
"""
import os
import sys

import eagerpy
import foolbox
import numpy as np
import torch
from torch.nn import functional as F

import golden_file
from make_torch import MEAN, STD, narrow_resnet50

HERE = os.path.dirname(os.path.abspath(__file__))


def pictures(n=4, size=64):
    """Smooth random pictures, with saturated areas as rotated crops and highlights have."""
    torch.manual_seed(20240604)
    x = F.interpolate(torch.rand(n, 3, 8, 8), size=size, mode="bilinear", align_corners=False)
    x = (x * 1.2 - 0.1 + 0.05 * torch.randn_like(x)).clamp(0, 1)
    x[:, :, :6, :10] = 0.0
    x[:, :, -5:, -9:] = 1.0
    x[0, :, 20, 20] = 0.005  # nearer to the bound than epsilon
    x[0, :, 21, 21] = 0.995
    return x


def main():
    torch.set_num_threads(1)
    tensors, _ = golden_file.read(os.path.join(HERE, "torch_v15_narrow.safetensors"))
    model = narrow_resnet50()
    weights = {n[len("weights/"):]: torch.from_numpy(t.copy()) for n, t in tensors.items()
               if n.startswith("weights/")}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and all(n.endswith("num_batches_tracked") for n in missing)
    model.eval()
    preprocessing = {"mean": list(MEAN), "std": list(STD), "axis": -3}
    target = foolbox.PyTorchModel(model, bounds=(0, 1), preprocessing=preprocessing, device="cpu")
    x = pictures()
    with torch.no_grad():
        logits = target(x)
    labels = logits.argmax(1)
    labels[-1] = 1 - labels[-1]

    def nhwc(t):
        return t.detach().permute(0, 2, 3, 1).contiguous().numpy()

    out = {"input": nhwc(x), "labels": labels.numpy(), "logits": logits.numpy()}
    attack = foolbox.attacks.FGSM()
    ep = eagerpy.astensor(x)
    loss = attack.get_loss_fn(target, eagerpy.astensor(labels))
    _, gradient = attack.value_and_grad(loss, ep)
    out["gradient"] = nhwc(gradient.raw)
    for epsilon in (0.01, 0.02):
        raw, clipped, success = attack(target, x, labels, epsilons=epsilon)
        with torch.no_grad():
            after = target(clipped)
        if not torch.equal(raw, clipped):
            out[f"raw/{epsilon}"] = nhwc(raw)
        out[f"adversarial/{epsilon}"] = nhwc(clipped)
        out[f"success/{epsilon}"] = success.numpy()
        out[f"logits_after/{epsilon}"] = after.numpy()
        mse = float(((clipped - x).double() ** 2).mean())
        print(f"epsilon {epsilon}: raw equals adversarial {torch.equal(raw, clipped)}, "
              f"success {success.tolist()}, MSE {mse:.6e} = {mse / epsilon ** 2:.4f} eps^2")
        # the formula that the engine follows, to the bit
        e = epsilon
        y = x + (x + e * gradient.raw.sign() - x).clamp(-e, e)
        y = y.clamp(0, 1)
        print("  formula equals raw:", torch.equal(y, raw),
              "and adversarial:", torch.equal(x + (y - x).clamp(-e, e), clipped))
        simple = (x + e * gradient.raw.sign()).clamp(0, 1)
        print("  plain clamp(x + eps*sign) differs at", int((simple != clipped).sum()), "of",
              clipped.numel())
    metadata = {
        "made_by": "tests/goldens/make_foolbox.py",
        "versions": f"foolbox {foolbox.__version__}, torch {torch.__version__}, numpy "
                    f"{np.__version__}, python {sys.version.split()[0]}",
        "network": "weights/* of torch_v15_narrow.safetensors, inference mode, float32",
        "bounds": "0 1", "preprocessing": f"mean {MEAN} std {STD}",
        "loss": "cross-entropy summed over the batch",
        "raw": "stored only where it differs from adversarial"}
    golden_file.write(os.path.join(HERE, "foolbox_fgsm.safetensors"), out, metadata)


if __name__ == "__main__":
    main()

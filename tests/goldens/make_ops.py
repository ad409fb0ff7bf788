#!/usr/bin/env python3
"""Makes small goldens for single operations: tests/goldens/ops.safetensors.

PyTorch in float64 on inputs that were rounded to float32 first; results stored as float32. Names
are `<op>/<case>/<tensor>`. Activations and their gradients are NHWC, filters OIHW (`w`, `dw`) and
once more OHWI (`w_ohwi`, `dw_ohwi`), dense weights [out,in]. The parameters of each case (stride,
pad, epsilon, ...) stand in the metadata under `<op>/<case>` as "key=value key=value".

Run (seconds; needs torch, numpy, Pillow):
    python3 tests/goldens/make_ops.py
"""
import os
import sys

import numpy as np
import PIL
import torch
from PIL import Image
from torch.nn import functional as F

import golden_file

HERE = os.path.dirname(os.path.abspath(__file__))
RNG = np.random.default_rng(20240603)
OUT, INFO = {}, {}


def random(*shape, scale=1.0):
    """float64 tensor of values that float32 holds exactly."""
    return torch.from_numpy((RNG.normal(size=shape) * scale).astype(np.float32)).double()


def nchw(tensor):
    return tensor.permute(0, 3, 1, 2)


def put(case, info=None, **tensors):
    for name, value in tensors.items():
        if torch.is_tensor(value):
            value = value.detach().numpy()
        OUT[f"{case}/{name}"] = value
    if info:
        INFO[case] = " ".join(f"{k}={v}" for k, v in info.items())


def gradients(output, dy, inputs):
    return torch.autograd.grad((output * dy).sum(), inputs)


def convolutions():
    # name, n, h, w, c, k, r, stride, pad, bias
    cases = [("1x1_s1", 2, 5, 7, 8, 6, 1, 1, 0, False), ("1x1_s2_odd", 2, 7, 5, 8, 6, 1, 2, 0, False),
             ("1x1_s2_even", 2, 8, 6, 5, 7, 1, 2, 0, False),
             ("3x3_s1", 2, 6, 7, 5, 7, 3, 1, 1, False), ("3x3_s2_even", 2, 8, 6, 5, 7, 3, 2, 1, False),
             ("3x3_s2_odd", 2, 7, 9, 4, 3, 3, 2, 1, False), ("3x3_s1_bias", 2, 6, 5, 3, 4, 3, 1, 1, True),
             ("3x3_s1_valid", 1, 6, 5, 3, 4, 3, 1, 0, False), ("3x3_s1_wide", 2, 7, 7, 33, 20, 3, 1, 1, False),
             ("7x7_s2", 2, 14, 16, 3, 8, 7, 2, 3, False), ("7x7_s2_odd", 1, 15, 13, 3, 5, 7, 2, 3, False),
             ("7x7_s1", 1, 9, 9, 3, 4, 7, 1, 3, False), ("1x1_s1_one_pixel", 3, 1, 1, 9, 5, 1, 1, 0, True)]
    for name, n, h, w, c, k, r, stride, pad, bias in cases:
        x, weight = random(n, h, w, c), random(k, c, r, r, scale=(c * r * r) ** -0.5)
        b = random(k) if bias else None
        wanted = [t.requires_grad_(True) for t in ([x, weight, b] if bias else [x, weight])]
        y = F.conv2d(nchw(x), weight, b, stride, pad).permute(0, 2, 3, 1)
        dy = random(*y.shape)
        grads = gradients(y, dy, wanted)
        case = f"conv/{name}"
        put(case, {"stride": stride, "pad": pad, "bias": int(bias)}, x=x, w=weight,
            w_ohwi=weight.permute(0, 2, 3, 1), y=y, dy=dy, dx=grads[0], dw=grads[1],
            dw_ohwi=grads[1].permute(0, 2, 3, 1))
        if bias:
            put(case, b=b, db=grads[2])


def batch_norms():
    # name, n, h, w, c, epsilon, momentum in PyTorch's meaning, unbiased running variance
    cases = [("torch", 4, 5, 3, 6, 1e-5, 0.1, True), ("tf_keras", 3, 4, 4, 5, 1.001e-5, 0.01, True),
             ("keras3", 3, 4, 4, 5, 1.001e-5, 0.01, False), ("old_keras", 2, 3, 4, 5, 1e-3, 0.01, True),
             ("far_mean", 4, 4, 4, 5, 1e-5, 0.1, True)]
    for name, n, h, w, c, eps, momentum, unbiased in cases:
        x = random(n, h, w, c) * random(c).abs().add(0.1).float().double()
        x = (x + random(c) * (30.0 if name == "far_mean" else 1.0)).float().double()
        x.requires_grad_(True)
        gamma, beta = random(c).requires_grad_(True), random(c).requires_grad_(True)
        before = random(c), random(c).abs() + 0.25
        mean, var = before[0].clone(), before[1].clone()
        y = F.batch_norm(nchw(x), mean, var, gamma, beta, True, momentum, eps).permute(0, 2, 3, 1)
        dy = random(*y.shape)
        dx, dgamma, dbeta = gradients(y, dy, (x, gamma, beta))
        flat = x.detach().reshape(-1, c)
        if not unbiased:
            var = before[1] * (1 - momentum) + momentum * flat.var(0, unbiased=False)
        put(f"batch_norm/{name}", {"epsilon": eps, "momentum": momentum, "unbiased": int(unbiased)},
            x=x, gamma=gamma, beta=beta, y=y, dy=dy, dx=dx, dgamma=dgamma, dbeta=dbeta,
            mean=flat.mean(0), inverse_deviation=(flat.var(0, unbiased=False) + eps).rsqrt(),
            running_mean_before=before[0], running_var_before=before[1],
            running_mean=mean, running_var=var)
    x = random(2, 4, 3, 6).requires_grad_(True)
    gamma, beta = random(6).requires_grad_(True), random(6).requires_grad_(True)
    mean, var = random(6), random(6).abs() + 0.25
    y = F.batch_norm(nchw(x), mean, var, gamma, beta, False, 0.0, 1e-5).permute(0, 2, 3, 1)
    dy = random(*y.shape)
    dx, dgamma, dbeta = gradients(y, dy, (x, gamma, beta))
    put("batch_norm/inference", {"epsilon": 1e-5}, x=x, gamma=gamma, beta=beta, running_mean=mean,
        running_var=var, y=y, dy=dy, dx=dx, dgamma=dgamma, dbeta=dbeta)


def pools():
    # name, n, h, w, c, padding, ceil
    cases = [("padded_even", 2, 8, 6, 3, 1, False), ("padded_odd", 2, 7, 9, 3, 1, False),
             ("ceil_even", 2, 8, 6, 3, 0, True), ("ceil_odd", 2, 7, 9, 3, 0, True)]
    for name, n, h, w, c, pad, ceil in cases:
        for ties in (False, True):
            x = random(n, h, w, c)
            if ties:  # as after a ReLU: whole windows of zeros; the first maximum gets the gradient
                x = x.sub(0.9).clamp_min(0).mul(4).round().div(4)
            x.requires_grad_(True)
            y = F.max_pool2d(nchw(x), 3, 2, pad, ceil_mode=ceil).permute(0, 2, 3, 1)
            dy = random(*y.shape)
            dx, = gradients(y, dy, (x,))
            put(f"max_pool/{name}{'_ties' if ties else ''}",
                {"window": 3, "stride": 2, "pad": pad, "ceil": int(ceil),
                 "tie": "first in row order"}, x=x, y=y, dy=dy, dx=dx)
    x = random(3, 7, 5, 6).requires_grad_(True)
    y = x.mean((1, 2))
    dy = random(*y.shape)
    dx, = gradients(y, dy, (x,))
    put("avg_pool/global", x=x, y=y, dy=dy, dx=dx)


def elementwise():
    for slope in (0.0, 0.05, 0.3):
        x = random(5, 9)
        x[0, 0], x[1, 1], x[2, 2] = 0.0, -0.0, 1e-30
        x.requires_grad_(True)
        y = F.leaky_relu(x, slope)
        dy = random(5, 9)
        dx, = gradients(y, dy, (x,))
        put(f"leaky_relu/{slope}", {"slope": slope}, x=x, y=y, dy=dy, dx=dx)
    x, r = random(2, 3, 4, 5).requires_grad_(True), random(2, 3, 4, 5).requires_grad_(True)
    y = F.relu(x + r)
    dy = random(2, 3, 4, 5)
    dx, dr = gradients(y, dy, (x, r))
    put("add_relu/plain", x=x, residual=r, y=y, dy=dy, dx=dx, dresidual=dr)


def dense():
    for name, n, inputs, outputs in (("small", 5, 7, 3), ("wide", 4, 130, 33), ("two", 6, 24, 2)):
        x, w, b = random(n, inputs), random(outputs, inputs, scale=inputs ** -0.5), random(outputs)
        wanted = [t.requires_grad_(True) for t in (x, w, b)]
        y = F.linear(x, w, b)
        dy = random(n, outputs)
        dx, dw, db = gradients(y, dy, wanted)
        put(f"dense/{name}", x=x, w=w, b=b, y=y, dy=dy, dx=dx, dw=dw, db=db)


def cross_entropy():
    for name, n, classes, scale in (("two", 6, 2, 1.0), ("ten", 5, 10, 2.0), ("huge", 6, 2, 300.0)):
        x = random(n, classes, scale=scale).requires_grad_(True)
        labels = torch.from_numpy(RNG.integers(0, classes, n))
        for reduction in ("mean", "sum"):
            loss = F.cross_entropy(x, labels, reduction=reduction)
            dx, = torch.autograd.grad(loss, x)
            put(f"softmax_ce/{name}_{reduction}", {"reduction": reduction}, x=x, labels=labels,
                probabilities=x.softmax(1), losses=F.cross_entropy(x, labels, reduction="none"),
                loss=loss, dx=dx)


def adam():
    start = random(40)
    scale = torch.from_numpy(10.0 ** RNG.uniform(-9, 1, 40))
    grads = (random(10, 40) * scale).float().double()
    for name, lr in (("torch", 1e-3), ("torch_small_lr", 1e-4)):
        p = start.clone().requires_grad_(True)
        optimiser = torch.optim.Adam([p], lr=lr, eps=1e-8)
        steps = []
        for g in grads:
            p.grad = g.clone()
            optimiser.step()
            steps.append(p.detach().clone())
        moments = optimiser.state[p]
        put(f"adam/{name}", {"lr": lr, "epsilon": 1e-8, "placement": "torch"}, p0=start,
            gradients=grads, p=torch.stack(steps), m=moments["exp_avg"], v=moments["exp_avg_sq"])
    p, m, v, steps = start.clone(), torch.zeros(40).double(), torch.zeros(40).double(), []
    for t, g in enumerate(grads, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p = p - 1e-3 * (1 - 0.999 ** t) ** 0.5 / (1 - 0.9 ** t) * m / (v.sqrt() + 1e-7)
        steps.append(p)
    put("adam/keras", {"lr": 1e-3, "epsilon": 1e-7, "placement": "keras"}, p0=start,
        gradients=grads, p=torch.stack(steps), m=m, v=v)


def resizes():
    # name, height and width before and after
    cases = [("down_2", 32, 24, 16, 12), ("down_odd", 33, 21, 10, 9), ("up", 7, 9, 16, 20),
             ("mixed", 12, 30, 24, 11), ("same_height", 15, 26, 15, 8), ("one_pixel", 1, 1, 4, 3),
             ("to_one", 9, 7, 1, 1), ("same", 6, 5, 6, 5), ("down_slightly", 40, 40, 35, 35)]
    for name, h, w, p, q in cases:
        source = RNG.integers(0, 256, (h, w, 3), dtype=np.uint8)
        source[: h // 2, : w // 3] = (0, 128, 255)  # a flat patch and two hard edges
        picture = Image.fromarray(source)
        result = picture.resize((q, p), Image.BILINEAR)
        put(f"resize/{name}", {"filter": "Pillow BILINEAR, 8 bit"}, x=source, y=np.asarray(result))
    source = RNG.integers(0, 256, (11, 14, 3), dtype=np.uint8)
    put("resize_nearest/mixed", {"filter": "Pillow NEAREST, 8 bit"}, x=source,
        y=np.asarray(Image.fromarray(source).resize((6, 20), Image.NEAREST)))


def main():
    torch.set_num_threads(1)
    for make in (convolutions, batch_norms, pools, elementwise, dense, cross_entropy, adam,
                 resizes):
        make()
    metadata = {"made_by": "tests/goldens/make_ops.py",
                "versions": f"torch {torch.__version__}, Pillow {PIL.__version__}, numpy "
                            f"{np.__version__}, python {sys.version.split()[0]}",
                "precision": "float64 on float32 inputs, stored as float32", **INFO}
    golden_file.write(os.path.join(HERE, "ops.safetensors"), OUT, metadata, limit=600_000)


if __name__ == "__main__":
    main()

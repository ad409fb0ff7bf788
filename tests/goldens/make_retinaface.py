#!/usr/bin/env python3
"""Makes retinaface_mobilenet_narrow.safetensors and retinaface_resnet50_narrow.safetensors.

A RetinaFace in PyTorch, written down from the description of Pytorch_Retinaface's architecture
(MobileNet-0.25 and ResNet-50 backbones, FPN, SSH, heads), narrow and randomly initialised, together
with what it answers for two pictures: the maps before decoding, with ReLU and with leaky ReLU 0.1,
and the faces after decoding and non-maximum suppression, these by numpy in double.

Tensors: the state dict's names; "pictures" [2, h, w, 3] RGB 0..255; for slope in (0, 0.1)
"slope{slope}.maps.{level}" [2, h_l, w_l, 32] (class, box, landmark numbers of both anchors) and
"slope{slope}.faces.{picture}" [faces, 15] (score, x1, y1, x2, y2, five landmarks x, y), with the
thresholds of the metadata; all of them in double from weights in float32. Run: python3 make_retinaface.py (PyTorch, numpy).
"""
import math
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import golden_file

HERE = os.path.dirname(os.path.abspath(__file__))
SIZE = (61, 83)
SCORE, OVERLAP = 0.6, 0.4
ANCHORS = ((16, 32), (64, 128), (256, 512))
STRIDES = (8, 16, 32)


class Leaky(nn.Module):
    """A leaky ReLU whose slope can be changed for all of a network at once."""
    slope = 0.0

    def forward(self, x):
        return F.leaky_relu(x, Leaky.slope) if Leaky.slope else F.relu(x)


def conv(i, o, k, stride=1, act=True, groups=1):
    layers = [nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return layers + ([Leaky()] if act else [])


def unit(*args, **kwargs):
    return nn.Sequential(*conv(*args, **kwargs))


def pair(i, o, stride):
    return nn.Sequential(*conv(i, i, 3, stride, groups=i), *conv(i, o, 1))


class MobileNet(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.stage1 = nn.Sequential(unit(3, s, 3, 2), pair(s, 2 * s, 1), pair(2 * s, 4 * s, 2),
                                    pair(4 * s, 4 * s, 1), pair(4 * s, 8 * s, 2),
                                    pair(8 * s, 8 * s, 1))
        self.stage2 = nn.Sequential(pair(8 * s, 16 * s, 2),
                                    *[pair(16 * s, 16 * s, 1) for _ in range(5)])
        self.stage3 = nn.Sequential(pair(16 * s, 32 * s, 2), pair(32 * s, 32 * s, 1))

    def forward(self, x):
        a = self.stage1(x)
        b = self.stage2(a)
        return a, b, self.stage3(b)


class Bottleneck(nn.Module):
    def __init__(self, i, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride != 1 or i != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(i, 4 * width, 1, stride, bias=False),
                                            nn.BatchNorm2d(4 * width))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, s, 7, 2, 3, bias=False), nn.BatchNorm2d(s)
        channels = s
        for stage, blocks in enumerate((3, 4, 6, 3)):
            width = s << stage
            layers = []
            for block in range(blocks):
                layers.append(Bottleneck(channels, width, 2 if block == 0 and stage > 0 else 1))
                channels = 4 * width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        a = self.layer2(self.layer1(x))
        b = self.layer3(a)
        return a, b, self.layer4(b)


class FPN(nn.Module):
    def __init__(self, channels, o):
        super().__init__()
        self.output1, self.output2, self.output3 = (unit(c, o, 1) for c in channels)
        self.merge1, self.merge2 = unit(o, o, 3), unit(o, o, 3)

    def forward(self, maps):
        a, b, c = self.output1(maps[0]), self.output2(maps[1]), self.output3(maps[2])
        b = self.merge2(b + F.interpolate(c, size=b.shape[2:], mode="nearest"))
        a = self.merge1(a + F.interpolate(b, size=a.shape[2:], mode="nearest"))
        return a, b, c


class SSH(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv3X3 = unit(c, c // 2, 3, act=False)
        self.conv5X5_1, self.conv5X5_2 = unit(c, c // 4, 3), unit(c // 4, c // 4, 3, act=False)
        self.conv7X7_2, self.conv7x7_3 = (unit(c // 4, c // 4, 3),
                                          unit(c // 4, c // 4, 3, act=False))

    def forward(self, x):
        t = self.conv5X5_1(x)
        parts = [self.conv3X3(x), self.conv5X5_2(t), self.conv7x7_3(self.conv7X7_2(t))]
        return F.relu(torch.cat(parts, 1))


class Head(nn.Module):
    def __init__(self, c, numbers):
        super().__init__()
        self.conv1x1 = nn.Conv2d(c, 2 * numbers, 1)

    def forward(self, x):
        return self.conv1x1(x).permute(0, 2, 3, 1)


class RetinaFace(nn.Module):
    def __init__(self, body, channels, o):
        super().__init__()
        self.body, self.fpn = body, FPN(channels, o)
        self.ssh1, self.ssh2, self.ssh3 = SSH(o), SSH(o), SSH(o)
        self.ClassHead = nn.ModuleList(Head(o, 2) for _ in range(3))
        self.BboxHead = nn.ModuleList(Head(o, 4) for _ in range(3))
        self.LandmarkHead = nn.ModuleList(Head(o, 10) for _ in range(3))

    def forward(self, x):
        maps = []
        for i, p in enumerate(self.fpn(self.body(x))):
            f = (self.ssh1, self.ssh2, self.ssh3)[i](p)
            maps.append(torch.cat([self.ClassHead[i](f), self.BboxHead[i](f),
                                   self.LandmarkHead[i](f)], 3))
        return maps


def mobilenet(stem, features):
    return RetinaFace(MobileNet(stem), (8 * stem, 16 * stem, 32 * stem), features)


def resnet50(stem, features):
    return RetinaFace(ResNet50(stem), (8 * stem, 16 * stem, 32 * stem), features)


def to_input(pictures):
    """RGB [n, h, w, 3] 0..255 -> BGR minus the means, [n, 3, h, w]."""
    x = torch.from_numpy(np.ascontiguousarray(pictures[..., ::-1], dtype=np.float64))
    x = x - torch.tensor([104.0, 117.0, 123.0])
    return x.permute(0, 3, 1, 2).contiguous().to(torch.get_default_dtype())


def priors(height, width, anchors):
    rows = []
    for sizes, stride in zip(anchors, STRIDES):
        for i in range(math.ceil(height / stride)):
            for j in range(math.ceil(width / stride)):
                for size in sizes:
                    rows.append(((j + 0.5) * stride / width, (i + 0.5) * stride / height,
                                 size / width, size / height))
    return np.array(rows)


def nms(boxes, scores, threshold):
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order, keep = scores.argsort()[::-1][:5000], []
    while order.size:
        i = order[0]
        keep.append(i)
        rest = order[1:]
        w = np.maximum(0, np.minimum(x2[i], x2[rest]) - np.maximum(x1[i], x1[rest]) + 1)
        h = np.maximum(0, np.minimum(y2[i], y2[rest]) - np.maximum(y1[i], y1[rest]) + 1)
        overlap = w * h / (areas[i] + areas[rest] - w * h)
        order = rest[overlap <= threshold]
    return keep[:750]


def faces(maps, picture, height, width, score, overlap, anchors=ANCHORS):
    """Detections [n, 15] of one picture of a batch, the largest score first."""
    def numbers(begin, count):
        parts = [m[picture].numpy().astype(np.float64)[..., begin:begin + 2 * count].reshape(
            -1, count) for m in maps]
        return np.concatenate(parts)
    logits, box, marks = numbers(0, 2), numbers(4, 4), numbers(12, 10)
    prior = priors(height, width, anchors)
    probability = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    centre = prior[:, :2] + box[:, :2] * 0.1 * prior[:, 2:]
    size = prior[:, 2:] * np.exp(box[:, 2:] * 0.2)
    scale = np.array([width, height])
    boxes = np.concatenate([(centre - size / 2) * scale, (centre + size / 2) * scale], 1)
    points = [(prior[:, :2] + marks[:, 2 * k:2 * k + 2] * 0.1 * prior[:, 2:]) * scale
              for k in range(5)]
    rows = np.concatenate([probability[:, None], boxes, *points], 1)
    rows = rows[probability > score]
    return rows[nms(rows[:, 1:5], rows[:, 0], overlap)]


def initialise(model, pictures, seed):
    """Random weights, with batch-norm statistics near those of the pictures: values stay about 1."""
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, 0.3)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.6, 1.4)
            nn.init.normal_(module.bias, 0, 0.3)
            module.momentum = 1.0
    model.train()
    with torch.no_grad():
        model(to_input(pictures))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            spread = module.running_var.sqrt()
            module.running_mean += 0.2 * spread * torch.randn_like(spread)
            module.running_var *= torch.empty_like(spread).uniform_(0.7, 1.5)
    model.eval()


def is_clear(found):
    """No two scores so near to each other, or to the threshold, that rounding could order them."""
    scores = np.append(found[:, 0], SCORE)
    return np.diff(np.sort(scores)).min() > 2e-5


def make(name, model, seed):
    torch.set_default_dtype(torch.float32)
    model.float()
    random = np.random.default_rng(seed)
    height, width = SIZE
    coarse = random.integers(0, 256, (2, 9, 12, 3)).repeat(7, 1).repeat(7, 2)[:, :height, :width]
    pictures = np.clip(coarse + random.integers(-20, 21, coarse.shape), 0, 255)
    Leaky.slope = 0.1
    initialise(model, pictures, seed)
    tensors = {k: v.numpy() for k, v in model.state_dict().items() if "num_batches" not in k}
    tensors["pictures"] = pictures
    torch.set_default_dtype(torch.float64)  # from the rounded weights
    model.double()
    for slope in (0, 0.1):
        Leaky.slope = slope
        with torch.no_grad():
            maps = model(to_input(pictures))
        for level, values in enumerate(maps):
            tensors[f"slope{slope}.maps.{level}"] = values.numpy()
        for picture in range(2):
            found = faces(maps, picture, height, width, SCORE, OVERLAP)
            print(name, "seed", seed, "slope", slope, "picture", picture, "faces", len(found))
            if not is_clear(found):
                return make(name, model, seed + 100)
            tensors[f"slope{slope}.faces.{picture}"] = found
    golden_file.write(os.path.join(HERE, name), tensors,
                      {"score_threshold": str(SCORE), "nms_threshold": str(OVERLAP),
                       "made_by": f"make_retinaface.py, PyTorch {torch.__version__}"})


if __name__ == "__main__":
    make("retinaface_mobilenet_narrow.safetensors", mobilenet(2, 8), 11)
    make("retinaface_resnet50_narrow.safetensors", resnet50(2, 12), 12)

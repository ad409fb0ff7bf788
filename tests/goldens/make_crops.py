#!/usr/bin/env python3
"""Writes crops.csv: what Pillow and NumPy make of pictures and points that data/warp.h,
data/face_crop.h and data/face_geometry.h are to agree with.

    /usr/bin/python3 tests/goldens/make_crops.py        # needs Pillow and NumPy

rotate,height,width,degrees,hash        Image.rotate(degrees) of source(height, width)
eye_angle,height,width,box x4,landmarks x10,size,hash
                                        the box cut out, turned by the eyes' angle, BILINEAR to size
tight,height,width,box x4,size,hash     the box cut out, BILINEAR to size
similarity,points x10,points x10,matrix x6
                                        S. Umeyama 1991 by singular value decomposition, in float64
Hashes are 64-bit FNV-1a of the RGB bytes.
"""
import math
import random
from pathlib import Path

import numpy
from PIL import Image


def source(height, width):
    """The picture of tests/data/face_crop_test.cc, as in make_resize.py."""
    index = numpy.arange(height * width * 3, dtype=numpy.uint32)
    noise = index * numpy.uint32(2654435761)
    noise = (noise ^ (noise >> numpy.uint32(15))) * numpy.uint32(2246822519)
    return Image.fromarray((noise >> numpy.uint32(24)).astype(numpy.uint8).reshape(height, width, 3))


def fnv(picture):
    value = 0xCBF29CE484222325
    for byte in numpy.asarray(picture).tobytes():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def eyes_level(picture, left, right):
    """The triangle of the eyes and a right angle, the law of cosines, and Pillow's rotation."""
    lower_left = left[1] > right[1]
    corner = (right[0], left[1]) if lower_left else (left[0], right[1])
    opposite = math.dist(left, corner)
    beside = math.dist(right, corner)
    eyes = math.dist(left, right)
    if beside == 0 or eyes == 0:
        return picture
    cosine = (beside**2 + eyes**2 - opposite**2) / (2 * beside * eyes)
    degrees = math.degrees(math.acos(min(1.0, max(-1.0, cosine))))
    return picture.rotate(-(90 - degrees) if lower_left else degrees)


def umeyama(points, targets):
    """The general solution, mirroring excluded; rows (a, b, c) of x' = a x + b y + c."""
    points, targets = numpy.float64(points), numpy.float64(targets)
    mean, target_mean = points.mean(0), targets.mean(0)
    covariance = (targets - target_mean).T @ (points - mean) / len(points)
    u, d, v = numpy.linalg.svd(covariance)
    signs = numpy.array([1.0, numpy.sign(numpy.linalg.det(u) * numpy.linalg.det(v))])
    rotation = u @ numpy.diag(signs) @ v
    scale = (d * signs).sum() / (points - mean).var(0).sum()
    shift = target_mean - scale * rotation @ mean
    return [*(scale * rotation[0]), shift[0], *(scale * rotation[1]), shift[1]]


def numbers(values):
    return ",".join(f"{value:.9g}" for value in values)


def main():
    draw = random.Random(7)
    lines = []
    for height, width in [(1, 1), (2, 3), (7, 7), (8, 8), (31, 17), (64, 64), (90, 121), (200, 40)]:
        for degrees in [0, 90, 180, 270, -90, 360, 0.01, 1, -1, 13.37, -30, 45, 89.99, 200.5, -721.25]:
            picture = source(height, width).rotate(degrees)
            lines.append(f"rotate,{height},{width},{degrees},{fnv(picture)}")
    eyes = [(0, 0), (8, 3), (8, -3), (1.25, 7), (-6, 2), (-6, -2), (0, 5), (0, -5), (9.5, 0)]
    for dx, dy in eyes:
        height, width = draw.randint(40, 90), draw.randint(40, 90)
        box = [draw.uniform(0, 9), draw.uniform(0, 9), draw.uniform(30, 50), draw.uniform(30, 60)]
        left = [numpy.float32(draw.uniform(12, 20)), numpy.float32(draw.uniform(12, 20))]
        # Eighths of a pixel: sums and differences are exact in float and in double.
        left = [round(float(v) * 8) / 8 for v in left]
        right = [left[0] + dx, left[1] + dy]
        x1, y1, x2, y2 = (int(v) for v in box)
        part = source(height, width).crop((x1, y1, min(x2, width), min(y2, height)))
        points = [*left, *right, 15, 25, 10, 30, 20, 30]
        for size in [16, 48]:
            turned = eyes_level(part, left, right).resize((size, size), Image.BILINEAR)
            lines.append(f"eye_angle,{height},{width},{numbers(box)},{numbers(points)},{size},{fnv(turned)}")
            tight = part.resize((size, size), Image.BILINEAR)
            lines.append(f"tight,{height},{width},{numbers(box)},{size},{fnv(tight)}")
    for i in range(12):
        points = [[float(numpy.float32(draw.uniform(-50, 300))) for _ in "xy"] for _ in range(5)]
        targets = [[float(numpy.float32(draw.uniform(0, 112))) for _ in "xy"] for _ in range(5)]
        if i % 3 == 0:  # mirrored: the best rotation is not what the plain decomposition gives
            targets = [[200 - x + draw.uniform(-1, 1), y] for x, y in points]
            targets = [[float(numpy.float32(v)) for v in p] for p in targets]
        matrix = umeyama(points, targets)
        flat = [v for p in points for v in p] + [v for p in targets for v in p]
        lines.append(f"similarity,{numbers(flat)},{','.join(f'{v:.17g}' for v in matrix)}")
    Path(__file__).with_name("crops.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

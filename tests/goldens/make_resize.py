#!/usr/bin/env python3
"""Makes resize.bin: what Pillow's BILINEAR and NEAREST give for pictures made by a formula.

Needs Pillow and numpy only for making the file; the tests read the committed one. Format, all
numbers little-endian uint32: count; then per case filter (0 bilinear, 1 nearest), in_h, in_w, out_h,
out_w, stored (1: the out_h * out_w * 3 bytes follow; 0: two words with the FNV-1a 64 hash of them
follow, low word first). The sources are not stored: value(i) of picture [h, w, 3] is the top byte of
a hash of i, see source().
"""
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image

BILINEAR, NEAREST = 0, 1
FILTERS = {BILINEAR: Image.BILINEAR, NEAREST: Image.NEAREST}
MAX_STORED_BYTES = 6000

SIZES = [  # in_h, in_w, out_h, out_w
    (1, 1, 4, 4), (4, 4, 1, 1), (2, 3, 2, 7), (5, 7, 11, 7), (17, 23, 9, 11), (9, 11, 31, 20),
    (64, 48, 7, 5), (33, 1, 5, 3), (1, 50, 3, 20), (100, 100, 32, 32), (31, 37, 31, 37),
    (299, 301, 24, 40), (256, 256, 224, 224), (500, 500, 224, 224), (375, 500, 256, 341),
    (720, 1280, 224, 224), (60, 80, 224, 224), (1000, 13, 3, 500),
]


def source(height, width):
    index = np.arange(height * width * 3, dtype=np.uint64)
    noise = (index * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    noise = ((noise ^ (noise >> np.uint64(15))) * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    return (noise >> np.uint64(24)).astype(np.uint8).reshape(height, width, 3)


def fnv1a64(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def main():
    target = Path(__file__).with_name("resize.bin")
    cases = [(f, *size) for size in SIZES for f in (BILINEAR, NEAREST)]
    blob = struct.pack("<I", len(cases))
    for kind, in_h, in_w, out_h, out_w in cases:
        picture = Image.fromarray(source(in_h, in_w)).resize((out_w, out_h), FILTERS[kind])
        data = picture.tobytes()
        stored = int(len(data) <= MAX_STORED_BYTES)
        blob += struct.pack("<6I", kind, in_h, in_w, out_h, out_w, stored)
        blob += data if stored else struct.pack("<Q", fnv1a64(data))
    target.write_bytes(blob)
    print(f"{target.name}: {len(cases)} cases, {len(blob)} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()

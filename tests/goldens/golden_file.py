"""Reads and writes safetensors files with numpy only (shared by the make_*.py scripts here).

write(path, {name: array}, {string: string}) stores every array as float32, C order, header padded
to 8 bytes; read(path) returns (tensors, metadata).
"""
import json
import os
import struct

import numpy as np


def write(path, tensors, metadata, limit=1_300_000):
    """Writes the file and refuses values that are not finite and files above `limit` bytes."""
    header, parts, offset = {"__metadata__": metadata}, [], 0
    for name, value in tensors.items():
        array = np.asarray(value, dtype=np.float32)  # keeps rank 0
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are not finite")
        data = array.tobytes(order="C")
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(data)]}
        parts.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    size = 8 + len(text) + offset
    if size > limit:
        raise ValueError(f"{path} would have {size} bytes, the limit is {limit}")
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
    print(f"{os.path.basename(path)}: {len(tensors)} tensors, {size} bytes")


def read(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if entry["dtype"] != "F32":
            raise ValueError(f"{name} is {entry['dtype']}")
        tensors[name] = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"])
    return tensors, metadata

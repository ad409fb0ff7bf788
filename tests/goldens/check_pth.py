#!/usr/bin/env python3
"""Compares reading and writing of .pth files with PyTorch's own, bit for bit.

1. Each .pth file beside this script, those that PyTorch writes here, and those named on the command
   line are read by Verace, written as safetensors, and compared with what torch.load() gives.
2. Each is written as .pth by Verace too; torch.load(weights_only=True) must give the same tensors, in
   the same order, as an OrderedDict that load_state_dict() takes; Python's zipfile must find every
   checksum right.
3. A network of torchvision's (where it is installed) takes the file that Verace wrote.
4. Pickles that run code must be refused, and must not have run.

Run (needs torch >= 1.13 and numpy; build the program first):
    cmake --build build/release --target convert_pth
    python3 tests/goldens/check_pth.py [--convert build/release/tests/convert_pth] [FILE.pth ...]
"""
import argparse
import collections
import glob
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
DTYPES = {"F32": "float32", "F64": "float64", "F16": "float16", "BF16": "bfloat16", "I64": "int64",
          "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool", "C64": "complex64",
          "U16": "uint16", "U32": "uint32", "U64": "uint64", "F8_E4M3": "float8_e4m3fn",
          "F8_E5M2": "float8_e5m2"}
NOT_IN_PTH = ("U16", "U32", "U64", "F8_E4M3", "F8_E5M2")


def bytes_of(tensor):
    tensor = tensor.detach().contiguous().clone()
    if tensor.numel() == 0:
        return b""
    return bytes(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())


def load(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def load_source(path):
    """What PyTorch itself wrote: before 2.0 its careful reader knew no numbers with a point."""
    if int(torch.__version__.split(".")[0]) < 2 and os.path.dirname(path) == HERE:
        return torch.load(path, map_location="cpu")
    return load(path)


def expected(content):
    """Name -> (dtype, shape, bytes) of what torch.load() gave."""
    if "state_dict" in content:
        content = content["state_dict"]
    return {name: (str(value.dtype)[len("torch."):], tuple(value.shape), bytes_of(value))
            for name, value in content.items() if isinstance(value, torch.Tensor)}


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: (DTYPES[e["dtype"]], tuple(e["shape"]), data[slice(*e["data_offsets"])])
            for name, e in header.items()}


class Check:
    def __init__(self, convert, folder):
        self.convert, self.folder, self.failures, self.tensors, self.files = convert, folder, 0, 0, 0

    def fail(self, text):
        print("FAILED", text)
        self.failures += 1

    def run(self, source, target):
        return subprocess.run([self.convert, source, target], capture_output=True, text=True)

    def compare(self, what, got, want):
        if sorted(got) != sorted(want):
            self.fail(f"{what}: names differ: {sorted(set(got) ^ set(want))[:5]}")
        for name in want:
            if name in got and got[name] != want[name]:
                self.fail(f"{what}: {name}: {got[name][:2]} against {want[name][:2]}, or other numbers")
        self.tensors += len(want)
        self.files += 1
        if not want:
            self.fail(f"{what}: nothing was compared")

    def file(self, path):
        name = os.path.basename(path)
        want = expected(load_source(path))
        target = os.path.join(self.folder, "read.safetensors")
        done = self.run(path, target)
        if done.returncode:
            return self.fail(f"{name}: {done.stderr.strip()}")
        self.compare(name + " as safetensors", read_safetensors(target), want)

        written = os.path.join(self.folder, "written.pth")
        done = self.run(path, written)
        if any(DTYPES[d] == dtype for d in NOT_IN_PTH for dtype, _, _ in want.values()):
            if done.returncode != 2 or "PyTorch has no storage" not in done.stderr:
                self.fail(f"{name}: types without a storage were not refused: {done.stderr.strip()}")
            return None
        if done.returncode:
            return self.fail(f"{name}: {done.stderr.strip()}")
        state = load(written)
        if type(state) is not collections.OrderedDict or list(state) != list(want):
            self.fail(f"{name}: written as {type(state)} in the order {list(state)[:3]}")
        if any(not value.is_contiguous() or value.requires_grad for value in state.values()):
            self.fail(f"{name}: written with strides or gradients")
        self.compare(name + " as .pth", expected(state), want)
        with zipfile.ZipFile(written) as archive:
            if archive.testzip() is not None:
                self.fail(f"{name}: a wrong checksum in {archive.testzip()}")
        return written

    def attack(self):
        """A file that would make a folder when loaded without care."""
        mark = os.path.join(self.folder, "owned")

        class Evil:
            def __reduce__(self):
                return os.mkdir, (mark,)

        for as_zip in (True, False):
            path = os.path.join(self.folder, "evil.pth")
            torch.save({"w": torch.ones(2), "evil": Evil()}, path, _use_new_zipfile_serialization=as_zip)
            done = self.run(path, os.path.join(self.folder, "evil.safetensors"))
            if done.returncode != 2 or "mkdir: a pickle that runs code; refused" not in done.stderr:
                self.fail(f"an attack was not refused: {done.returncode} {done.stderr.strip()}")
            if os.path.exists(mark):
                self.fail("an attack ran")


def random_state(generator):
    """Names, shapes and layouts at random."""
    out = collections.OrderedDict()
    for i in range(40):
        shape = [int(v) for v in torch.randint(0, 5, (int(torch.randint(0, 5, (1,), generator=generator)),),
                                               generator=generator)]
        value = torch.randn(shape, generator=generator)
        value = value.to([torch.float32, torch.float16, torch.bfloat16, torch.float64][i % 4])
        if value.dim() > 1 and i % 3 == 0:
            value = value.transpose(0, 1)
        if value.dim() > 0 and i % 5 == 0 and shape[0] > 2:
            value = value[1:]
        if i % 7 == 0:
            value = torch.nn.Parameter(value)
        out[f"layer.{i}.weight"] = value
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--convert", default=os.path.join(HERE, "../../build/release/tests/convert_pth"))
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    generator = torch.Generator().manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        check = Check(arguments.convert, folder)
        recent = int(torch.__version__.split(".")[0]) >= 2
        for path in sorted(glob.glob(os.path.join(HERE, "pth_*.pth"))) + arguments.files:
            if "torch2" in path and not recent:
                print("skipped, needs PyTorch 2:", os.path.basename(path))
                continue
            written = check.file(path)
            if "narrow_zip" in path:
                try:
                    import make_pth
                    model = make_pth.narrow_resnet50()
                    torch.nn.init.zeros_(model.fc.weight)
                    model.load_state_dict(load(written))  # strict
                except ImportError:
                    print("skipped, needs torchvision: a network that takes the written file")
        for i in range(20):
            path = os.path.join(folder, f"random{i}.pth")
            torch.save(random_state(generator), path, _use_new_zipfile_serialization=i % 2 == 0)
            check.file(path)
        check.attack()
        print(f"PyTorch {torch.__version__}: {check.files} comparisons, {check.tensors} tensors, "
              f"{check.failures} failures")
        return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())

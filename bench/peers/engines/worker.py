"""What every engine's process does: compute the check, say it is ready, time when it is told to.

An engine's file calls main(make): make(args) returns a Work. The process prints one JSON line
when it is ready (engine and version, check), then for every line "run SECONDS" on its standard input
one line with the milliseconds of each step, and after "end" its peak memory. bench/model/speed.cc
keeps the same protocol.
"""
import argparse
import json
import os
import re
import sys
import time

CASES = ("infer1", "infer16", "train16_none", "train16_keras15", "train16_stages3", "fgsm16")
PRECISIONS = ("fp32", "tf32", "fp16", "bf16")
FGSM_EPSILON = 0.01
LEARNING_RATE = 1e-4


class Work:
    """step() runs one step to its end and returns its result: logits [n, 2], the loss, or attacked
    pictures [n, 224, 224, 3] in [0, 1]; `trained` counts the parameters that a step updates.
    Engines on a device replace measure(seconds), the milliseconds of steps that follow each other
    without waiting for results, and peaks(), what is said at the end."""

    def __init__(self, engine, step, trained=0):
        self.engine, self.step, self.trained = engine, step, trained

    def measure(self, seconds):
        return measure(self.step, seconds)

    def peaks(self):
        return {"peak_rss_bytes": peak_rss()}


def parse_case(name):
    """(kind, pictures, what is frozen): "train64_keras15" is ("train", 64, "keras15")."""
    match = re.fullmatch(r"(infer|fgsm)(\d+)|(train)(\d+)_(none|keras15|stages3)", name)
    if not match:
        raise ValueError(f"unknown case {name}")
    return match[1] or match[3], int(match[2] or match[4]), match[5]


def pictures_of(case):
    return parse_case(case)[1]


def pixels(args):
    """u8 [n, s, s, 3]: the workload's first n pictures, from the start again where there are fewer."""
    import numpy as np
    stored = np.fromfile(os.path.join(args.workload, "pixels.u8"), np.uint8)
    side = round((stored.size / 48) ** 0.5)  # 16 pictures
    return stored.reshape(16, side, side, 3)[np.arange(pictures_of(args.case)) % 16]


def normalised(args):
    """The network's input, fp32 [n, 224, 224, 3]."""
    import numpy as np
    from network import MEAN, STD
    unit = pixels(args).astype(np.float32) / np.float32(255)
    return (unit - np.float32(MEAN)) / np.float32(STD)


def labels(args):
    import numpy as np
    return np.arange(pictures_of(args.case), dtype=np.int64) % 2


def peak_rss():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def first_results(args, work):
    import numpy as np
    steps = 3 if args.case.startswith("train") else 1
    values = np.concatenate([np.ravel(np.asarray(work.step(), np.float32)) for _ in range(steps)])
    check = {"trained": work.trained}
    if args.case.startswith("fgsm"):
        if args.dump:
            values.tofile(args.dump)
    else:
        check["values"] = [float(v) for v in values]
    return check


def measure(step, seconds):
    times, begin = [], time.perf_counter()
    while not times or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def main(make):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", required=True)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--workload", required=True, help="folder that make_workload.py wrote")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--dump", help="file for the attacked pictures, raw fp32")
    args = parser.parse_args()
    # Only JSON goes to the driver, whatever the engine prints.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(line):
        out.write(json.dumps(line) + "\n")
        out.flush()
    work = make(args)
    say({"ready": True, "engine": work.engine, "check": first_results(args, work)})
    for line in sys.stdin:
        words = line.split()
        if words[0] != "run":
            break
        work.step()  # the caches are another engine's
        say({"ms": work.measure(float(words[1]))})
    say(work.peaks())
    out.flush()
    os._exit(0)  # tearing an engine down can take seconds, and can fail

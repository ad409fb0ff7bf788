#!/usr/bin/env python3
"""Reads a run's event files with TensorBoard itself and compares them with the run's metrics.jsonl.

    check_tensorboard.py RUN

Needs the package tensorboard from PyPI (2.21.0 was used), best in an environment of its own:
    python3 -m venv DIR && DIR/bin/pip install tensorboard && DIR/bin/python check_tensorboard.py RUN
Every number of metrics.jsonl must be a scalar of the right tag at the step of its epoch, once, equal
as float, and there must be no other. Ends with status 1 where anything is off.
"""
import argparse
import json
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

SPLITS = ("train", "val", "test")


def tag_of(key):
    """The tag under which a key of metrics.jsonl is to be found; None for what is no scalar."""
    if key in ("epoch", "wall_time"):
        return None
    split, _, figure = key.partition("_")
    if split in SPLITS:
        return f"{split}/{figure}"
    return f"train/{key}" if key == "learning_rate" else f"speed/{key}"


def expected(run):
    """{tag: [(step, value, wall time)]}"""
    scalars = {}
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        epoch = json.loads(line)
        for key, value in epoch.items():
            if tag_of(key) and value is not None:
                scalars.setdefault(tag_of(key), []).append(
                    (epoch["epoch"], value, epoch["wall_time"]))
    return scalars


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    want = expected(run)
    got = {tag: [(e.step, e.value, e.wall_time) for e in events.Scalars(tag)]
           for tag in events.Tags()["scalars"]}
    problems = [f"tag {tag}: only in one of both" for tag in sorted(want.keys() ^ got.keys())]
    for tag in sorted(want.keys() & got.keys()):
        # A float is within 2^-24 of the number that it stands for.
        same = len(want[tag]) == len(got[tag]) and all(
            w[0] == g[0] and abs(w[1] - g[1]) <= abs(w[1]) * 2**-24 and w[2] == g[2]
            for w, g in zip(want[tag], got[tag]))
        if not same:
            problems.append(f"tag {tag}: {got[tag]} instead of {want[tag]}")
    print("\n".join(problems) or
          f"{len(got)} tags, {sum(map(len, got.values()))} values: all as in metrics.jsonl")
    return 1 if problems or not got else 0


if __name__ == "__main__":
    sys.exit(main())

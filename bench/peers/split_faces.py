#!/usr/bin/env python3
"""Splits a folder of face pictures (DIR/real, DIR/fake) into a seeded train/test manifest.

Makes a CSV with the header `path,label,video,identity,split`: label is `real` or `fake`, split is
`train` or `test`; each picture is its own video and its own identity (its file stem). The test
part is drawn per class, by default 20 % of it. The same seed and the same file names give the
same file on every machine. Needs the standard library only.

Run:
    split_faces.py DIR --seed 1 --out manifest.csv
    split_faces.py DIR --seed 1 --test-real 90 --test-fake 30 --relative --out manifest.csv
"""
import argparse
import csv
import os
import random
import sys

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def pictures(folder):
    """Sorted picture files of one folder; an absent or empty folder is an error."""
    if not os.path.isdir(folder):
        sys.exit(f"split_faces: no folder {folder}")
    names = sorted(n for n in os.listdir(folder)
                   if os.path.splitext(n)[1].lower() in EXTENSIONS)
    if not names:
        sys.exit(f"split_faces: no pictures in {folder}")
    return [os.path.join(folder, n) for n in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", help="folder that holds real/ and fake/")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", required=True, help="the CSV to write")
    parser.add_argument("--test-fraction", type=float, default=0.2)
    parser.add_argument("--test-real", type=int, help="number of real test pictures")
    parser.add_argument("--test-fake", type=int, help="number of fake test pictures")
    parser.add_argument("--relative", action="store_true",
                        help="write paths relative to the CSV's folder instead of absolute ones")
    args = parser.parse_args()

    base = os.path.dirname(os.path.abspath(args.out))
    rows, counts, stems = [], {}, set()
    for label, wanted in (("real", args.test_real), ("fake", args.test_fake)):
        files = pictures(os.path.join(args.dir, label))
        tests = wanted if wanted is not None else round(len(files) * args.test_fraction)
        if not 0 <= tests <= len(files):
            sys.exit(f"split_faces: {tests} test pictures asked of {len(files)} {label} ones")
        order = list(range(len(files)))
        random.Random(f"{args.seed}/{label}").shuffle(order)
        chosen = set(order[:tests])
        counts[label] = (len(files) - tests, tests)
        for i, name in enumerate(files):
            stem = os.path.splitext(os.path.basename(name))[0]
            if stem in stems:
                sys.exit(f"split_faces: the name {stem} stands twice")
            stems.add(stem)
            path = os.path.abspath(name)
            if args.relative:
                path = os.path.relpath(path, base)
            rows.append([path, label, stem, stem, "test" if i in chosen else "train"])
    with open(args.out, "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["path", "label", "video", "identity", "split"])
        writer.writerows(rows)
    print("train: {} real, {} fake; test: {} real, {} fake".format(
        counts["real"][0], counts["fake"][0], counts["real"][1], counts["fake"][1]))


if __name__ == "__main__":
    main()

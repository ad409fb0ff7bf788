#!/usr/bin/env python3
"""Writes video_clips.csv: what another decoder sees in the clips of $VERACE_TEST_DATA/videos_ccby4.

    make_videos.py FOLDER > video_clips.csv

Needs PyAV (pip install av), which brings an FFmpeg of its own, another version than a
distribution's. Only its planes are used; the way to RGB is written down here, in double. One line
per looked-at frame (`index`), with the mean of each channel in each quarter of the picture (of
every fourth pixel both ways), and one line per clip (`index` = all) with the means over all frames,
the frame at place k counted k + 1 times.
"""
import sys
from pathlib import Path

import av
import numpy as np

STEP = 4  # every fourth pixel
KR, KB = 0.299, 0.114  # BT.601: no clip names another


def to_rgb(frame):
    """[h, w, 3] in double, of every fourth pixel."""
    name = frame.format.name
    if name in ("bgra", "rgb24", "pal8", "rgb8"):
        return frame.to_ndarray(format="rgb24")[::STEP, ::STEP].astype(np.float64)
    assert name in ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"), name
    assert int(frame.colorspace) in (2, 5, 6), frame.colorspace
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        planes.append(rows[: plane.height, : plane.width].astype(np.float64))
    height, width = planes[0].shape
    for i in (1, 2):
        tall, wide = height // planes[i].shape[0], width // planes[i].shape[1]
        planes[i] = planes[i].repeat(tall, 0).repeat(wide, 1)
    y, u, v = (plane[::STEP, ::STEP] for plane in planes)
    full = name.startswith("yuvj") or int(frame.color_range) == 2
    y = y if full else (y - 16) * 255 / 219
    u, v = ((x - 128) * (1 if full else 255 / 224) for x in (u, v))
    red, blue = y + v * 2 * (1 - KR), y + u * 2 * (1 - KB)
    green = (y - KR * red - KB * blue) / (1 - KR - KB)
    return np.clip(np.stack([red, green, blue], 2), 0, 255)


def quarters(rgb):
    half_y, half_x = (rgb.shape[0] + 1) // 2, (rgb.shape[1] + 1) // 2
    parts = [rgb[:half_y, :half_x], rgb[:half_y, half_x:], rgb[half_y:, :half_x], rgb[half_y:, half_x:]]
    return np.concatenate([part.mean((0, 1)) for part in parts])


def line(clip, size, count, index, seconds, means):
    fields = [clip, *map(str, size), str(count), str(index), f"{seconds:.4f}"]
    print(",".join(fields + [f"{value:.2f}" for value in means]))


def main():
    names = [f"q{q}_{c}" for q in range(4) for c in "rgb"]
    print(",".join(["clip", "width", "height", "frames", "index", "seconds"] + names))
    for path in sorted(Path(sys.argv[1]).iterdir()):
        if path.suffix not in (".mkv", ".mp4", ".avi", ".gif"):
            continue
        with av.open(str(path)) as container:
            frames = [(float(f.time), quarters(to_rgb(f)), (f.width, f.height))
                      for f in container.decode(video=0)]
        count = len(frames)
        for k in sorted({0, 1, count // 3, count // 2, count - 1}):
            line(path.name, frames[k][2], count, k, frames[k][0] - frames[0][0], frames[k][1])
        weights = np.arange(1, count + 1)
        means = np.average([f[1] for f in frames], axis=0, weights=weights)
        line(path.name, frames[0][2], count, "all", frames[-1][0] - frames[0][0], means)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes clip_faces.csv: the faces that PyTorch finds in frames of the clips of VERACE_TEST_DATA.

    make_clip_faces.py VERACE_TEST_DATA > clip_faces.csv

Needs PyTorch and PyAV, which decodes with an FFmpeg of its own. The network is that of
make_retinaface.py with the weights of retinaface_mobilenet025/Final_Retinaface.pth (ReLU), in
float32, at full size, score above 0.5, NMS 0.4. Of each clip the frames floor(F / n) * k; n is 10,
and 350 of the one with people walking. One line per face, the surest of a frame first; a frame
without one has a line with an empty score.
"""
import sys
from pathlib import Path

import av
import torch

import make_retinaface

WALKING = "one-by-one-person-detection.mp4"


def frames_of(path, wanted):
    """(number of frames, [(index, RGB)]) of the chosen ones."""
    with av.open(str(path)) as container:
        count = sum(1 for _ in container.decode(video=0))
    stride = max(1, count // wanted)
    chosen = {k * stride for k in range(min(wanted, count))}
    with av.open(str(path)) as container:
        frames = enumerate(container.decode(video=0))
        return count, [(i, f.to_ndarray(format="rgb24")) for i, f in frames if i in chosen]


def main():
    data = Path(sys.argv[1])
    model = make_retinaface.mobilenet(8, 64)
    weights = torch.load(data / "retinaface_mobilenet025" / "Final_Retinaface.pth", "cpu")
    model.load_state_dict({k.removeprefix("module."): v for k, v in weights.items()})
    model.eval()
    print("clip,frames,frame,score,x1,y1,x2,y2")
    for path in sorted((data / "videos_ccby4").iterdir()):
        if path.suffix not in (".mkv", ".mp4"):
            continue
        count, frames = frames_of(path, 350 if path.name == WALKING else 10)
        for index, frame in frames:
            with torch.no_grad():
                maps = model(make_retinaface.to_input(frame[None]))
            found = make_retinaface.faces(maps, 0, frame.shape[0], frame.shape[1], 0.5, 0.4)
            if len(found) == 0:
                print(f"{path.name},{count},{index},,,,,")
            for face in found:
                box = ",".join(f"{v:.2f}" for v in face[1:5])
                print(f"{path.name},{count},{index},{face[0]:.5f},{box}")


if __name__ == "__main__":
    main()

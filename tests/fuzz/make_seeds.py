#!/usr/bin/env python3
"""Writes the first files of tests/fuzz/corpus (those named seed-*); what fuzzing found lies beside them.

Needs numpy and Pillow. Run from any folder: python3 tests/fuzz/make_seeds.py
"""

import io
import json
import pathlib
import struct
import zipfile

import numpy
from PIL import Image

CORPUS = pathlib.Path(__file__).parent / "corpus"


def write(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(content)


def copy_golden(target, *names):
    """Small files that other scripts made (tests/goldens)."""
    for name in names:
        write(target, pathlib.Path(name).name, (CORPUS.parents[1] / "goldens" / name).read_bytes())


def torch_zip_without_sum(name):
    """The pickle's checksum set to 0, "none": behind it, changes of the pickle would never be read."""
    content = bytearray((CORPUS.parents[1] / "goldens" / name).read_bytes())
    entry = content.index(b"PK\x01\x02")  # of the first member, data.pkl
    content[entry + 16:entry + 20] = bytes(4)
    write("torch_zip", "without-sum-" + name, bytes(content))


def safetensors(header, data=b""):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def safetensors_seeds():
    write("safetensors", "empty", safetensors({}))
    write("safetensors", "metadata", safetensors({"__metadata__": {"format": "pt", "verace.variant": "v1"}}))
    every = {}
    at = 0
    data = b""
    sizes = dict(F64=8, F32=4, F16=2, BF16=2, I64=8, I32=4, I16=2, I8=1, U8=1, BOOL=1)
    for dtype, size in sizes.items():
        every[f"layer1.{dtype}"] = {"dtype": dtype, "shape": [2, 3], "data_offsets": [at, at + 6 * size]}
        at += 6 * size
        data += bytes(range(6 * size))
    write("safetensors", "every-dtype", safetensors(every, data))
    scalar = {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}
    nothing = {"dtype": "F32", "shape": [0, 7], "data_offsets": [4, 4]}
    write("safetensors", "scalar", safetensors({"a": scalar, "b": nothing}, b"\0\0\x80\x3f"))


def picture_seeds():
    rows, columns = numpy.mgrid[0:12, 0:20]
    rgb = numpy.stack([rows * 20, columns * 12, (rows * columns) % 256], -1).astype(numpy.uint8)
    grey = Image.fromarray(rgb[..., 0])
    colour = Image.fromarray(rgb)
    alpha = colour.copy()
    alpha.putalpha(grey)

    def save(name, image, kind, **options):
        out = io.BytesIO()
        image.save(out, kind, **options)
        write("picture", name, out.getvalue())

    save("rgb.jpg", colour, "JPEG", quality=50)
    save("progressive.jpg", colour, "JPEG", quality=60, progressive=True)
    save("grey.jpg", grey, "JPEG")
    save("cmyk.jpg", colour.convert("CMYK"), "JPEG")
    exif = Image.Exif()
    exif[0x0112] = 6
    save("turned.jpg", colour, "JPEG", exif=exif)
    save("rgb.png", colour, "PNG")
    save("alpha.png", alpha, "PNG")
    save("palette.png", colour.quantize(16), "PNG")
    save("bits.png", grey.convert("1"), "PNG")
    save("sixteen.png", Image.fromarray(rows.astype(numpy.uint16) * 5000), "PNG")
    save("rgb.bmp", colour, "BMP")
    save("palette.bmp", colour.quantize(16), "BMP")


def manifest_seeds():
    exe = "/proc/self/exe"  # a file that exists wherever the target runs
    write("manifest", "plain", f"path,label\n{exe},real\n{exe},0\n".encode())
    write("manifest", "all", (
        "path,label,video,identity,split\n"
        f'{exe},real,"a ""quoted"" video",person,train\n{exe},1,b,,test\r\n{exe},fake,c,person,val\n').encode())
    write("manifest", "leak", f"split,label,path,video\ntrain,1,{exe},v\ntest,1,{exe},v\n".encode())
    write("manifest", "missing", b"path,label\nnone.jpg,real\n")
    write("manifest", "bom", b"\xef\xbb\xbfpath,label,colour\n" + f"{exe},real,red\n".encode())
    columns = ("x1,y1,x2,y2,left_eye_x,left_eye_y,right_eye_x,right_eye_y,nose_x,nose_y,left_mouth_x,left_mouth_y,"
               "right_mouth_x,right_mouth_y")
    write("manifest", "faces", (
        f"path,label,video,identity,split,frame,seconds,score,{columns}\n"
        f"{exe},fake,v,id1+id0,val,7,0.233,0.99,-1.50,2,100.25,2e2,1,2,3,4,5,6,7,8,9,10.25\n"
        f"{exe},real,w,,val{',' * 17}\n").encode())


def video_list_seeds():
    write("video_lists", "celeb-df",
          b"1 YouTube-real/00170.mp4\n0 Celeb-synthesis/id1_id0_0007.mp4\r\n\n1\tCeleb-real/a b.MP4")
    write("video_lists", "bom", b"\xef\xbb\xbf1 Celeb-real/id1_0000.mp4\n")
    write("video_lists", "splits", b'[["071", "054"],\r\n ["087","081"]]\n')
    write("video_lists", "wrong-splits", b'[["071", 54]]')


def config_seeds():
    write("config", "empty", b"")
    write("config", "whole", (
        b"data = 'faces.csv'\nstrict = false\nfit = 'stretch'\nresize = 'bilinear'\nworkers = 2\ncache-mb = 200\n"
        b"variant = 'v1'\npool = 'padded'\ninput-scale = 'caffe'\nbn-epsilon = 1e-3\ninput-size = 64\nhead = 64\n"
        b"init = 'keras'\nfreeze = 'keras:15'\nfrozen-bn = 'inference'\nepochs = 2\nbatch = 32\nlr = 0.001\n"
        b"adam = 'keras'\nadam-epsilon = 'outside'\nloss = 'logits'\nclass-weights = 'none'\nseed = 1\nfpr = 0.01\n"
        b"device = 'cuda:0'\nlaunch = 'graph'\nplans = 'tuned'\nprecision = 'fp16'\nthreads = 0\nout = 'demo'\n"
        b"print-plan = true\nactivation = 'leaky:0.05'\n"))
    write("config", "wrong", b'epochs = "three"\n[table]\nx = [1, 2, {a = 1979-05-27T07:32:00Z}]\n')


KERAS_CONFIG = {"class_name": "Functional", "config": {"name": "m", "layers": [
    {"class_name": "InputLayer", "config": {"name": "i", "batch_input_shape": [None, 64, 64, 3]}},
    {"class_name": "Rescaling", "config": {"name": "r", "scale": 1 / 255, "offset": 0.0}},
    {"class_name": "ZeroPadding2D", "config": {"name": "pool1_pad"}},
    {"class_name": "MaxPooling2D", "config": {"name": "pool1_pool", "padding": "valid"}},
    {"class_name": "Functional", "config": {"name": "resnet50", "layers": [
        {"class_name": "Conv2D", "config": {"name": "conv3_block1_1_conv", "strides": [2, 2]}},
        {"class_name": "BatchNormalization",
         "config": {"name": "b", "epsilon": 1.001e-05, "momentum": 0.99}}]}},
    {"class_name": "Dense", "config": {"name": "a", "activation": "linear"}},
    {"class_name": "LeakyReLU", "config": {"name": "l", "alpha": 0.05}},
    {"class_name": "Dense", "config": {"name": "c", "activation": "softmax"}}]}}


def keras_seeds():
    write("keras_config", "model.json", json.dumps(KERAS_CONFIG).encode())
    shapes = {"resnet50/conv1_conv/kernel": [1, 1, 3, 2], "resnet50/conv1_conv/bias": [2],
              "resnet50/conv2_block1_1_conv/kernel": [1, 1, 2, 2],
              "resnet50/conv5_block3_3_conv/kernel": [1, 1, 1, 4],
              "dense/kernel": [4, 3], "dense/bias": [3], "dense_1/kernel": [3, 2], "dense_1/bias": [2]}
    entries, at = {"__metadata__": {"keras.version": "2.3.1",
                                    "keras.model_config": json.dumps(KERAS_CONFIG)}}, 0
    for name, shape in shapes.items():
        size = 4 * int(numpy.prod(shape))
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    write("weight_file", "keras", safetensors(entries, bytes(at)))


def index_seeds():
    write("safetensors_index", "two.json", json.dumps({
        "metadata": {"total_size": 12},
        "weight_map": {"a": "model-00001-of-00002.safetensors",
                       "b": "model-00002-of-00002.safetensors"}}).encode())


def network_seed():
    """The names that a ResNet-50 is recognised by, and a head of two layers."""
    shapes = {"module.conv1.weight": [2, 3, 7, 7], "module.layer1.0.conv1.weight": [2, 2, 1, 1],
              "module.fc.0.weight": [4, 8], "module.fc.2.weight": [2, 4], "module.conv1.bias": [2]}
    entries, at = {"__metadata__": {"verace.variant": "v1", "verace.class_names": '["real", "fake"]'}}, 0
    for name, shape in shapes.items():
        size = 4 * int(numpy.prod(shape))
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    write("weight_file", "network", safetensors(entries, bytes(at)))


def keras_archive_seed():
    """What Keras 3 calls .keras."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        for name, content in (
                ("metadata.json", b'{"keras_version": "3.15.1"}'),
                ("config.json", b'{"class_name": "Functional", "config": {"layers": []}}'),
                ("model.weights.h5", (CORPUS.parents[1] / "goldens/h5/compact.h5").read_bytes())):
            members.writestr(zipfile.ZipInfo(name), content)  # without the time
    write("weight_file", "keras_archive", archive.getvalue())


if __name__ == "__main__":
    copy_golden("torch_zip", "pth_kinds_zip.pth", "pth_kinds_torch2.pth", "pth_no_crc_torch2.pth")
    torch_zip_without_sum("pth_kinds_zip.pth")
    torch_zip_without_sum("pth_kinds_torch2.pth")
    copy_golden("torch_stream", "pth_kinds_stream.pth")
    keras = ["tiny", "split_names", "user_block", "compact", "external_link", "gzip", "no_scale", "same_dataset_twice"]
    copy_golden("keras_hdf5", *(f"h5/{name}.h5" for name in keras))
    keras_seeds()
    index_seeds()
    copy_golden("weight_file", "pth_kinds_zip.pth", "pth_kinds_stream.pth", "h5/tiny.h5")
    keras_archive_seed()
    network_seed()
    safetensors_seeds()
    picture_seeds()
    manifest_seeds()
    video_list_seeds()
    config_seeds()

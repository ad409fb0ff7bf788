"""Which engines the speed table has, how each is started, and which variants of each are tried."""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
INFERENCE = ("infer1", "infer16")
TRAINING = ("train16_none", "train16_keras15", "train16_stages3")
CASES = INFERENCE + TRAINING + ("fgsm16",)
DEBIAN_PYTHON = "/usr/bin/python3"


class Peer:
    """An engine: `module` imports it, `roots` are its packages (for what it takes on disc)."""

    def __init__(self, key, title, module, roots, variants):
        self.key, self.title, self.module, self.roots = key, title, module, roots
        self.variants = variants  # {case or "cold": [variant...]}
        self.venv = key != "debian-pytorch"
        self.script = ("pytorch" if key == "debian-pytorch" else key)

    def python(self, venv):
        return os.path.join(venv, "bin/python") if self.venv else DEBIAN_PYTHON

    def missing(self, venv):
        """Why it cannot be measured here, in one line; empty when it can."""
        if not os.path.exists(self.python(venv)):
            return f"{self.python(venv)} does not exist"
        done = subprocess.run([self.python(venv), "-c", f"import numpy, PIL, {self.module}"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = done.stderr.strip().splitlines() or ["no reason given"]
        return "" if done.returncode == 0 else said[-1]

    def command(self, venv, case, variant, workload, threads):
        return [self.python(venv), os.path.join(HERE, "engines", self.script + "_engine.py"),
                "--case", case, "--variant", variant, "--workload", workload,
                "--threads", str(threads)]

    def verdict(self, venv, variant, workload, threads):
        return [self.python(venv), os.path.join(HERE, "cold", f"verdict_{self.script}.py"), workload,
                os.path.join(workload, "face.jpg"), str(threads), variant]


def spread(inference, training, fgsm, cold):
    variants = {case: inference for case in INFERENCE}
    variants.update({case: training for case in TRAINING})
    variants.update({"fgsm16": fgsm, "cold": cold})
    return {case: names for case, names in variants.items() if names}


EAGER = ["nchw", "nhwc"]
TORCH = ["eager_nchw", "eager_nhwc", "fold_nhwc", "jit_nchw", "jit_nhwc"]
PEERS = [
    Peer("debian-pytorch", "Debian's PyTorch", "torch", ["torch", "numpy", "pillow"],
         spread(TORCH, EAGER, EAGER, ["jit"])),
    Peer("pytorch", "PyTorch", "torch", ["torch", "numpy", "pillow"],
         spread(TORCH + ["compile"], EAGER + ["compile"], EAGER + ["compile"], ["eager", "jit"])),
    Peer("onnxruntime", "ONNX Runtime", "onnxruntime", ["onnxruntime", "numpy", "pillow"],
         spread(["default"], [], [], ["default"])),
    Peer("openvino", "OpenVINO", "openvino", ["openvino", "numpy", "pillow"],
         spread(["latency", "plain"], [], [], ["ir", "cache"])),
    Peer("tensorflow", "TensorFlow", "tensorflow", ["tensorflow-cpu", "numpy", "pillow"],
         spread(["graph", "xla"], ["graph", "xla"], ["graph", "xla"], ["saved_model"])),
]
KEYS = [peer.key for peer in PEERS]


def verace_command(binary, case, workload, threads):
    return [binary, "--serve", "--case", case, "--threads", str(threads), "--model",
            os.path.join(workload, "network.safetensors"), "--pixels",
            os.path.join(workload, "pixels.u8")]

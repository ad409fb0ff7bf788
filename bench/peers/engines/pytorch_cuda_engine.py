"""PyTorch on a GPU at the cases of the speed table, in fp32, tf32, fp16 and bf16; channels_last.

Variants: eager; compile (inductor); graphs (inductor with CUDA graphs, mode "reduce-overhead").
16 bits: inference has weights and activations in that type, training and FGSM use autocast, fp16
training a GradScaler. Everything lies on the device before the clock starts, and the network's input is
normalised already. cuDNN chooses its engines by time. With --device cpu, for a rehearsal, the same code
runs on the host, in fp32.
"""
import collections
import time

import torch
from torch import nn

import worker
from network import FREEZE, MEAN, STD, frozen_modules
from pytorch_engine import load_model

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
AHEAD = 4  # steps that the host may be ahead of the device, as verace_bench_model


class HostEvent:
    """A point in time, where there is no device."""

    def record(self):
        self.at = time.perf_counter()

    def synchronize(self):
        pass

    def elapsed_time(self, later):
        return (later.at - self.at) * 1e3


class DeviceWork(worker.Work):
    """enqueue() starts one step and returns its result's tensor; nobody waits for it."""

    def __init__(self, args, enqueue, trained):
        super().__init__("PyTorch " + torch.__version__, self.step_and_wait, trained)
        self.enqueue, self.cuda = enqueue, args.device == "cuda"

    def step_and_wait(self):
        return self.enqueue().detach().float().cpu().numpy()

    def event(self):
        return torch.cuda.Event(enable_timing=True) if self.cuda else HostEvent()

    def measure(self, seconds):
        times, open_events = [], collections.deque([self.event()])

        def read_next():
            start = open_events.popleft()
            open_events[0].synchronize()
            times.append(start.elapsed_time(open_events[0]))
        begin = time.perf_counter()
        open_events[0].record()
        enqueued = 0
        while not enqueued or time.perf_counter() - begin < seconds:
            self.enqueue()
            if enqueued - len(times) == AHEAD:
                read_next()
            open_events.append(self.event())
            open_events[-1].record()
            enqueued += 1
        while len(times) < enqueued:
            read_next()
        return times

    def peaks(self):
        peaks = super().peaks()
        if self.cuda:
            peaks["peak_device_bytes"] = torch.cuda.max_memory_allocated()
            peaks["reserved_device_bytes"] = torch.cuda.max_memory_reserved()
        return peaks


def compiled(args, function):
    if args.variant == "eager":
        return function
    if not hasattr(torch, "compile"):
        raise RuntimeError("no torch.compile in " + torch.__version__)
    return torch.compile(function, mode="reduce-overhead" if args.variant == "graphs" else None)


def begin_step(args):
    """CUDA graphs keep their results in memory of their own, which the next step overwrites."""
    if args.variant == "graphs":
        torch.compiler.cudagraph_mark_step_begin()


def on_device(args, array):
    """[n, h, w, 3] as PyTorch's [n, 3, h, w], in the order of channels_last, on the device."""
    return torch.from_numpy(array).to(args.device).permute(0, 3, 1, 2)


def autocast(args):
    on = args.precision in ("fp16", "bf16")
    return torch.autocast(args.device, DTYPES[args.precision] if on else None, enabled=on)


def inference(args, model):
    dtype = DTYPES[args.precision]
    model = model.to(dtype).requires_grad_(False)
    x = on_device(args, worker.normalised(args)).to(dtype)
    if args.variant != "eager":
        from torch._inductor import config
        config.freezing = True  # batch norms fold into the convolutions
    net = compiled(args, model)

    def enqueue():
        with torch.no_grad():
            begin_step(args)
            return net(x)
    return enqueue, 0


def training(args, model):
    x = on_device(args, worker.normalised(args))
    labels = torch.from_numpy(worker.labels(args)).to(args.device)
    modules = dict(model.named_modules())
    model.train()
    for name in frozen_modules(FREEZE[worker.parse_case(args.case)[2]]):
        modules[name].requires_grad_(False).eval()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=worker.LEARNING_RATE, fused=args.device == "cuda")
    scaler = torch.cuda.amp.GradScaler(enabled=args.precision == "fp16")

    def loss_of(x):
        with autocast(args):
            return nn.functional.cross_entropy(model(x), labels)
    loss_of = compiled(args, loss_of)

    def enqueue():
        begin_step(args)
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(x)
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        return loss
    return enqueue, sum(p.numel() for p in parameters)


def fgsm(args, model):
    import numpy as np
    model.requires_grad_(False)
    pixels = on_device(args, worker.pixels(args).astype(np.float32) / np.float32(255))
    labels = torch.from_numpy(worker.labels(args)).to(args.device)
    mean, std = (torch.tensor(v, device=args.device).view(1, 3, 1, 1) for v in (MEAN, STD))

    def loss_of(x):
        with autocast(args):
            loss = nn.functional.cross_entropy(model((x - mean) / std), labels, reduction="sum")
        # As Verace does: fp16 has no room for the small gradients; their signs stay as they are.
        return loss * 1024 if args.precision == "fp16" else loss
    loss_of = compiled(args, loss_of)

    def enqueue():
        begin_step(args)
        x = pixels.detach().requires_grad_(True)
        loss = loss_of(x)
        gradient, = torch.autograd.grad(loss, x)
        attacked = (pixels + worker.FGSM_EPSILON * gradient.sign()).clamp_(0.0, 1.0)
        return attacked.permute(0, 2, 3, 1)
    return enqueue, 0


def make(args):
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = args.precision == "tf32"
    if args.device == "cpu":
        torch.set_num_threads(args.threads)
    model = load_model(args.workload + "/network.safetensors").eval()
    model = model.to(args.device).to(memory_format=torch.channels_last)
    kind = worker.parse_case(args.case)[0]
    enqueue, trained = {"infer": inference, "train": training, "fgsm": fgsm}[kind](args, model)
    return DeviceWork(args, enqueue, trained)


if __name__ == "__main__":
    worker.main(make)

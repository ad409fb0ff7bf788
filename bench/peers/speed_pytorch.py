#!/usr/bin/env python3
"""Times PyTorch on the work of our speed table: ResNet-50 v1.5, fp32, random weights, 224x224, CPU.

Cases (every one in a process of its own, so that its peak memory is its own):
    sgemm                               2048^3 matrix product
    infer1_V, infer16_V                 inference of 1 and of 16 pictures, V being
                                        eager_nchw, eager_nhwc, jit_nchw, jit_nhwc (traced, frozen,
                                        optimize_for_inference), fold_nhwc (batch norms folded into
                                        the convolutions, eager), compile (PyTorch 2 and newer)
    train16_F_L                         training step of 16 with Adam; F being none, keras15,
                                        stages3 (frozen batch norm in inference mode), L nchw, nhwc
    fgsm16_L                            gradient by the pixels and the attacked picture, eval mode
The head is Linear(2048,3000), leaky ReLU 0.05, Linear(3000,2). Prints JSON: milliseconds (median,
p10, p90, least), CPU milliseconds of all threads (on a busy machine these divided by the threads
tell more than the wall clock), pictures per second, GFLOP/s counted from the geometry (a multiply-add is two;
backward counted for what is really needed), peak resident bytes of the whole process and before
the first step.

Run:
    speed_pytorch.py                            all cases, one JSON document with the best of each
    speed_pytorch.py --case train16_keras15_nhwc --seconds 20     one case, one JSON line, so that
                                                a driver can alternate with another engine
    speed_pytorch.py --list
"""
import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time

INFER = ("eager_nchw", "eager_nhwc", "jit_nchw", "jit_nhwc", "fold_nhwc", "compile")
FREEZE = {"none": "none", "keras15": "keras:15", "stages3": "stages:3"}


def case_names():
    names = ["sgemm"]
    names += [f"infer{n}_{v}" for n in (1, 16) for v in INFER]
    names += [f"train16_{f}_{l}" for f in FREEZE for l in ("nchw", "nhwc")]
    return names + ["fgsm16_nchw", "fgsm16_nhwc"]


def peak_rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(step, seconds, warm=2):
    """Milliseconds (wall, CPU) of each run of `step` for about `seconds` after `warm` runs."""
    for _ in range(warm):
        step()
    times, cpu, begin = [], [], time.perf_counter()
    while time.perf_counter() - begin < seconds or len(times) < 3:
        tick, cpu_tick = time.perf_counter(), time.process_time()
        step()
        times.append((time.perf_counter() - tick) * 1e3)
        cpu.append((time.process_time() - cpu_tick) * 1e3)
    return sorted(times), sorted(cpu)


def count_flops(model, x):
    """{layer: forward FLOPs} in order of execution; batch norms stand in it with 0."""
    import torch
    counts, handles = {}, []

    def hook(name):
        def note(layer, _, output):
            products = 0
            if isinstance(layer, torch.nn.Conv2d):
                products = layer.weight[0].numel()
            elif isinstance(layer, torch.nn.Linear):
                products = layer.in_features
            counts[name] = 2 * output.numel() * products
        return note

    for name, layer in model.named_modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear, torch.nn.BatchNorm2d)):
            handles.append(layer.register_forward_hook(hook(name)))
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return counts


def training_flops(counts, frozen):
    """Forward, weight gradients of what trains, input gradients where something below trains."""
    total = sum(counts.values()) + sum(c for n, c in counts.items() if n not in frozen)
    below = at_block_input = in_shortcut = False
    for name, flops in counts.items():
        trains = name not in frozen
        if "downsample" in name:  # runs after the main branch, reads the block's input
            total += flops if at_block_input else 0
            in_shortcut = in_shortcut or trains
            continue
        if name.endswith(".conv1") or name.startswith("fc"):
            below, in_shortcut = below or in_shortcut, False
            at_block_input = below
        total += flops if below else 0
        below = below or trains
    return total


def layout(name):
    import torch
    return torch.channels_last if name.endswith("nhwc") else torch.contiguous_format


def make_model(variant):
    import torch
    import finetune_pytorch as recipe
    from resnet50_pytorch import make_resnet50
    torch.manual_seed(1)
    model = make_resnet50(classes=0)
    model.fc = recipe.make_head(2048, 3000, "leaky:0.05", torch.Generator().manual_seed(1))
    return model.to(memory_format=layout(variant))


def inference(variant, batch):
    import torch
    model = make_model(variant).eval()
    x = torch.rand(batch, 3, 224, 224).contiguous(memory_format=layout(variant))
    flops = sum(count_flops(model, x).values())
    if variant.startswith("jit"):
        with torch.no_grad():
            model = torch.jit.freeze(torch.jit.trace(model, x))
            model = torch.jit.optimize_for_inference(model)
    elif variant.startswith("fold"):
        from torch.fx.experimental.optimization import fuse
        model = fuse(model).to(memory_format=torch.channels_last)
    elif variant == "compile":
        model = torch.compile(model.to(memory_format=torch.channels_last))
        x = x.contiguous(memory_format=torch.channels_last)

    def step():
        with torch.inference_mode():
            model(x)
    return step, flops


def training(freeze, variant, batch):
    import torch
    import finetune_pytorch as recipe
    model = make_model(variant)
    freezer = recipe.Freezer(model, FREEZE[freeze])
    net = recipe.Normalised(model)
    x = torch.rand(batch, 3, 224, 224).contiguous(memory_format=layout(variant))
    labels = torch.arange(batch) % 2
    flops = training_flops(count_flops(model, x), set(freezer.names))
    freezer.train(model)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        optimiser.step()
        return float(loss.detach())
    return step, flops


def fgsm(variant, batch):
    import torch
    import finetune_pytorch as recipe
    model = make_model(variant).eval().requires_grad_(False)
    net = recipe.Normalised(model)
    pixels = torch.rand(batch, 3, 224, 224).contiguous(memory_format=layout(variant))
    labels = torch.arange(batch) % 2
    flops = 2 * sum(count_flops(model, pixels).values())

    def step():
        x = pixels.detach().requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(net(x), labels, reduction="sum")
        gradient, = torch.autograd.grad(loss, x)
        return (pixels + 0.01 * gradient.sign()).clamp_(0.0, 1.0)
    return step, flops


def sgemm():
    import torch
    a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
    out = torch.empty(2048, 2048)
    return (lambda: torch.mm(a, b, out=out)), 2 * 2048 ** 3


def run_case(name, seconds, threads):
    import torch
    torch.set_num_threads(threads)
    if name == "infer1_compile" or name == "infer16_compile":
        if not hasattr(torch, "compile"):
            return {"case": name, "skipped": "no torch.compile in " + torch.__version__}
    before = peak_rss()
    pictures = 16
    if name == "sgemm":
        (step, flops), pictures = sgemm(), 0
    elif name.startswith("infer"):
        first, _, variant = name.partition("_")
        pictures = int(first[len("infer"):])
        step, flops = inference(variant, pictures)
    elif name.startswith("train16_"):
        _, freeze, variant = name.split("_")
        step, flops = training(freeze, variant, 16)
    else:
        step, flops = fgsm(name.split("_")[1], 16)
    setup = peak_rss()
    times, cpu = measure(step, seconds)
    median = times[len(times) // 2]
    return {"case": name, "runs": len(times), "ms": median, "ms_p10": times[len(times) // 10],
            "ms_p90": times[(len(times) * 9) // 10], "ms_least": times[0],
            "cpu_ms": cpu[len(cpu) // 2], "load_average": os.getloadavg()[0],
            "pictures_per_second": pictures / median * 1e3 if pictures else None,
            "gflop": flops / 1e9, "gflops": flops / median / 1e6,
            "peak_rss_bytes": peak_rss(), "rss_after_import_bytes": before,
            "rss_before_first_step_bytes": setup, "threads": threads,
            "engine": f"PyTorch {torch.__version__}"}


def run_all(args):
    """Each case in its own process; the best variant of each group stands in `best`."""
    results = []
    for name in case_names():
        if args.only and not name.startswith(args.only):
            continue
        done = subprocess.run([sys.executable, os.path.abspath(__file__), "--case", name,
                               "--seconds", str(args.seconds), "--threads", str(args.threads)],
                              stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode == 0:
            results.append(json.loads(done.stdout.strip().splitlines()[-1]))
        else:
            results.append({"case": name, "failed": done.returncode})
        print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    best = {}
    for result in results:
        group = result["case"]
        for ending in ["_" + v for v in INFER] + ["_nchw", "_nhwc"]:
            group = group[:-len(ending)] if group.endswith(ending) else group
        if "ms" in result and (group not in best or result["ms"] < best[group]["ms"]):
            best[group] = {k: result[k] for k in ("case", "ms", "pictures_per_second", "gflops",
                                                  "peak_rss_bytes")}
    print(json.dumps({"machine": platform.machine(), "best": best, "results": results}, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=case_names())
    parser.add_argument("--only", help="only cases whose names begin so")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        print("\n".join(case_names()))
    elif args.case:
        print(json.dumps(run_case(args.case, args.seconds, args.threads)))
    else:
        run_all(args)


if __name__ == "__main__":
    main()

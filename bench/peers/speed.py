#!/usr/bin/env python3
"""Speed of Verace and of PyTorch on the same work, in one run: python3 bench/peers/speed.py [--rounds 3].

Full-size ResNet-50 v1.5 with a head of 3000 neurons, 224x224, fp32, all processors: inference with
batch 1 and 16, training steps with batch 16 (nothing frozen, keras:15, stages:3) and FGSM with
batch 16. First each variant of PyTorch (memory layout, fused inference) runs once and the fastest
is kept; then Verace and that variant run in turn, each in its own process, `--rounds` times. The
table shows medians over the rounds and the ratio pair by pair; sgemm is measured in the same run.

PyTorch is taken from the interpreter `--python` (default /usr/bin/python3 with Debian's
python3-torch). The binary comes from `cmake --preset release -DVERACE_BENCH=ON`, as ./run bench does.
"""
import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
INFERENCE = ("eager_nchw", "eager_nhwc", "jit_nchw", "jit_nhwc", "fold_nhwc", "compile")
CASES = {
    "infer1": [f"infer1_{v}" for v in INFERENCE],
    "infer16": [f"infer16_{v}" for v in INFERENCE],
    "train16_none": ["train16_none_nchw", "train16_none_nhwc"],
    "train16_keras15": ["train16_keras15_nchw", "train16_keras15_nhwc"],
    "train16_stages3": ["train16_stages3_nchw", "train16_stages3_nhwc"],
    "fgsm16": ["fgsm16_nchw", "fgsm16_nhwc"],
}


def run_json(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        said = done.stderr.strip().splitlines()
        return {"failed": done.returncode, "said": said[-1] if said else "nothing"}
    return json.loads(lines[-1])


def peer(args, case, seconds):
    return run_json([args.python, os.path.join(HERE, "speed_pytorch.py"), "--case", case,
                     "--seconds", str(seconds), "--threads", str(args.threads)])


def ours(args, case, seconds):
    return run_json([args.binary, "--case", case, "--seconds", str(seconds),
                     "--threads", str(args.threads)])


def fastest(args, variants):
    results, said = {}, ""
    for variant in variants:
        result = peer(args, variant, args.scout)
        said = result.get("said", said)
        if "ms" in result:
            results[variant] = result["ms"]
            print(f"  {variant}: {result['ms']:.1f} ms", file=sys.stderr, flush=True)
    if not results:
        sys.exit(f"speed.py: no PyTorch variant ran with {args.python} ({said}): run ./run setup "
                 "--oracles, or name another interpreter by --python")
    return min(results, key=results.get)


def measure(args, case):
    variant = fastest(args, CASES[case])
    pairs = []
    for _ in range(args.rounds):
        pairs.append((ours(args, case, args.seconds), peer(args, variant, args.seconds)))
    for mine, theirs in pairs:
        if "ms" not in mine or "ms" not in theirs:
            sys.exit(f"speed.py: {case} failed: {mine} {theirs}")
    ratios = [theirs["ms"] / mine["ms"] for mine, theirs in pairs]
    middle = [statistics.median(p[i]["ms"] for p in pairs) for i in (0, 1)]
    pictures = int("".join(c for c in case.split("_")[0] if c.isdigit()))
    return {"case": case, "verace_ms": middle[0], "pytorch_ms": middle[1], "pytorch_variant": variant,
            "verace_pictures_per_second": 1e3 * pictures / middle[0],
            "pytorch_pictures_per_second": 1e3 * pictures / middle[1],
            "ratio": statistics.median(ratios), "ratio_least": min(ratios), "ratio_most": max(ratios),
            "verace_gflops": pairs[0][0]["gflop"] / middle[0] * 1e3,
            "verace_peak_rss_mb": max(p[0]["peak_rss_bytes"] for p in pairs) / 1e6,
            "pytorch_peak_rss_mb": max(p[1]["peak_rss_bytes"] for p in pairs) / 1e6,
            "pytorch_version": pairs[0][1]["engine"], "pairs": pairs}


def table(rows, sgemm, note):
    lines = [note, "", f"sgemm 2048^3 of this run: {sgemm:.0f} GFLOP/s.", "",
             "| case | Verace images/s | PyTorch images/s (variant) | ratio (least-most) | "
             "Verace, share of sgemm | peak MB: Verace / PyTorch |", "|--|--|--|--|--|--|"]
    for r in rows:
        lines.append(
            f"| {r['case']} | {r['verace_pictures_per_second']:.2f} | "
            f"{r['pytorch_pictures_per_second']:.2f} ({r['pytorch_variant']}) | "
            f"**{r['ratio']:.2f}** ({r['ratio_least']:.2f}-{r['ratio_most']:.2f}) | "
            f"{100 * r['verace_gflops'] / sgemm:.0f} % | "
            f"{r['verace_peak_rss_mb']:.0f} / {r['pytorch_peak_rss_mb']:.0f} |")
    return "\n".join(lines) + "\n"


def processor():
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary",
                        default=os.path.join(ROOT, "build/release/bench/model/verace_bench_model"))
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--scout", type=float, default=3, help="seconds per PyTorch variant")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="*", choices=sorted(CASES))
    parser.add_argument("--out", help="write FILE.md and FILE.json")
    args = parser.parse_args()
    if not os.path.exists(args.binary):
        sys.exit(f"speed.py: {args.binary} is not built: run ./run bench, or name it by --binary")
    before = ours(args, "sgemm", 2)["gflops"]
    rows = []
    for case in args.only or CASES:
        rows.append(measure(args, case))
        print(f"{case}: ratio {rows[-1]['ratio']:.2f}", file=sys.stderr, flush=True)
    sgemm = max(before, ours(args, "sgemm", 2)["gflops"])
    note = (f"{datetime.date.today()}, {processor()}, {args.threads} threads; "
            f"{rows[0]['pytorch_version']}; medians of {args.rounds} alternating rounds.")
    text = table(rows, sgemm, note)
    print(text)
    if args.out:
        with open(args.out + ".md", "w") as file:
            file.write("# Speed against PyTorch on the CPU\n\n`./run bench`: " + text)
        with open(args.out + ".json", "w") as file:
            json.dump({"note": note, "sgemm_gflops": sgemm, "cases": rows}, file, indent=1)


if __name__ == "__main__":
    main()

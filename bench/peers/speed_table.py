#!/usr/bin/env python3
"""Writes the table of bench/peers/run from its raw figures: speed_table.py FILE.json [FILE.md]."""
import json
import statistics
import sys

from peer_list import KEYS, PEERS

TITLES = {
    "infer1": "Inference, batch 1", "infer16": "Inference, batch 16",
    "train16_none": "Training step, batch 16, nothing frozen",
    "train16_keras15": "Training step, batch 16, `keras:15`",
    "train16_stages3": "Training step, batch 16, `stages:3`",
    "fgsm16": "FGSM, batch 16", "cold": "One verdict from the shell, whole process",
    "size": "Bytes on the disc"}
NAMES = dict({peer.key: peer.title for peer in PEERS}, verace="Verace")


def quantile(values, q):
    """Linear interpolation between order statistics, as numpy's default."""
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def flat(times):
    """All times of rounds, or times as they are."""
    return [ms for part in times for ms in (part if isinstance(part, list) else [part])]


def round_medians(times):
    return [statistics.median(part) if isinstance(part, list) else part for part in times]


def ratio(peer, ours):
    """(median, least, most) over the rounds of peer time / our time; above 1: we are faster."""
    pairs = [a / b for a, b in zip(round_medians(peer), round_medians(ours), strict=True)]
    return statistics.median(pairs), min(pairs), max(pairs)


def standing(middle, least, most):
    """How a ratio is marked: behind, equal (the rounds disagree on who is faster), or nothing."""
    if least < 1 < most and 0.97 <= middle <= 1.03:
        return "equal"
    return "behind" if middle < 1 else ""


def times_of(group, key):
    """The engine's times, or None."""
    return group["engines"].get(key, {}).get("ms") or None


def overtaken(group, key):
    """(variant, ms) that was faster when variants were chosen than the chosen one in the rounds; or None.

    So a choice that a busy machine spoilt cannot make a peer look slow.
    """
    entry, times = group["engines"][key], times_of(group, key)
    if times is None:
        return None
    tried = [(ms, name) for name, ms in entry.get("scouted", {}).items()
             if isinstance(ms, (int, float)) and name != entry.get("variant")]
    if not tried or min(tried)[0] >= statistics.median(flat(times)):
        return None
    return min(tried)[1], min(tried)[0]


def overtaken_ratio(group, key):
    return overtaken(group, key)[1] / statistics.median(flat(times_of(group, "verace")))


def ratio_text(group, key):
    """A cell of the summary."""
    times = times_of(group, key)
    if times is None:
        return ""
    if overtaken(group, key):
        value = overtaken_ratio(group, key)
        return f"**{value:.2f}\\* behind**" if value < 1 else f"{value:.2f}\\*"
    middle, least, most = ratio(times, times_of(group, "verace"))
    mark = standing(middle, least, most)
    return f"**{middle:.2f} {mark}**" if mark == "behind" else f"{middle:.2f} {mark}".strip()


def sized(group):
    return {key: entry["bytes"] for key, entry in group["engines"].items() if "bytes" in entry}


def summary(groups):
    timed = [name for name in TITLES if name in groups and times_of(groups[name], "verace")]
    if not timed:
        return []
    lines = ["| peer time / ours | " + " | ".join(NAMES[key] for key in KEYS) + " |",
             "|--|" + "--|" * len(KEYS)]
    for name in timed:
        cells = [ratio_text(groups[name], key) for key in KEYS]
        lines.append(f"| {TITLES[name]} | " + " | ".join(cells) + " |")
    if any("\\*" in line for line in lines):
        lines += ["", "\\* by a variant that was not timed in rounds, but took less when variants were chosen."]
    return lines + [""]


def engine_row(name, group, key):
    entry, times = group["engines"][key], flat(times_of(group, key))
    middle = statistics.median(times)
    label = NAMES[key] + (f" ({entry['variant']})" if entry.get("variant") else "")
    cells = [label, f"{middle:.1f}", f"{quantile(times, 0.1):.1f}-{quantile(times, 0.9):.1f}"]
    if name != "cold":
        share = group["gflop"] / middle * 1e3 / group["sgemm_gflops"]
        cells += [f"{1e3 * group['pictures'] / middle:.2f}", f"{100 * share:.0f} %"]
    if key == "verace":
        cells.append("1")
    else:
        value, least, most = ratio(times_of(group, key), times_of(group, "verace"))
        mark = standing(value, least, most)
        cells.append(f"**{value:.2f}** ({least:.2f}-{most:.2f})" + (f" **{mark}**" if mark else ""))
    return "| " + " | ".join(cells + [f"{entry['peak_rss_bytes'] / 1e6:.0f}"]) + " |"


def missing_lines(group):
    return [f"MISSING {NAMES[key]}: {group['engines'][key]['missing']}"
            for key in ["verace"] + KEYS if "missing" in group["engines"].get(key, {})]


def timed_section(name, group):
    per_picture = "" if name == "cold" else " images/s | of sgemm |"
    lines = [f"## {TITLES[name]}", ""]
    if name == "cold":
        lines += [f"{group['when']}; {group['threads']} threads, {group['rounds']} alternating rounds."]
    else:
        lines += [f"{group['when']}; {group['threads']} threads, {group['rounds']} alternating rounds of "
                  f"{group['seconds']:g} s, {group['gflop']:.1f} GFLOP; sgemm 2048^3 "
                  f"{group['sgemm_gflops']:.0f} GFLOP/s."]
    lines += ["", f"| engine | ms | p10-p90 |{per_picture} ratio (least-most) | peak MB |",
              "|--|--|--|" + ("" if name == "cold" else "--|--|") + "--|--|"]
    lines += [engine_row(name, group, key) for key in ["verace"] + KEYS if times_of(group, key)]
    notes = []
    for key in KEYS:
        if key in group["engines"] and overtaken(group, key):
            variant, ms = overtaken(group, key)
            notes.append(f"{NAMES[key]}: {variant} took {ms:.1f} ms when variants were chosen, less than the "
                         f"timed {group['engines'][key]['variant']}; ratio by it "
                         f"**{overtaken_ratio(group, key):.2f}**.")
    notes += missing_lines(group)
    return lines + [""] + ([*notes, ""] if notes else [])


def size_section(group):
    found = sized(group)
    lines = [f"## {TITLES['size']}", "",
             "Without Python and the C library. Verace: the program and the shared libraries that it needs. "
             "Debian's", "PyTorch: the modules torch, numpy and PIL, and the shared libraries that they load. The "
             "others: the", "packages that pip installs from PyPI; PyTorch's wheel there is built for CUDA, and "
             "cannot be", "imported without NVIDIA's libraries.", "",
             "| engine | MB | times ours | |", "|--|--|--|--|"]
    for key in ["verace"] + KEYS:
        if key not in found:
            continue
        entry = group["engines"][key]
        name, note = NAMES[key], ""
        if entry.get("cuda_bytes"):
            name += ", for CUDA"
            note = f"of it {entry['cuda_bytes'] / 1e6:.0f} MB NVIDIA's libraries and Triton"
        if "program_bytes" in entry:
            note = f"of it the program {entry['program_bytes'] / 1e6:.1f} MB"
        lines.append(f"| {name} | {found[key] / 1e6:.1f} | {found[key] / found['verace']:.1f} "
                     f"| {note} |")
    missing = missing_lines(group)
    return lines + [""] + ([*missing, ""] if missing else [])


def versions(groups):
    """{key: version text} of all groups; an engine that changed between groups has both."""
    found = {}
    for group in groups.values():
        for key, entry in group["engines"].items():
            if "engine" in entry and entry["engine"] not in found.setdefault(key, []):
                found[key].append(entry["engine"])
    return "; ".join(f"{NAMES[key]}: {', '.join(found[key])}" for key in ["verace"] + KEYS if key in found)


def render(results):
    machine, groups = results["machine"], results["groups"]
    lines = [
        "# Verace and other engines on the CPU", "",
        "`bench/peers/run`: the same weights and pictures, the same results (checked before the times are",
        "taken), every engine in a process of its own, in alternating rounds, the others stopped meanwhile;",
        "of each engine its fastest variant. Full-size ResNet-50 v1.5, 224x224, head 3000, fp32. Ratio: the",
        "peer's time divided by ours, per round, median (least-most); above 1 we are faster. p10-p90 are of",
        "single steps. Peak MB: resident memory of the whole process, with loading and compiling. Engines'",
        "threads wait for each other as each engine comes; a wide range is a round that something disturbed.", "",
        f"{machine['processor']}{', AVX-512' if machine['avx512'] else ''}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, Linux {machine['kernel']}. {versions(groups)}.", ""]
    lines += summary(groups)
    for name in TITLES:
        if name in groups and name == "size":
            lines += size_section(groups[name])
        elif name in groups and times_of(groups[name], "verace"):
            lines += timed_section(name, groups[name])
    return "\n".join(lines).rstrip("\n") + "\n"


def main():
    with open(sys.argv[1]) as file:
        text = render(json.load(file))
    if len(sys.argv) > 2:
        with open(sys.argv[2], "w") as file:
            file.write(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()

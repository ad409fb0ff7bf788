#!/usr/bin/env python3
"""Writes docs/map.md, the map of the repository, from the first-line comments of its files.

    scripts/make_map.py           write docs/map.md
    scripts/make_map.py --check   say whether it is current; exit code 1 when it is not

Rooms stand in the order of their dependencies, and so do the subjects within a room: a file stands
after those that it includes. Files with one stem (conv2d.h, .cc, .cu) share a line, the header's.
"""
import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAP = "docs/map.md"
ROOMS = {
    "kernels": "the bottom: raw pointers and geometry in, numbers out; owns no tensor memory",
    "engine": "device, memory, tensors, the layer interface, the planned step",
    "layers": "wires operations into layers and networks; no device code",
    "optim": "what changes parameters and pictures: optimisers, schedules, freezing, attacks",
    "data": "from files to batches: pictures, faces, manifests, the loader",
    "weights": "reads and writes weights and checkpoints; the names of others and ours",
    "apps/lib": "what composes several rooms: training, evaluation, attack, report",
    "apps/cli": "the one binary `verace`, one file per subcommand",
    "bench": "speed: operations, layers, the model, and other engines at the same work",
    "tests": "one file per operation or subject",
    "cmake": "build options, outside libraries, CUDA",
    "scripts": "setup, checks, formatting; called by `run` and by ctest",
    "docs": "for people",
}
TOP_LEVEL = {
    "run": "the commands: `./run demo`, `./run test` and a few more",
    ".ci/run": "what CI runs: `./run test` with the real test data where it exists",
    "README.md": "what this is and how to use it",
    "CONTRIBUTING.md": "how to add something, and the habits that keep it simple",
    "CMakeLists.txt": "the build: one target per folder",
    "CMakePresets.json": "release, debug, asan, tsan, minimal, cuda, emulated, emulated-check",
}
SOURCES = {".h", ".cc", ".cu", ".cuh", ".py", ".sh", ".cmake", ".md"}
SUFFIX_ORDER = [".h", ".cuh", ".cc", ".cu"]
SKIPPED_FOLDERS = re.compile(r"(^|/)(\.git|build|build-[^/]*|runs|__pycache__)(/|$)")


def list_files(root):
    """All files that belong to the repository, as sorted paths relative to root."""
    try:
        command = ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z", "."]
        output = subprocess.run(command, check=True, capture_output=True).stdout.decode()
        names = output.split("\0")
    except (OSError, subprocess.CalledProcessError):  # not a checkout, or no git: walk
        names = [os.path.relpath(os.path.join(folder, name), root)
                 for folder, _, files in os.walk(root) for name in files]
    return sorted({n for n in names
                   if n and not SKIPPED_FOLDERS.search(n) and (Path(root) / n).is_file()})


def leading_comment(path):
    """The text of the comment that a file starts with, up to its first empty line."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if lines and lines[0].startswith("#!"):
        lines = lines[1:]
    if not lines:
        return ""
    if lines[0].lstrip().startswith('"""'):
        text = "\n".join(lines).split('"""')[1]
        return " ".join(text.strip().split("\n\n")[0].split())
    if path.suffix == ".md":
        return next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), "")
    marker = "//" if path.suffix in (".h", ".cc", ".cu", ".cuh") else "#"
    words = []
    for line in lines:
        if not line.startswith(marker) or not line[len(marker):].strip():
            break
        words.append(line[len(marker):].strip())
    return " ".join(words)


def first_sentence(text):
    """Up to the first full stop that ends a sentence, without it; pipes escaped for the table."""
    sentence = re.split(r"\.(?=\s+[A-Z])", text, maxsplit=1)[0].rstrip(".")
    return sentence.replace("|", "\\|")


def room_of(name):
    """The room (a key of ROOMS) that a file stands in, or None for the top level."""
    parts = name.split("/")
    if parts[0] == "apps" and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0] if parts[0] in ROOMS and len(parts) > 1 else None


def subjects(names):
    """Groups files by stem, as [(stem, [names, header first])]."""
    groups = {}
    for name in names:
        suffix = Path(name).suffix
        key = name[: -len(suffix)] if suffix in SUFFIX_ORDER else name
        groups.setdefault(key, []).append(name)
    for members in groups.values():
        members.sort(key=lambda n: SUFFIX_ORDER.index(Path(n).suffix)
                     if Path(n).suffix in SUFFIX_ORDER else 0)
    return groups


def in_dependency_order(root, groups):
    """The keys of groups, each after the ones that its files include (alphabetical otherwise)."""
    owner = {name: key for key, members in groups.items() for name in members}
    needs = {key: set() for key in groups}
    for key, members in groups.items():
        for name in members:
            text = (root / name).read_text(encoding="utf-8", errors="replace")
            for included in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M):
                if owner.get(included, key) != key:
                    needs[key].add(owner[included])
    order, waiting = [], sorted(groups)
    while waiting:
        ready = next((k for k in waiting if needs[k] <= set(order)), waiting[0])  # else: a cycle
        waiting.remove(ready)
        order.append(ready)
    return order


def room_lines(root, room, names):
    """The section of one room."""
    lines = [f"## {room}/", "", f"{ROOMS[room][0].upper()}{ROOMS[room][1:]}.", "",
             "| file | what it is |", "|---|---|"]
    groups = subjects(names)
    for key in in_dependency_order(root, groups):
        members = groups[key]
        label = " ".join([f"`{members[0][len(room) + 1:]}`"] +
                         [f"`{Path(m).suffix}`" for m in members[1:]])
        lines.append(f"| {label} | {first_sentence(leading_comment(root / members[0]))} |")
    return lines + [""]


def make_map(root):
    """The text of docs/map.md."""
    names = [n for n in list_files(root) if Path(n).suffix in SOURCES and n != MAP]
    lines = ["# Map", "",
             "Written by `scripts/make_map.py` from the first lines of the files: change those, "
             "then run it.", "",
             "A room includes only rooms above it in this list; `layers`, `optim`, `data` and "
             "`weights` never include each other; `bench` and `tests` may include all.", "",
             "## Top level", "", "| file | what it is |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in TOP_LEVEL.items()
              if (root / name).exists()]
    lines.append("")
    for room in ROOMS:
        members = [n for n in names if room_of(n) == room]
        if members:
            lines += room_lines(root, room, members)
    return "\n".join(lines).rstrip() + "\n"


def is_current(root):
    """Whether docs/map.md is what make_map() would write."""
    path = Path(root) / MAP
    return path.exists() and path.read_text(encoding="utf-8") == make_map(Path(root))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when outdated")
    if parser.parse_args().check:
        if is_current(ROOT):
            return 0
        print(f"{MAP}:1: is not current: run scripts/make_map.py")
        return 1
    (ROOT / MAP).parent.mkdir(exist_ok=True)
    (ROOT / MAP).write_text(make_map(ROOT), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

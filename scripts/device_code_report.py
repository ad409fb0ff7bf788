#!/usr/bin/env python3
"""Lists the kernels of the compiled CUDA code, fails on spills and on kernels that no test has run.

    scripts/device_code_report.py build/cuda                      table; fails on spilled registers
    scripts/device_code_report.py build/cuda --ran LOG [LOG ...]  also fails when a kernel is missing
    scripts/device_code_report.py --self-test                     planted faults; all must be found

BUILD is a built folder with nvcc, which was told -no-compress (preset cuda). The kernels of
kernels/*.cu are read out of its object files (cubin.py). The build also holds kernels that spill
on purpose (tests/simt/spilling_kernel.cu): they must be found. LOG is what emulated runs wrote with
VERACE_SIMT_LOG=LOG (build, schedule, most threads of a block, most bytes of dynamic shared memory,
kernel; separated by tabs): each kernel must have run under every schedule that the `fast` build has
run at all, at least five, and in the builds `asan` and `check`; and a device must take its largest
launch. Needs no GPU. Exit code 1 when something is wrong.
"""
import argparse
import json
import re
import struct
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import cubin  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
BUILDS = ("fast", "asan", "check")
SCHEDULES = 5
SPILLING = "tests/simt/spilling_kernel.cu"
PLANTED = {"spilling_kernel": (True, 400), "calling_kernel": (True, 0)}  # stack or none, shared bytes
MAX_REGISTERS = 128  # more leave a multiprocessor of sm_90 with two blocks of 256 threads

# Of a device of compute capability 9.0: registers of a block, bytes of shared memory of a block, and
# of those that a kernel gets without asking.
BLOCK_REGISTERS, BLOCK_SHARED, DEFAULT_SHARED = 65536, 232448, 49152

# shared, stack: static bytes; most_threads: of a block, 0 where the kernel does not say.
Kernel = namedtuple("Kernel", "name file registers shared stack most_threads")


def short(name):
    """A kernel's name for people: without return type, namespaces and parameters."""
    name = name.replace("(anonymous namespace)::", "")
    name = re.sub(r"\b(?:\w+::)+", "", name)
    name = re.sub(r"^void ", "", name)
    depth = 0
    for i, c in enumerate(name):
        depth += {"<": 1, ">": -1}.get(c, 0)
        if c == "(" and depth == 0:
            return name[:i]
    return name


def problems_of(kernels):
    """What is wrong with the compiled kernels, one line each."""
    found, first = [], {}
    for k in kernels:
        if k.stack:
            found.append(f"{k.file}: {short(k.name)} has {k.stack} bytes of stack: spilled registers, "
                         "or an array with an index that the compiler does not know")
        if not k.most_threads:
            found.append(f"{k.file}: {short(k.name)} has no __launch_bounds__")
        if k.registers > MAX_REGISTERS:
            found.append(f"{k.file}: {short(k.name)} uses {k.registers} registers, "
                         f"at most {MAX_REGISTERS}")
        if k.name in first:
            found.append(f"{k.file}: {short(k.name)} has the name of a kernel of "
                         f"{first[k.name]}: runs of one would count for the other")
        first[k.name] = k.file
    if not kernels:
        found.append("no kernels: nothing was compiled")
    return found


def read_logs(texts):
    """{build: {schedule: {kernel}}} from the texts of the logs."""
    runs = {}
    for text in texts:
        for line in text.splitlines():
            fields = line.split("\t")
            if len(fields) == 5:
                build, schedule, _, _, name = fields
                runs.setdefault(build, {}).setdefault(schedule, set()).add(name)
    return runs


def read_launches(texts):
    """{kernel: (most threads of a block, most bytes of dynamic shared memory)} from the logs."""
    launches = {}
    for line in "\n".join(texts).splitlines():
        fields = line.split("\t")
        if len(fields) == 5:
            before = launches.get(fields[4], (0, 0))
            launches[fields[4]] = (max(before[0], int(fields[2])), max(before[1], int(fields[3])))
    return launches


def refused_launches(kernels, launches):
    """Which kernel was launched in a way that no device takes, one line each."""
    found = []
    for k in kernels:
        threads, dynamic = launches.get(k.name, (0, 0))
        registers = -(-k.registers // 8) * 8 * -(-threads // 32) * 32  # allocated by 8, by warps
        shared = k.shared + dynamic
        name = f"{k.file}: {short(k.name)}"
        if threads > k.most_threads:
            found.append(f"{name} ran with {threads} threads per block, its launch bounds allow "
                         f"{k.most_threads}")
        if registers > BLOCK_REGISTERS:
            found.append(f"{name} needs {registers} registers for {threads} threads, a block has "
                         f"{BLOCK_REGISTERS}")
        if shared > BLOCK_SHARED or dynamic <= DEFAULT_SHARED < shared:
            found.append(f"{name} needs {k.shared} + {dynamic} bytes of shared memory, which wants "
                         f"simt::allow_dynamic_shared above {DEFAULT_SHARED}; at most "
                         f"{BLOCK_SHARED}")
    return found


def missing_runs(kernels, runs):
    """Which kernel has not run where, one line each."""
    found = []
    schedules = sorted(runs.get("fast", {}))
    if len(schedules) < SCHEDULES:
        found.append(f"the fast build has run under {len(schedules)} schedules ({schedules}), "
                     f"{SCHEDULES} are wanted")
    for k in kernels:
        for build in BUILDS:
            ran = runs.get(build, {})
            if build == "fast":
                lacking = [s for s in schedules if k.name not in ran[s]]
                if len(lacking) == len(schedules):
                    found.append(f"{k.file}: {short(k.name)} has not run in the build fast")
                elif lacking:
                    found.append(f"{k.file}: {short(k.name)} has not run under {lacking}")
            elif not any(k.name in names for names in ran.values()):
                found.append(f"{k.file}: {short(k.name)} has not run in the build {build}")
    return found


def table(kernels, runs):
    """A Markdown table: one row per kernel; where it has run only when logs were given."""
    titles = ["kernel", "file", "registers", "static shared", "stack", "threads"]
    titles += [f"{b} runs" for b in BUILDS] if runs else []
    rows = []
    for k in sorted(kernels, key=lambda k: (k.file, short(k.name))):
        row = [f"`{short(k.name)}`", k.file, k.registers, k.shared, k.stack, k.most_threads]
        if runs:
            row += [sum(k.name in names for names in runs.get(b, {}).values()) for b in BUILDS]
        rows.append(row)
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * 2 + "--:|" * (len(titles) - 2)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def demangle(names):
    if not names:
        return []
    result = subprocess.run(["c++filt"], input="\n".join(names) + "\n", check=True,
                            capture_output=True, text=True)
    return result.stdout.splitlines()


def kernels_of_entry(entry):
    """The kernels of one entry of compile_commands.json, which has been compiled."""
    output = Path(entry["directory"]) / re.search(r" -o (\S+)", entry["command"])[1]
    file = str(Path(entry["file"]).resolve().relative_to(ROOT))
    try:
        found = cubin.kernels_of_object(output)
    except (ValueError, KeyError, struct.error) as error:
        raise RuntimeError(f"{output}: {error}") from error
    names = demangle([k.name for k in found])
    return [Kernel(name, file, *k[1:]) for name, k in zip(names, found)]


def compiled_kernels(build):
    """(all kernels of kernels/*.cu, those that spill on purpose) of a build folder."""
    commands = json.loads((Path(build) / "compile_commands.json").read_text())
    commands = [c for c in commands if c["file"].endswith(".cu")]
    if any("nvcc" not in c["command"] for c in commands):
        raise RuntimeError(f"{build} does not compile CUDA with nvcc")
    own = [c for c in commands if Path(c["file"]).resolve().parent == ROOT / "kernels"]
    planted = [c for c in commands if Path(c["file"]).resolve() == ROOT / SPILLING]
    return tuple([k for entry in entries for k in kernels_of_entry(entry)] for entries in (own, planted))


def refuses(body):
    try:
        body()
    except (ValueError, struct.error):
        return True
    return False


def self_test():
    """Planted faults, each of which must be found, and their correct counterparts."""
    good, bad = Kernel("b()", "b.cu", 20, 0, 0, 256), Kernel("a()", "a.cu", 64, 2048, 8, 256)
    records = (struct.pack("<BBHII", 4, 0x2F, 8, 3, 40) + struct.pack("<BBH", 3, 0x1B, 255) +
               struct.pack("<BBHIII", 4, 0x05, 12, 256, 2, 1))
    schedules = ["forward", "reverse", "random-1", "random-2", "scatter"]
    lines = [f"{ran}\t256\t0\tb()" for ran in
             [f"fast\t{s}" for s in schedules] + ["asan\tforward", "check\treverse"]]

    def refused(kernel, threads, dynamic):
        return len(refused_launches([kernel], {kernel.name: (threads, dynamic)}))

    def missing(kept):
        return missing_runs([good], read_logs(["\n".join(kept) + "\n"]))

    checks = {
        "records": [a for a, _ in cubin.attributes(records)] == [0x2F, 0x1B, 0x05],
        "numbers": struct.unpack("<II", next(cubin.attributes(records))[1]) == (3, 40),
        "not an object": refuses(lambda: cubin.cubins_of_object(b"text")),
        "cut short": refuses(lambda: cubin.Elf(cubin.ELF + b"\x02\x01" + bytes(20))),
        "no bound": len(problems_of([good._replace(most_threads=0)])) == 1,
        "good kernel": problems_of([good]) == [],
        "spill": len(problems_of([good, bad])) == 1,
        "too many registers": len(problems_of([good._replace(registers=200)])) == 1,
        "one name twice": len(problems_of([good, good._replace(file="c.cu")])) == 1,
        "nothing compiled": len(problems_of([])) == 1,
        "all have run": missing(lines) == [],
        "log cut short": missing(lines[:-1] + [lines[-1][:-4]]) != [],
        "no log at all": len(missing([])) == 4,
        "another kernel has run": len(missing_runs(
            [good, bad], read_logs(["\n".join(lines)]))) == 3,
        "largest launch": read_launches(["\n".join(lines), "fast\tforward\t64\t512\tb()\n"]) ==
        {"b()": (256, 512)},
        "a launch that devices take": refused(good, 256, 49152) == 0,
        "more threads than the bounds": refused(good._replace(most_threads=128), 256, 0) == 1,
        "more registers than a block has": refused(good._replace(registers=65, most_threads=1024), 1024, 0) == 1,
        "just as many registers": refused(good._replace(registers=64, most_threads=1024), 1024, 0) == 0,
        "shared memory not asked for": refused(bad, 32, 49152) == 1,
        "too much shared memory": refused(bad, 32, 232448) == 1,
        "as much as there is": refused(bad, 32, 230400) == 0,
        "short name": short("void v::k::(anonymous namespace)::f<v::Half, (v::(anonymous "
                            "namespace)::M)2>(v::Half const*, int)") == "f<Half, (M)2>",
    }
    for i, line in enumerate(lines):
        checks[f"without '{line}'"] = len(missing(lines[:i] + lines[i + 1:])) == 1
    for what, holds in checks.items():
        if not holds:
            print(f"self-test: {what}: wrong")
    print(f"device_code_report: self-test, {len(checks)} checks")
    return 0 if all(checks.values()) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", nargs="?", help="a build folder that compiles CUDA with nvcc")
    parser.add_argument("--table", help="write the table here; default: BUILD/device_code.md")
    parser.add_argument("--ran", nargs="+", metavar="LOG", help="logs of the emulated builds")
    parser.add_argument("--self-test", action="store_true", help="run against planted faults")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    if arguments.build is None:
        parser.error("name the build folder")
    try:
        kernels, planted = compiled_kernels(arguments.build)
        logs = [Path(log).read_text() for log in arguments.ran or []]
        runs = read_logs(logs)
    except (OSError, RuntimeError, ValueError, subprocess.CalledProcessError) as error:
        print(f"device_code_report: {error}")
        return 1
    found = problems_of(kernels)
    if {short(k.name): (k.stack > 0, k.shared) for k in planted} != PLANTED:
        found.append(f"{SPILLING}: it was not read as it is ({planted}): this report proves nothing")
    if arguments.ran is not None:
        found += missing_runs(kernels, runs) + refused_launches(kernels, read_launches(logs))
    output = Path(arguments.table or Path(arguments.build) / "device_code.md")
    output.write_text(table(kernels, runs))
    for line in found:
        print(line)
    print(f"device_code_report: {len(kernels)} kernels, {len(found)} problems; table in {output}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

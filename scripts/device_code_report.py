#!/usr/bin/env python3
"""Lists the kernels of the compiled CUDA code, fails on spills and on kernels that no test has run.

    scripts/device_code_report.py build/cuda                      table; fails on spilled registers
    scripts/device_code_report.py build/cuda --ran LOG [LOG ...]  also fails when a kernel is missing
    scripts/device_code_report.py --self-test                     planted faults; all must be found

BUILD is a configured build folder with nvcc: each file of kernels/*.cu is compiled to a cubin by
that build's own command. The kernels are the entry symbols of the cubin (an ELF file: readelf reads
it), registers, static shared memory and spills come from `ptxas -v`; the two lists must agree. LOG
is what emulated runs wrote with VERACE_SIMT_LOG=LOG (build, schedule, most threads of a block, most
bytes of dynamic shared memory, kernel; separated by tabs): each kernel must have run under every
schedule that the `fast` build has run at all, at least five, and in the builds `asan` and `check`;
and a device must take its largest launch: the cubin says what __launch_bounds__ allows. Needs no
GPU. Exit code 1 when something is wrong.
"""
import argparse
import json
import re
import shlex
import struct
import subprocess
import sys
import tempfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILDS = ("fast", "asan", "check")
SCHEDULES = 5
MAX_REGISTERS = 128  # more leave a multiprocessor of sm_90 with two blocks of 256 threads

# Of a device of compute capability 9.0: registers of a block, bytes of shared memory of a block, and
# of those that a kernel gets without asking.
BLOCK_REGISTERS, BLOCK_SHARED, DEFAULT_SHARED = 65536, 232448, 49152

# spill: bytes of stores and loads; local: bytes of stack; threads: the most of a block.
Kernel = namedtuple("Kernel", "name file registers shared spill local threads", defaults=(1024,))
# Index by "other" of an entry function in a cubin's symbol table.
ENTRY = re.compile(r"^\s*\d+:\s+[0-9a-f]+\s+\d+\s+FUNC\s.*\[<other>: 10\]\s+\d+\s+(\S+)$", re.M)
COMPILING = re.compile(r"Compiling entry function '(\S+)' for")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")


def entry_symbols(readelf_output):
    """The mangled names of the kernels in `readelf -sW` of a cubin."""
    return ENTRY.findall(readelf_output)


def parse_ptxas(text):
    """{mangled name: (registers, static shared bytes, spilled bytes, stack bytes)} of ptxas -v."""
    kernels, name, stack = {}, None, (0, 0, 0)
    for line in text.splitlines():
        if match := COMPILING.search(line):
            name, stack = match[1], (0, 0, 0)
        elif match := STACK.search(line):
            stack = tuple(int(n) for n in match.groups())
        elif name and (match := USED.search(line)):
            shared = SHARED.search(line)
            kernels[name] = (int(match[1]), int(shared[1]) if shared else 0,
                             stack[1] + stack[2], stack[0])
            name = None
    return kernels


def max_threads(info):
    """The most threads of a block, from the bytes of a cubin's section .nv.info.KERNEL."""
    at = 0
    while at + 4 <= len(info):
        form, attribute, value = struct.unpack_from("<BBH", info, at)
        at += 4
        if form != 4:  # the value is in those two bytes
            continue
        if attribute == 5:  # EIATTR_MAX_THREADS
            x, y, z = struct.unpack_from("<3I", info, at)
            return x * y * z
        at += value
    return 1024


def sections(elf):
    """{name: bytes} of a 64-bit ELF file."""
    start, = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<3H", elf, 0x3A)
    headers = [struct.unpack_from("<2I4Q", elf, start + i * size) for i in range(count)]
    text = headers[names][4]
    return {elf[text + h[0]:elf.index(b"\0", text + h[0])].decode(): elf[h[4]:h[4] + h[5]]
            for h in headers if h[1] != 8}  # without SHT_NOBITS


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
        if k.spill:
            found.append(f"{k.file}: {short(k.name)} spills {k.spill} bytes of registers")
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
        if threads > k.threads:
            found.append(f"{name} ran with {threads} threads per block, its launch bounds allow "
                         f"{k.threads}")
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
    titles = ["kernel", "file", "registers", "static shared", "spilled"]
    titles += [f"{b} runs" for b in BUILDS] if runs else []
    rows = []
    for k in sorted(kernels, key=lambda k: (k.file, short(k.name))):
        row = [f"`{short(k.name)}`", k.file, k.registers, k.shared, k.spill]
        if runs:
            row += [sum(k.name in names for names in runs.get(b, {}).values()) for b in BUILDS]
        rows.append(row)
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * 2 + "--:|" * (len(titles) - 2)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def cubin_command(command, output):
    """The build's compile command, turned into one that writes a cubin; and its source file."""
    words = shlex.split(command)
    while words and not Path(words[0]).name.startswith("nvcc"):
        words.pop(0)  # a compiler launcher
    architecture = re.search(r"sm_\d+[af]?", command)
    kept, skip, source = [], 0, None
    for word in words:
        if skip:
            skip -= 1
        elif word in ("-o", "-MF", "-MT"):
            skip = 1
        elif word in ("-c", "-dc", "-MD") or re.match(r"--?(generate-code|gencode|arch)=", word):
            continue
        else:
            kept.append(word)
            source = word if word.endswith(".cu") else source
    kept += ["-arch=" + (architecture[0] if architecture else "sm_90"), "-cubin", "-Xptxas=-v",
             "-o", str(output)]
    return kept, source


def demangle(names):
    if not names:
        return []
    result = subprocess.run(["c++filt"], input="\n".join(names) + "\n", check=True,
                            capture_output=True, text=True)
    return result.stdout.splitlines()


def compile_file(entry, folder, index):
    """The kernels of one entry of compile_commands.json."""
    cubin = Path(folder) / f"{index}.cubin"
    command, source = cubin_command(entry["command"], cubin)
    done = subprocess.run(command, cwd=entry["directory"], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{source} does not compile:\n{done.stderr}")
    numbers = parse_ptxas(done.stdout + done.stderr)
    symbols = subprocess.run(["readelf", "-sW", str(cubin)], check=True, capture_output=True,
                             text=True).stdout
    names = entry_symbols(symbols)
    if set(names) != set(numbers):
        raise RuntimeError(f"{source}: the cubin's entry symbols and ptxas disagree on "
                           f"{sorted(set(names) ^ set(numbers))}")
    file = str(Path(source).resolve().relative_to(ROOT))
    parts = sections(cubin.read_bytes())
    return [Kernel(plain, file, *numbers[name], max_threads(parts.get(f".nv.info.{name}", b"")))
            for name, plain in zip(names, demangle(names))]


def compiled_kernels(build):
    """All kernels of kernels/*.cu, compiled with the commands of the build folder."""
    commands = json.loads((Path(build) / "compile_commands.json").read_text())
    entries = [c for c in commands
               if c["file"].endswith(".cu") and Path(c["file"]).resolve().parent == ROOT / "kernels"]
    if any("nvcc" not in c["command"] for c in entries):
        raise RuntimeError(f"{build} does not compile CUDA with nvcc")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        parts = pool.map(lambda i: compile_file(entries[i], folder, i), range(len(entries)))
        return [kernel for part in parts for kernel in part]


def self_test():
    """Planted faults, each of which must be found, and their correct counterparts."""
    ptxas = ("ptxas info : Compiling entry function '_Z1av' for 'sm_90'\n"
             "    8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads\n"
             "ptxas info : Used 64 registers, used 1 barriers, 2048 bytes smem\n"
             "ptxas info : Compiling entry function '_Z1bv' for 'sm_90'\n"
             "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
             "ptxas info : Used 20 registers\n")
    elf = ("  3: 0000000000000000 32768 FUNC    LOCAL  DEFAULT [<other>: 10]    23 _Z1av\n"
           "  9: 0000000000007510  1440 FUNC    WEAK   DEFAULT   23 $__internal_0_$__cuda_div\n"
           " 11: 0000000000000000   128 FUNC    GLOBAL DEFAULT [<other>: 10]    24 _Z1bv\n")
    good, bad = Kernel("b()", "b.cu", 20, 0, 0, 0), Kernel("a()", "a.cu", 64, 2048, 8, 8)
    schedules = ["forward", "reverse", "random-1", "random-2", "scatter"]
    lines = [f"{ran}\t256\t0\tb()" for ran in
             [f"fast\t{s}" for s in schedules] + ["asan\tforward", "check\treverse"]]
    bounded = bytes.fromhex("04170c00" + 12 * "00" + "03500000" + "04050c00" "40000000"
                            "04000000" "01000000" "03190800")

    def refused(kernel, threads, dynamic):
        return len(refused_launches([kernel], {kernel.name: (threads, dynamic)}))

    def missing(kept):
        return missing_runs([good], read_logs(["\n".join(kept) + "\n"]))

    checks = {
        "symbols": entry_symbols(elf) == ["_Z1av", "_Z1bv"],
        "numbers": parse_ptxas(ptxas) == {"_Z1av": (64, 2048, 8, 8), "_Z1bv": (20, 0, 0, 0)},
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
        "launch bounds": max_threads(bounded) == 256 and max_threads(bounded[:16]) == 1024,
        "a launch that devices take": refused(good, 1024, 49152) == 0,
        "more threads than the bounds": refused(good._replace(threads=128), 256, 0) == 1,
        "more registers than a block has": refused(good._replace(registers=65), 1024, 0) == 1,
        "just as many registers": refused(good._replace(registers=64), 1024, 0) == 0,
        "shared memory not asked for": refused(bad, 32, 49152) == 1,
        "too much shared memory": refused(bad, 32, 232448) == 1,
        "as much as there is": refused(bad, 32, 230400) == 0,
        "short name": short("void v::k::(anonymous namespace)::f<v::Half, (v::(anonymous "
                            "namespace)::M)2>(v::Half const*, int)") == "f<Half, (M)2>",
        "cubin command": cubin_command("/usr/bin/ccache /opt/nvcc -forward-x -Ia "
                                       "--generate-code=arch=compute_90,code=[compute_90,sm_90] "
                                       "-MD -MT x.o -MF x.d -x cu -c /a/x.cu -o x.o", "t")[0] ==
        ["/opt/nvcc", "-forward-x", "-Ia", "-x", "cu", "/a/x.cu", "-arch=sm_90", "-cubin",
         "-Xptxas=-v", "-o", "t"],
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
        kernels = compiled_kernels(arguments.build)
        logs = [Path(log).read_text() for log in arguments.ran or []]
        runs = read_logs(logs)
    except (OSError, RuntimeError, ValueError, subprocess.CalledProcessError) as error:
        print(f"device_code_report: {error}")
        return 1
    found = problems_of(kernels)
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

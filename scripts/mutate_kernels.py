#!/usr/bin/env python3
"""Runs the kernels' tests against mutants of the device code: do they notice each small mistake?

    scripts/mutate_kernels.py            prepare (once), then run what has no result yet, then report
    scripts/mutate_kernels.py --prepare  configure and build the three emulated variants, then stop
    scripts/mutate_kernels.py --report   the table of the results so far
    scripts/mutate_kernels.py --again    run the survivors again (after the tests or the code changed)

A mutant is one small change (scripts/mutants.py). Its file is compiled alone; the kernels' test program
is linked anew, and the tests that reach the mutant are run, on CUDA (emulated) only, in the order fast
(five schedules), address and undefined-behaviour sanitizers, access checker (one schedule each), until one
fails. A test that takes more than five times its usual processor time has failed. Everything happens in
--work (build/mutants), at -O1; the results are lines of JSON in --work/results.jsonl, and a run that was
stopped goes on where it was.

tests/mutation_equivalents.txt lists mutants that change nothing. Exit code 1: a listed one was killed
or is no mutant of the code any more, more than 5 % are listed, or fewer than 95 % of the others died.
"""
import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import mutants  # noqa: E402
import mutation_report  # noqa: E402

ROOT = mutants.ROOT
BUILDS = {"fast": "emulated", "asan": "asan", "check": "emulated-check"}
PROGRAM = "kernels_tests"
EQUIVALENTS = ROOT / "tests/mutation_equivalents.txt"
ENVIRONMENT = {"VERACE_TEST_DEVICES": "cuda", "OMP_NUM_THREADS": "1",
               "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1"}
# Without the cases that prove the tests by planted faults: some write into guards on purpose.
RUN_OPTIONS = '--abort-after=1 --no-intro --test-case-exclude="*fault*"'
# Seconds of the clock without any work after which a test waits forever (a crash inside malloc, whose
# handler wants malloc); a busy machine leaves every test some work in that time.
IDLE_SECONDS = 30


def shell(command, cwd, **options):
    return subprocess.run(command, shell=True, cwd=cwd, capture_output=True, text=True, errors="replace", **options)


def processor_ticks(group):
    """Clock ticks of processor time of all processes of a process group, or None when it is gone."""
    ticks = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            ticks.append(sum(map(int, fields[11:15])))  # its own and of its children that have ended
    return sum(ticks) if ticks else None


def run_watched(command, cwd, **options):
    """Like shell(), but kills what stops working without ending; its return code is then -9."""
    process = subprocess.Popen(command, shell=True, cwd=cwd, text=True, errors="replace", start_new_session=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    before = None
    while True:
        try:
            out, err = process.communicate(timeout=IDLE_SECONDS)
            return subprocess.CompletedProcess(command, process.returncode, out, err)
        except subprocess.TimeoutExpired:
            now = processor_ticks(process.pid)
            if now == before:
                os.killpg(process.pid, signal.SIGKILL)
            before = now


class Workshop:
    """The built variants: how to compile a mutant, which tests reach it, how to link and run them."""

    def __init__(self, work, jobs, prefix):
        self.work, self.jobs, self.prefix = work, jobs, prefix
        self.source = work / "source"
        self.lock, self.measuring, self.precompiled = threading.Lock(), threading.Lock(), set()

    def is_ready(self, builds):
        return self.source.exists() and all((self.work / b / "kernels/libverace_kernels.a").exists() for b in builds)

    def prepare(self, builds):
        """Builds the libraries and the tests; copies the sources that mutants are made of."""
        for build in builds:
            preset, folder = BUILDS[build], self.work / build
            # Debug information would double the time; which test calls what is read in one object per file.
            flags = "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -DVERACE_UNITY=OFF"
            self.demand(f"cmake --preset {preset} -B {folder} {flags}", ROOT)
            # The tests' own objects are those of the fast build; the kernels' are each build's.
            target = PROGRAM if build == "fast" else "verace_kernels"
            self.demand(f"{self.prefix} cmake --build {folder} -j{self.jobs} --target {target}", ROOT)
        shutil.rmtree(self.source, ignore_errors=True)
        shutil.copytree(ROOT / "kernels", self.source / "kernels")

    def demand(self, command, cwd):
        print(f"mutate_kernels: {command}", flush=True)
        result = subprocess.run(command, shell=True, cwd=cwd, check=False, stdout=subprocess.DEVNULL)
        if result.returncode != 0:
            raise SystemExit(f"mutate_kernels: failed: {command}")

    def open(self, builds):
        """Reads how the variants were built, and which tests reach which file."""
        self.compile, self.link, self.unchanged, self.seconds = {}, {}, {}, {}
        for build in {"fast", *builds}:
            entries = json.loads((self.work / build / "compile_commands.json").read_text())
            self.compile[build] = {Path(e["file"]).relative_to(ROOT).as_posix(): e["command"] for e in entries
                                   if "/kernels/" in e["file"] and e["file"].endswith(".cu")}
        self.reach = self.tests_of_files()

    def tests_of_files(self):
        """{.cu file: tests (kernels_FILE) that call what it defines}, the operation's own ones first."""
        objects = self.work / "fast/kernels/CMakeFiles/verace_kernels.dir"
        calls = {}
        for test in sorted((self.work / f"fast/tests/CMakeFiles/{PROGRAM}.dir/kernels").glob("*_test.cc.o")):
            names = shell(f"nm -u {test.name}", test.parent).stdout
            calls[f"kernels_{test.name.removesuffix('.cc.o')}"] = set(re.findall(r"\b_ZN\w*4cuda\w*", names))
        reach = {}
        for file in self.compile["fast"]:
            if not file.startswith("kernels/"):
                continue
            stem = Path(file).stem
            defined = set(re.findall(r"\b_ZN\w*4cuda\w*", shell(f"nm {stem}.cu.o", objects).stdout))
            tests = [t for t, names in calls.items() if names & defined]
            own = [t for t in tests if t.startswith(f"kernels_{stem}")]
            reach[file] = own + [t for t in tests if t not in own]
        return reach

    def usual_seconds(self, build, file, test):
        """Processor seconds of a test with the unchanged file, compiled and linked as mutants are; it must pass."""
        key = f"{build} {file} {test}"
        with self.measuring:
            if key not in self.seconds:
                folder = self.work / "unchanged"
                folder.mkdir(exist_ok=True)
                if (build, file) not in self.unchanged:
                    self.unchanged[build, file] = self.compile_mutant(build, file, folder)
                verdict, seconds = "does not compile", 0
                if self.unchanged[build, file]:
                    with self.linked(build, [self.unchanged[build, file]], folder) as program:
                        verdict, seconds = self.run_test(build, program, test, folder, 1e9)
                if verdict:
                    raise SystemExit(f"mutate_kernels: unchanged code fails: {key}: {verdict}")
                self.seconds[key] = seconds
            return self.seconds[key]

    def compile_mutant(self, build, file, folder):
        """The object of a .cu file with the mutant's folder first among the include paths, or None."""
        output = folder / f"{build}.{Path(file).stem}.o"
        source = folder / file if (folder / file).exists() else self.source / file
        command = self.command(build, file, f"-I{folder} -include {self.headers(build, file)}")
        result = shell(f"{command} -o {output} -c {source}", self.work / build)
        return output if result.returncode == 0 else None

    def command(self, build, file, options):
        command = re.sub(r" -o \S+ -c \S+$", "", self.compile[build][file].strip())
        return f"{self.prefix} " + command.replace(f"-I{ROOT} ", f"{options} -I{self.source} ") + " -O1 -w"

    def headers(self, build, file):
        """The headers that no mutant changes, compiled once: they are half of the work."""
        header = self.work / build / "headers.h"
        with self.lock:
            if build not in self.precompiled:
                header.write_text('#include "kernels/simt/launch.h"\n#include "kernels/storage.h"\n#include <algorithm>\n')
                command = self.command(build, file, "").replace(" -x c++ ", " -x c++-header ")
                if shell(f"{command} -o {header}.gch -c {header}", self.work / build).returncode != 0:
                    raise SystemExit("mutate_kernels: cannot compile the headers")
                self.precompiled.add(build)
        return header

    def link_command(self, build):
        with self.lock:
            if build not in self.link:
                commands = shell(f"ninja -t commands {PROGRAM}", self.work / build).stdout.strip().split("\n")
                command = re.sub(r"^: && | && :$", "", commands[-1])
                fast = self.work / "fast"
                command = re.sub(r"(?<= )(tests/CMakeFiles|(?:tests|weights|engine)/lib)", rf"{fast}/\1", command)
                self.link[build] = command
            return self.link[build]

    @contextlib.contextmanager
    def linked(self, build, objects, folder):
        """The kernels' test program with these objects (and options) instead of the library's; removed at the end."""
        program = folder / f"{build}.{PROGRAM}"
        command = re.sub(r" -o \S+", f" -o {program}", self.link_command(build))
        # In front: what is defined there is not taken from the library.
        command = re.sub(r" (\S+\.o) ", " " + " ".join(map(str, objects)) + r" \1 ", command, count=1)
        linked = shell(f"{self.prefix} {command}", self.work / build)
        if linked.returncode != 0:
            raise SystemExit(f"mutate_kernels: cannot link: {linked.stderr[-2000:]}")
        try:
            yield program
        finally:
            program.unlink(missing_ok=True)

    def run_test(self, build, program, test, folder, most_seconds):
        """(what failed or None, processor seconds)."""
        def limits():
            resource.setrlimit(resource.RLIMIT_CPU, (int(most_seconds) + 1, int(most_seconds) + 2))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        only = f'--source-file="*/kernels/{test.removeprefix("kernels_")}.cc"'
        command = (f"{self.prefix} bash -c "
                   f"'TIMEFORMAT=\"seconds %U\"; time {program} {only} {RUN_OPTIONS} 2>&1'")
        schedule = {} if build == "fast" else {"VERACE_SIMT_SCHEDULE": "random-1"}
        result = run_watched(command, folder, env=dict(os.environ, **ENVIRONMENT, **schedule),
                             preexec_fn=limits if most_seconds < 1e8 else None)
        seconds = float((re.findall(r"seconds ([\d.]+)", result.stderr) or ["0"])[-1])
        return (self.verdict(result) if result.returncode != 0 else None), seconds

    @staticmethod
    def verdict(result):
        text = result.stdout + result.stderr
        if result.returncode in (-24, -9, 137, 152):
            return "timeout"
        for pattern, name in ((r"AddressSanitizer: ([\w-]+)", "ASan"), (r"runtime error: ([^\n]{0,60})", "UBSan"),
                              (r"(data race|race|uninitiali[sz]ed|past the end|out of bounds|no device memory)", "checker"),
                              (r"(barrier|deadlock|diverge|lanes)[^\n]{0,60}", "synchronisation"),
                              (r"THREW exception: ([^\n]{0,90})", "exception"), (r"ERROR: ([^\n]{0,90})", "result"),
                              (r"(SIG\w+|Segmentation)", "signal")):
            found = re.search(pattern, text)
            if found:
                return f"{name}: {found[1]}"
        return f"exit code {result.returncode}"

    def try_mutant(self, mutant, text, builds):
        """The mutant's result as a dictionary."""
        folder = self.work / f"m{mutant.id}"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / mutant.file).parent.mkdir(parents=True)
        prelude = mutants.PRELUDE if "simt_" in mutant.new and mutant.operator.split()[0] in ("grid", "block") else ""
        (folder / mutant.file).write_text(prelude + mutants.mutated(text, mutant))
        try:
            return self.race(mutant, folder, builds)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def race(self, mutant, folder, builds):
        includes = mutant.file.endswith(".cu")
        files = [mutant.file] if includes else self.includers(mutant.file)
        for build in builds:
            for file in files:
                compiled = self.compile_mutant(build, file, folder)
                if compiled is None:
                    return {"outcome": "does not compile"}
                with self.linked(build, [compiled], folder) as program:
                    for test in self.reach[file]:
                        most = max(4.0, 5 * self.usual_seconds(build, file, test))
                        verdict, _ = self.run_test(build, program, test, folder, most)
                        if verdict:
                            return {"outcome": "killed", "build": build, "test": test, "how": verdict}
        return {"outcome": "survived", "builds": builds}

    def includers(self, header):
        """The .cu files that include a header, directly or not; small ones first."""
        found = []
        for file in self.reach:
            seen, queue = set(), [self.source / file]
            while queue:
                for name in re.findall(r'#include "(kernels/[^"]+)"', queue.pop().read_text()):
                    if name not in seen and (self.source / name).exists():
                        seen.add(name)
                        queue.append(self.source / name)
            if header in seen:
                found.append(file)
        return sorted(found, key=lambda f: (self.source / f).stat().st_size)


class Run:
    """The chosen mutants, their results, and what is left to do."""

    def __init__(self, work, source):
        self.file = work / "results.jsonl"
        self.per_file = mutants.all_mutants(source)
        self.text = {name: (source / name).read_text() for name in self.per_file}
        self.every = {m.id: m for found in self.per_file.values() for m in found}
        self.listed = mutation_report.read_equivalents(EQUIVALENTS)
        chosen = mutants.choose(self.per_file)
        self.equivalents, self.missing = mutation_report.find_equivalents(self.listed, self.every.values(), self.text)
        self.chosen = chosen + [m for m in self.equivalents if m not in chosen]
        self.results = {}
        if self.file.exists():
            for line in self.file.read_text().splitlines():
                result = json.loads(line)
                if result["id"] in self.every:
                    self.results[result["id"]] = result

    def builds_left(self, mutant, wanted, again):
        """The builds of `wanted` that have not seen the mutant."""
        result = self.results.get(mutant.id)
        if result is None and wanted[0] != "fast":
            return []  # only what survived there
        if result is None or (again and result["outcome"] == "survived"):
            return wanted
        return [b for b in wanted if b not in result.get("builds", BUILDS)]

    def go(self, workshop, wanted, again, seconds):
        end = time.time() + seconds
        lock = threading.Lock()
        todo = [(m, self.builds_left(m, wanted, again)) for m in self.chosen]

        def one(task):
            mutant, builds = task
            if time.time() > end or not builds:
                return
            start = time.time()
            result = workshop.try_mutant(mutant, self.text[mutant.file], builds)
            seen = [] if again else self.results.get(mutant.id, {}).get("builds", [])
            if "builds" in result:
                result["builds"] = seen + result["builds"]
            before, after = mutants.line_pair(self.text[mutant.file], mutant)
            record = {"id": mutant.id, "file": mutant.file, "line": mutant.line, "operator": mutant.operator,
                      "before": before, "after": after, **result, "seconds": round(time.time() - start, 1)}
            with lock:
                self.results[mutant.id] = record
                with self.file.open("a") as out:
                    out.write(json.dumps(record) + "\n")
                print(f"{len(self.results)} {mutant.file}:{mutant.line} {mutant.operator} {mutant.old!r} -> "
                      f"{mutant.new!r}: {result['outcome']} {result.get('build', '')} {record['seconds']} s", flush=True)
        with ThreadPoolExecutor(workshop.jobs) as pool:
            list(pool.map(one, todo))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=ROOT / "build/mutants")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--prefix", default="", help="in front of every compiler call, e.g. 'nice -n 10'")
    parser.add_argument("--seconds", type=float, default=1e9, help="start no mutant after so many seconds")
    parser.add_argument("--prepare", action="store_true", help="build anew from the sources as they are")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--builds", default=",".join(BUILDS), help="only these, e.g. fast first, then the others")
    parser.add_argument("--markdown", type=Path, help="write the report there")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    workshop = Workshop(work, arguments.jobs, arguments.prefix)
    builds = arguments.builds.split(",")
    if arguments.prepare or not workshop.is_ready({"fast", *builds}):
        workshop.prepare(list(BUILDS))
        if arguments.prepare:
            return 0
    run = Run(work, workshop.source)
    if not arguments.report:
        workshop.open(builds)
        run.go(workshop, builds, arguments.again, arguments.seconds)
    return mutation_report.report(run, arguments.markdown)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Which lines of the device code the kernels' tests reach, by gcov, in the emulated build.

    scripts/kernel_coverage.py [--work build/mutants] [--markdown FILE]

Uses the fast build of scripts/mutate_kernels.py (made when it is not there): each .cu file is compiled
anew with --coverage at -O0 and linked in front of the library; every test that reaches one of them runs, on
CUDA (emulated) only. Exit code 1 when fewer than 95 % of the lines of the .cu files were executed.
"""
import argparse
import json
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import mutants  # noqa: E402
from mutate_kernels import Workshop, shell  # noqa: E402

LEAST = 0.95


def instrumented(workshop, file, folder):
    """The object of a .cu file that counts; its notes lie beside it."""
    output = folder / f"{Path(file).stem}.o"
    command = re.sub(r" -o \S+ -c \S+$", "", workshop.compile["fast"][file].strip())
    command = command.replace(f"-I{mutants.ROOT} ", f"-I{workshop.source} ")
    result = shell(f"{workshop.prefix} {command} -O0 --coverage -w -o {output} -c {workshop.source / file}", folder)
    if result.returncode != 0:
        raise SystemExit(f"kernel_coverage: {file}: {result.stderr[-1000:]}")
    return output


def run_tests(workshop, folder):
    with ThreadPoolExecutor(workshop.jobs) as pool:
        objects = dict(zip(workshop.reach, pool.map(lambda f: instrumented(workshop, f, folder), workshop.reach)))
        tests = sorted({t for names in workshop.reach.values() for t in names})

        with workshop.linked("fast", [*objects.values(), "--coverage"], folder) as program:
            verdicts = pool.map(lambda test: workshop.run_test("fast", program, test, folder, 1e9)[0], tests)
            for test, verdict in zip(tests, verdicts):
                print(f"kernel_coverage: {test} {verdict or ''}", flush=True)
                if verdict:
                    raise SystemExit(f"kernel_coverage: {test} fails: {verdict}")


def counts(workshop, folder):
    """{file: {line: how often it ran, over all instances}} of the .cu files and device headers."""
    lines = {}
    for notes in folder.glob("*.gcno"):
        for document in shell(f"gcov --json-format --stdout {notes.name}", folder).stdout.splitlines():
            for file in json.loads(document)["files"]:
                path = Path(file["file"])
                if not path.is_relative_to(workshop.source):
                    continue
                of_file = lines.setdefault(path.relative_to(workshop.source).as_posix(), {})
                for line in file["lines"]:
                    number = line["line_number"]
                    of_file[number] = of_file.get(number, 0) + line["count"]
    wanted = mutants.device_files(workshop.source)
    return {name: lines[name] for name in wanted if name in lines}


def report(lines, source, markdown):
    rows, missed = [], []
    for name, of_file in lines.items():
        hit = sum(count > 0 for count in of_file.values())
        rows.append((name, len(of_file), hit))
        text = (source / name).read_text().splitlines()
        missed += [f"- `{name}:{n}`: `{text[n - 1].strip()}`" for n, c in sorted(of_file.items()) if c == 0]
    for what, suffix in (("all .cu files", ".cu"), ("all headers", "h")):
        mine = [r for r in rows if r[0].endswith(suffix)]
        rows.append((f"**{what}**", sum(r[1] for r in mine), sum(r[2] for r in mine)))
    out = ["| file | lines | executed | % |", "|---|--:|--:|--:|"]
    out += [f"| {name} | {total} | {hit} | {100 * hit / max(total, 1):.1f} |" for name, total, hit in rows]
    out += ["", "Lines that no test executed:", "", *(missed or ["none"])]
    print("\n".join(out))
    if markdown:
        markdown.write_text("\n".join(out) + "\n")
    total, hit = next(r[1:] for r in rows if "all .cu" in r[0])
    return 0 if hit >= LEAST * total > 0 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=mutants.ROOT / "build/mutants")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--prefix", default="", help="in front of every command that takes time")
    parser.add_argument("--markdown", type=Path, help="write the table there")
    arguments = parser.parse_args()
    workshop = Workshop(arguments.work.resolve(), arguments.jobs, arguments.prefix)
    workshop.work.mkdir(parents=True, exist_ok=True)
    if not workshop.is_ready(["fast"]):
        workshop.prepare(["fast"])
    workshop.open(["fast"])
    folder = workshop.work / "coverage"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    run_tests(workshop, folder)
    return report(counts(workshop, folder), workshop.source, arguments.markdown)


if __name__ == "__main__":
    sys.exit(main())

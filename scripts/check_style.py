#!/usr/bin/env python3
"""Checks the rules of this repository that compilers and clang-format do not know.

    scripts/check_style.py               check every file; prints file:line: message
    scripts/check_style.py --self-test   plant a violation of each rule; all must be found

A line that ends in `// NOLINT(rule): reason` is exempt from that rule.

Sizes: file <= 400 lines (not tests), function <= 60 (kernels 80; test cases free), <= 8 parameters,
line <= 100. Includes go downwards: kernels < engine < layers, optim, data, weights (never each
other) < apps. Links of *.md exist, and so do the names that they say of linked code
(markdown_links.py). Exit code 1 when there are findings. CONTRIBUTING.md gives the reasons.
"""
import argparse
import os
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import cpp_scan  # noqa: E402
import make_map  # noqa: E402
import markdown_links  # noqa: E402
import private_names  # noqa: E402

CPP = {".h", ".cuh", ".cc", ".cu"}
SOURCE = CPP | {".py", ".sh"}
MAX_FILE, MAX_FUNCTION, MAX_KERNEL, MAX_PARAMETERS, MAX_LINE = 400, 60, 80, 8, 100
MAX_WIDE_LINE = 125
LEVEL = {"kernels": 0, "engine": 1, "layers": 2, "optim": 2, "data": 2, "weights": 2,
         "apps/lib": 3, "apps/cli": 4, "bench": 5, "tests": 5}
MEMORY = "engine/memory.cc"
MEMORY_FILES = (MEMORY, "engine/memory_cuda.cc")
# The emulated device's memory itself, its tests, and the tests' allocator.
DEVICE_MEMORY = ("kernels/simt/", "tests/simt/", "tests/support/")
PRIVATE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|home)/")
OPEN_END = re.compile(r"\b(?:TO" r"DO|FIX" r"ME)\b(?!\(#\d+\))")
DEAD_CODE = re.compile(
    r"^\s*//\s*(?:(?:auto|const|int|float|double|bool|u?int\d+_t|std::\w+)\b[^;]*[=(][^;]*;"
    r"|return\s+[^\s;]+;|#\s*include\s+[<\"].*|(?:if|for|while|switch)\s*\(.*\)\s*\{)\s*$")
RAW_MEMORY = re.compile(
    r"\bnew\b|\bdelete\b|(?<![.>\w])(?:malloc|calloc|realloc|free|aligned_alloc|strdup)\s*\(")
# Only these folders may include these libraries' headers.
LIBRARY_HOME = [(re.compile(r'[<"](?:oneapi/)?(?:dnnl|mkldnn)'), "kernels/onednn/", "oneDNN"),
                (re.compile(r'[<"]cudnn_frontend'), "kernels/cudnn/", "cudnn_frontend"),
                (re.compile(r'[<"]lib(?:av|sw)\w+/'), "data/video/ffmpeg/", "FFmpeg")]


class File:
    """One file: its name relative to the root, its text, and where its findings go."""

    def __init__(self, root, name, findings):
        self.name, self.findings = name, findings
        self.suffix = Path(name).suffix
        data = (Path(root) / name).read_bytes()
        self.executable = os.access(Path(root) / name, os.X_OK)
        self.binary = b"\0" in data[:8192] or len(data) > 2_000_000
        self.text = "" if self.binary else data.decode("utf-8", errors="replace")
        self.lines = self.text.splitlines()
        self.room = make_map.room_of(name)
        self.is_script = self.suffix in (".py", ".sh") or self.text.startswith("#!")
        self.is_product = self.suffix in CPP and self.room not in ("tests", "bench")

    def report(self, rule, line, message):
        """A finding, unless its line says NOLINT(rule) (followed by the reason)."""
        if line <= len(self.lines) and f"NOLINT({rule})" in self.lines[line - 1]:
            return
        self.findings.append((self.name, line, rule, message))

    def each(self, rule, pattern, message, lines=None):
        """One finding per line that matches."""
        for number, line in enumerate(self.lines if lines is None else lines, 1):
            if pattern.search(line):
                self.report(rule, number, message)


def check_text(file):
    """Rules for every text file."""
    file.each("private-path", PRIVATE_PATH, "names a folder of somebody's machine")


def check_source(file):
    """Rules for all sources, whatever the language."""
    if not (file.suffix in SOURCE or file.is_script):
        return
    file.each("tab", re.compile("\t"), "tab: indent with spaces")
    file.each("open-end", OPEN_END, "an open end needs its issue: TO" "DO(#12)")
    for number, line in enumerate(file.lines, 1):
        # clang-format keeps the product to MAX_LINE; scripts and tests hold literals that it cannot break.
        most = MAX_LINE if file.is_product else MAX_WIDE_LINE
        if len(line) > most:
            file.report("line-length", number, f"{len(line)} columns, at most {most}")
    if len(file.lines) > MAX_FILE and file.room != "tests":
        file.report("file-length", MAX_FILE + 1, f"{len(file.lines)} lines, at most {MAX_FILE}")
    first = 1 if file.lines and file.lines[0].startswith("#!") else 0
    if first and not file.executable:
        file.report("executable", 1, "names an interpreter, but is not executable: chmod +x")
    line = file.lines[first] if len(file.lines) > first else ""
    marker = r"\s*//+" if file.suffix in CPP else r'\s*(?:#|""")'
    if not re.match(marker + r"\s*\S+\s+\S+\s+\S+", line):
        file.report("purpose", first + 1, "the first line must say what the file is for")


def check_cpp(file):
    """Rules for C++ and CUDA."""
    if file.suffix not in CPP:
        return
    code = cpp_scan.strip(file.text).splitlines()
    if file.suffix in (".h", ".cuh") and not any(
            line.startswith("#pragma once") for line in file.lines):
        file.report("pragma-once", 1, "a header needs #pragma once")
    file.each("dead-code", DEAD_CODE, "commented-out code: delete it, git remembers")
    if file.name != "kernels/simt/launch.h":
        file.each("launch", re.compile(r"<<<"), "only kernels/simt/launch.h launches kernels", code)
    if not file.name.startswith(MEMORY_FILES + DEVICE_MEMORY):
        file.each("cuda-malloc", re.compile(r"\bcudaMalloc\w*|\bcudaFree\w*"),
                  f"device memory comes from {MEMORY}", code)
    if file.is_product and file.name != MEMORY:
        allowed = re.compile(r"=\s*delete\b")
        file.each("raw-memory", RAW_MEMORY, "no raw memory: use a container, Buffer or unique_ptr",
                  [allowed.sub("", line) for line in code])
    if file.room == "tests" and not file.name.startswith("tests/simt/"):
        file.each("sanitized", re.compile(r"__SANITIZE_\w+"),
                  "tests are the same code in all builds: ask test::is_sanitized()", code)
    check_test_namespace(file)
    check_functions(file)


def check_test_namespace(file):
    """Test files are compiled in batches; their own namespace keeps what they declare apart."""
    stem = Path(file.name).stem
    if file.room != "tests" or file.suffix != ".cc" or not stem.endswith("_test"):
        return
    for number, line in enumerate(file.lines, 1):
        if re.match(rf"namespace verace(::\w+)*::{stem} {{", line):
            return
        if re.match(r"(using|namespace|TEST_CASE)\b", line):
            file.report("test-namespace", number, f"before this stands: namespace verace::...::{stem} {{")
            return


def check_functions(file):
    for function in cpp_scan.functions(file.text):
        macro = function.name.isupper()  # TEST_CASE and the like
        if function.parameters > MAX_PARAMETERS and not macro:
            file.report("parameters", function.start, f"{function.name}: {function.parameters} "
                        f"parameters, at most {MAX_PARAMETERS}: pass a struct")
        if function.end is None or (macro and file.room == "tests"):
            continue
        limit = MAX_KERNEL if "__global__" in function.head else MAX_FUNCTION
        length = function.end - function.start + 1
        if length > limit:
            file.report("function-length", function.start,
                        f"{function.name}: {length} lines, at most {limit}")


def check_includes(file):
    """Includes name a file from the root and never point upwards or sideways."""
    if file.suffix not in CPP:
        return
    for number, line in enumerate(file.lines, 1):
        match = re.match(r'\s*#\s*include\s+(["<][^">]+)', line)
        if not match:
            continue
        for pattern, home, library in LIBRARY_HOME:
            if file.is_product and pattern.match(match[1]) and not file.name.startswith(home):
                file.report("library-home", number, f"only {home} includes {library}")
        if match[1][0] == "<":
            continue
        target = make_map.room_of(match[1][1:])
        if target not in LEVEL:
            file.report("include-path", number, "name it by its path from the root: ROOM/file.h")
        elif file.room in LEVEL and target != file.room and LEVEL[target] >= LEVEL[file.room]:
            if LEVEL[file.room] < LEVEL["tests"]:
                file.report("include-upwards", number, f"{file.room} may not include {target}")


def check_links(file, root, names):
    """Links of Markdown files lead somewhere, to code that has the names that are said of it."""
    if file.suffix != ".md":
        return
    for number, message in markdown_links.broken_links(root, names, file.name, file.lines):
        file.report("link", number, message)
    for number, message in markdown_links.missing_names(root, names, file.name, file.lines):
        file.report("code-name", number, message)


def check(root):
    """All findings, as a sorted list of (file, line, rule, message)."""
    findings, sources = [], {}
    names = make_map.list_files(root)
    for name in names:
        file = File(root, name, findings)
        if file.binary:
            continue
        if file.suffix in CPP:
            sources[name] = file
        check_links(file, root, names)
        for rule in (check_text, check_source, check_cpp, check_includes):
            rule(file)
    for name, line, message in private_names.twice({n: file.text for n, file in sources.items()}):
        sources[name].report("private-name", line, message)
    if not make_map.is_current(root):
        findings.append((make_map.MAP, 1, "map", "is not current: run scripts/make_map.py"))
    return sorted(findings)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--self-test", action="store_true", help="run against planted violations")
    parser.add_argument("--root", default=str(make_map.ROOT), help="check this folder instead")
    arguments = parser.parse_args()
    if arguments.self_test:
        import check_style_test
        return check_style_test.run(check)
    findings = check(arguments.root)
    for name, line, rule, message in findings:
        print(f"{name}:{line}: {message} [{rule}]")
    print(f"check_style: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

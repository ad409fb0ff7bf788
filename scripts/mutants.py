#!/usr/bin/env python3
"""Mechanical mutants of device code: small changes of one place, chosen by a fixed seed.

    scripts/mutants.py             how many mutants each file offers and how many are chosen
    scripts/mutants.py --list      the chosen ones
    scripts/mutants.py --self-test the operators on lines whose mutants are known

Works on text that clang-format has formatted: a binary operator stands between blanks, a template's
bracket does not. Left alone are comments, directives, template heads, static_assert, explicit
instantiations and VERACE_CHECK (the launchers' checks of what they are given, whose tests expect
exceptions and need no device).
"""
import argparse
import hashlib
import random
import re
import sys
from collections import namedtuple
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import cpp_scan  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
WANTED = 380  # in all; a tenth does not compile
# [start, end) of the file's text becomes `new`. same: nothing changes, it is never chosen.
Mutant = namedtuple("Mutant", "id file line operator start end old new same")

BINARY = {"<": ["<="], "<=": ["<"], ">": [">="], ">=": [">"], "==": ["!="], "!=": ["=="],
          "&&": ["||"], "||": ["&&"], "+": ["-"], "-": ["+"], "*": ["+"], "/": ["*"], "%": ["/"],
          "+=": ["-="], "*=": ["+="], "/=": ["*="], "|": ["&"], "&": ["|"], "<<": [">>"], ">>": ["<<"],
          "|=": ["&="]}
WORDS = {"fmaxf": "fminf", "std::max": "std::min", "std::min": "std::max", "true": "false", "false": "true",
         "__shfl_xor_sync": "__shfl_down_sync", "__all_sync": "__any_sync", "kMean": "kSum",
         "threadIdx.x": "threadIdx.y", "threadIdx.y": "threadIdx.x", "blockIdx.x": "blockIdx.y",
         "blockIdx.y": "blockIdx.x", "blockDim.x": "blockDim.y", "blockDim.y": "blockDim.x",
         "gridDim.x": "gridDim.y", "gridDim.y": "gridDim.x"}
NUMBER = re.compile(r"(?<![\w.])(\d+)(\.\d+)?(f|u|)(?![\w.])")
STATEMENT = re.compile(r"^ +(?!return\b|using\b|static_assert|break|case|default|else\b)(?:if (?:constexpr )?\(.*\) )?"
                       r"[\w:>.*\-\[\](){}+ ,<&!=%/]*?(?:\)| = .*| [-+*/|&]= .*|continue|return|\+\+\w+);$")
DECLARATION = re.compile(r"^ +(?:const |constexpr |static |__shared__ |unsigned |int |float |double |bool |size_t |auto "
                         r"|u?int\d+_t |Pack |T |dim3 |std::|SoftmaxRow|Branch|VERACE|template |inline |struct )")
EXTENT = re.compile(r" +(?:__shared__ )?[\w:]+ \w+((?:\[[^\]]*\])+)(?: = \{\})?[;,]")
HEADER = re.compile(r"__device__|VERACE_HOST_DEVICE")


def device_files(root):
    """All .cu files of kernels/, and the headers with device code that they include."""
    kernels = Path(root) / "kernels"
    files = sorted(kernels.glob("*.cu"))
    seen, queue = set(), list(files)
    while queue:
        for name in re.findall(r'#include "(kernels/[^"]+)"', queue.pop().read_text()):
            path = Path(root) / name
            if name in seen or "simt/emulator" in name or name.endswith("launch.h") or not path.exists():
                continue
            seen.add(name)
            queue.append(path)
    headers = sorted(name for name in seen if HEADER.search((Path(root) / name).read_text()))
    return [str(f.relative_to(root)) for f in files] + headers


def matching(code, position):
    """The offset of the bracket that closes the one at position, or -1."""
    closing = {"(": ")", "{": "}", "[": "]"}
    stack = []
    for i in range(position, len(code)):
        if code[i] in closing:
            stack.append(closing[code[i]])
        elif stack and code[i] == stack[-1]:
            stack.pop()
            if not stack:
                return i
    return -1


def split_arguments(code, start, end):
    """[start, end) of each top-level argument between two brackets; angle brackets count."""
    parts, depth, begin = [], 0, start
    for i in range(start, end):
        if code[i] in "([{" or (code[i] == "<" and code[i - 1] != " "):
            depth += 1
        elif code[i] in ")]}" or (code[i] == ">" and code[i - 1] not in " -"):
            depth -= 1
        elif code[i] == "," and depth == 0:
            parts.append((begin, i))
            begin = i + 1
    parts.append((begin, end))
    trimmed = []
    for a, b in parts:
        text = code[a:b]
        trimmed.append((a + len(text) - len(text.lstrip()), a + len(text.rstrip())))
    return trimmed


class Generator:
    """All mutants of one file."""

    def __init__(self, name, text, is_contract=False):
        self.name, self.text, self.found = name, text, []
        self.code = self.blank_what_is_left_alone(cpp_scan.strip(text))
        if is_contract:
            self.code = self.device_functions(self.code)
        for operator in (self.binary, self.numbers, self.words, self.lines, self.loops, self.conditions,
                         self.arguments, self.launches):
            operator()

    @staticmethod
    def blank_what_is_left_alone(code):
        blank = lambda m: re.sub(r"[^\n]", " ", m.group(0))
        code = re.sub(r"^[ \t]*#.*$", blank, code, flags=re.M)
        code = re.sub(r"^ *template <[^\n]*>$", blank, code, flags=re.M)
        code = re.sub(r"^template [^<][^;]*;$", blank, code, flags=re.M)
        code = re.sub(r"\bstatic_assert\([^;]*;", blank, code)
        code = re.sub(r"\bVERACE_CHECK\([^;]*;", blank, code)
        return re.sub(r"__launch_bounds__\([^)]*\)", blank, code)

    @staticmethod
    def device_functions(code):
        """A contract's structs and dispatchers are the callers' code, which no mutant compiles anew."""
        kept = re.sub(r"[^\n]", " ", code)
        for match in HEADER.finditer(code):
            end = matching(code, code.find("{", code.find(")", match.end()))) + 1
            kept = kept[:match.start()] + code[match.start():end] + kept[end:]
        return kept

    def add(self, operator, start, end, new, same=False):
        old = self.text[start:end]
        if new == old:
            return
        line = self.text.count("\n", 0, start) + 1
        key = f"{self.name}|{operator}|{self.line_at(start)}|{self.column(start)}|{old}|{new}"
        twins = sum(1 for m in self.found if m.id.startswith(hashlib.sha1(key.encode()).hexdigest()[:8]))
        identity = hashlib.sha1(key.encode()).hexdigest()[:8] + (f".{twins}" if twins else "")
        self.found.append(Mutant(identity, self.name, line, operator, start, end, old, new, same))

    def line_at(self, offset):
        begin = self.text.rfind("\n", 0, offset) + 1
        return self.text[begin:self.text.find("\n", offset)].strip()

    def column(self, offset):
        begin = self.text.rfind("\n", 0, offset) + 1
        return offset - begin - (len(self.text[begin:]) - len(self.text[begin:].lstrip(" ")))

    def binary(self):
        for match in re.finditer(r"(?<=[^\s]) ([-+*/%<>=!&|]{1,2}) (?=[^\s])", self.code):
            if self.is_limit(match):
                continue
            for new in BINARY.get(match[1], []):
                larger = (match[1], new) in (("/", "*"), ("-", "+"))
                self.add("operator", match.start(1), match.end(1), new,
                         same=larger and self.is_extent(match.start(1)))

    def is_limit(self, match):
        """`a < b ? a : b`: the same with `<=`."""
        start = max(self.code.rfind(c, 0, match.start()) for c in "=(,;{") + 1
        before = " ".join(self.code[start:match.start()].split())
        after = " ".join(self.code[match.end():match.end() + 200].split())
        form = re.match(r"(.+?) \? (.+?) : (.+?)[;,)]", after)
        return bool(form) and match[1] in "<=>=" and {before, form[1]} == {form[2], form[3]}

    def numbers(self):
        for match in NUMBER.finditer(self.code):
            value = int(match[1])
            changes = {0: [1], 1: [0, 2], 2: [1, 4]}.get(value, [])
            if match[2] is None and value > 2:
                changes = [value * 2, value // 2] if value & (value - 1) == 0 else [value + 1, value - 1]
            # One byte of dynamic shared memory that nobody uses.
            unused = self.code.startswith(", exec.stream}", match.end())
            for change in changes:
                self.add("constant", match.start(1), match.end(1), str(change),
                         same=unused or (change > value and self.is_extent(match.start(1))))

    def is_extent(self, offset):
        """Inside the extent of a local array: a larger one holds the same numbers."""
        line = self.line_span(offset)
        declared = EXTENT.match(self.code, *line)
        return bool(declared) and declared.start(1) <= offset < declared.end(1)

    def line_span(self, offset):
        return self.code.rfind("\n", 0, offset) + 1, self.code.find("\n", offset)

    def words(self):
        for match in re.finditer(r"(?<![\w:.])(?:" + "|".join(map(re.escape, WORDS)) + r")(?!\w)", self.code):
            # Single numbers instead of whole vectors are right everywhere, only slower.
            slower = match[0] == "true" and self.code[match.start() - 1] == "<"
            self.add("word", match.start(), match.end(), WORDS[match[0]], same=slower)

    def lines(self):
        """Statements of one line are removed: barriers, stores, guards."""
        offset = 0
        for line in self.code.split("\n"):
            if STATEMENT.match(line) and not DECLARATION.match(line) and line.count("(") == line.count(")"):
                start = offset + len(line) - len(line.lstrip())
                self.add("statement", start, offset + len(line), ";")
            offset += len(line) + 1

    def loops(self):
        for match in re.finditer(r"\bfor \(", self.code):
            end = matching(self.code, match.end() - 1)
            parts = self.code[match.end():end].split(";")
            if len(parts) != 3:
                continue
            begin = match.end() + len(parts[0]) + 2
            condition_end = match.end() + len(parts[0]) + 1 + len(parts[1])
            condition = self.text[begin:condition_end]
            self.add("loop dropped", begin, condition_end, f"({condition}) && false")
            step = parts[2].strip()
            step_end = end
            if step.endswith("/= 2"):
                self.add("loop step", step_end - 4, step_end, "/= 4")
            elif step.startswith("++"):
                name = step[2:]
                self.add("loop step", step_end - len(step), step_end, f"{name} += 2")
            start = re.search(r"(?<![<>=!])= ([^=,;]+)$", parts[0])
            if start and start[1] not in ("0", "1"):
                at = match.end() + start.start(1)
                self.add("loop start", at, at + len(start[1]), f"{start[1]} + 1")
            if re.search(r" (?:<|<=) ", condition):
                self.add("loop end", condition_end, condition_end, " - 1")

    def conditions(self):
        for match in re.finditer(r"\bif (?:constexpr )?\(", self.code):
            end = matching(self.code, match.end() - 1)
            if end > 0:
                self.add("condition", match.end(), end, f"!({self.text[match.end():end]})")
        for match in re.finditer(r"([\w\])]+(?: (?:[<>]=?|[=!]=) [\w\[\].()]+)?) \? ", self.code):
            # How large a grid is: other sizes give the same numbers.
            self.add("condition", match.start(1), match.end(1), f"!({match[1]})",
                     same=match[1] in ("SIMT_EMULATED", "cuda_is_emulated"))

    def arguments(self):
        """The first two arguments of a call change places."""
        for match in re.finditer(r"\b[\w:]+(?:<[\w, ]*>)?\(", self.code):
            head = self.code[self.code.rfind("\n", 0, match.start()) + 1:match.start()]
            if re.match(r"(?:if|for|while|return|switch|sizeof|decltype|static_cast|fmaxf|std::max|std::min)\b", match[0]):
                continue
            if "__device__" in head or "__global__" in head or re.match(r"^[\w<>:]+ $", head):
                continue
            end = matching(self.code, match.end() - 1)
            parts = split_arguments(self.code, match.end(), end) if end > 0 else []
            if len(parts) < 2 or "\n" in self.code[parts[0][0]:parts[1][1]]:
                continue
            (a, b), (c, d) = parts[0], parts[1]
            if b > a and d > c and "[&]" not in self.code[a:d]:
                swapped = self.text[c:d] + self.text[b:c] + self.text[a:b]
                self.add("arguments swapped", a, d, swapped, same="is_vector_aligned" in match[0])

    def launches(self):
        """Grids and blocks of launches: halved, turned. (Larger grids are harmless where guards work.)"""
        for match in re.finditer(r",\s0,\s+exec\.stream\}", self.code):
            start = self.opening_brace(match.start())
            if start < 0:
                continue
            parts = split_arguments(self.code, start + 1, match.start())
            for (a, b), what in zip(parts[:2], ("grid", "block")):
                text = self.text[a:b]
                for change in ("halved", "turned"):
                    self.add(f"{what} {change}", a, b, f"simt_{change}({text})", same=text.strip() == "1")

    def opening_brace(self, position):
        depth = 0
        for i in range(position - 1, -1, -1):
            if self.code[i] in ")]}":
                depth += 1
            elif self.code[i] in "([{":
                depth -= 1
                if depth < 0:
                    return i if self.code[i] == "{" else -1
        return -1


# What the mutants of launches call; in front of the mutated file.
PRELUDE = """\
#include "kernels/simt/launch.h"
[[maybe_unused]] static dim3 simt_halved(dim3 d) {
  return d.y > 1 ? dim3(d.x, d.y / 2, d.z) : dim3(d.x > 1 ? d.x / 2 : 1, d.y, d.z);
}
[[maybe_unused]] static dim3 simt_turned(dim3 d) { return {d.y, d.x, d.z}; }
"""


def mutated(text, mutant):
    return text[:mutant.start] + mutant.new + text[mutant.end:]


def line_pair(text, mutant):
    """The mutant's first line before and after, as the list of claimed equivalents names it."""
    begin = text.rfind("\n", 0, mutant.start) + 1
    end = text.find("\n", mutant.end)
    after = text[begin:mutant.start] + mutant.new + text[mutant.end:end]
    flat = lambda s: " ".join(s.split())
    return flat(text[begin:end]), flat(after)


def all_mutants(root):
    """{file: [mutants]} in the order of the files' text."""
    def is_contract(name):
        return name.endswith(".h") and (Path(root) / name).with_suffix(".cu").exists()
    return {name: Generator(name, (Path(root) / name).read_text(), is_contract(name)).found
            for name in device_files(root)}


def choose(per_file, wanted=WANTED):
    """An even spread: files by their number of lines with mutants, lines in turn, operators mixed."""
    lines = {name: len({m.line for m in found}) for name, found in per_file.items()}
    total = sum(lines.values())
    chosen = []
    for name, found in per_file.items():
        share = min(len(found), max(6, round(wanted * lines[name] / max(total, 1))))
        rng = random.Random(f"verace {name}")
        shuffled = sorted(found, key=lambda m: m.id)
        rng.shuffle(shuffled)
        of_line, of_operator, picked = {}, {}, []
        while len(picked) < share:
            best = min(shuffled, key=lambda m: (of_line.get(m.line, 0), of_operator.get(m.operator, 0)))
            shuffled.remove(best)
            picked.append(best)
            of_line[best.line] = of_line.get(best.line, 0) + 1
            of_operator[best.operator] = of_operator.get(best.operator, 0) + 1
        chosen += [m for m in picked if not m.same]
    random.Random("verace").shuffle(chosen)
    return chosen


SELF_TEST = {
    "  if (i < n) y[i] = 0;\n": {"<=", "!(i < n)", "1", ";"},
    "  __syncthreads();\n": {";"},
    "  const size_t end = a + b < n ? a + b : n;\n": {"-", "!(b < n)"},
    "  const T* x;\n": set(),
    "  for (int i = first; i < n; ++i) sum += x[i];\n":
        {"<=", "(i < n) && false", "i += 2", "first + 1", " - 1", "-=", ";"},
    "  __shared__ float shared[kThreads / 32];\n": {"16"},
    "  simt::launch(k, {1, 32, 0, exec.stream}, n);\n":
        {"0", "2", "64", "16", "simt_halved(32)", "simt_turned(32)", "{1, 32, 0, exec.stream}, k", ";"},
    "template void add(const Exec&, const AddOf<float>&);\n": set(),
    "  VERACE_CHECK(a.count >= 0);\n": set(),
    "  simt::launch(k, {blocks, kThreads, 0, exec.stream}, n);\n":
        {"simt_halved(blocks)", "simt_turned(blocks)", "simt_halved(kThreads)",
         "simt_turned(kThreads)", "{blocks, kThreads, 0, exec.stream}, k", ";"},
}


def self_test():
    failed = 0
    for text, want in SELF_TEST.items():
        got = {m.new for m in Generator("kernels/x.cu", text).found if not m.same}
        if got != want:
            failed += 1
            print(f"{text.strip()}\n  missing {want - got}, too many {got - want}")
    print(f"mutants: {len(SELF_TEST) - failed} of {len(SELF_TEST)} self-tests passed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    per_file = all_mutants(ROOT)
    chosen = choose(per_file)
    if arguments.list:
        for m in chosen:
            print(f"{m.id} {m.file}:{m.line} {m.operator}: {m.old!r} -> {m.new!r}")
        return 0
    for name, found in per_file.items():
        print(f"{name:36} {len(found):5} offered {sum(m.file == name for m in chosen):4} chosen")
    print(f"{'in all':36} {sum(map(len, per_file.values())):5} offered {len(chosen):4} chosen")
    return 0


if __name__ == "__main__":
    sys.exit(main())

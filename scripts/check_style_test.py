#!/usr/bin/env python3
"""The self-test of check_style.py: one planted violation per rule, and code that must pass.

Run it with `scripts/check_style.py --self-test`. Each planted file must give exactly the findings
that its entry names (rule and line), no fewer and no more.
"""
import tempfile
from pathlib import Path

import make_map

TOP = "// A planted file for the test.\n"
HEADER = TOP + "#pragma once\n"
OPEN_END = "TO" + "DO"
FOLDER = "/" + "home/someone/x"


def body(lines):
    return "".join(f"  total += {i};\n" for i in range(lines))


# name: (text, [(rule, line)])
PLANTED = {
    "kernels/file_length.cc": (TOP + "int x;\n" * 400, [("file-length", 401)]),
    "tests/kernels/long_test.cc": (TOP + "namespace verace::long_test {\n" + "int x;\n" * 400 +
                                   'TEST_CASE("long") {\n' + body(90) + "}\n}\n", []),
    "tests/data/own_test.cc": (TOP + "namespace verace::data::other_test {\n}\n", [("test-namespace", 2)]),
    "tests/data/leak_test.cc": (TOP + "using namespace x;\nnamespace verace::data::leak_test {\n}\n",
                                [("test-namespace", 2)]),
    "tests/data/sanitized.h": (TOP + "#pragma once\n#ifdef __SANITIZE_ADDRESS__\n#endif\n", [("sanitized", 3)]),
    "tests/kernels/long_helper.cc": (TOP + "void f() {\n" + body(60) + "}\n",
                                     [("function-length", 2)]),
    "kernels/function_length.cc": (
        TOP + "namespace a {\nclass B {\n public:\n  B() : x_{1}, y_(2) {}\n"
        "  int f(int a = g(1, 2)) const {\n" + body(59) + "  }\n\n private:\n"
        "  int x_{0}, y_ = 1;\n};\n}  // namespace a\n", [("function-length", 6)]),
    "kernels/function_fits.cc": (TOP + "template <class T, int N>\nint f(T x) {\n" + body(57) +
                                 "}\nint g() {\n" + body(58) + "}\n", []),
    "kernels/kernel_fits.cu": (TOP + "__global__ void f(int x) {\n" + body(78) + "}\n", []),
    "kernels/kernel_length.cu": (TOP + "__global__ void f(int x) {\n" + body(79) + "}\n",
                                 [("function-length", 2)]),
    "kernels/constructor_length.cc": (TOP + "B::B(int x) : x_{x}, y_(2) {\n" + body(59) + "}\n",
                                      [("function-length", 2)]),
    "kernels/parameters.h": (
        HEADER + "void f(int a, int b, int c, int d,\n       int e, int f, int g, int h, int i);\n"
        "void g(std::map<int, int> a, int b, int c, int d, int e, int f, int g, int h = f(1));\n",
        [("parameters", 3)]),
    "kernels/operator.h": (
        HEADER + "struct F {\n  std::function<void(int, int)> g;\n"
        "  void operator()(int a, int b, int c, int d, int e, int f, int g, int h, int i) {}\n"
        "};\n", [("parameters", 5)]),
    "kernels/purpose.cc": ("#include <vector>\n", [("purpose", 1)]),
    "scripts/purpose.sh": ("#!/bin/sh\necho one two three\n", [("purpose", 2)]),
    "scripts/executable.py": ('#!/usr/bin/env python3\n"""Says what it is for."""\n', [("executable", 1)]),
    "scripts/purpose.py": ('#!/usr/bin/env python3\n"""Says what it is for."""\n', []),
    "kernels/pragma.h": (TOP + "int x;\n", [("pragma-once", 1)]),
    "kernels/up.cc": (TOP + '#include "engine/tensor.h"\n#include "kernels/check.h"\n',
                      [("include-upwards", 2)]),
    "data/sideways.cc": (TOP + '#include "layers/dense.h"\n#include "engine/tensor.h"\n',
                         [("include-upwards", 2)]),
    "apps/lib/up.cc": (TOP + '#include "apps/cli/main.h"\n#include "data/image.h"\n',
                       [("include-upwards", 2)]),
    "optim/tests.cc": (TOP + '#include "tests/support/oracle.h"\n', [("include-upwards", 2)]),
    "tests/engine/all_test.cc": (TOP + '#include "apps/lib/x.h"\n#include "bench/y.h"\n', []),
    "engine/relative.cc": (TOP + '#include "../apps/lib/x.h"\n', [("include-path", 2)]),
    "layers/library.cc": (TOP + "#include <dnnl.hpp>\n#include <oneapi/dnnl/dnnl.hpp>\n"
                          "#include <cudnn_frontend.h>\n",
                          [("library-home", n) for n in (2, 3, 4)]),
    "kernels/onednn/library.cc": (TOP + "#include <dnnl.hpp>\n", []),
    "kernels/launch.cu": (TOP + "void f() {\n  g<<<1, 2>>>(3);\n}\n// g<<<1, 2>>>\n",
                          [("launch", 3)]),
    "kernels/simt/launch.h": (HEADER + "inline void f() { g<<<1, 2>>>(3); }\n", []),
    "kernels/memory.cc": (TOP + "void f() { cudaMallocAsync(&p, 1, s); }\n", [("cuda-malloc", 2)]),
    "engine/memory.cc": (TOP + "void f() { cudaMalloc(&p, 1); cudaFree(p); }\n", []),
    "engine/memory_cuda.cc": (TOP + "void f() { cudaMalloc(&p, 1); cudaFree(p); }\n", []),
    "data/raw.cc": (TOP + "auto* p = new int[3];\nvoid f() { delete[] p; }\n"
                    "auto* q = std::malloc(3);\n"
                    "auto* r = std::malloc(3);  // NOLINT(raw-memory): a C library frees it\n",
                    [("raw-memory", n) for n in (2, 3, 4)]),
    "data/not_raw.cc": (TOP + "A(const A&) = delete;  // a new one\nauto s = \"new int\";\n"
                        "void f() { pool.free(3); newest = 1'000; }\n", []),
    "tests/data/raw_test.cc": (TOP + "auto* p = new int[3];\n", []),
    "kernels/tab.cc": (TOP + "\tint x;\n", [("tab", 2)]),
    "kernels/wide.cc": (TOP + "// " + "x" * 97 + "\n// " + "é" * 98 + "\n", [("line-length", 3)]),
    "kernels/open_end.cc": (TOP + f"// {OPEN_END}: later\n// {OPEN_END}(#12): later\n",
                            [("open-end", 2)]),
    "kernels/dead.cc": (TOP + "// int x = 3;\n// return x;\n// if (x) {\n// return the sum;\n"
                        "// The cost is n (small); x = y holds here;\n",
                        [("dead-code", n) for n in (2, 3, 4)]),
    "docs/private.md": (f"see {FOLDER} and https://host.org{FOLDER} and a{FOLDER}\n",
                        [("private-path", 1)]),
    "docs/target.md": (
        "# One title: `code`, and 2.5 more!\n## Twice\n## Twice\n```\n# no heading\n```\n"
        "Underlined\n----------\n<a id=\"by-hand\"></a>\n", []),
    "docs/links.md": (
        "[file](target.md) [folder](../kernels) [root](../kernels/tab.cc) [self](#here) [x](.)\n"
        "[a](target.md#one-title-code-and-25-more) [b](target.md#twice) [c](target.md#twice-1)\n"
        "[d](target.md#underlined) [e](target.md#by-hand) [f](../kernels/tab.cc#L2)\n"
        "[g](https://host.org/absent.md#x) [h](mailto:a@b.org) `[i](absent.md)` [j][label]\n"
        "## Here\n~~~\n[k](absent.md)\n~~~\n[l](target.md 'a title') ![m](pictures/%61.png)\n"
        "[label]: target.md\nf(x)[0](y) and [1] and a[i][j] and ``a ` [n](absent.md)``\n",
        [("link", 11)]),  # [0](y) reads as a link on GitHub too
    "docs/pictures/a.png": ("no picture, but a file\n", []),
    "docs/broken_links.md": (
        "[file](absent.md) and a good one [here](target.md)\n[anchor](target.md#twice-2)\n"
        "![picture](pictures/b.png)\n[case](Target.md)\n[code](target.md#no-heading)\n"
        "[line](../kernels/tab.cc#L3)\n[self](#nowhere)\n[above](../../docs/target.md)\n"
        "[root](/docs/target.md)\n[label]: absent.md\n<img src=\"absent.png\">\n"
        "[j][unknown]\n[empty]()\n[kind](../kernels/tab.cc#tab)\n[title](absent.md \"t\")\n",
        [("link", n) for n in range(1, 16)]),
    "docs/code_names.md": (
        "- [a](../kernels/pragma_named.h): `here_it_is` and `Named::here_it_is`, `int`, `a + b_c`\n"
        "  and `--no_flag` and `HereToo`\n- [b](../kernels/pragma_named.h): all is well, but\n"
        "  `not_here` is not\n- `not_here` and [no first link](../kernels/pragma_named.h)\n"
        "- [c](../kernels/pragma_named.h), [d](links.md): `Named::gone`\n"
        "- [e](links.md): `not_here`\n```\n- [f](../kernels/pragma_named.h) `not_here`\n```\n",
        [("code-name", 3), ("code-name", 6)]),
    "kernels/pragma_named.h": (HEADER + "struct Named {\n  int here_it_is;  // HereToo\n};\n", []),
    "weights/private_a.cc": (
        TOP + "namespace v {\nnamespace {\nconstexpr int kA = 1, kB[] = {2};\nstruct S {\n  int kD;\n};\n"
        "int f(int a, const S& b) {\n  int kC = 3;\n  return kC;\n}\nusing J = X;\nusing a::b;\n"
        "}  // namespace\nint g() { return 1; }\nint S::m(int a) { return a; }\n}  // namespace v\n", []),
    "weights/private_b.cc": (
        TOP + "namespace v {\nnamespace {\n// kA\nconstexpr std::array<int, 2> kB = {1, 2};\n"
        "template <class T>\nclass S {};\nint f(int c,\n      const S& d = {});\nusing J = X;\nusing a::b;\n"
        "int g();\nint kC;\nint kPublic;\nint g(char a);\nint f(int a);\n}  // namespace\nint S::m(int a) { return a; }\n"
        "namespace w {\nnamespace {\nint kA = 2;\n}\n}\n}  // namespace v\n",
        [("private-name", n) for n in (5, 6, 8, 12, 14, 15)]),
    "weights/public.h": (HEADER + "namespace v {\ninline constexpr int kPublic = 1;\nint g(int a);\n}\n", []),
    "optim/private_b.cc": (TOP + "namespace v {\nnamespace {\nint kA = 2;\n}\n}\n", []),
    "kernels/strings.cc": (TOP + 'auto a = "}{ <<< \\" new";\nauto b = R"x(" { )x";\n'
                           "char c = '{';\nvoid f() {\n" + body(58) + "}\nint d;\n", []),
}


def run(check):
    """Writes the planted files, runs check on them, compares; returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, (text, rules) in PLANTED.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
            if text.startswith("#!") and ("executable", 1) not in rules:
                (root / name).chmod(0o755)
        got = {(name, rule, line) for name, line, rule, _ in check(root)}
        want = {(name, rule, line) for name, (_, rules) in PLANTED.items() for rule, line in rules}
        want.add((make_map.MAP, "map", 1))
        (root / make_map.MAP).write_text(make_map.make_map(root), encoding="utf-8")
        still = any(rule == "map" for _, _, rule, _ in check(root))
    for name, rule, line in sorted(want - got):
        print(f"self-test: {name}:{line}: planted, but not found [{rule}]")
    for name, rule, line in sorted(got - want):
        print(f"self-test: {name}:{line}: found, but there is nothing [{rule}]")
    if still:
        print("self-test: the map was just written, but is called outdated")
    failed = got != want or still
    print(f"self-test: {len(want)} planted violations, "
          f"{'FAILED' if failed else 'all found and nothing else'}")
    return 1 if failed else 0

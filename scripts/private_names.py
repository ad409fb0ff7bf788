#!/usr/bin/env python3
"""Finds names that two files of a library keep to themselves, for check_style.py.

The files of a library are compiled in batches (VERACE_UNITY in cmake/verace_options.cmake). What stands in
the unnamed namespaces of two of its .cc files, or in a header and in one of them, collides when a batch has
both: if not today, then once a new file moves the batches. Functions may be overloaded, but not those of a
header, which an unnamed namespace hides.
"""
import re

import cpp_scan

LIBRARIES = ("kernels", "engine", "weights", "layers", "optim", "data", "apps/lib", "apps/cli")
_TYPE = re.compile(r"^(?:typedef\s+)?(?:struct|class|union|enum(?:\s+class)?)\s+(\w+)")
_ALIAS = re.compile(r"^(?:using|namespace)\s+\w+\s*=")
_NONE = re.compile(r"^(?:using|static_assert|friend|extern|typedef)\b")
_NAMESPACE = re.compile(r"\bnamespace\s*([\w:]*)\s*$")


def _parts(text):
    """Split at the commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "([{<") - (c in ")]}>")
        if c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return parts + [text[start:]]


def _names(head):
    """What is declared by the text up to a body, or to a semicolon; of a function also its parameters' types."""
    head = cpp_scan.cleaned(head).strip()
    if _ALIAS.match(head):  # one alias may stand in many files, with one meaning
        return [" ".join(head.split())]
    if not head or _NONE.match(head):
        return []
    match = _TYPE.match(head)
    if match:
        return [match[1]]
    place = cpp_scan.parameter_list(head)
    if place:
        if re.search(r"::\s*[~\w]+\s*$", head[:place[1]]):  # a member's definition
            return []
        types = [re.sub(r"\s*\b\w+\s*(?:=.*)?$", "", p) for p in _parts(head[place[1] + 1:head.rfind(")")])]
        return [f"{place[0]}({', '.join(' '.join(t.split()) for t in types)})"]
    declared = [re.search(r"(\w+)\s*(?:\[[^\]]*\]\s*)*$", re.split(r"[={]", part)[0]) for part in _parts(head)]
    return [match[1] for match in declared if match]


def names_of(text, unnamed):
    """(namespaces around it, name, line) of what the unnamed namespaces of a file declare; not `unnamed`: of what
    the named ones do."""
    code = cpp_scan.without_preprocessor(text)
    stack, found, start, i = [], [], 0, 0

    def add(head):
        if stack and ("" in stack) == unnamed:
            line = code.count("\n", 0, start + len(head) - len(head.lstrip())) + 1
            scope = "::".join(s for s in stack if s)
            found.extend((scope, name, line) for name in _names(head))

    while i < len(code):
        c = code[i]
        if c == "(":
            i = cpp_scan.matching(code, i, "(", ")")
        elif c == "{":
            head = code[start:i]
            namespace = _NAMESPACE.search(cpp_scan.cleaned(head))
            if namespace:
                stack.append(namespace[1])
                start = i + 1
            else:
                i = cpp_scan.matching(code, i, "{", "}")
                if cpp_scan.kind_of(head) == "function":
                    add(head)
                    start = i + 1
        elif c in ";}":
            if c == ";":
                add(code[start:i])
            elif stack:
                stack.pop()
            start = i + 1
        i += 1
    return found


def twice(files):
    """(file, line, message) for each name of a .cc file's own that its library has elsewhere; `files`: {path: text}."""
    findings = []
    for library in LIBRARIES:
        public, private, functions = {}, {}, {}
        inside = sorted(f for f in files if f.startswith(library + "/"))
        for file in (f for f in inside if f.endswith(".h")):
            for scope, name, _ in names_of(files[file], unnamed=False):
                public.setdefault((scope, name), file)
                if "(" in name:
                    functions.setdefault((scope, name.partition("(")[0]), file)
        for file in (f for f in inside if f.endswith(".cc")):
            own = {}
            for scope, name, line in names_of(files[file], unnamed=True):
                own.setdefault((scope, name), line)
            for key, line in own.items():
                hidden = functions.get((key[0], key[1].partition("(")[0]))  # whatever its parameters
                other = private.get(key) or public.get(key) or hidden
                if other and not _ALIAS.match(key[1]):
                    findings.append((file, line, f"{key[1]} stands in {other} too: files are compiled in batches"))
                private.setdefault(key, file)
    return findings

#!/usr/bin/env python3
"""Finds the functions of a C++ file without a compiler: enough for check_style.py's limits.

strip() blanks comments and the contents of literals; functions() then walks over what stands at
namespace and class level. Lambdas count as part of the function around them.
"""
import re
from collections import namedtuple

# `end` is None for a declaration; `head` is the cleaned text before the body.
Function = namedtuple("Function", "name start end parameters head")

_LITERAL = re.compile(
    r"""//(?:[^\n\\]|\\.|\\\n)*"""
    r"""|/\*.*?\*/"""
    r"""|R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)\""""
    r'''|"(?:[^"\\\n]|\\.)*"'''
    r"""|(?<![0-9A-Fa-f])'(?:[^'\\\n]|\\.)+'""", re.S)
_PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", re.M)
_WITH_ARGUMENT = re.compile(
    r"\b(?:alignas|noexcept|decltype|requires|explicit|__launch_bounds__|__attribute__)\s*$")
_NO_FUNCTION = re.compile(r"^\s*(?:using|typedef|static_assert|return|friend\s+class)\b")


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def strip(text):
    """Comments become blanks, literals keep their quotes; offsets and line numbers stay."""
    def replace(match):
        found = match.group(0)
        if found[0] == "/":
            return _blank(found)
        return found[0] + _blank(found[1:-1]) + found[-1] if found[0] != "R" else _blank(found)
    return _LITERAL.sub(replace, text)


def matching(code, position, opening, closing):
    """The offset of the bracket that closes the one at position (or the end of the text)."""
    depth = 0
    for i in range(position, len(code)):
        if code[i] == opening:
            depth += 1
        elif code[i] == closing:
            depth -= 1
            if depth == 0:
                return i
    return len(code) - 1


def cleaned(head):
    """Without access specifiers, attributes, template parameters, alignas(...) and the like."""
    head = re.sub(r"\b(?:public|private|protected)\s*:(?!:)", " ", head)
    head = re.sub(r"\[\[.*?\]\]", " ", head, flags=re.S)
    match = re.search(r"\btemplate\s*<", head)
    while match:
        end = matching(head, match.end() - 1, "<", ">")
        head = head[:match.start()] + " " + head[end + 1:]
        match = re.search(r"\btemplate\s*<", head)
    i = 0
    while i < len(head):
        if head[i] == "(" and _WITH_ARGUMENT.search(head[:i]):
            end = matching(head, i, "(", ")")
            head = head[:i] + " " * (end + 1 - i) + head[end + 1:]
        i += 1
    return head


def parameter_list(head):
    """(name, offset of the opening parenthesis) or None where head is no function's."""
    operator = re.search(r"\boperator\s*(\(\s*\)|[^\s\w(]+|[\w:<>*&\s]+?)\s*\(", head)
    if operator:
        return "operator" + operator.group(1), operator.end() - 1
    angle = 0
    for i, c in enumerate(head):
        if c == "<":
            angle += 1
        elif c == ">" and head[i - 1] != "-":
            angle = max(0, angle - 1)
        elif c == "=" and angle == 0:
            return None
        elif c == "(" and angle == 0:
            name = re.search(r"([~\w]+)\s*$", head[:i])
            return (name.group(1), i) if name else None
    return None


def _count_parameters(head, opening):
    inside = head[opening + 1:matching(head, opening, "(", ")")]
    if inside.strip() in ("", "void"):
        return 0
    depth, count = 0, 1
    for i, c in enumerate(inside):
        if c in "([{<":
            depth += 1
        elif c in ")]}" or (c == ">" and inside[i - 1] != "-"):
            depth -= 1
        elif c == "," and depth == 0:
            count += 1
    return count


def _is_member_initialiser(head):
    """Whether a brace after this head opens a value, as in `Foo() : size_{3}`."""
    start = re.search(r"\)\s*(?:noexcept\s*)?:(?!:)", head)
    return bool(start) and bool(re.search(r"[\w>]\s*$", head[start.end():]))


def kind_of(head):
    """What a brace after this head opens: scope, function or value."""
    clean = cleaned(head)
    if re.search(r"\bnamespace\b", clean) or re.search(r'\bextern\s+"\s*"\s*$', clean):
        return "scope"
    if re.search(r"\benum\b", clean) and "(" not in clean:
        return "value"
    if re.search(r"\b(?:class|struct|union)\b", clean) and "(" not in clean:
        return "scope" if not re.search(r"=\s*$", clean) else "value"
    if parameter_list(clean) and not _is_member_initialiser(clean):
        return "function"
    return "value"


def without_preprocessor(text):
    """strip(), and preprocessor lines become blanks too."""
    return _PREPROCESSOR.sub(lambda m: _blank(m.group(0)), strip(text))


def functions(text):
    """All functions and declarations at namespace and class level, as a list of Function."""
    code = without_preprocessor(text)
    found, head_start, i = [], 0, 0

    def add(end):
        head = code[head_start:i]
        clean = cleaned(head)
        place = None if _NO_FUNCTION.search(clean) else parameter_list(clean)
        if place is None:
            return
        lead = len(head) - len(_drop_access(head).lstrip())
        start = code.count("\n", 0, head_start + lead) + 1
        last = None if end is None else code.count("\n", 0, end) + 1
        found.append(Function(place[0], start, last, _count_parameters(clean, place[1]), clean))

    while i < len(code):
        c = code[i]
        if c == "(":
            i = matching(code, i, "(", ")")
        elif c == "{":
            kind = kind_of(code[head_start:i])
            if kind != "scope":
                end = matching(code, i, "{", "}")
                if kind == "function":
                    add(end)
                    head_start = end + 1
                i = end
            else:
                head_start = i + 1
        elif c in ";}":
            if c == ";":
                add(None)
            head_start = i + 1
        i += 1
    return found


def _drop_access(head):
    """The head after its last access specifier; its length tells where the function starts."""
    specifiers = list(re.finditer(r"\b(?:public|private|protected)\s*:(?!:)", head))
    return head[specifiers[-1].end():] if specifiers else head

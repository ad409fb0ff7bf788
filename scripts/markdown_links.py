"""Finds the links of a Markdown file that lead nowhere, and names that the linked code has not got.

Relative links must name a file or folder that belongs to the repository (as written on disk, case
included); an anchor must be a heading of the target as GitHub names it, or #L10 (#L10-L20) of a
source. Links to other hosts are not looked at, nor is what stands in code.

A list item that begins with a link to a source, `- [kernels/adam.h](../kernels/adam.h): ...`, speaks of
that source: each identifier that it shows as code must occur in a source that the item links.
"""
import posixpath
import re
from pathlib import Path
from urllib.parse import unquote

FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
INLINE_CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)")
# [text](target "title"), ![alt](target), [label]: target, <a href="target">, <img src="target">.
LINKS = [re.compile(r"\]\(\s*<?([^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*)>?(?:\s+[\"'(][^)]*)?\s*\)"),
         re.compile(r"^ {0,3}\[[^\]^]+\]:\s*<?([^\s<>]+)>?"),
         re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)\s*=\s*[\"']([^\"']*)[\"']", re.I)]
REFERENCE = re.compile(r"(?<![\]\w])\[[^\]]+\]\[([^\]]+)\]")
OTHER_HOST = re.compile(r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:|//)")
NAMED = re.compile(r"<a\b[^>]*?\b(?:id|name)\s*=\s*[\"']([^\"']+)[\"']", re.I)
ITEM = re.compile(r"^- \[[^\]]+\]\([^)]+\)")
SOURCES = (".h", ".cc", ".cu", ".cuh", ".py", ".sh")
# A word with an underscore, an inner capital or a "::": common words are no identifiers.
IDENTIFIER = re.compile(r"^(?=.*(?:_|::|[a-z][A-Z]))[A-Za-z_][\w:]*$")
LINES = re.compile(r"^L(\d+)(?:C\d+)?(?:-L(\d+)(?:C\d+)?)?$")


def prose(lines):
    """[(number, line)] outside fenced code blocks."""
    fence = None
    for number, line in enumerate(lines, 1):
        match = FENCE.match(line)
        if fence:
            if match and match[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = None
        elif match:
            fence = match[1]
        else:
            yield number, line


def anchors(text):
    """The anchors that GitHub makes of a Markdown text's headings, and those named by hand."""
    found, seen = set(), {}
    lines = list(prose(text.splitlines()))
    for index, (_, line) in enumerate(lines):
        found.update(NAMED.findall(line))
        match = re.match(r"^ {0,3}#{1,6}\s+(.*?)(?:\s+#+)?\s*$", line)
        following = lines[index + 1][1] if index + 1 < len(lines) else ""
        underlined = re.match(r"^ {0,3}(=+|-+)\s*$", following)
        if match:
            title = match[1]
        elif underlined and re.match(r"^ {0,3}[^\s|>#-]", line):
            title = line.strip()
        else:
            continue
        title = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def problem_with(root, names, source, target):
    """What is wrong with one link of the file `source`; None when it is all right."""
    path, _, anchor = unquote(target).partition("#")
    if path.startswith("/"):
        return "starts at the root of the disk: make it relative"
    path = path.partition("?")[0]
    full = posixpath.normpath(posixpath.join(posixpath.dirname(source), path)) if path else source
    if full not in names:
        folder = full == "." or any(name.startswith(full + "/") for name in names)
        if not folder:
            return "there is no such file in the repository"
        return "a folder has no headings" if anchor else None
    if not anchor:
        return None
    text = (Path(root) / full).read_text(encoding="utf-8", errors="replace")
    if full.endswith(".md"):
        return None if anchor in anchors(text) else f"{full} has no heading #{anchor}"
    lines = LINES.match(anchor)
    if not lines:
        return f"{full} is no Markdown: an anchor must be #L and a line"
    count = len(text.splitlines())
    most = max(int(number) for number in lines.groups() if number)
    return None if most <= count else f"{full} has only {count} lines"


def broken_links(root, names, source, lines):
    """[(line number, message)] of the Markdown file `source`; names: the repository's files."""
    known = set(names)
    text = [(number, INLINE_CODE.sub("`code`", line)) for number, line in prose(lines)]
    labels = {m[1].lower() for _, line in text
              if (m := re.match(r"^ {0,3}\[([^\]^]+)\]:", line))}
    for number, line in text:
        for pattern in LINKS:
            for target in pattern.findall(line):
                if OTHER_HOST.match(target):
                    continue
                problem = problem_with(root, known, source, target) if target else "it is empty"
                if problem:
                    yield number, f"link {target}: {problem}"
        for label in REFERENCE.findall(line):
            if label.lower() not in labels:
                yield number, f"link [{label}]: no line says where it leads"


def items_of(lines):
    """[(number, text)] of the list items that begin with a link."""
    item = None
    for number, line in list(prose(lines)) + [(0, "")]:
        if item and line.startswith("  "):
            item = (item[0], item[1] + " " + line.strip())
            continue
        if item:
            yield item
        item = (number, line) if ITEM.match(line) else None


def missing_names(root, names, source, lines):
    """[(line number, message)]: identifiers that the sources which their item links do not have."""
    known = set(names)
    for number, item in items_of(lines):
        targets = [posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
                   for target in LINKS[0].findall(INLINE_CODE.sub("", item))]
        targets = [t for t in targets if t in known and t.endswith(SOURCES)]
        if not targets:
            continue
        code = "\n".join((Path(root) / t).read_text(encoding="utf-8", errors="replace")
                         for t in targets)
        for _, word in INLINE_CODE.findall(item):
            if not IDENTIFIER.match(word):
                continue
            if not all(re.search(rf"\b{re.escape(part)}\b", code) for part in word.split("::")):
                yield number, f"`{word}` does not occur in {', '.join(targets)}"

#!/usr/bin/env python3
"""The list of claimed-equivalent mutants, and the table of a mutation run (scripts/mutate_kernels.py)."""
import sys
from collections import Counter

sys.dont_write_bytecode = True
import mutants  # noqa: E402

MOST_LISTED, LEAST_KILLED = 0.05, 0.95


def read_equivalents(file):
    """[(file, line before, line after, reason)]: paragraphs of four lines; # starts a comment."""
    if not file.exists():
        return []
    lines = [line.strip() for line in file.read_text().splitlines() if not line.startswith("#")]
    paragraphs = [p.strip().split("\n") for p in "\n".join(lines).split("\n\n") if p.strip()]
    for p in paragraphs:
        if len(p) != 4:
            raise SystemExit(f"{file.name}: file, line, changed line, reason, not: {p}")
    return [tuple(p) for p in paragraphs]


def find_equivalents(listed, every, text):
    """(the mutants that are listed, the entries that fit no mutant)."""
    found, missing = [], []
    for entry in listed:
        of_file = [m for m in every if m.file == entry[0]]
        same = [m for m in of_file if mutants.line_pair(text[m.file], m) == entry[1:3]]
        found += [m for m in same if m not in found]
        if not same:
            missing.append(entry)
    return found, missing


def summary(run):
    """What the run says: lists and counts by which report() and its exit code go."""
    listed = {m.id for m in run.equivalents}
    tried = [run.results[m.id] for m in run.chosen if m.id in run.results]
    # A survivor counts when every build has seen it.
    waiting = [r for r in tried if r["outcome"] == "survived" and len(r["builds"]) < 3 and r["id"] not in listed]
    tried = [r for r in tried if r not in waiting]
    compiled = [r for r in tried if r["outcome"] != "does not compile"]
    return {"chosen": len(run.chosen), "tried": tried, "waiting": waiting, "compiled": compiled,
            "killed": [r for r in compiled if r["outcome"] == "killed"],
            "survivors": [r for r in compiled if r["outcome"] == "survived" and r["id"] not in listed],
            "equivalent": [r for r in compiled if r["outcome"] == "survived" and r["id"] in listed],
            "refuted": [r for r in compiled if r["outcome"] == "killed" and r["id"] in listed]}


def table(s):
    rows = []
    names = sorted({r["file"] for r in s["compiled"]})
    for name in [*names, None]:
        of = lambda key: [r for r in s[key] if name in (None, r["file"])]
        by = Counter(r["build"] for r in of("killed"))
        rows.append((name or "**all**", len(of("compiled")), len(of("killed")), by["fast"] + by["compiler"], by["asan"],
                     by["check"], len(of("equivalent")), len(of("survivors"))))
    head = ("file", "mutants", "killed", "by fast", "by ASan+UBSan", "by the checker", "equivalent", "survived")
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]


def place(r):
    return r["file"], r["line"]


def entry(r):
    return f"- `{r['file']}:{r['line']}` ({r['operator']}): `{r['before']}` → `{r['after']}`"


def report(run, markdown):
    """Prints the report, writes it where asked; the exit code."""
    s = summary(run)
    total = max(1, len(s["compiled"]) + len(s["waiting"]))
    others = max(1, total - len(s["equivalent"]))
    share = len(s["killed"]) / others
    lines = [f"{s['chosen']} mutants chosen, {len(s['tried'])} tried, of which {len(s['tried']) - len(s['compiled'])} do "
             f"not compile and do not count: {len(s['compiled'])} count. {len(s['killed'])} killed; "
             f"{len(s['equivalent'])} claimed equivalent ({100 * len(s['equivalent']) / total:.1f} %); "
             f"{len(s['survivors'])} survived. Killed of those not claimed equivalent: {100 * share:.1f} %.", ""]
    if s["waiting"]:
        lines[0] += (f" {len(s['waiting'])} more survived the fast build and have not met the sanitizers and the checker "
                     "yet; the last figure counts them as alive.")
    lines += table(s)
    ways = Counter(r["how"].split(":")[0] for r in s["killed"])
    lines += ["", "What killed them: " + ", ".join(f"{k} {n}" for k, n in ways.most_common()) + "."]
    lines += ["", "## Survivors", ""]
    none = "None of those that all three builds have seen." if s["waiting"] else "None."
    lines += [entry(r) for r in sorted(s["survivors"], key=place)] or [none]
    if s["waiting"]:
        lines += ["", "Survived the fast build only, so far:", ""] + [entry(r) for r in sorted(s["waiting"], key=place)]
    problems = [f"listed as equivalent, but killed: {r['file']}:{r['line']}: {r['after']}" for r in s["refuted"]]
    problems += [f"listed as equivalent, but no mutant of the code: {e[0]}: {e[2]}" for e in run.missing]
    if len(s["equivalent"]) > MOST_LISTED * total:
        problems.append(f"more than {100 * MOST_LISTED:.0f} % claimed equivalent")
    if share < LEAST_KILLED:
        problems.append(f"fewer than {100 * LEAST_KILLED:.0f} % killed")
    lines += ["", *[f"**Failed:** {p}" for p in problems]] if problems else []
    print("\n".join(lines))
    if markdown:
        begin = markdown.read_text().split("<!-- results -->")[0] if markdown.exists() else "# Mutation of the kernels\n\n"
        markdown.write_text(begin + "<!-- results -->\n" + "\n".join(lines) + "\n")
    return 1 if problems else 0

"""Installs the other engines into a virtual environment outside the tree, section by section.

What is pinned stands in requirements.txt. A section that is installed is not touched again, and a
download that was cut off goes on where it was, so that one can simply start again.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
REQUIREMENTS = os.path.join(HERE, "requirements.txt")
PIP = "pip==26.3"  # 25.1 and newer resume downloads


def default_venv():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("VERACE_PEERS_VENV") or os.path.join(cache, "verace/peers")


def read_sections(path=REQUIREMENTS):
    """{engine: (megabytes to download, megabytes on disc, [requirement...])}."""
    sections, current = {}, None
    with open(path) as file:
        for line in file:
            head = re.match(r"# \[(\S+)\] (\d+) (\d+)$", line)
            if head:
                current = sections[head[1]] = (int(head[2]), int(head[3]), [])
            elif line.strip() and not line.startswith("#"):
                current[2].append(line.strip())
    return sections


def say(text):
    print("peers: " + text, file=sys.stderr, flush=True)


def run_quietly(command, log):
    """Whether the command succeeded; its output goes to the log."""
    with open(log, "a") as file:
        file.write("$ " + " ".join(command) + "\n")
        file.flush()
        return subprocess.run(command, stdout=file, stderr=file).returncode == 0


def make_venv(venv, log):
    if sys.version_info < (3, 11):
        return "the pinned versions need Python 3.11 or newer: start this with one"
    if os.path.exists(os.path.join(venv, "bin/pip")):
        return ""
    say(f"makes a virtual environment in {venv}")
    if not run_quietly([sys.executable, "-m", "venv", venv], log):
        return f"python3 -m venv failed ({log}): on Debian, apt-get install python3-venv"
    return ""


def install(venv, engine):
    """Why the engine is not there, in one line; empty when it is."""
    download, disc, wanted = read_sections()[engine]
    stamp = os.path.join(venv, f"verace-{engine}.txt")
    content = "\n".join(wanted) + "\n"
    if os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() == content:
                return ""
    os.makedirs(venv, exist_ok=True)
    log = os.path.join(venv, "verace-install.log")
    said = make_venv(venv, log)
    if said:
        return said
    say(f"installs {engine}: {download} MB to download, {disc} MB on disc "
        "(less what another engine brought); interrupted, it goes on when started again")
    python = os.path.join(venv, "bin/python")
    pip = [python, "-m", "pip", "-q", "--cache-dir", os.path.join(venv, "downloads"), "install"]
    if not run_quietly(pip + [PIP], log) or not run_quietly(
            pip + ["--no-deps", "--resume-retries", "20"] + wanted, log):
        return f"pip failed: the reason stands at the end of {log}"
    with open(stamp, "w") as file:
        file.write(content)
    return ""

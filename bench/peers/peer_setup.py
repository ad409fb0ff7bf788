"""Installs the other engines into a virtual environment outside the tree, section by section.

What is pinned stands in requirements.txt. Packages are installed one by one and those that are there
are not touched again, so that one can simply start again after an interruption.
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


def installed(pip):
    """The packages that are there, as requirements with the names that requirements.txt uses."""
    listed = subprocess.run(pip + ["list", "--format", "freeze"], stdout=subprocess.PIPE, text=True,
                            check=True).stdout.split()
    return {normal(name) + "==" + version for name, version in (
        line.split("==", 1) for line in listed if "==" in line)}


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


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
    pip = [os.path.join(venv, "bin/python"), "-m", "pip"]
    there = installed(pip)
    if PIP not in there and not run_quietly(pip + ["install", "-q", PIP], log):
        return f"pip could not install {PIP}: the reason stands at the end of {log}"
    for requirement in wanted:
        if requirement not in there and not run_quietly(
                pip + ["install", "-q", "--no-deps", "--resume-retries", "20", requirement], log):
            return f"pip could not install {requirement}: the reason stands at the end of {log}"
    with open(stamp, "w") as file:
        file.write(content)
    return ""

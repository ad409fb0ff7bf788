#!/usr/bin/env python3
"""Runs a script of this folder that compares with other libraries, as a test; skips it where they are missing.

    run_check.py NAME MODULE[,MODULE...] SCRIPT [ARGUMENTS...]

By this Python or, where it lacks a module, by the distribution's, for which ./run setup --oracles installs them.
"""
import os
import subprocess
import sys

FIND = "import importlib.util, sys; print(*[m for m in sys.argv[1:] if importlib.util.find_spec(m) is None])"


def missing(python, modules):
    found = subprocess.run([python, "-c", FIND, *modules], capture_output=True, text=True, check=False)
    return found.stdout.split() if found.returncode == 0 else list(modules)


def main():
    name, modules, script, *arguments = sys.argv[1:]
    modules = modules.split(",")
    for python in (sys.executable, "/usr/bin/python3"):
        lacking = missing(python, modules) if os.path.exists(python) else modules
        if not lacking:
            return subprocess.call([python, os.path.join(os.path.dirname(os.path.abspath(__file__)), script), *arguments])
    print(f"SKIPPED {name}: this Python has no {' and no '.join(lacking)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

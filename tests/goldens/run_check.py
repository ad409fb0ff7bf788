#!/usr/bin/env python3
"""Runs a script of this folder that compares with other libraries, as a test; skips it where they are missing.

    run_check.py NAME MODULE[,MODULE...] SCRIPT [ARGUMENTS...]
"""
import importlib.util
import os
import subprocess
import sys


def main():
    name, modules, script, *arguments = sys.argv[1:]
    missing = [m for m in modules.split(",") if importlib.util.find_spec(m) is None]
    if missing:
        print(f"SKIPPED {name}: this Python has no {' and no '.join(missing)}")
        return 0
    return subprocess.call([sys.executable, os.path.join(os.path.dirname(__file__), script), *arguments])


if __name__ == "__main__":
    sys.exit(main())

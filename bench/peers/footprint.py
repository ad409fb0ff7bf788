"""What one verdict from the shell costs, whole process, and what an engine takes on the disc."""
import json
import os
import subprocess
import sys
import time

from rounds import EngineFailed

PROBABILITY_TOLERANCE = 1e-2  # decoders and resizers may round differently
# The C library and what every program has; not counted for anybody.
LIBC = ("libc.so", "libm.so", "libdl.so", "librt.so", "libpthread.so", "ld-linux", "libutil.so")


def run_once(command, environment):
    """(milliseconds from the start to the end of the process, standard output, peak bytes)."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment)
    out = process.stdout.read().decode()
    said = process.stderr.read().decode(errors="replace").strip().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = (time.perf_counter() - start) * 1e3
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    process.stderr.close()
    if process.returncode != 0:
        raise EngineFailed(said[-1] if said else f"exit code {process.returncode}")
    return elapsed, out, usage.ru_maxrss * 1024


def verace_verdict(program, workload, threads):
    return [program, "predict", "--model", os.path.join(workload, "network.safetensors"),
            os.path.join(workload, "face.jpg"), "--json", "--quiet", "--threads", str(threads)]


def probability(text):
    """Of a fake: from our JSON, or from a line "fake P"."""
    if text.startswith("{"):
        return json.loads(text)["pictures"][0]["probabilities"]["fake"]
    words = text.split()
    return float(words[words.index("fake") + 1])


def measure_cold(commands, rounds, environment):
    """{key: {ms, peak_rss_bytes, answer} or {missing}}: engines in turn; round 0 warms the files up."""
    found = {key: {"ms": [], "peak_rss_bytes": 0} for key in commands}
    keys = list(commands)
    for number in range(rounds + 1):
        first = number % len(keys)
        for key in keys[first:] + keys[:first]:
            entry = found[key]
            if "missing" in entry:
                continue
            try:
                elapsed, out, peak = run_once(commands[key], environment)
                entry["answer"] = probability(out)
            except (EngineFailed, ValueError, KeyError, IndexError, OSError) as error:
                found[key] = {"missing": str(error)}
                continue
            if number > 0:
                entry["ms"].append(round(elapsed, 3))
                entry["peak_rss_bytes"] = max(entry["peak_rss_bytes"], peak)
    return found


# Runs in the peer's own interpreter.
PROBE = r"""
import importlib.metadata as metadata, json, os, re, sys
module, roots, libc, whole = sys.argv[1], sys.argv[2].split(), sys.argv[3].split(), sys.argv[4] == "1"
def folder_bytes(top):
    return sum(os.lstat(os.path.join(at, name)).st_size for at, _, names in os.walk(top)
               for name in names if not name.endswith(".pyc"))
if whole:  # a virtual environment: the packages and all that they require
    from pathlib import Path
    seen, todo, parts = set(), [(root, "") for root in roots], {}
    while todo:
        name, extras = todo.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if (key, extras) in seen:
            continue
        seen.add((key, extras))
        try:
            dist = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # required on other systems only
            continue
        parts[key] = sum(os.lstat(f.locate()).st_size for f in dist.files or []
                         if os.path.exists(f.locate()) and f.suffix != ".pyc")
        for line in dist.requires or []:
            name, more, rest = re.match(r"([\w.-]+)(?:\[([^\]]*)\])?(.*)", line).groups()
            wanted = re.findall(r"extra *== *['\"]([^'\"]+)", rest)
            if not wanted or set(wanted) & set(extras.split(",")):
                todo.append((name, more or ""))
    nvidia = sum(b for k, b in parts.items() if k.startswith(("nvidia", "cuda", "triton")))
    print(json.dumps({"bytes": sum(parts.values()), "cuda_bytes": nvidia, "packages": len(parts)}))
else:  # the distribution's: the modules, and the shared libraries that they have loaded
    __import__(module), __import__("numpy"), __import__("PIL.Image")
    tops = [os.path.realpath(os.path.dirname(sys.modules[m].__file__)) for m in (module, "numpy", "PIL")]
    with open("/proc/self/maps") as maps:
        loaded = {os.path.realpath(line.split()[5]) for line in maps if ".so" in line}
    loaded = {f for f in loaded if not os.path.basename(f).startswith(tuple(libc))
              and "lib-dynload" not in f and not f.startswith(tuple(t + "/" for t in tops))}
    print(json.dumps({"bytes": sum(map(folder_bytes, tops)) + sum(os.stat(f).st_size for f in loaded),
                      "libraries": len(loaded)}))
"""


def peer_bytes(peer, venv):
    done = subprocess.run([peer.python(venv), "-c", PROBE, peer.module, " ".join(peer.roots),
                           " ".join(LIBC), "1" if peer.venv else "0"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return {"missing": (done.stderr.strip().splitlines() or ["no reason given"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def verace_bytes(program):
    """The program and the shared libraries that it needs beyond the C library."""
    listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    files = [line.split("=>")[1].split()[0] for line in listed.splitlines() if "=> /" in line]
    files = [f for f in files if not os.path.basename(f).startswith(LIBC)]
    return {"bytes": os.stat(program).st_size + sum(os.stat(f).st_size for f in files),
            "program_bytes": os.stat(program).st_size, "libraries": len(files)}


if __name__ == "__main__":
    print(json.dumps(verace_bytes(sys.argv[1])))

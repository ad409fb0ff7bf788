"""Runs engines in turn, each in a process that lives through all rounds and is stopped while others run.

So every engine is planned and compiled once, the rounds can be short and many, and no idle engine's
spinning threads take time from the one that is measured.
"""
import array
import ctypes
import json
import os
import select
import signal
import statistics
import subprocess
import time

LOGIT_TOLERANCE = 2e-4  # of the largest logit: fp32, 53 layers of sums, batch norms folded or not
FIRST_LOSS_TOLERANCE = 2e-4  # relative
# After one and two updates: Adam moves a weight by its gradient's sign, which rounding decides where
# the gradient is nearly 0. A wrong frozen set or optimiser is off by far more.
LATER_LOSS_TOLERANCE = 2e-2
PIXEL_SHARE = 0.98  # of the attacked pixels must be the same, for the same reason
_LIBC = ctypes.CDLL(None)


def _die_with_the_driver():
    _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a stopped process would stay for ever


class EngineFailed(Exception):
    pass


class Worker:
    """One engine's process, ready to be timed; raises EngineFailed with its last words."""

    def __init__(self, command, environment, timeout=600):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment, start_new_session=True, preexec_fn=_die_with_the_driver)
        os.set_blocking(self.process.stderr.fileno(), False)
        self.said, self.rest = b"", b""
        try:
            self.ready = self.read(timeout)
        except EngineFailed:
            self.kill()
            raise
        self.signal(signal.SIGSTOP)

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def read(self, timeout):
        """The next JSON line; what it says on standard error meanwhile is kept for the last words."""
        end = time.monotonic() + timeout
        pipes = [self.process.stdout, self.process.stderr]
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0:
                raise EngineFailed(f"no answer within {timeout:.0f} s")
            for pipe in select.select(pipes, [], [], left)[0]:
                data = os.read(pipe.fileno(), 65536)
                if pipe is self.process.stderr:
                    self.said = (self.said + data)[-4000:]
                    if not data:
                        pipes.remove(pipe)
                elif data:
                    self.rest += data
                else:
                    self.process.wait()
                    self.said += self.process.stderr.read() or b""  # said before it ended, seen after
                    lines = self.said.decode(errors="replace").strip().splitlines()
                    raise EngineFailed(lines[-1] if lines else f"exit code {self.process.returncode}")
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def ask(self, line, timeout):
        self.signal(signal.SIGCONT)
        self.process.stdin.write((line + "\n").encode())
        self.process.stdin.flush()
        answer = self.read(timeout)
        self.signal(signal.SIGSTOP)
        return answer

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


def difference(case, check, reference):
    """(what differs, how much, whether it is the same work) between two engines' first results."""
    if check["trained"] != reference["trained"]:
        return "trained parameters", check["trained"] - reference["trained"], False
    mine, theirs = check["values"], reference["values"]
    if len(mine) != len(theirs) or not mine:
        return "number of results", len(mine) - len(theirs), False
    if case.startswith("fgsm"):
        same = sum(abs(a - b) < 1e-4 for a, b in zip(mine, theirs)) / len(mine)
        return "share of equal pixels", same, same >= PIXEL_SHARE
    if case.startswith("train"):
        off = [abs(a / b - 1) for a, b in zip(mine, theirs)]
        good = off[0] <= FIRST_LOSS_TOLERANCE and all(x <= LATER_LOSS_TOLERANCE for x in off[1:])
        return "loss, relative, first step and worst of three", [off[0], max(off)], good
    # not max(): it can overlook a NaN
    off = [abs(a - b) / max(abs(v) for v in theirs) for a, b in zip(mine, theirs)]
    return "logits, of the largest", max(off), all(x <= LOGIT_TOLERANCE for x in off)


def read_dump(path):
    values = array.array("f")
    with open(path, "rb") as file:
        values.frombytes(file.read())
    return values


def check_of(worker, dump):
    check = dict(worker.ready["check"])
    if os.path.exists(dump):
        check["values"] = read_dump(dump)
        os.remove(dump)
    return check


def median_of(rounds):
    return statistics.median(ms for times in rounds for ms in times)


def alternate(workers, rounds, seconds):
    """{key: [[ms...] per round]}: in each round every engine once, the first one another each round."""
    times = {key: [] for key in workers}
    keys = list(workers)
    for number in range(rounds):
        first = number % len(keys)
        for key in keys[first:] + keys[:first]:
            answer = workers[key].ask(f"run {seconds}", 120 + 10 * seconds)
            times[key].append([round(ms, 4) for ms in answer["ms"]])
    return times


def scout(start, variants, seconds, say):
    """{variant: ms or why not}: each in a process of its own, once; nothing where there is no choice."""
    found = {}
    for variant in variants if len(variants) > 1 else ():
        try:
            worker = start(variant)
        except EngineFailed as error:
            found[variant] = str(error)
            continue
        try:
            found[variant] = statistics.median(worker.ask(f"run {seconds}", 120)["ms"])
        except EngineFailed as error:
            found[variant] = str(error)
        finally:
            worker.kill()
        say(f"  {variant}: {found[variant]}")
    return found


def fastest(scouted, variants):
    """The variant that took least; the only one where nothing was to be tried."""
    if len(variants) == 1:
        return variants[0]
    timed = {name: ms for name, ms in scouted.items() if isinstance(ms, (int, float))}
    if not timed:
        raise EngineFailed("; ".join(f"{name}: {why}" for name, why in scouted.items()))
    return min(timed, key=timed.get)


def merge_scouted(groups, group, found):
    """Puts new {engine: scouted} of a group into the results; the variant that was timed stays what it was."""
    engines = groups.setdefault(group, {"engines": {}})["engines"]
    for key, scouted in found.items():
        engines.setdefault(key, {})["scouted"] = scouted

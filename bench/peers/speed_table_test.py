#!/usr/bin/env python3
"""Tests what the speed table says: statistics, marks, cells, missing engines, refusals of wrong work."""
import argparse
import copy
import importlib.machinery
import importlib.util
import io
import json
import math
import os
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import footprint  # noqa: E402
import peer_list  # noqa: E402
import peer_setup  # noqa: E402
import rounds  # noqa: E402
import speed_table  # noqa: E402

ECHO = """
import json, sys
print(json.dumps({"ready": True, "check": {"trained": 0, "values": [1.0]}}), flush=True)
for line in sys.stdin:
    if line.split()[0] != "run":
        break
    print(json.dumps({"ms": [PACE, PACE]}), flush=True)
print(json.dumps({"peak_rss_bytes": 5}), flush=True)
"""


def engine(times, peak=2e8, **more):
    return {"ms": times, "peak_rss_bytes": peak, "engine": "E 1", **more}


def results():
    speed = {"pictures": 16, "gflop": 100.0, "sgemm_gflops": 200.0, "when": "2026-11-28 15:00",
             "threads": 2, "rounds": 2, "seconds": 4,
             "engines": {"verace": engine([[500.0, 500.0], [1000.0]], 1e8),
                         "debian-pytorch": engine([[750.0], [1500.0, 1500.0]], variant="nhwc"),
                         "openvino": engine([[400.0], [900.0]]),
                         "onnxruntime": engine([[499.0], [1001.0]]),
                         "tensorflow": {"missing": "no such wheel"}}}
    return {"machine": {"processor": "P", "cores": 2, "kernel": "K", "memory_bytes": 2 ** 31,
                        "avx512": True}, "groups": {"fgsm16": speed}}


def row(text, name):
    found = [line for line in text.splitlines() if line.startswith(f"| {name}")]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} rows of {name}")
    return [cell.strip() for cell in found[0].strip("|").split("|")]


class Statistics(unittest.TestCase):
    def test_quantiles_interpolate(self):
        self.assertEqual(speed_table.quantile([4, 1, 3, 2], 0.5), 2.5)
        self.assertAlmostEqual(speed_table.quantile(range(11), 0.1), 1)
        self.assertAlmostEqual(speed_table.quantile([10, 20], 0.9), 19)
        self.assertEqual(speed_table.quantile([7], 0.9), 7)

    def test_ratio_pairs_rounds(self):
        # The machine was half as fast in the second round: pairs do not see it, pooled medians would.
        middle, least, most = speed_table.ratio([[3.0], [6.0], [10.0]], [[1.0, 2.0, 9.0], [4.0], [4.0]])
        self.assertEqual((middle, least, most), (1.5, 1.5, 2.5))

    def test_ratio_refuses_unequal_rounds(self):
        with self.assertRaises(ValueError):
            speed_table.ratio([[1.0], [1.0]], [[1.0]])

    def test_marks(self):
        self.assertEqual(speed_table.standing(0.9, 0.8, 1.2), "behind")
        self.assertEqual(speed_table.standing(0.99, 0.98, 0.995), "behind")
        self.assertEqual(speed_table.standing(0.99, 0.9, 1.1), "equal")
        self.assertEqual(speed_table.standing(1.2, 0.9, 1.3), "")
        self.assertEqual(speed_table.standing(1.01, 1.005, 1.02), "")


class Table(unittest.TestCase):
    def setUp(self):
        self.text = speed_table.render(results())

    def test_rows(self):
        self.assertEqual(row(self.text, "Verace"),
                         ["Verace", "500.0", "500.0-900.0", "32.00", "100 %", "1", "100"])
        self.assertEqual(row(self.text, "Debian's PyTorch (nhwc)"),
                         ["Debian's PyTorch (nhwc)", "1500.0", "900.0-1500.0", "10.67", "33 %",
                          "**1.50** (1.50-1.50)", "200"])

    def test_behind_is_marked_in_both_places(self):
        self.assertIn("**behind**", row(self.text, "OpenVINO")[5])
        cells = row(self.text, "FGSM, batch 16")
        self.assertEqual(cells[1:], ["1.50", "", "1.00 equal", "**0.85 behind**", ""])

    def test_missing_engines_are_named(self):
        self.assertIn("MISSING TensorFlow: no such wheel", self.text.splitlines())

    def test_a_variant_that_was_faster_when_it_was_tried_counts(self):
        data = results()
        entry = data["groups"]["fgsm16"]["engines"]["debian-pytorch"]
        entry["scouted"] = {"nhwc": 400.0, "nchw": 600.0, "compile": "no such thing"}
        text = speed_table.render(data)
        self.assertEqual(row(text, "FGSM, batch 16")[1], "1.20\\*")
        self.assertIn("ratio by it **1.20**", text)
        self.assertIn("\\* by a variant", text)
        entry["scouted"]["nchw"] = 450.0
        self.assertEqual(row(speed_table.render(data), "FGSM, batch 16")[1], "**0.90\\* behind**")
        entry["scouted"]["nchw"] = 1600.0
        self.assertEqual(speed_table.render(data), self.text)

    def test_group_without_times_is_left_out(self):
        data = results()
        data["groups"]["infer1"] = {"engines": {"verace": {}, "pytorch": {"variant": "nhwc"}}}
        self.assertEqual(speed_table.render(data), self.text)

    def test_cold_and_size(self):
        data = results()
        data["groups"]["cold"] = dict(copy.deepcopy(data["groups"]["fgsm16"]), engines={
            "verace": engine([100.0, 200.0, 300.0]), "pytorch": engine([200.0, 500.0, 600.0])})
        data["groups"]["size"] = {"engines": {
            "verace": {"bytes": 40_000_000, "program_bytes": 3_000_000},
            "pytorch": {"bytes": 400_000_000, "cuda_bytes": 300_000_000}}}
        sections = dict(part.split("\n", 1) for part in speed_table.render(data).split("## ")[1:])
        self.assertEqual(row(sections[speed_table.TITLES["cold"]], "PyTorch"),
                         ["PyTorch", "500.0", "260.0-580.0", "**2.00** (2.00-2.50)", "200"])
        self.assertEqual(row(sections[speed_table.TITLES["size"]], "PyTorch"),
                         ["PyTorch, for CUDA", "400.0", "10.0", "of it 300 MB NVIDIA's libraries and Triton"])


class SameWork(unittest.TestCase):
    def judge(self, case, mine, theirs, trained=(0, 0)):
        return rounds.difference(case, {"values": mine, "trained": trained[0]},
                                 {"values": theirs, "trained": trained[1]})[2]

    def test_logits(self):
        self.assertTrue(self.judge("infer1", [1.0, -2.0], [1.0003, -2.0]))
        self.assertFalse(self.judge("infer1", [1.0, -2.0], [1.0005, -2.0]))
        self.assertFalse(self.judge("infer1", [1.0, math.nan], [1.0, -2.0]))
        self.assertFalse(self.judge("infer16", [1.0], [1.0, -2.0]))

    def test_losses(self):
        self.assertTrue(self.judge("train16_none", [0.7, 0.5, 0.4], [0.7001, 0.505, 0.4], (9, 9)))
        self.assertFalse(self.judge("train16_none", [0.7, 0.5, 0.4], [0.701, 0.5, 0.4], (9, 9)))
        self.assertFalse(self.judge("train16_none", [0.7, 0.5, 0.4], [0.7, 0.53, 0.4], (9, 9)))
        self.assertFalse(self.judge("train16_none", [0.7, 0.5, math.nan], [0.7, 0.5, 0.4], (9, 9)))
        self.assertFalse(self.judge("train16_none", [0.7, 0.5, 0.4], [0.7, 0.5, 0.4], (9, 8)))

    def test_attacked_pixels(self):
        clean = [0.5] * 100
        self.assertTrue(self.judge("fgsm16", clean, [0.49] + clean[1:]))
        self.assertFalse(self.judge("fgsm16", clean, [0.49] * 3 + clean[3:]))
        self.assertFalse(self.judge("fgsm16", [math.nan] * 100, clean))


class Processes(unittest.TestCase):
    def worker(self, pace):
        return rounds.Worker([sys.executable, "-c", ECHO.replace("PACE", str(pace))], os.environ, 60)

    def test_rounds_alternate_and_end(self):
        workers = {"a": self.worker(1.5), "b": self.worker(2.5)}
        try:
            self.assertEqual(rounds.alternate(workers, 2, 0),
                             {"a": [[1.5, 1.5]] * 2, "b": [[2.5, 2.5]] * 2})
            self.assertEqual(workers["a"].ask("end", 60), {"peak_rss_bytes": 5})
        finally:
            for worker in workers.values():
                worker.kill()

    def state_of(self, worker, wanted):
        """Its state once it is the wanted one, or after some seconds."""
        end = time.monotonic() + 5
        while True:
            with open(f"/proc/{worker.process.pid}/stat") as stat:
                state = stat.read().rsplit(")", 1)[1].split()[0]
            if state == wanted or time.monotonic() > end:
                return state

    def test_waiting_engines_are_stopped(self):
        worker = self.worker(1)
        try:
            self.assertEqual(self.state_of(worker, "T"), "T")
            worker.ask("run 0", 60)
            self.assertEqual(self.state_of(worker, "T"), "T")
        finally:
            worker.kill()

    def test_a_failed_engine_says_why(self):
        with self.assertRaisesRegex(rounds.EngineFailed, "no weights"):
            rounds.Worker([sys.executable, "-c", "raise SystemExit('no weights')"], os.environ, 60)

    def test_scout_takes_the_fastest_that_runs(self):
        def start(variant):
            if variant == "broken":
                raise rounds.EngineFailed("not there")
            return self.worker({"slow": 9.0, "fast": 2.0}[variant])
        variants = ["slow", "broken", "fast"]
        found = rounds.scout(start, variants, 0, lambda text: None)
        self.assertEqual(found, {"slow": 9.0, "broken": "not there", "fast": 2.0})
        self.assertEqual(rounds.fastest(found, variants), "fast")
        self.assertEqual(rounds.fastest({}, ["default"]), "default")
        with self.assertRaisesRegex(rounds.EngineFailed, "broken: not there"):
            rounds.fastest({"broken": "not there"}, ["broken", "gone"])

    def test_cold_start_is_timed_and_counted(self):
        lines = {"good": "import time; time.sleep(0.05); print('fake 0.25')",
                 "bad": "raise SystemExit('no picture')"}
        found = footprint.measure_cold({k: [sys.executable, "-c", v] for k, v in lines.items()}, 2,
                                       os.environ)
        self.assertEqual((found["good"]["answer"], len(found["good"]["ms"])), (0.25, 2))
        self.assertGreaterEqual(min(found["good"]["ms"]), 50)
        self.assertGreater(found["good"]["peak_rss_bytes"], 1e6)
        self.assertEqual(found["bad"], {"missing": "no picture"})
        ours = json.dumps({"pictures": [{"probabilities": {"real": 0.75, "fake": 0.25}}]})
        self.assertEqual(footprint.probability(ours), 0.25)


class FakeSession:
    """Engines whose pace is known: {case: {variant: ms}} of PyTorch."""

    def __init__(self, pace, workload):
        self.pace, self.workload = pace, workload
        self.args = argparse.Namespace(scout=0, rounds=2, seconds=0)
        self.peers = [peer for peer in peer_list.PEERS if peer.key == "pytorch"]

    def worker(self, ms):
        code = ECHO.replace("PACE", str(ms)).replace("{", '{"engine": "E", "pictures": 16, "gflop": 1, ', 1)
        return rounds.Worker([sys.executable, "-c", code], os.environ, 60)

    def start(self, _peer, case, variant, _dump=None):
        return self.worker(self.pace[case][variant])

    def start_verace(self, _case, _dump=None):
        return self.worker(1.0)


class Driver(unittest.TestCase):
    """bench/peers/run itself."""

    PACE = {"train16_none": {"nchw": 9.0, "nhwc": 5.0, "compile": 7.0},
            "train16_stages3": {"nchw": 9.0, "nhwc": 5.0, "compile": 3.0}}

    def setUp(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run")
        loader = importlib.machinery.SourceFileLoader("peers_run", path)
        self.driver = importlib.util.module_from_spec(importlib.util.spec_from_loader("peers_run", loader))
        loader.exec_module(self.driver)
        self.driver.say = lambda text: None
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.session = FakeSession(self.PACE, self.folder.name)

    def test_every_group_tries_its_own_variants(self):
        groups = {case: self.driver.measure_speed(self.session, case) for case in self.PACE}
        chosen = {case: group["engines"]["pytorch"] for case, group in groups.items()}
        self.assertEqual({case: entry["scouted"] for case, entry in chosen.items()}, self.PACE)
        self.assertEqual([entry["variant"] for entry in chosen.values()], ["nhwc", "compile"])
        self.assertEqual([entry["ms"] for entry in chosen.values()], [[[5.0] * 2] * 2, [[3.0] * 2] * 2])

    def test_trying_again_changes_nothing_else(self):
        results = {"groups": {"train16_stages3": {"when": "before", "rounds": 4, "engines": {
            "verace": engine([[4.0]]), "pytorch": engine([[6.0]], variant="nhwc", scouted={"nhwc": 6.0}),
            "tensorflow": engine([[8.0]], variant="graph", scouted={"graph": 8.0})}}}}
        wanted = copy.deepcopy(results)
        wanted["groups"]["train16_stages3"]["engines"]["pytorch"]["scouted"] = self.PACE["train16_stages3"]
        self.driver.scout_only(self.session, "train16_stages3", results)
        self.assertEqual(results, wanted)
        self.driver.scout_only(self.session, "train16_none", results)
        self.assertEqual(results["groups"]["train16_none"],
                         {"engines": {"pytorch": {"scouted": self.PACE["train16_none"]}}})

    def test_a_kernel_is_named_by_its_series(self):
        self.assertRegex(self.driver.machine()["kernel"], r"^\d+\.\d+$")


class Setup(unittest.TestCase):
    def test_every_peer_of_the_environment_is_pinned(self):
        sections = peer_setup.read_sections()
        wanted = {peer.key: peer for peer in peer_list.PEERS if peer.venv}
        self.assertEqual(set(sections), set(wanted))
        for key, (download, disc, requirements) in sections.items():
            self.assertGreater(min(download, disc), 0)
            names = [line.split("==")[0].lower() for line in requirements if "==" in line]
            self.assertEqual(len(names), len(requirements), key)
            self.assertLessEqual(set(wanted[key].roots), set(names), key)

    def test_what_is_installed_stays(self):
        with tempfile.TemporaryDirectory() as venv:
            _, _, wanted = peer_setup.read_sections()["openvino"]
            with open(os.path.join(venv, "verace-openvino.txt"), "w") as file:
                file.write("\n".join(wanted) + "\n")
            said, sys.stderr = sys.stderr, io.StringIO()
            try:
                self.assertEqual(peer_setup.install(venv, "openvino"), "")
                self.assertEqual(sys.stderr.getvalue(), "")
            finally:
                sys.stderr = said

    def test_packages_that_are_there_are_known_by_their_pinned_names(self):
        there = peer_setup.installed([sys.executable, "-c", "print('Flat.Buffers==1.0\\nA_b==2')"])
        self.assertEqual(there, {"flat-buffers==1.0", "a-b==2"})
        for _, _, requirements in peer_setup.read_sections().values():
            for line in requirements:
                self.assertEqual(peer_setup.normal(line.split("==")[0]), line.split("==")[0])

    def test_absent_interpreter_is_a_reason(self):
        self.assertIn("does not exist", peer_list.PEERS[1].missing("/no/such/folder"))


if __name__ == "__main__":
    unittest.main()

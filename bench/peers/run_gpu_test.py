#!/usr/bin/env python3
"""Tests bench/peers/run_gpu: what counts as the same work, the table, the order, refusals."""
import array
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import sys
import types
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
loader = importlib.machinery.SourceFileLoader("run_gpu", os.path.join(HERE, "run_gpu"))
run_gpu = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_gpu", loader))
loader.exec_module(run_gpu)
worker = run_gpu.worker


def check(values, trained=7):
    return {"trained": trained, "values": values}


class SameWork(unittest.TestCase):
    def good(self, case, precision, mine, theirs):
        return run_gpu.standing(case, precision, mine, theirs)[2]

    def test_logits(self):
        self.assertTrue(self.good("infer64", "fp32", check([1.0, 2.0]), check([1.001, 2.0])))
        self.assertFalse(self.good("infer64", "fp32", check([1.0, 2.0]), check([1.01, 2.0])))
        self.assertTrue(self.good("infer64", "fp16", check([1.0, 2.0]), check([1.01, 2.0])))
        self.assertFalse(self.good("infer64", "fp16", check([1.0, 2.0]), check([1.1, 2.0])))
        self.assertFalse(self.good("infer64", "bf16", check([float("nan"), 2.0]), check([1.0, 2.0])))
        self.assertFalse(self.good("infer64", "bf16", check([1.0]), check([1.0, 2.0])))

    def test_losses(self):
        self.assertTrue(self.good("train64_none", "fp16", check([0.7, 0.6]), check([0.701, 0.61])))
        self.assertFalse(self.good("train64_none", "fp16", check([0.7, 0.6]), check([0.71, 0.6])))
        self.assertFalse(self.good("train64_none", "fp16", check([0.7, 0.6]), check([0.7, 0.5])))
        self.assertFalse(self.good("train64_none", "fp16", check([0.7, 0.6]), check([0.7, 0.6], 8)))

    def test_pixels(self):
        try:
            import numpy  # noqa: F401
        except ImportError:
            self.skipTest("no numpy")
        theirs = array.array("f", [0.0] * 100)
        for off, precision, good in ((3, "fp32", True), (4, "fp32", False), (9, "fp16", True), (11, "fp16", False)):
            mine = array.array("f", [0.5] * off + [0.0] * (100 - off))
            self.assertEqual(self.good("fgsm2", precision, check(mine), check(theirs)), good)
        self.assertFalse(self.good("fgsm2", "bf16", check(theirs[:50]), check(theirs)))


class Table(unittest.TestCase):
    def results(self):
        return {"device": "Verace on cuda:0 (G), PyTorch 9", "groups": {
            "train64_none-fp16": {"pictures": 64, "engines": {
                "verace": {"ms": [[10.0, 10.0], [20.0]], "peak_device_bytes": 5e9},
                "eager": {"ms": [[15.0], [30.0]], "peak_device_bytes": 6e9},
                "graphs": {"ms": [[9.0], [18.0]], "peak_device_bytes": 7e9},
                "compile": {"missing": "computes something else: x"}}},
            "infer64-fp16": {"missing": "the minutes were over"}}}

    def test_rows(self):
        text = run_gpu.render(self.results())
        self.assertIn("| train64_none | fp16 | Verace | 10.000 (10.000 - 18.000) | 6400 | 1 | 5000 |", text)
        self.assertIn("| PyTorch eager | 22.500 (16.500 - 28.500) | 2844 | **1.50** (1.50 - 1.50) | 6000 |", text)
        self.assertIn("**0.90** (0.90 - 0.90) **behind** | 7000 |", text)
        self.assertIn("| train64_none | fp16 | PyTorch compile | - | - | computes something else: x | - |", text)
        self.assertIn("| infer64 | fp16 | - | - | - | the minutes were over | - |", text)


class Choice(unittest.TestCase):
    def test_order(self):
        names = run_gpu.chosen(types.SimpleNamespace(groups=[]), ["fp16", "fp32"])
        self.assertEqual(names[:3], ["train64_none-fp16", "train64_none-fp32", "infer64-fp16"])
        self.assertEqual((len(names), len(set(names))), (22, 22))

    def test_refusals(self):
        for name in ("infer64-fp8", "nonsense-fp16", "infer64", "train64-fp16", "infer64_none-fp16"):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                run_gpu.chosen(types.SimpleNamespace(groups=[name]), ["fp16", "fp32"])

    def test_cases(self):
        self.assertEqual(worker.parse_case("train64_keras15"), ("train", 64, "keras15"))
        self.assertEqual(worker.parse_case("infer1"), ("infer", 1, None))
        self.assertEqual(worker.parse_case("fgsm256"), ("fgsm", 256, None))


if __name__ == "__main__":
    unittest.main()

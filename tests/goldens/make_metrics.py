#!/usr/bin/env python3
"""Makes metrics.json: figures of merit, curves, thresholds and bootstrap intervals by scikit-learn.

Needs scikit-learn and numpy only for making the file; the tests read the committed one. What
scikit-learn has no function for is computed here from its curves and from the definitions: equal
error rate, expected calibration error (Guo et al. 2017), threshold at a false-positive rate, and
the percentile bootstrap, whose draws come from Philox4x32-10 as in engine/rng.h.
"""
import json
import sys
from pathlib import Path

import numpy as np
import sklearn
from sklearn import metrics as sk

BINS = 15
RATES = (0.0, 0.05, 0.1, 0.29, 0.5)
RESAMPLES, SEED = 200, 7
FIGURES = ("loss", "accuracy", "balanced_accuracy", "auc", "average_precision",
           "equal_error_rate", "expected_calibration_error")


def equal_error_rate(labels, scores):
    """Where the straight lines between the points of the ROC curve cross FPR = FNR."""
    found = []
    for drop in (True, False):  # leaving out points on straight lines must not matter
        fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=drop)
        gap = fpr - (1 - tpr)
        i = int(np.argmax(gap >= 0))
        share = -gap[i - 1] / (gap[i] - gap[i - 1])
        found.append(fpr[i - 1] + share * (fpr[i] - fpr[i - 1]))
    assert abs(found[0] - found[1]) < 1e-12, found
    return found[0]


def reliability(labels, scores):
    """Per bin: lower, upper, count, mean confidence, accuracy of the more probable class."""
    confidence = np.maximum(scores, 1 - scores)
    right = (scores > 0.5) == (labels == 1)
    edges = np.arange(BINS + 1) / BINS
    rows = []
    for lower, upper in zip(edges[:-1], edges[1:]):
        inside = (confidence > lower) & (confidence <= upper)
        n = int(inside.sum())
        rows.append([lower, upper, n, confidence[inside].mean() if n else None,
                     right[inside].mean() if n else None])
    assert sum(row[2] for row in rows) == len(labels)
    return rows


def calibration_error(labels, scores):
    return sum(n / len(labels) * abs(accuracy - confidence)
               for _, _, n, confidence, accuracy in reliability(labels, scores) if n)


def figures(labels, scores, threshold):
    verdicts = scores > threshold
    both = len(set(labels.tolist())) == 2
    return {
        "confusion": sk.confusion_matrix(labels, verdicts, labels=[0, 1]).tolist(),
        "loss": sk.log_loss(labels, scores, labels=[0, 1]),
        "accuracy": sk.accuracy_score(labels, verdicts),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, verdicts) if both else None,
        "auc": sk.roc_auc_score(labels, scores) if both else None,
        "average_precision": sk.average_precision_score(labels, scores) if both else None,
        "equal_error_rate": equal_error_rate(labels, scores) if both else None,
        "expected_calibration_error": calibration_error(labels, scores),
    }


def curves(labels, scores):
    fpr, tpr, thresholds = sk.roc_curve(labels, scores, drop_intermediate=False)
    precision, recall, pr_thresholds = sk.precision_recall_curve(labels, scores)
    return {
        # The first point's threshold is infinite, which JSON cannot say.
        "roc": [[None if i == 0 else t, f, r]
                for i, (t, f, r) in enumerate(zip(thresholds, fpr, tpr))],
        "precision_recall": [[t, p, r] for t, p, r in
                             zip([None, *pr_thresholds[::-1]], precision[::-1], recall[::-1])],
        "reliability": reliability(labels, scores),
    }


def at_rates(labels, scores):
    """Of the ROC curve's points, the one with the largest FPR not above the rate: [rate, FPR, TPR]."""
    fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    rows = []
    for rate in RATES:
        best = max(f for f in fpr if f <= rate)
        rows.append([rate, best, max(tpr[fpr == best])])
    return rows


def philox(seed, stream, counter):
    mask = 0xFFFFFFFF
    x = [counter & mask, counter >> 32, stream & mask, stream >> 32]
    key = [seed & mask, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [(b >> 32) ^ x[1] ^ key[0], b & mask, (a >> 32) ^ x[3] ^ key[1], a & mask]
        key = [(key[0] + 0x9E3779B9) & mask, (key[1] + 0xBB67AE85) & mask]
    return x


def below(seed, stream, counter, bound):
    words = philox(seed, stream, counter)
    return ((words[0] << 32 | words[1]) * bound) >> 64


def intervals(labels, scores, videos, threshold):
    members = {v: np.flatnonzero(videos == v) for v in sorted(set(videos.tolist()))}
    strata = [[v for v in members if labels[members[v][0]] == c] for c in (0, 1)]
    results = {name: [] for name in FIGURES}
    for resample in range(RESAMPLES):
        picked, counter = [], 0
        for stratum in strata:
            for _ in stratum:
                picked.append(members[stratum[below(SEED, resample, counter, len(stratum))]])
                counter += 1
        index = np.concatenate(picked)
        for name, value in figures(labels[index], scores[index], threshold).items():
            if name in results:
                results[name].append(value)
    return {name: np.percentile(values, [2.5, 97.5]).tolist() for name, values in results.items()}


def case(name, labels, scores, threshold=0.5, videos=None, with_curves=False):
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    out = {"name": name, "labels": labels.tolist(), "probabilities": scores.tolist(),
           "threshold": threshold, "figures": figures(labels, scores, threshold)}
    if len(set(labels.tolist())) == 2:
        out["at_rates"] = at_rates(labels, scores)
    if with_curves:
        out["curves"] = curves(labels, scores)
    if videos is not None:
        out["videos"] = np.asarray(videos).tolist()
        out["intervals"] = intervals(labels, scores, np.asarray(videos), threshold)
    return out


def cases():
    random = np.random.default_rng(2026)

    def drawn(n, share, digits):
        """Overlapping classes; few digits give many ties, within and between the classes."""
        labels = (random.random(n) < share).astype(int)
        labels[:2] = [0, 1]
        scores = 1 / (1 + np.exp(-random.normal(1.6 * labels - 0.8, 1.3)))
        return labels, np.round(scores, digits)

    yield case("no ties", *drawn(40, 0.5, 6), with_curves=True)
    yield case("many ties", *drawn(80, 0.4, 1), threshold=0.3, with_curves=True)
    yield case("few fakes", *drawn(60, 0.08, 3), threshold=0.7)
    yield case("separated", [0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.8, 0.9])
    yield case("all wrong", [1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9])
    yield case("all equal", [0, 1, 0, 1, 1, 0, 0], [0.25] * 7)
    yield case("sure, and wrong too", [0, 1, 0, 1, 1], [0.0, 1.0, 1.0, 0.0, 0.5])
    yield case("edges of bins", [i % 3 % 2 for i in range(16)], [i / 15 for i in range(16)])
    yield case("only fakes", [1, 1, 1], [0.2, 0.7, 0.9])
    yield case("only reals", [0, 0], [0.2, 0.7])
    labels, scores = drawn(40, 0.5, 2)
    order = np.argsort(labels, kind="stable")
    reals = int((labels == 0).sum())
    videos = [i % 7 if i < reals else 7 + i % 5 for i in range(40)]
    yield case("videos", labels[order], scores[order], threshold=0.6, videos=videos)
    labels, scores = drawn(50, 0.3, 1)
    yield case("a video per face", labels, scores, videos=list(range(50)))


def main():
    target = Path(__file__).with_name("metrics.json")
    content = {"made_with": f"scikit-learn {sklearn.__version__}, numpy {np.__version__}",
               "resamples": RESAMPLES, "seed": SEED, "cases": list(cases())}
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    target.write_text(text.replace('{"name"', '\n{"name"') + "\n")
    print(f"{target.name}: {len(content['cases'])} cases, {len(text)} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()

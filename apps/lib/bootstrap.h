// Confidence intervals of figures of merit, by the bootstrap.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "apps/lib/metrics.h"

namespace verace::apps {

struct Interval {
  double low = 0, high = 0;
};
// One for each of kFigures; empty where the figure is undefined.
using Intervals = std::array<std::optional<Interval>, kFigures.size()>;
// That of one figure, for example &Metrics::accuracy.
const std::optional<Interval>& interval_of(const Intervals& intervals,
                                           std::optional<double> Metrics::*figure);

struct BootstrapOptions {
  int64_t resamples = 1000;
  uint64_t seed = 1;
  double confidence = 0.95;  // the share of resamples that an interval covers, in (0, 1)
};

// Percentile intervals of the stratified cluster bootstrap (Efron and Tibshirani 1993, chapters 8
// and 13): a resample draws whole videos with replacement, as many real ones as there are and as
// many fake ones, and takes each with all its faces. Faces of a video resemble each other: drawn
// one by one they would make the intervals too narrow. An interval reaches from the (1 - c) / 2
// quantile of the resamples' figures to the (1 + c) / 2 quantile (linear between the sorted values,
// NumPy's default).
//
// video_of [n] names the samples' videos by numbers from 0, labels [n] as in `set`; a video has one
// label. Draw i of resample b is Philox(seed, b).below(i, videos of the class), the real ones
// first, by their numbers: equal on every machine. All intervals are empty if a class that is there
// has one video only (nothing can be learnt about its spread), or without resamples. Throws
// Error(kInternal) for lengths or labels that do not fit.
Intervals bootstrap_intervals(const ScoredSet& set, std::span<const int32_t> labels,
                              std::span<const size_t> video_of, const BootstrapOptions& options);

// The q-quantile, q in [0, 1], of sorted values (at least one).
double quantile(std::span<const double> sorted, double q);

}  // namespace verace::apps

// Drawing resamples and reading off quantiles.
#include "apps/lib/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/rng.h"
#include "kernels/check.h"

namespace verace::apps {
namespace {

// The videos of each class.
std::array<std::vector<size_t>, 2> strata(std::span<const int32_t> labels,
                                          std::span<const size_t> video_of, size_t videos) {
  constexpr int32_t kUnknown = -1;
  std::vector<int32_t> label_of(videos, kUnknown);
  for (size_t i = 0; i < labels.size(); ++i) {
    int32_t& label = label_of[video_of[i]];
    VERACE_CHECK(label == kUnknown || label == labels[i]);
    label = labels[i];
  }
  std::array<std::vector<size_t>, 2> classes;
  for (size_t video = 0; video < videos; ++video) {
    VERACE_CHECK(label_of[video] != kUnknown);
    classes[static_cast<size_t>(label_of[video])].push_back(video);
  }
  return classes;
}

// How often each video was drawn.
std::vector<int64_t> draw(const std::array<std::vector<size_t>, 2>& classes, size_t videos,
                          const engine::Philox& random) {
  std::vector<int64_t> times(videos, 0);
  uint64_t counter = 0;
  for (const std::vector<size_t>& stratum : classes) {
    for (size_t i = 0; i < stratum.size(); ++i) {
      ++times[stratum[random.below(counter++, stratum.size())]];
    }
  }
  return times;
}

}  // namespace

double quantile(std::span<const double> sorted, double q) {
  VERACE_CHECK(!sorted.empty() && q >= 0 && q <= 1);
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

const std::optional<Interval>& interval_of(const Intervals& intervals,
                                           std::optional<double> Metrics::*figure) {
  for (size_t i = 0; i < kFigures.size(); ++i) {
    if (kFigures[i].member == figure) return intervals[i];
  }
  fail_check("kFigures", __FILE__, __LINE__, "no such figure");
}

Intervals bootstrap_intervals(const ScoredSet& set, std::span<const int32_t> labels,
                              std::span<const size_t> video_of, const BootstrapOptions& options) {
  VERACE_CHECK(labels.size() == set.size() && video_of.size() == set.size());
  VERACE_CHECK(options.confidence > 0 && options.confidence < 1);
  Intervals intervals;
  if (labels.empty() || options.resamples <= 0) return intervals;
  const size_t videos = *std::ranges::max_element(video_of) + 1;
  const auto classes = strata(labels, video_of, videos);
  if (classes[0].size() == 1 || classes[1].size() == 1) return intervals;
  std::array<std::vector<double>, kFigures.size()> figures;
  std::vector<int64_t> times(labels.size());
  for (int64_t resample = 0; resample < options.resamples; ++resample) {
    const engine::Philox random(options.seed, static_cast<uint64_t>(resample));
    const std::vector<int64_t> drawn = draw(classes, videos, random);
    for (size_t i = 0; i < times.size(); ++i) times[i] = drawn[video_of[i]];
    const Metrics metrics = set.metrics(times);
    for (size_t f = 0; f < kFigures.size(); ++f) {
      if (const auto& value = metrics.*kFigures[f].member) figures[f].push_back(*value);
    }
  }
  for (size_t f = 0; f < kFigures.size(); ++f) {
    if (figures[f].empty()) continue;
    std::ranges::sort(figures[f]);
    intervals[f] = Interval{quantile(figures[f], (1 - options.confidence) / 2),
                            quantile(figures[f], (1 + options.confidence) / 2)};
  }
  return intervals;
}

}  // namespace verace::apps

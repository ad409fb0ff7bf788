// Points of curves.
#include "apps/lib/metric_curves.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

std::vector<size_t> from_highest(std::span<const double> scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, std::ranges::greater{}, [&](size_t i) { return scores[i]; });
  return order;
}

void add_rankings(std::span<const double> scores, std::span<const int32_t> labels,
                  MetricCurves& curves) {
  const int64_t fakes = std::ranges::count(labels, 1);
  const int64_t reals = static_cast<int64_t>(labels.size()) - fakes;
  if (reals == 0 || fakes == 0) return;
  curves.roc.push_back({std::numeric_limits<double>::infinity(), 0, 0});
  curves.precision_recall.push_back({std::nullopt, 1, 0});
  const std::vector<size_t> order = from_highest(scores);
  std::array<int64_t, 2> above{};  // samples of each class that score at least `score`
  for (size_t i = 0; i < order.size();) {
    const double score = scores[order[i]];
    for (; i < order.size() && scores[order[i]] == score; ++i) {
      ++above[static_cast<size_t>(labels[order[i]])];
    }
    const double recall = ratio(above[1], fakes);
    curves.roc.push_back({score, ratio(above[0], reals), recall});
    curves.precision_recall.push_back({score, ratio(above[1], above[0] + above[1]), recall});
  }
}

void add_reliability(std::span<const double> probabilities, std::span<const int32_t> labels,
                     MetricCurves& curves) {
  if (labels.empty()) return;
  std::array<double, kCalibrationBins> confidence{};
  std::array<int64_t, kCalibrationBins> count{}, right{};
  for (size_t i = 0; i < labels.size(); ++i) {
    const double sure = confidence_of(probabilities[i]);
    const auto bin = static_cast<size_t>(confidence_bin(sure));
    confidence[bin] += sure;
    ++count[bin];
    right[bin] += (probabilities[i] > 0.5) == (labels[i] == 1);
  }
  for (size_t i = 0; i < kCalibrationBins; ++i) {
    ReliabilityBin bin;
    bin.lower = ratio(static_cast<int64_t>(i), kCalibrationBins);
    bin.upper = ratio(static_cast<int64_t>(i) + 1, kCalibrationBins);
    bin.count = count[i];
    if (count[i] > 0) {
      bin.confidence = confidence[i] / static_cast<double>(count[i]);
      bin.accuracy = ratio(right[i], count[i]);
    }
    curves.reliability.push_back(bin);
  }
}

std::string field(const std::optional<double>& value) {
  return value ? text::format("{}", *value) : "";
}

}  // namespace

MetricCurves compute_curves(std::span<const double> probabilities,
                            std::span<const int32_t> labels) {
  const ScoredSet checked(probabilities, labels);
  MetricCurves curves;
  add_rankings(probabilities, labels, curves);
  add_reliability(probabilities, labels, curves);
  return curves;
}

MetricCurves compute_curves(std::span<const VideoScore> videos) {
  std::vector<double> probabilities;
  std::vector<int32_t> labels;
  for (const VideoScore& video : videos) {
    probabilities.push_back(video.probability);
    labels.push_back(video.label);
  }
  return compute_curves(probabilities, labels);
}

std::string roc_csv(const MetricCurves& faces, const MetricCurves& videos) {
  std::string text = "level,threshold,false_positive_rate,true_positive_rate\n";
  const auto add = [&text](const char* level, const MetricCurves& curves) {
    for (const RocPoint& p : curves.roc) {
      text += text::format("{},{},{},{}\n", level, p.threshold, p.false_positive_rate,
                           p.true_positive_rate);
    }
  };
  add("faces", faces);
  add("videos", videos);
  return text;
}

std::string precision_recall_csv(const MetricCurves& faces, const MetricCurves& videos) {
  std::string text = "level,threshold,precision,recall\n";
  const auto add = [&text](const char* level, const MetricCurves& curves) {
    for (const PrecisionRecallPoint& p : curves.precision_recall) {
      text += text::format("{},{},{},{}\n", level, field(p.threshold), p.precision, p.recall);
    }
  };
  add("faces", faces);
  add("videos", videos);
  return text;
}

std::string reliability_csv(const MetricCurves& faces, const MetricCurves& videos) {
  std::string text = "level,lower,upper,count,confidence,accuracy\n";
  const auto add = [&text](const char* level, const MetricCurves& curves) {
    for (const ReliabilityBin& b : curves.reliability) {
      text += text::format("{},{},{},{},{},{}\n", level, b.lower, b.upper, b.count,
                           field(b.confidence), field(b.accuracy));
    }
  };
  add("faces", faces);
  add("videos", videos);
  return text;
}

}  // namespace verace::apps

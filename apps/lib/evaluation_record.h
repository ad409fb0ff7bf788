// The evaluation that a run ends with, complete enough to be drawn: RUN/evaluation.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apps/lib/evaluator.h"

namespace verace::apps {

// One level, faces or videos.
struct RecordedLevel {
  Metrics metrics;
  Intervals intervals;  // empty without a bootstrap
  MetricCurves curves;
};

struct RecordedEvaluation {
  std::string split;
  std::string weights;  // of the judged network (weights_digest.h); empty: unknown
  double faces_threshold = kFakeThreshold, videos_threshold = kFakeThreshold;
  std::string threshold_source;  // "default", "model" or "flag"
  // The false-positive rate and the split that the model's threshold was chosen for and on.
  std::optional<double> threshold_rate;
  std::string threshold_split;
  std::optional<BootstrapOptions> bootstrap;
  RecordedLevel faces, videos;
  int64_t broken = 0;
};

// More points of a curve than these are thinned, evenly; both ends stay.
inline constexpr size_t kMostCurvePoints = 2000;

// The object of evaluation_json(), with version 1, weights (the network's digest, or empty) and
// curves {faces, videos}, each {roc [[threshold or null for infinity, FPR, TPR]], precision_recall
// [[threshold or null, precision, recall]], reliability [[lower, upper, count, confidence or null,
// accuracy or null]]}.
std::string evaluation_record_json(const Evaluation& evaluation, const std::string& model,
                                   const std::string& split, const std::string& weights);
// Back; throws Error(kInput) naming `where` for anything else, also for numbers that no evaluation
// has: more than 10^12 samples, confusions that do not add up to them, shares outside of [0, 1].
RecordedEvaluation read_evaluation_record(const std::string& json, const std::string& where);

}  // namespace verace::apps

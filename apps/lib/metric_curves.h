// The curves behind the figures of merit: ROC, precision-recall, reliability; as points and as CSV.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/lib/metrics.h"
#include "apps/lib/video_verdict.h"

namespace verace::apps {

// With a threshold of a curve a sample counts as fake when its probability is at least that
// (scikit-learn's convention; verdicts ask for more than the threshold).
struct RocPoint {
  double threshold = 0;  // infinity for the first point
  double false_positive_rate = 0, true_positive_rate = 0;
};
struct PrecisionRecallPoint {
  std::optional<double> threshold;  // empty for the point that the curve begins at
  double precision = 0, recall = 0;
};
// Samples whose confidence is in (lower, upper].
struct ReliabilityBin {
  double lower = 0, upper = 0;
  int64_t count = 0;
  std::optional<double> confidence, accuracy;  // means; empty for an empty bin
};

struct MetricCurves {
  // roc_curve(drop_intermediate=False): from (0, 0) to (1, 1), a point per distinct score, the
  // highest threshold first. Empty when a class is missing.
  std::vector<RocPoint> roc;
  // precision_recall_curve, the other way round: from precision 1 at recall 0, without threshold,
  // to the lowest score. Empty when a class is missing.
  std::vector<PrecisionRecallPoint> precision_recall;
  // kCalibrationBins bins of confidence (metrics.h). Empty for no samples.
  std::vector<ReliabilityBin> reliability;
};

// probabilities [n] of being fake, labels [n]; throws as ScoredSet.
MetricCurves compute_curves(std::span<const double> probabilities, std::span<const int32_t> labels);
MetricCurves compute_curves(std::span<const VideoScore> videos);

// The curves of faces and videos as CSV with a header; the first column, level, is "faces" or
// "videos". Numbers in the shortest form that reads back to the same double; "inf" and empty fields
// as the structs say.
//   level,threshold,false_positive_rate,true_positive_rate
std::string roc_csv(const MetricCurves& faces, const MetricCurves& videos);
//   level,threshold,precision,recall
std::string precision_recall_csv(const MetricCurves& faces, const MetricCurves& videos);
//   level,lower,upper,count,confidence,accuracy
std::string reliability_csv(const MetricCurves& faces, const MetricCurves& videos);

}  // namespace verace::apps

// Figures of merit of a real-or-fake classifier. Labels are 0 real, 1 fake; "positive" is fake.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace verace::apps {

// A picture counts as fake when its probability of being fake is above this.
inline constexpr double kFakeThreshold = 0.5;

inline bool is_fake(double probability, double threshold = kFakeThreshold) {
  return probability > threshold;
}

// counts[truth][verdict], each 0 real or 1 fake.
using Confusion = std::array<std::array<int64_t, 2>, 2>;

struct Metrics {
  int64_t count = 0;
  Confusion confusion{};
  double accuracy = 0;  // 0 for an empty set
  std::optional<double>
      balanced_accuracy;      // mean of both classes' accuracies; empty: one is missing
  std::optional<double> auc;  // area under the ROC curve; empty: one class is missing
};

// probabilities [n] of being fake, labels [n]. Throws Error(kInternal) for different lengths,
// labels outside {0, 1} and probabilities that are NaN.
Metrics compute_metrics(std::span<const double> probabilities, std::span<const int32_t> labels,
                        double threshold = kFakeThreshold);

// Probability that a random fake scores above a random real, ties counting half (Mann-Whitney's U
// over the number of pairs); empty when one class is missing. O(n log n), exact counting.
std::optional<double> area_under_roc(std::span<const double> scores,
                                     std::span<const int32_t> labels);

// -log softmax(row)[label] of one row of logits, in double.
double cross_entropy(std::span<const float> logits, int32_t label);
// Its mean over the rows of logits [n, classes], labels [n]; 0 for no rows.
double mean_cross_entropy(std::span<const float> logits, std::span<const int32_t> labels);

// One face's verdict, for compute_videos.
struct FaceScore {
  std::string video;
  int32_t label = 0;
  double probability = 0;  // of being fake
};

// Several faces judged together.
struct VideoScore {
  std::string video;
  int32_t label = 0;
  int64_t faces = 0;
  double probability = 0;  // mean of the faces'
};

// One entry per video, in the order of first appearance. Throws Error(kInput) naming a video whose
// faces have both labels.
std::vector<VideoScore> aggregate_videos(std::span<const FaceScore> faces);
Metrics compute_metrics(std::span<const VideoScore> videos, double threshold = kFakeThreshold);

}  // namespace verace::apps

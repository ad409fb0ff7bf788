// Figures of merit of a real-or-fake classifier. Labels are 0 real, 1 fake; "positive" is fake.
//
// The definitions are scikit-learn's (tests/goldens/make_metrics.py compares); where a figure is
// not defined (no samples, or one class only) it is empty, never a number.
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
// The same as a word, "fake" or "real".
inline const char* verdict_of(double fake_probability, double threshold = kFakeThreshold) {
  return is_fake(fake_probability, threshold) ? "fake" : "real";
}

inline double ratio(int64_t part, int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

// counts[truth][verdict], each 0 real or 1 fake.
using Confusion = std::array<std::array<int64_t, 2>, 2>;

struct Metrics {
  int64_t count = 0;
  // Verdicts at the threshold: confusion_matrix, accuracy_score and balanced_accuracy_score (the
  // mean of both classes' accuracies).
  Confusion confusion{};
  std::optional<double> accuracy, balanced_accuracy;
  // Mean of the samples' losses: log_loss, or the cross-entropy of logits (ScoredSet).
  std::optional<double> loss;
  // Rankings, equal scores being one point of the curves. roc_auc_score: the probability that a
  // random fake scores above a random real, a tie counting half. average_precision_score: sum of
  // (R_i - R_{i-1}) P_i. Equal error rate: where the straight lines between the points of roc_curve
  // cross FPR = 1 - TPR (the nearest point instead, as some benchmarks take it, can be far off when
  // scores are equal).
  std::optional<double> auc, average_precision, equal_error_rate;
  // Expected calibration error (Guo et al. 2017, "On calibration of modern neural networks", eq.
  // 3): sum over kCalibrationBins bins of |bin| / n * |accuracy - mean confidence|. Confidence is
  // the probability of the more probable class, and it is that class' accuracy that counts: the
  // threshold plays no part.
  std::optional<double> calibration_error;
};

// The figures that are one number, in the order of reports: key in JSON and title for people.
struct Figure {
  const char* key;
  const char* title;
  std::optional<double> Metrics::*member;
  bool percent;
};
inline constexpr std::array<Figure, 7> kFigures = {
    {{"loss", "loss", &Metrics::loss, false},
     {"accuracy", "accuracy", &Metrics::accuracy, true},
     {"balanced_accuracy", "balanced accuracy", &Metrics::balanced_accuracy, true},
     {"auc", "AUC", &Metrics::auc, false},
     {"average_precision", "average precision", &Metrics::average_precision, false},
     {"equal_error_rate", "equal error rate", &Metrics::equal_error_rate, true},
     {"expected_calibration_error", "calibration error", &Metrics::calibration_error, false}}};

// Why figures of this set are undefined: "no samples", "no real samples", "no fake samples"; empty
// if all are defined.
std::string undefined_reason(const Metrics& metrics);

// Bins of equal width over confidences: bin i is (i / 15, (i + 1) / 15].
inline constexpr int kCalibrationBins = 15;
// The bin of a confidence in [0, 1]; 0 belongs to the first.
int confidence_bin(double confidence);
// The larger one of the two classes' probabilities.
inline double confidence_of(double probability) {
  return probability > 0.5 ? probability : 1 - probability;
}

// Scored samples, sorted once: the figures of any multiset of them cost one pass.
class ScoredSet {
 public:
  // probabilities [n] of being fake, labels [n]; losses [n], or empty: log_loss() of each. Throws
  // Error(kInternal) for different lengths, labels outside {0, 1}, probabilities outside [0, 1] and
  // anything that is NaN: it has no rank.
  ScoredSet(std::span<const double> probabilities, std::span<const int32_t> labels,
            std::span<const double> losses = {}, double threshold = kFakeThreshold);

  // Each sample once.
  Metrics metrics() const;
  // Sample i times[i] >= 0 times.
  Metrics metrics(std::span<const int64_t> times) const;

  size_t size() const { return items_.size(); }

 private:
  struct Item {
    double probability, loss, confidence;
    size_t index;  // in the order given
    int32_t label;
    int bin;
    bool said_fake, confident_right;
  };
  std::vector<Item> items_;  // the highest probability first
};

Metrics compute_metrics(std::span<const double> probabilities, std::span<const int32_t> labels,
                        double threshold = kFakeThreshold);

// -log of the probability that was given to the truth, kept away from 0 and 1 by the spacing of
// doubles as in scikit-learn's log_loss.
double log_loss(double probability, int32_t label);
// -log softmax(row)[label] of one row of logits, in double.
double cross_entropy(std::span<const float> logits, int32_t label);
// Its mean over the rows of logits [n, classes], labels [n]; 0 for no rows.
double mean_cross_entropy(std::span<const float> logits, std::span<const int32_t> labels);

}  // namespace verace::apps

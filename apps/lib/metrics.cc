// Figures of merit.
#include "apps/lib/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "kernels/check.h"

namespace verace::apps {
namespace {

// Walks down the scores: each step lowers the threshold past all samples of one score. Counts are
// whole numbers, so that nothing but the last division rounds.
class Ranking {
 public:
  Ranking(int64_t reals, int64_t fakes) : reals_(reals), fakes_(fakes) {}

  // So many of each class have the next lower score.
  void step(int64_t reals, int64_t fakes) {
    doubled_wins_ += reals * (2 * true_positives_ + fakes);
    const int64_t balance = error_balance();
    const int64_t false_positives = false_positives_;
    false_positives_ += reals;
    true_positives_ += fakes;
    if (fakes > 0) {
      precision_ +=
          static_cast<double>(fakes) * ratio(true_positives_, true_positives_ + false_positives_);
    }
    if (balance < 0 && error_balance() >= 0) {
      const double share = ratio(balance, balance - error_balance());
      equal_error_ = (static_cast<double>(false_positives) + share * static_cast<double>(reals)) /
                     static_cast<double>(reals_);
    }
  }

  double auc() const {
    return static_cast<double>(doubled_wins_) / 2.0 /
           (static_cast<double>(reals_) * static_cast<double>(fakes_));
  }
  double average_precision() const { return precision_ / static_cast<double>(fakes_); }
  double equal_error_rate() const { return equal_error_; }

 private:
  // FPR - (1 - TPR), times both numbers of samples: from below 0 to above 0 on the way.
  int64_t error_balance() const {
    return false_positives_ * fakes_ + true_positives_ * reals_ - reals_ * fakes_;
  }

  int64_t reals_, fakes_;
  int64_t false_positives_ = 0, true_positives_ = 0;
  int64_t doubled_wins_ = 0;  // pairs (real below fake), a tie counting one, twice
  double precision_ = 0;
  double equal_error_ = 0;
};

void add_confusion_figures(Metrics& metrics) {
  const Confusion& c = metrics.confusion;
  const int64_t reals = c[0][0] + c[0][1], fakes = c[1][0] + c[1][1];
  if (metrics.count > 0) metrics.accuracy = ratio(c[0][0] + c[1][1], metrics.count);
  if (reals > 0 && fakes > 0) {
    metrics.balanced_accuracy = (ratio(c[0][0], reals) + ratio(c[1][1], fakes)) / 2;
  }
}

}  // namespace

std::string undefined_reason(const Metrics& metrics) {
  const Confusion& c = metrics.confusion;
  if (metrics.count == 0) return "no samples";
  if (c[0][0] + c[0][1] == 0) return "no real samples";
  return c[1][0] + c[1][1] == 0 ? "no fake samples" : "";
}

int confidence_bin(double confidence) {
  VERACE_CHECK(confidence >= 0 && confidence <= 1);
  int bin = 0;
  // Against the edges themselves: confidence * 15 would round some of them up.
  while (bin + 1 < kCalibrationBins && confidence > ratio(bin + 1, kCalibrationBins)) ++bin;
  return bin;
}

ScoredSet::ScoredSet(std::span<const double> probabilities, std::span<const int32_t> labels,
                     std::span<const double> losses, double threshold) {
  VERACE_CHECK(probabilities.size() == labels.size());
  VERACE_CHECK(losses.empty() || losses.size() == labels.size());
  items_.reserve(labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    const double p = probabilities[i];
    VERACE_CHECK(labels[i] == 0 || labels[i] == 1);
    // NaN has no rank; it would also break the order that sort needs.
    VERACE_CHECK(p >= 0 && p <= 1, "a probability must be a number from 0 to 1");
    VERACE_CHECK(losses.empty() || !std::isnan(losses[i]));
    Item item;
    item.probability = p;
    item.loss = losses.empty() ? log_loss(p, labels[i]) : losses[i];
    item.confidence = confidence_of(p);
    item.index = i;
    item.label = labels[i];
    item.bin = confidence_bin(item.confidence);
    item.said_fake = is_fake(p, threshold);
    item.confident_right = (p > 0.5) == (labels[i] == 1);
    items_.push_back(item);
  }
  // Equal scores in the order given: sums do not depend on the sorting algorithm.
  std::ranges::stable_sort(items_, std::ranges::greater{}, &Item::probability);
}

Metrics ScoredSet::metrics() const { return metrics(std::vector<int64_t>(items_.size(), 1)); }

Metrics ScoredSet::metrics(std::span<const int64_t> times) const {
  VERACE_CHECK(times.size() == items_.size());
  Metrics metrics;
  double loss = 0;
  std::array<double, kCalibrationBins> gaps{};  // right answers less the sum of confidences
  for (const Item& item : items_) {
    const int64_t n = times[item.index];
    metrics.count += n;
    metrics.confusion[static_cast<size_t>(item.label)][item.said_fake] += n;
    loss += static_cast<double>(n) * item.loss;
    gaps[static_cast<size_t>(item.bin)] +=
        static_cast<double>(n) * ((item.confident_right ? 1.0 : 0.0) - item.confidence);
  }
  add_confusion_figures(metrics);
  if (metrics.count == 0) return metrics;
  metrics.loss = loss / static_cast<double>(metrics.count);
  double gap = 0;
  for (const double g : gaps) gap += std::abs(g);
  metrics.calibration_error = gap / static_cast<double>(metrics.count);
  if (!undefined_reason(metrics).empty()) return metrics;
  const Confusion& c = metrics.confusion;
  Ranking ranking(c[0][0] + c[0][1], c[1][0] + c[1][1]);
  for (size_t begin = 0, end = 0; begin < items_.size(); begin = end) {
    std::array<int64_t, 2> count{};
    while (end < items_.size() && items_[end].probability == items_[begin].probability) {
      count[static_cast<size_t>(items_[end].label)] += times[items_[end].index];
      ++end;
    }
    ranking.step(count[0], count[1]);
  }
  metrics.auc = ranking.auc();
  metrics.average_precision = ranking.average_precision();
  metrics.equal_error_rate = ranking.equal_error_rate();
  return metrics;
}

Metrics compute_metrics(std::span<const double> probabilities, std::span<const int32_t> labels,
                        double threshold) {
  return ScoredSet(probabilities, labels, {}, threshold).metrics();
}

double log_loss(double probability, int32_t label) {
  constexpr double kSpacing = std::numeric_limits<double>::epsilon();
  const double p = std::clamp(probability, kSpacing, 1 - kSpacing);
  return -std::log(label == 1 ? p : 1 - p);
}

double cross_entropy(std::span<const float> logits, int32_t label) {
  VERACE_CHECK(label >= 0 && label < static_cast<int64_t>(logits.size()));
  const double largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return std::log(sum) + largest - logits[static_cast<size_t>(label)];
}

double mean_cross_entropy(std::span<const float> logits, std::span<const int32_t> labels) {
  if (labels.empty()) return 0;
  VERACE_CHECK(logits.size() % labels.size() == 0);
  const size_t classes = logits.size() / labels.size();
  double sum = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    sum += cross_entropy(logits.subspan(i * classes, classes), labels[i]);
  }
  return sum / static_cast<double>(labels.size());
}

std::vector<VideoScore> aggregate_videos(std::span<const FaceScore> faces) {
  std::vector<VideoScore> videos;
  std::unordered_map<std::string, size_t> index;
  for (const FaceScore& face : faces) {
    const auto [place, added] = index.try_emplace(face.video, videos.size());
    if (added) videos.push_back({face.video, face.label, 0, 0});
    VideoScore& video = videos[place->second];
    if (video.label != face.label) {
      fail_input("video '" + face.video +
                 "' has faces of both labels: give each video one label in the data set");
    }
    ++video.faces;
    video.probability += face.probability;  // a sum until the end
  }
  for (VideoScore& video : videos) video.probability /= static_cast<double>(video.faces);
  return videos;
}

Metrics compute_metrics(std::span<const VideoScore> videos, double threshold) {
  std::vector<double> probabilities;
  std::vector<int32_t> labels;
  for (const VideoScore& video : videos) {
    probabilities.push_back(video.probability);
    labels.push_back(video.label);
  }
  return compute_metrics(probabilities, labels, threshold);
}

}  // namespace verace::apps

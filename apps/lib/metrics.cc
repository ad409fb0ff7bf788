// Figures of merit.
#include "apps/lib/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "kernels/check.h"

namespace verace::apps {
namespace {

void check_labels(size_t scores, std::span<const int32_t> labels) {
  VERACE_CHECK(scores == labels.size());
  for (const int32_t label : labels) VERACE_CHECK(label == 0 || label == 1);
}

double ratio(int64_t part, int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::optional<double> area_under_roc(std::span<const double> scores,
                                     std::span<const int32_t> labels) {
  check_labels(scores.size(), labels);
  // NaN has no rank; it would also break the order that sort needs.
  for (const double score : scores) VERACE_CHECK(!std::isnan(score));
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return scores[i]; });
  // Twice the number of pairs (real below fake), a tie counting one: whole numbers, so exact.
  int64_t doubled_wins = 0, reals_below = 0;
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    int64_t count[2] = {0, 0};
    while (end < order.size() && scores[order[end]] == scores[order[begin]]) {
      ++count[labels[order[end]]];
      ++end;
    }
    doubled_wins += count[1] * (2 * reals_below + count[0]);
    reals_below += count[0];
    begin = end;
  }
  const int64_t fakes = static_cast<int64_t>(order.size()) - reals_below;
  if (reals_below == 0 || fakes == 0) return std::nullopt;
  return static_cast<double>(doubled_wins) / 2.0 /
         (static_cast<double>(reals_below) * static_cast<double>(fakes));
}

Metrics compute_metrics(std::span<const double> probabilities, std::span<const int32_t> labels,
                        double threshold) {
  check_labels(probabilities.size(), labels);
  Metrics metrics;
  metrics.count = static_cast<int64_t>(labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    ++metrics.confusion[static_cast<size_t>(labels[i])][is_fake(probabilities[i], threshold)];
  }
  const Confusion& c = metrics.confusion;
  const int64_t reals = c[0][0] + c[0][1], fakes = c[1][0] + c[1][1];
  if (metrics.count > 0) metrics.accuracy = ratio(c[0][0] + c[1][1], metrics.count);
  if (reals > 0 && fakes > 0) {
    metrics.balanced_accuracy = (ratio(c[0][0], reals) + ratio(c[1][1], fakes)) / 2;
  }
  metrics.auc = area_under_roc(probabilities, labels);
  return metrics;
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

// Choosing a threshold, and saying where one comes from.
#include "apps/lib/threshold.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <vector>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

// Half way from `low` to the smallest score above it, to 1 if there is none; `low` itself if
// nothing is between them.
double middle_above(double low, std::span<const double> scores) {
  double next = 1;
  for (const double score : scores) {
    if (score > low) next = std::min(next, score);
  }
  const double middle = low + (next - low) / 2;
  return middle < next ? middle : low;
}

std::string name_of(const std::string& path) {
  const std::filesystem::path whole = std::filesystem::path(path).lexically_normal();
  const std::filesystem::path name = whole.filename();
  return (name.empty() ? whole.parent_path().filename() : name).string();
}

}  // namespace

LevelThreshold choose_threshold(std::span<const double> probabilities,
                                std::span<const int32_t> labels, double rate) {
  const ScoredSet checked(probabilities, labels);
  VERACE_CHECK(rate >= 0 && rate < 1);
  LevelThreshold level;
  std::vector<double> reals;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == 0) reals.push_back(probabilities[i]);
  }
  if (reals.empty()) {
    fail_input(
        "--fpr: no real picture could be judged, and without one there is no false-positive rate: "
        "look at the broken pictures");
  }
  std::ranges::sort(reals, std::ranges::greater{});
  level.reals = static_cast<int64_t>(reals.size());
  level.fakes = static_cast<int64_t>(labels.size()) - level.reals;
  // Quotients, not rate * n: 0.29 * 100 is less than 29.
  int64_t allowed = 0;
  while (allowed + 1 < level.reals && ratio(allowed + 1, level.reals) <= rate) ++allowed;
  level.value = middle_above(reals[static_cast<size_t>(allowed)], probabilities);
  int64_t false_positives = 0, true_positives = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!is_fake(probabilities[i], level.value)) continue;
    ++(labels[i] == 0 ? false_positives : true_positives);
  }
  level.false_positive_rate = ratio(false_positives, level.reals);
  if (level.fakes > 0) level.true_positive_rate = ratio(true_positives, level.fakes);
  return level;
}

ChosenThresholds choose_thresholds(std::span<const FaceScore> faces, double rate,
                                   const std::string& data, const std::string& split,
                                   const data::PictureFit& fit) {
  ChosenThresholds chosen;
  chosen.fit = fit;
  chosen.rate = rate;
  chosen.data = name_of(data);  // the path to it is nobody's business
  chosen.split = split;
  std::vector<double> probabilities;
  std::vector<int32_t> labels;
  for (const FaceScore& face : faces) {
    probabilities.push_back(face.probability);
    labels.push_back(face.label);
  }
  chosen.faces = choose_threshold(probabilities, labels, rate);
  probabilities.clear();
  labels.clear();
  for (const VideoScore& video : aggregate_videos(faces)) {
    probabilities.push_back(video.probability);
    labels.push_back(video.label);
  }
  chosen.videos = choose_threshold(probabilities, labels, rate);
  return chosen;
}

Decision decide(const std::optional<double>& flag, const std::optional<ChosenThresholds>& stored) {
  Decision decision;
  decision.chosen = stored;
  if (flag) {
    decision.faces = decision.videos = *flag;
    decision.source = Decision::Source::kFlag;
  } else if (stored) {
    decision.faces = stored->faces.value;
    decision.videos = stored->videos.value;
    decision.source = Decision::Source::kModel;
  }
  return decision;
}

std::string decision_text(const Decision& decision) {
  const auto& chosen = decision.chosen;
  if (decision.source == Decision::Source::kModel) {
    return text::format(
        "faces are fake above {:.6g}, videos above {:.6g} (the model's, chosen on {} of {} for a "
        "false-positive rate of {:g}; reached {:.4g} of {} real faces, {:.4g} of {} real videos)",
        decision.faces, decision.videos, chosen->split, chosen->data, chosen->rate,
        chosen->faces.false_positive_rate, chosen->faces.reals, chosen->videos.false_positive_rate,
        chosen->videos.reals);
  }
  const std::string fake = text::format("fake above {:g} ", decision.faces);
  if (decision.source == Decision::Source::kDefault) {
    return fake + "(the default: the model holds no threshold)";
  }
  if (!chosen) return fake + "(--threshold)";
  return fake + text::format(
                    "(--threshold, instead of the model's {:.6g} for faces and {:.6g} for "
                    "videos)",
                    chosen->faces.value, chosen->videos.value);
}

std::string fit_warning(const Decision& decision, const data::PictureFit& fit) {
  if (decision.source != Decision::Source::kModel || !decision.chosen->fit) return {};
  const data::PictureFit& chosen = *decision.chosen->fit;
  if (chosen == fit) return {};
  const auto flags = [](const data::PictureFit& of) {
    return text::format("--fit {} --resize {}", data::kFitNames[static_cast<size_t>(of.fit)],
                        data::kResizeFilterNames[static_cast<size_t>(of.filter)]);
  };
  return text::format(
      "the model's threshold was chosen with {}, these pictures are read with {}: its "
      "false-positive rate may not hold",
      flags(chosen), flags(fit));
}

std::string level_text(const LevelThreshold& level) {
  std::string text = text::format("fake above {:.6g}: false-positive rate {:.4f} of {} real",
                                  level.value, level.false_positive_rate, level.reals);
  return text + (level.true_positive_rate ? text::format(", true-positive rate {:.4f} of {} fake",
                                                         *level.true_positive_rate, level.fakes)
                                          : std::string(", no fake to find"));
}

}  // namespace verace::apps

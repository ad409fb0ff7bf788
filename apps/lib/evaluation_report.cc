// Reports of evaluations.
#include "apps/lib/evaluation_report.h"

#include <nlohmann/json.hpp>

#include "apps/lib/threshold_json.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using Json = nlohmann::ordered_json;

std::string figure_line(const Figure& figure, const Metrics& metrics,
                        const std::optional<Interval>& interval) {
  const std::optional<double>& value = metrics.*figure.member;
  if (!value) {
    return text::format("  {:<19}undefined ({})\n", figure.title, undefined_reason(metrics));
  }
  std::string line =
      text::format("  {:<19}{:<9}", figure.title, figure_text(*value, figure.percent));
  if (interval) {
    line += text::format("  [{}, {}]", figure_text(interval->low, figure.percent),
                         figure_text(interval->high, figure.percent));
  }
  return line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

std::string level_lines(const std::string& name, const Metrics& metrics,
                        const Intervals& intervals) {
  const Confusion& c = metrics.confusion;
  std::string text = text::format("{} ({})\n", name, metrics.count);
  for (size_t i = 0; i < kFigures.size(); ++i) {
    text += figure_line(kFigures[i], metrics, intervals[i]);
  }
  text += text::format("  confusion          {:>10} {:>10}\n", "said real", "said fake");
  text += text::format("    real             {:>10} {:>10}\n", c[0][0], c[0][1]);
  text += text::format("    fake             {:>10} {:>10}\n", c[1][0], c[1][1]);
  return text;
}

std::string intervals_text(const std::optional<EvaluationIntervals>& intervals) {
  if (!intervals) return "";
  const BootstrapOptions& o = intervals->options;
  return text::format(
      "[low, high]: {:g} % percentile bootstrap, {} resamples (seed {}) of whole videos, real and "
      "fake apart{}\n",
      100 * o.confidence, o.resamples, o.seed,
      intervals->faces[0] ? "" : "; none here: it takes two videos of each class");
}

Json level_json(const Metrics& metrics, const Intervals* intervals) {
  Json json{{"count", metrics.count}};
  for (const Figure& figure : kFigures) {
    const std::optional<double>& value = metrics.*figure.member;
    json[figure.key] = value ? Json(*value) : Json();
  }
  const std::string reason = undefined_reason(metrics);
  json["undefined"] = reason.empty() ? Json() : Json(reason);
  const Confusion& c = metrics.confusion;
  json["confusion"] = {{"real", {{"real", c[0][0]}, {"fake", c[0][1]}}},
                       {"fake", {{"real", c[1][0]}, {"fake", c[1][1]}}}};
  for (size_t i = 0; intervals != nullptr && i < kFigures.size(); ++i) {
    const std::optional<Interval>& interval = (*intervals)[i];
    json["intervals"][kFigures[i].key] =
        interval ? Json::array({interval->low, interval->high}) : Json();
  }
  return json;
}

// "85.00 %", or "undefined".
std::string share_text(const std::optional<double>& share) {
  return share ? figure_text(*share, true) : "undefined";
}

std::string failed_text(const Evaluation& evaluation) {
  const FailedCounts counts = count_failed(evaluation.failed);
  if (counts.count == 0) return "";
  const auto [real, fake] = counts.by_label;
  std::string text = text::format("without a verdict: {} of {} videos ({} real, {} fake",
                                  counts.count, counts.count + evaluation.videos.count, real, fake);
  if (counts.count > real + fake) {
    text += text::format(", {} of unknown label", counts.count - real - fake);
  }
  text += ")\n";
  for (const auto& [reason, count] : counts.by_reason) {
    text += text::format("  {:<27}{}\n", reason, count);
  }
  const AccuracyWithFailed at_least = with_failed(evaluation.videos, counts);
  return text + text::format("  if each of them counts as wrong: accuracy {}, balanced {}\n",
                             share_text(at_least.accuracy), share_text(at_least.balanced_accuracy));
}

Json failed_json(const Evaluation& evaluation) {
  const FailedCounts counts = count_failed(evaluation.failed);
  const AccuracyWithFailed at_least = with_failed(evaluation.videos, counts);
  const auto number = [](const std::optional<double>& share) {
    return share ? Json(*share) : Json();
  };
  Json json{{"count", counts.count},
            {"real", counts.by_label[0]},
            {"fake", counts.by_label[1]},
            {"reasons", Json::object()},
            {"accuracy_if_wrong", number(at_least.accuracy)},
            {"balanced_accuracy_if_wrong", number(at_least.balanced_accuracy)},
            {"videos", Json::array()}};
  for (const auto& [reason, count] : counts.by_reason) json["reasons"][reason] = count;
  for (const FailedVideo& video : evaluation.failed) {
    json["videos"].push_back(
        {{"video", video.video},
         {"label",
          video.label ? Json(data::kClassNames[static_cast<size_t>(*video.label)]) : Json()},
         {"reason", video.reason},
         {"detail", video.detail}});
  }
  return json;
}

Json bootstrap_json(const std::optional<EvaluationIntervals>& intervals) {
  if (!intervals) return {};
  return {{"method", "percentile; whole videos, stratified by class"},
          {"confidence", intervals->options.confidence},
          {"resamples", intervals->options.resamples},
          {"seed", intervals->options.seed}};
}

}  // namespace

std::string figure_text(double value, bool percent) {
  return percent ? text::format("{:.2f} %", 100 * value) : text::format("{:.4f}", value);
}

std::string evaluation_text(const Evaluation& evaluation) {
  const auto& intervals = evaluation.intervals;
  return level_lines("faces", evaluation.faces, intervals ? intervals->faces : Intervals{}) +
         level_lines("videos, by " + policy_text(evaluation.decision.policy), evaluation.videos,
                     intervals ? intervals->videos : Intervals{}) +
         failed_text(evaluation) + intervals_text(intervals) +
         "threshold: " + decision_text(evaluation.decision) + "\n" +
         (evaluation.decision.calibration
              ? "calibration: " + calibration_text(*evaluation.decision.calibration) + "\n"
              : "") +
         text::format("{:.1f} pictures/s\n", evaluation.images_per_second);
}

std::string evaluation_json(const Evaluation& evaluation, const std::string& model,
                            const std::string& split) {
  const auto& intervals = evaluation.intervals;
  Json json{{"model", model},
            {"split", split},
            {"threshold", to_json(evaluation.decision)},
            {"faces", level_json(evaluation.faces, intervals ? &intervals->faces : nullptr)},
            {"videos", level_json(evaluation.videos, intervals ? &intervals->videos : nullptr)},
            {"bootstrap", bootstrap_json(intervals)},
            {"failed_videos", failed_json(evaluation)},
            {"broken", Json::array()},
            {"seconds", evaluation.seconds},
            {"images_per_second", evaluation.images_per_second},
            {"stopped", evaluation.stopped}};
  for (const data::BrokenPicture& picture : evaluation.broken) {
    json["broken"].push_back(picture.message);
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace verace::apps

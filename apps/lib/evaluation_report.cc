// Reports of evaluations.
#include "apps/lib/evaluation_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/format.h"

namespace verace::apps {
namespace {

using Json = nlohmann::ordered_json;

std::string percent(const std::optional<double>& share) {
  return share ? text::format("{:.2f} %", 100 * *share) : "undefined";
}

std::string level_text(const char* name, const Metrics& metrics, double loss) {
  const Confusion& c = metrics.confusion;
  std::string text = text::format("{} ({})\n", name, metrics.count);
  text += text::format("  loss               {:.4f}\n", loss);
  text += text::format("  accuracy           {}\n", percent(metrics.accuracy));
  text += text::format("  balanced accuracy  {}\n", percent(metrics.balanced_accuracy));
  text += text::format("  AUC                {}\n",
                       metrics.auc ? text::format("{:.4f}", *metrics.auc) : "undefined");
  text += text::format("  confusion          {:>10} {:>10}\n", "said real", "said fake");
  text += text::format("    real             {:>10} {:>10}\n", c[0][0], c[0][1]);
  text += text::format("    fake             {:>10} {:>10}\n", c[1][0], c[1][1]);
  return text;
}

Json optional_number(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json level_json(const Metrics& metrics, double loss) {
  const Confusion& c = metrics.confusion;
  return {{"count", metrics.count},
          {"loss", loss},
          {"accuracy", metrics.accuracy},
          {"balanced_accuracy", optional_number(metrics.balanced_accuracy)},
          {"auc", optional_number(metrics.auc)},
          {"confusion",
           {{"real", {{"real", c[0][0]}, {"fake", c[0][1]}}},
            {"fake", {{"real", c[1][0]}, {"fake", c[1][1]}}}}}};
}

}  // namespace

double video_loss(const Evaluation& evaluation) {
  // A mean of probabilities can be 0 or 1 to the last bit; the smallest float keeps the loss
  // finite.
  constexpr double kSmallest = 1e-38;
  double sum = 0;
  for (const VideoScore& video : evaluation.video_scores) {
    const double right = video.label == data::kFake ? video.probability : 1 - video.probability;
    sum -= std::log(std::max(right, kSmallest));
  }
  const size_t count = evaluation.video_scores.size();
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

std::string evaluation_text(const Evaluation& evaluation) {
  return level_text("faces", evaluation.faces, evaluation.loss) +
         level_text("videos, by the mean of their faces", evaluation.videos,
                    video_loss(evaluation)) +
         text::format("{:.1f} pictures/s\n", evaluation.images_per_second);
}

std::string evaluation_json(const Evaluation& evaluation, const std::string& model,
                            const std::string& split) {
  Json json{{"model", model},
            {"split", split},
            {"faces", level_json(evaluation.faces, evaluation.loss)},
            {"videos", level_json(evaluation.videos, video_loss(evaluation))},
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

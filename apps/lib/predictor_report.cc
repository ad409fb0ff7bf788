// Predictions as text and as JSON.

#include <nlohmann/json.hpp>

#include "apps/lib/metrics.h"
#include "apps/lib/predictor.h"
#include "apps/lib/threshold_json.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using Json = nlohmann::ordered_json;

double fake_probability_of(const Prediction& picture, const ClassIndices& classes) {
  return picture.probabilities[static_cast<size_t>(classes.fake)];
}

Json picture_json(const Prediction& picture, const Predictions& all, int64_t top) {
  Json json{{"path", picture.path.string()}};
  if (!picture.error.empty()) {
    json["error"] = picture.error;
    return json;
  }
  if (all.classes) {
    json["verdict"] = verdict_of(fake_probability_of(picture, *all.classes), all.decision.faces);
  } else {
    json["class"] = all.class_names[static_cast<size_t>(top_classes(picture.probabilities, 1)[0])];
    json["top"] = Json::array();
    for (const int64_t i : top_classes(picture.probabilities, top)) {
      const auto at = static_cast<size_t>(i);
      json["top"].push_back({{"class", all.class_names[at]},
                             {"index", i},
                             {"probability", picture.probabilities[at]}});
    }
  }
  if (all.classes) {
    Json& probabilities = json["probabilities"];
    for (size_t i = 0; i < picture.probabilities.size(); ++i) {
      probabilities[static_cast<int32_t>(i) == all.classes->fake ? "fake" : "real"] =
          picture.probabilities[i];
    }
  } else {
    // A list: labels need not be different.
    json["probabilities"] = picture.probabilities;
  }
  json["logits"] = picture.logits;
  return json;
}

}  // namespace

std::string predictions_json(const Predictions& predictions, int64_t top) {
  Json json;
  json["pictures"] = Json::array();
  for (const Prediction& picture : predictions.pictures) {
    json["pictures"].push_back(picture_json(picture, predictions, top));
  }
  json["broken"] = predictions.broken;
  if (predictions.fake_probability) {
    json["verdict"] = verdict_of(*predictions.fake_probability, predictions.decision.videos);
    json["fake_probability"] = *predictions.fake_probability;
  }
  if (predictions.classes) json["threshold"] = to_json(predictions.decision);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string predictions_text(const Predictions& predictions, int64_t top) {
  std::string text;
  int64_t judged = 0;
  for (const Prediction& picture : predictions.pictures) {
    if (!picture.error.empty()) continue;
    ++judged;
    if (predictions.classes) {
      const double fake = fake_probability_of(picture, *predictions.classes);
      const char* verdict = verdict_of(fake, predictions.decision.faces);
      // With another threshold than 0.5 the verdict can be the less probable class: so there the
      // probability is always that of fake, and says so.
      text += predictions.decision.faces == kFakeThreshold
                  ? text::format("{}  {:6.2f} %  {}\n", verdict,
                                 100 * (is_fake(fake) ? fake : 1 - fake), picture.path.string())
                  : text::format("{}  P(fake) {:6.2f} %  {}\n", verdict, 100 * fake,
                                 picture.path.string());
      continue;
    }
    text += picture.path.string() + "\n";
    for (const int64_t i : top_classes(picture.probabilities, top)) {
      const auto at = static_cast<size_t>(i);
      text += text::format("  {:6.2f} %  {}\n", 100 * picture.probabilities[at],
                           predictions.class_names[at]);
    }
  }
  if (predictions.fake_probability && judged > 1) {
    const double fake = *predictions.fake_probability;
    text += text::format("all {} together: {} (P(fake) {:.2f} %, {})\n", judged,
                         verdict_of(fake, predictions.decision.videos), 100 * fake,
                         policy_text(predictions.decision.policy));
  }
  return text;
}

}  // namespace verace::apps

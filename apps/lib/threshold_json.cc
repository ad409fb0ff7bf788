// Thresholds and temperatures to JSON and back.
#include "apps/lib/threshold_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kThresholdVersion = 1;
constexpr int64_t kCalibratedVersion = 2;  // of thresholds that need temperature or policy
constexpr int64_t kCalibrationVersion = 1;

Json level_json(const LevelThreshold& level) {
  return {
      {"threshold", level.value},
      {"false_positive_rate", level.false_positive_rate},
      {"true_positive_rate", level.true_positive_rate ? Json(*level.true_positive_rate) : Json()},
      {"reals", level.reals},
      {"fakes", level.fakes}};
}

double share_at(const Json& json, const char* key) {
  const Json& value = json.at(key);
  const double share = value.is_number() ? value.get<double>() : -1;
  if (!(share >= 0 && share <= 1)) {
    throw std::range_error(text::format("{} is not a number from 0 to 1", key));
  }
  return share;
}

int64_t count_at(const Json& json, const char* key) {
  const Json& value = json.at(key);
  if (!value.is_number_unsigned()) {
    throw std::range_error(text::format("{} is not a whole number", key));
  }
  return value.get<int64_t>();
}

LevelThreshold level_at(const Json& json, const char* key) {
  const Json& object = json.at(key);
  LevelThreshold level;
  level.value = share_at(object, "threshold");
  level.false_positive_rate = share_at(object, "false_positive_rate");
  if (!object.at("true_positive_rate").is_null()) {
    level.true_positive_rate = share_at(object, "true_positive_rate");
  }
  level.reals = count_at(object, "reals");
  level.fakes = count_at(object, "fakes");
  return level;
}

// Control characters would break the lines that the names are printed in.
std::string name_at(const Json& json, const char* key) {
  std::string name = json.at(key).get<std::string>();
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return name;
}

// The place of a word in `words`.
template <size_t N>
size_t word_at(const Json& json, const char* key, const std::array<const char*, N>& words) {
  const std::string word = json.at(key).get<std::string>();
  const auto found = std::ranges::find(words, word);
  if (found == words.end()) throw std::range_error(text::format("{} is not known", key));
  return static_cast<size_t>(found - words.begin());
}

std::optional<data::PictureFit> fit_at(const Json& json) {
  if (!json.contains("fit")) return std::nullopt;
  return data::PictureFit{
      static_cast<data::Fit>(word_at(json, "fit", data::kFitNames)),
      static_cast<data::ResizeFilter>(word_at(json, "resize", data::kResizeFilterNames))};
}

bool is_version_1(const ChosenThresholds& thresholds) {
  return thresholds.temperature == 1 && thresholds.policy.same_kind({});
}

double temperature_at(const Json& json) {
  const Json& value = json.at("temperature");
  const double temperature = value.is_number() ? value.get<double>() : 0;
  if (!(temperature >= kLeastTemperature && temperature <= kMostTemperature)) {
    throw std::range_error(text::format("temperature is not a number from {:g} to {:g}",
                                        kLeastTemperature, kMostTemperature));
  }
  return temperature;
}

double figure_at(const Json& json, const char* key) {
  const Json& value = json.at(key);
  const double figure = value.is_number() ? value.get<double>() : -1;
  if (!(figure >= 0 && std::isfinite(figure))) {
    throw std::range_error(text::format("{} is not a number from 0 on", key));
  }
  return figure;
}

CalibrationFigures figures_at(const Json& json, const char* key) {
  const Json& object = json.at(key);
  return {figure_at(object, "loss"), share_at(object, "calibration_error")};
}

Json figures_json(const CalibrationFigures& figures) {
  return {{"loss", figures.loss}, {"calibration_error", figures.calibration_error}};
}

const char* source_word(Decision::Source source) {
  switch (source) {
    case Decision::Source::kDefault:
      return "default";
    case Decision::Source::kModel:
      return "model";
    case Decision::Source::kFlag:
      return "flag";
  }
  fail_check("source is in its enum", __FILE__, __LINE__, "");
}

// No nesting beyond the two levels is needed, so none is parsed: a hostile text could go deep.
Json parse(const std::string& text) {
  return Json::parse(text, [](int depth, Json::parse_event_t, Json&) {
    if (depth > 2) throw std::range_error("nested too deep");
    return true;
  });
}

// What `read` makes of the JSON under a key whose version may be at most `newest`.
template <typename Value, typename Read>
std::optional<Value> value_in(const std::map<std::string, std::string>& metadata,
                              const std::string& path, const char* key, int64_t newest, Read read) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  std::string why;
  try {
    const Json json = parse(found->second);
    if (const int64_t version = count_at(json, "version"); version < 1 || version > newest) {
      fail_input(
          text::format("{}: metadata {} has version {}, this program knows {}: use a newer "
                       "Verace",
                       path, key, version, newest));
    }
    return read(json);
  } catch (const Json::exception&) {
    why = "not the JSON that verace threshold writes";
  } catch (const std::range_error& error) {
    why = error.what();
  }
  fail_input(
      text::format("{}: metadata {} cannot be read ({}): choose the threshold again with "
                   "verace threshold",
                   path, key, why));
}

}  // namespace

Json to_json(const ChosenThresholds& thresholds) {
  Json json = {{"rate", thresholds.rate},
               {"data", thresholds.data},
               {"split", thresholds.split},
               {"faces", level_json(thresholds.faces)},
               {"videos", level_json(thresholds.videos)}};
  if (thresholds.fit) {
    json["fit"] = data::kFitNames[static_cast<size_t>(thresholds.fit->fit)];
    json["resize"] = data::kResizeFilterNames[static_cast<size_t>(thresholds.fit->filter)];
  }
  if (!is_version_1(thresholds)) {
    json.update(to_json(thresholds.policy));
    json["temperature"] = thresholds.temperature;
  }
  return json;
}

Json to_json(const VideoPolicy& policy) {
  return {{"policy", kPolicyNames[static_cast<size_t>(policy.policy)]},
          {"per_frame", kPerFrameNames[static_cast<size_t>(policy.per_frame)]}};
}

Json to_json(const Calibration& calibration) {
  return {{"temperature", calibration.temperature},
          {"data", calibration.data},
          {"split", calibration.split},
          {"reals", calibration.reals},
          {"fakes", calibration.fakes},
          {"before", figures_json(calibration.before)},
          {"after", figures_json(calibration.after)}};
}

Json to_json(const Decision& decision) {
  Json json = {{"faces", decision.faces},
               {"videos", decision.videos},
               {"source", source_word(decision.source)},
               {"model", decision.chosen ? to_json(*decision.chosen) : Json()}};
  json.update(to_json(decision.policy));
  json["calibration"] = decision.calibration ? to_json(*decision.calibration) : Json();
  return json;
}

std::string thresholds_to_metadata(const ChosenThresholds& thresholds) {
  Json json = {{"version", is_version_1(thresholds) ? kThresholdVersion : kCalibratedVersion}};
  json.update(to_json(thresholds));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string calibration_to_metadata(const Calibration& calibration) {
  Json json = {{"version", kCalibrationVersion}};
  json.update(to_json(calibration));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<ChosenThresholds> thresholds_in_metadata(
    const std::map<std::string, std::string>& metadata, const std::string& path) {
  return value_in<ChosenThresholds>(
      metadata, path, kThresholdKey, kCalibratedVersion, [](const Json& json) {
        ChosenThresholds thresholds;
        thresholds.rate = share_at(json, "rate");
        thresholds.data = name_at(json, "data");
        thresholds.split = name_at(json, "split");
        thresholds.faces = level_at(json, "faces");
        thresholds.videos = level_at(json, "videos");
        thresholds.fit = fit_at(json);
        thresholds.policy.face_threshold = thresholds.faces.value;
        if (json.at("version") == kThresholdVersion) return thresholds;
        thresholds.policy.policy = static_cast<Policy>(word_at(json, "policy", kPolicyNames));
        thresholds.policy.per_frame =
            static_cast<PerFrame>(word_at(json, "per_frame", kPerFrameNames));
        thresholds.temperature = temperature_at(json);
        return thresholds;
      });
}

std::optional<Calibration> calibration_in_metadata(
    const std::map<std::string, std::string>& metadata, const std::string& path) {
  return value_in<Calibration>(metadata, path, kCalibrationKey, kCalibrationVersion,
                               [](const Json& json) {
                                 Calibration calibration;
                                 calibration.temperature = temperature_at(json);
                                 calibration.data = name_at(json, "data");
                                 calibration.split = name_at(json, "split");
                                 calibration.reals = count_at(json, "reals");
                                 calibration.fakes = count_at(json, "fakes");
                                 calibration.before = figures_at(json, "before");
                                 calibration.after = figures_at(json, "after");
                                 return calibration;
                               });
}

}  // namespace verace::apps

// Thresholds, policies and temperatures as JSON objects, for metadata and reports. Includes the
// JSON library: for .cc files.
#pragma once

#include <nlohmann/json.hpp>

#include "apps/lib/threshold.h"

namespace verace::apps {

// {rate, data, split, faces {threshold, false_positive_rate, true_positive_rate, reals, fakes},
// videos {...}, fit, resize (absent where not recorded), policy, per_frame, temperature (absent for
// the mean of probabilities that are not calibrated)}
nlohmann::ordered_json to_json(const ChosenThresholds& thresholds);

// {policy, per_frame}
nlohmann::ordered_json to_json(const VideoPolicy& policy);
// {temperature, data, split, reals, fakes, before {loss, calibration_error}, after {...}}
nlohmann::ordered_json to_json(const Calibration& calibration);

// {faces, videos, source: default | model | flag, model: to_json() of what the model holds or null,
// policy, per_frame, calibration: to_json() of the model's or null}
nlohmann::ordered_json to_json(const Decision& decision);

}  // namespace verace::apps

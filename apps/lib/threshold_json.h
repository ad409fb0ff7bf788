// Thresholds as JSON objects, for metadata and reports. Includes the JSON library: for .cc files.
#pragma once

#include <nlohmann/json.hpp>

#include "apps/lib/threshold.h"

namespace verace::apps {

// {rate, data, split, faces {threshold, false_positive_rate, true_positive_rate, reals, fakes},
// videos {...}, fit, resize (absent where not recorded)}
nlohmann::ordered_json to_json(const ChosenThresholds& thresholds);

// {faces, videos, source: default | model | flag, model: to_json() of what the model holds or null}
nlohmann::ordered_json to_json(const Decision& decision);

}  // namespace verace::apps

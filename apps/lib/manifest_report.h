// What a manifest of labelled pictures holds: as text for people and JSON for programs.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "data/dataset.h"

namespace verace::apps {

struct ManifestCounts {
  // [split][class]
  std::array<std::array<int64_t, 2>, 3> pictures{}, videos{};
  std::array<int64_t, 3> identities{};                             // persons per split
  int64_t with_box = 0, with_landmarks = 0, without_identity = 0;  // pictures
};

ManifestCounts count_manifest(const data::Dataset& dataset);

// `name`: the file's. The leaks are the data set's own report.
std::string manifest_text(const std::string& name, const data::Dataset& dataset);
std::string manifest_json(const std::string& name, const data::Dataset& dataset);

}  // namespace verace::apps

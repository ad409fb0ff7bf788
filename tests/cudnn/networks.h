// The networks whose convolutions are planned, and their steps.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/cudnn/recorded_convolutions.h"

namespace verace::test {

inline const std::vector<NetworkShape>& networks() {
  static const std::vector<NetworkShape> all = {
      {engine::Variant::kV1, 224, 64},
      {engine::Variant::kV15, 224, 64},
      {engine::Variant::kV15, 64, 16},  // the demonstration's
  };
  return all;
}

// Recorded once.
inline const std::vector<RecordedStep>& steps_of(const NetworkShape& shape) {
  static std::map<std::string, std::vector<RecordedStep>> known;
  const std::string key = std::string(to_string(shape.variant)) + std::to_string(shape.input_size);
  if (!known.contains(key)) known[key] = recorded_steps(shape);
  return known[key];
}

}  // namespace verace::test

// Helpers of the tests of training: temporary folders, a tiny drawn dataset, a narrow network, and
// comparison of whole networks by bits.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "apps/lib/model_file.h"
#include "apps/lib/trainer_options.h"
#include "data/synthetic.h"
#include "kernels/check.h"
#include "weights/safetensors.h"

namespace verace::apps {

// A folder of its own, removed at the end.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "verace-apps-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Runs `action`, which must throw Error(kInput) with a message of one line; returns the message.
template <typename Action>
std::string input_error(Action action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK_MESSAGE(error.kind() == ErrorKind::kInput, message);
    CHECK_MESSAGE(message.find('\n') == std::string::npos, message);
    return message;
  }
  FAIL("no exception");
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// 11 training pictures of each class, 4 of each in test (and val), 32 pixels.
inline const std::string& tiny_dataset(bool with_val = false) {
  static const TempFolder folder;
  static std::string made[2];
  std::string& path = made[with_val ? 1 : 0];
  if (path.empty()) {
    path = folder / (with_val ? "with-val" : "no-val");
    data::SyntheticOptions options;
    options.size = 32;
    options.pictures_per_class = {11, with_val ? 4 : 0, 4};
    data::write_synthetic_dataset(path, options);
  }
  return path;
}

inline layers::ClassifierOptions narrow_network(int64_t hidden = 6) {
  layers::ClassifierOptions options;
  options.backbone.stem_channels = 4;
  options.input_size = 32;
  options.head_hidden = hidden;
  options.head_slope = hidden > 0 ? 0.05 : 0.0;
  return options;
}

// All values of a network (and its statistics), by tensor name.
inline std::vector<std::pair<std::string, std::vector<float>>> snapshot(
    const layers::Classifier& classifier) {
  std::vector<std::pair<std::string, std::vector<float>>> all;
  for (const engine::Parameter* parameter : classifier.table().parameters()) {
    const auto values = parameter->value.f32_span();
    all.emplace_back(parameter->name, std::vector<float>(values.begin(), values.end()));
  }
  return all;
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Name of the first tensor that differs; empty if all bits are equal.
inline std::string first_difference(const std::string& path_a, const std::string& path_b) {
  const weights::SafetensorsFile a(path_a), b(path_b);
  if (a.tensors().size() != b.tensors().size()) return "number of tensors";
  for (const weights::TensorView& tensor : a.tensors()) {
    const weights::TensorView* other = b.find(tensor.name);
    if (other == nullptr || other->bytes.size() != tensor.bytes.size() ||
        std::memcmp(other->bytes.data(), tensor.bytes.data(), tensor.bytes.size()) != 0) {
      return tensor.name;
    }
  }
  return {};
}

// Random weights and statistics, so that nothing is 0 or 1 by chance.
inline void randomise(layers::Classifier& classifier, uint64_t seed) {
  for (engine::Parameter* parameter : classifier.table().parameters()) {
    const auto values = parameter->value.f32_span();
    uint64_t state = seed * 0x9E3779B97F4A7C15u + std::hash<std::string>{}(parameter->name);
    const bool positive = parameter->name.ends_with("running_var");
    const auto scale = 1.0f / std::sqrt(static_cast<float>(values.size()) /
                                            static_cast<float>(parameter->value.shape()[0]) +
                                        1.0f);
    for (float& value : values) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const float unit = static_cast<float>(state >> 40) * 0x1p-24f;
      value = positive ? 0.5f + unit : (2 * unit - 1) * scale;
    }
  }
}

}  // namespace verace::apps

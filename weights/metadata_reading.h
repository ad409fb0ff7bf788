// Reading metadata: our own keys strictly, other converters' free text leniently (for describe).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/network_options.h"
#include "weights/weight_file.h"

namespace verace::weights {

// A value and the metadata key it came from.
template <typename T>
struct Stated {
  T value;
  std::string key;
};

// What the metadata says, most trusted key first; empty where it says nothing (that we understand).
struct MetadataReading {
  std::optional<Stated<engine::Variant>> variant;
  std::optional<Stated<engine::PoolMode>> pool;
  std::optional<Stated<engine::InputScale>> input_scale;
  std::optional<Stated<engine::RunningVariance>> running_variance;
  std::optional<Stated<double>> bn_epsilon;
  std::optional<Stated<double>> bn_momentum;
  std::optional<Stated<double>> head_slope;
  std::optional<Stated<int64_t>> input_size;
  std::optional<Stated<int64_t>> head_hidden;
  std::optional<Stated<std::vector<std::string>>> class_names;
  std::vector<std::string> not_understood;  // free-text keys with text that we cannot place
  // Phrases: keys that disagree, or what our network does not do ("keras.model_config: ...").
  std::vector<std::string> contradictions;
  std::vector<std::string> head_contradictions;  // the same of what stands behind the backbone
};

// Throws Error(kInput) when a "verace." key is unknown in its value (never for free text) or
// "verace.format" is not "1".
MetadataReading read_metadata(const WeightFile& file);

// Whether other converters describe the network in this key: one of those that read_metadata reads
// besides our own and Keras'.
bool is_free_text_key(std::string_view key);

// Free text, e.g. "v1: stride 2 in the first 1x1 ..." or "3x3 stride 2, no padding, ceil mode".
std::optional<engine::Variant> variant_in_text(std::string_view text);
std::optional<engine::PoolMode> pool_in_text(std::string_view text);
std::optional<engine::InputScale> input_scale_in_text(std::string_view text);

// The whole text as a finite number (decimal point regardless of locale); empty otherwise.
std::optional<double> number_in_text(std::string_view text);

}  // namespace verace::weights

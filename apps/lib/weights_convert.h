// Weight files of any format that we read as a file of a format that we write.
#pragma once

#include <cstdint>
#include <string>

#include "weights/model_description.h"

namespace verace::apps {

enum class WeightsFormat { kSafetensors, kPth };

struct ConvertOptions {
  std::string input, output;
  WeightsFormat to = WeightsFormat::kSafetensors;
  weights::Overrides overrides;
  bool keep_conv_biases = false;  // else they become part of the running means
};

struct Converted {
  weights::ModelDescription description;
  int64_t tensors = 0;
  int64_t folded_biases = 0;
  int64_t left_out = 0;  // an optimiser's state
};

// Writes the network's tensors under torchvision's names and in its layout, elements of F32, F16
// and BF16 as they are (a running mean that a bias is folded into becomes F32), with metadata that
// say all about the network, so that nothing about the result has to be assumed. Thresholds and
// metadata that we do not know are kept; the state of a training, and what the metadata of other
// libraries said about the network, are not. Atomic. Throws Error(kInput) for what load_model()
// refuses (values that are not finite too), and as the writers do.
Converted convert_weights(const ConvertOptions& options);

}  // namespace verace::apps

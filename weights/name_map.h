// Tensor names and shapes of a stored ResNet-50 (torchvision's), and checking a file by them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/model_description.h"
#include "weights/weight_file.h"

namespace verace::weights {

enum class TensorRole {
  kConvWeight,  // [out, in, height, width]
  kConvBias,    // [out]
  kBnGamma,     // these four: [channels]
  kBnBeta,
  kBnMean,
  kBnVariance,
  kDenseWeight,  // [out, in]
  kDenseBias,    // [out]
};

// A tensor that the file should hold. An optional tensor that is absent means zeros (biases of
// convolutions).
struct ExpectedTensor {
  std::string name;
  std::vector<int64_t> shape;
  TensorRole role;
  bool optional = false;
};

// All tensors of the network in forward order (torchvision's state-dict order): 265 for the
// backbone, 2 or 4 more for the head, and with conv_bias_present 53 optional convolution biases.
// Blocks per stage: 3, 4, 6, 3.
std::vector<ExpectedTensor> expected_tensors(const ModelDescription& description);

// One line without the file's name that says what is missing, not expected, of wrong shape or of a
// dtype that we cannot read (the first of each and how many), with a hint at what the file might
// be; empty when it fits. Tensors named *.num_batches_tracked and optimizer.* are ignored.
std::string find_mismatch(const WeightFile& file, const ModelDescription& description);

// Throws Error(kInput) with the file's name and find_mismatch unless the file fits.
void check_against(const WeightFile& file, const ModelDescription& description);

// Whether `name` is the bias of one of the network's convolutions.
bool is_conv_bias_name(std::string_view name);

// The batch norm behind a convolution: "conv2" -> "bn2", "downsample.0" -> "downsample.1".
std::string batch_norm_behind(const std::string& convolution);

// batch_norm(x + bias) with the running mean m is batch_norm(x) with m - bias; with batch
// statistics the bias cancels, and the running mean that is then moved is that of x. Subtracts the
// bias of the convolution before the batch norm with the running mean called `mean_name` from
// `mean`, where the file has one; whether it has.
bool subtract_convolution_bias(const WeightFile& file, const std::string& mean_name,
                               std::span<float> mean);

// What the network might be when it is not ours ("looks like ResNet-101: 23 blocks in layer3");
// empty without an idea.
std::string wrong_network_hint(const WeightFile& file);

// Convolution weights from the engine's order [o, h, w, i] (k, r, s, c) to the file's [o, i, h, w].
// `shape` is in the file's order; source and target must hold its product of elements and not
// overlap. The way back: WeightFile::read_filter_f32().
void ohwi_to_oihw(std::span<const float> source, std::span<const int64_t> shape,
                  std::span<float> target);

}  // namespace verace::weights

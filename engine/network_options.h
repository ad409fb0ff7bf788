// Choices that tell networks of equal names and shapes apart, and how flags and files spell them.
#pragma once

#include <string_view>

#include "kernels/choices.h"

namespace verace::engine {

// Which convolution of the first block of stages 2-4 has the stride 2: kV1 the first 1x1 (He et
// al., Keras, Caffe), kV15 the 3x3 (torchvision, timm). Spelled "v1" and "v1.5".
enum class Variant { kV1, kV15 };

// The 3x3 stride-2 max-pool of the stem: kPadded with one row and column of padding (112 -> 56),
// kCeil without padding, the output size rounded up (112 -> 56, other windows). Spelled "padded"
// and "ceil".
enum class PoolMode { kPadded, kCeil };

// How pixels become network input (formulas: kernels/choices.h). Spelled "caffe", "torch",
// "tf", "unit", "caffe-rounded".
using InputScale = kernels::PixelScale;

// Which batch variance enters the running variance (kernels/choices.h). Spelled "unbiased",
// "biased", "keras2".
using RunningVariance = kernels::RunningVariance;

std::string_view to_string(Variant value);
std::string_view to_string(PoolMode value);
std::string_view to_string(InputScale value);
std::string_view to_string(RunningVariance value);

// Each throws Error(kInput) "WHERE: 'TEXT' is not ...: use ..." for any spelling not listed above.
// `where` is the flag or the file and its metadata key.
Variant parse_variant(std::string_view text, std::string_view where);
PoolMode parse_pool_mode(std::string_view text, std::string_view where);
InputScale parse_input_scale(std::string_view text, std::string_view where);
RunningVariance parse_running_variance(std::string_view text, std::string_view where);

}  // namespace verace::engine

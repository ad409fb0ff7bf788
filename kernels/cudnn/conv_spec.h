// What is asked of cuDNN for one convolution.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/conv2d.h"
#include "kernels/shape.h"
#include "kernels/storage.h"

namespace verace::kernels::cudnn {

enum class ConvPass : uint8_t { kForward, kBackwardData, kBackwardFilter };

// One convolution graph. x, w, y (or their gradients) have the storage type `type`, the bias is
// fp32. Post ops belong to the forward pass.
struct ConvSpec {
  ConvPass pass = ConvPass::kForward;
  ConvGeometry g;
  ConvPostOps post;
  StorageType type = StorageType::kFloat;
  bool tf32 = false;  // only with kFloat
  bool operator==(const ConvSpec&) const = default;
};

// Throws Error(kInternal) on impossible geometry, post ops of a gradient, TF32 of 16-bit storage.
void validate(const ConvSpec& spec);

// "forward+bias+add+relu fp16 64x56x56x64 -> 64x56x56x256, 1x1/1 pad 0"
std::string to_string(const ConvSpec& spec);

}  // namespace verace::kernels::cudnn

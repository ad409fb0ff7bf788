// A classifier as an attack sees it: logits, and the loss' gradient with respect to the pictures.
#pragma once

#include <cstdint>
#include <span>

namespace verace::engine {

class Differentiable {
 public:
  virtual ~Differentiable() = default;

  // Elements of one picture (h * w * 3) and of one row of logits.
  virtual int64_t picture_count() const = 0;
  virtual int64_t class_count() const = 0;

  // pictures [n, h, w, 3] in [0, 1], labels [n]: writes logits [n, classes] and gradient [n, h, w,
  // 3] of the cross-entropy summed over the batch. Evaluation mode: samples do not depend on each
  // other.
  virtual void gradient(std::span<const float> pictures, std::span<const int32_t> labels,
                        std::span<float> logits, std::span<float> gradient) = 0;
  // Logits only.
  virtual void logits(std::span<const float> pictures, std::span<float> logits) = 0;
};

}  // namespace verace::engine

// The four dimensions of a value that holds pictures or feature maps.
#pragma once

#include "engine/step.h"
#include "kernels/check.h"
#include "kernels/shape.h"

namespace verace::layers {

// Of a value of the shape [n, h, w, c].
inline kernels::Nhwc nhwc(const engine::StepBuilder& b, engine::Value x) {
  const engine::Shape& s = b.info(x).shape;
  VERACE_CHECK(s.size() == 4);
  return {s[0], s[1], s[2], s[3]};
}

}  // namespace verace::layers

// Joining feature maps: a coarse map added to a finer one, and maps side by side along channels.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/check.h"
#include "kernels/dispatch.h"
#include "kernels/shape.h"

namespace verace::kernels {

// y = fine + coarse enlarged to the size of `fine` by its nearest pixel, floor(i * h / H) of h and
// H rows, columns alike: PyTorch's interpolate(mode="nearest"); Lin et al. 2017, arXiv 1612.03144,
// section 3.
struct UpsampleAdd {
  Nhwc shape;  // of fine and y
  int64_t coarse_h = 0, coarse_w = 0;
  const float* fine = nullptr;    // [n, h, w, c]
  const float* coarse = nullptr;  // [n, coarse_h, coarse_w, c]
  float* y = nullptr;             // [n, h, w, c], overwritten; may be `fine`, never `coarse`
};

// y[row] = the rows of the parts one after the other.
struct ConcatChannels {
  static constexpr int kParts = 3;
  struct Part {
    const float* x = nullptr;  // [rows, c]
    int64_t c = 0;
  };
  int64_t rows = 0;
  std::array<Part, kParts> parts;
  float* y = nullptr;  // [rows, sum of c], overwritten; none of the parts

  int64_t c() const { return parts[0].c + parts[1].c + parts[2].c; }
};

// Both throw Error(kInternal) for what is impossible.
inline void validate(const UpsampleAdd& a) {
  VERACE_CHECK(a.shape.n > 0 && a.shape.h > 0 && a.shape.w > 0 && a.shape.c > 0);
  VERACE_CHECK(a.coarse_h > 0 && a.coarse_w > 0);
  VERACE_CHECK(a.fine != nullptr && a.coarse != nullptr && a.y != nullptr && a.y != a.coarse);
}
inline void validate(const ConcatChannels& a) {
  VERACE_CHECK(a.rows > 0 && a.y != nullptr);
  for (const ConcatChannels::Part& part : a.parts) {
    VERACE_CHECK(part.c > 0 && part.x != nullptr && part.x != a.y);
  }
}

namespace cpu {
void upsample_add(const Exec&, const UpsampleAdd&);
void concat_channels(const Exec&, const ConcatChannels&);
}  // namespace cpu
namespace reference {
void upsample_add(const Exec&, const UpsampleAdd&);
void concat_channels(const Exec&, const ConcatChannels&);
}  // namespace reference
namespace cuda {
void upsample_add(const Exec&, const UpsampleAdd&);
void concat_channels(const Exec&, const ConcatChannels&);
}  // namespace cuda

inline void upsample_add(const Exec& exec, const UpsampleAdd& args) {
  dispatch(exec, args, cpu::upsample_add, reference::upsample_add,
           [](auto&... a) { cuda::upsample_add(a...); });
}
inline void concat_channels(const Exec& exec, const ConcatChannels& args) {
  dispatch(exec, args, cpu::concat_channels, reference::concat_channels,
           [](auto&... a) { cuda::concat_channels(a...); });
}

}  // namespace verace::kernels

// Max pooling (padded or ceil mode) and global average pooling, forward and backward.
//
// No output may overlap an input: elements are gathered across threads.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"
#include "kernels/shape.h"

namespace verace::kernels {

// y[n,p,q,c] = max over the window's elements inside x (padding counts as minus infinity; a NaN in
// the window is the maximum). Ties: the first in row order wins, as in PyTorch and cuDNN's
// deterministic mode.
template <class T>
struct MaxPoolForwardOf {
  PoolGeometry geometry;  // r * s <= 255
  const T* x = nullptr;   // [n, h, w, c]
  T* y = nullptr;         // [n, p, q, c], overwritten
  uint8_t* winner =
      nullptr;  // [n, p, q, c]: index r*S+s of the maximum in its window; nullptr: not kept
};
using MaxPoolForward = MaxPoolForwardOf<float>;

// dx[winner] += dy + dy2: overwrites dx completely (zero where nothing won), in a fixed order, with
// sums in float.
template <class T>
struct MaxPoolBackwardOf {
  PoolGeometry geometry;
  const T* dy = nullptr;   // [n, p, q, c]
  const T* dy2 = nullptr;  // second contribution where the output forks; or nullptr
  const uint8_t* winner = nullptr;
  T* dx = nullptr;  // [n, h, w, c], overwritten
};
using MaxPoolBackward = MaxPoolBackwardOf<float>;

// y[n, c] = mean over h, w of x[n, h, w, c] (accumulated in double).
template <class T>
struct GlobalAveragePoolForwardOf {
  Nhwc shape;
  const T* x = nullptr;  // [n, h, w, c]
  T* y = nullptr;        // [n, c], overwritten
};
using GlobalAveragePoolForward = GlobalAveragePoolForwardOf<float>;

// dx[n, h, w, c] = dy[n, c] / (h * w).
template <class T>
struct GlobalAveragePoolBackwardOf {
  Nhwc shape;
  const T* dy = nullptr;  // [n, c]
  T* dx = nullptr;        // [n, h, w, c], overwritten
};
using GlobalAveragePoolBackward = GlobalAveragePoolBackwardOf<float>;

namespace cpu {
void max_pool_forward(const Exec&, const MaxPoolForward&);
void max_pool_backward(const Exec&, const MaxPoolBackward&);
void global_average_pool_forward(const Exec&, const GlobalAveragePoolForward&);
void global_average_pool_backward(const Exec&, const GlobalAveragePoolBackward&);
}  // namespace cpu

namespace reference {
void max_pool_forward(const Exec&, const MaxPoolForward&);
void max_pool_backward(const Exec&, const MaxPoolBackward&);
void global_average_pool_forward(const Exec&, const GlobalAveragePoolForward&);
void global_average_pool_backward(const Exec&, const GlobalAveragePoolBackward&);
}  // namespace reference

// T: float, Half or BFloat16 (kernels/storage.h).
namespace cuda {
template <class T>
void max_pool_forward(const Exec&, const MaxPoolForwardOf<T>&);
template <class T>
void max_pool_backward(const Exec&, const MaxPoolBackwardOf<T>&);
template <class T>
void global_average_pool_forward(const Exec&, const GlobalAveragePoolForwardOf<T>&);
template <class T>
void global_average_pool_backward(const Exec&, const GlobalAveragePoolBackwardOf<T>&);
}  // namespace cuda

template <class T>
void max_pool_forward(const Exec& exec, const MaxPoolForwardOf<T>& args) {
  dispatch(exec, args, cpu::max_pool_forward, reference::max_pool_forward,
           [](auto&... a) { cuda::max_pool_forward(a...); });
}
template <class T>
void max_pool_backward(const Exec& exec, const MaxPoolBackwardOf<T>& args) {
  dispatch(exec, args, cpu::max_pool_backward, reference::max_pool_backward,
           [](auto&... a) { cuda::max_pool_backward(a...); });
}
template <class T>
void global_average_pool_forward(const Exec& exec, const GlobalAveragePoolForwardOf<T>& args) {
  dispatch(exec, args, cpu::global_average_pool_forward, reference::global_average_pool_forward,
           [](auto&... a) { cuda::global_average_pool_forward(a...); });
}
template <class T>
void global_average_pool_backward(const Exec& exec, const GlobalAveragePoolBackwardOf<T>& args) {
  dispatch(exec, args, cpu::global_average_pool_backward, reference::global_average_pool_backward,
           [](auto&... a) { cuda::global_average_pool_backward(a...); });
}

// The same for braced arguments, from which a template deduces nothing.
inline void max_pool_forward(const Exec& exec, const MaxPoolForward& args) {
  max_pool_forward<float>(exec, args);
}
inline void max_pool_backward(const Exec& exec, const MaxPoolBackward& args) {
  max_pool_backward<float>(exec, args);
}
inline void global_average_pool_forward(const Exec& exec, const GlobalAveragePoolForward& args) {
  global_average_pool_forward<float>(exec, args);
}
inline void global_average_pool_backward(const Exec& exec, const GlobalAveragePoolBackward& args) {
  global_average_pool_backward<float>(exec, args);
}

}  // namespace verace::kernels

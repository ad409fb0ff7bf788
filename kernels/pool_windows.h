// Windows of max pooling: which inputs a window covers, which windows cover an input, what wins.
#pragma once

#include "kernels/scalar_math.h"

namespace verace::kernels {

// Window rows or columns [begin, end) of an output position that lie inside the input.
template <class Index>
struct Taps {
  Index start;  // input position of tap 0; may be negative
  Index begin, end;
};

template <class Index>
VERACE_HOST_DEVICE inline Taps<Index> taps(Index out, Index stride, Index pad, Index window,
                                           Index size) {
  const Index start = out * stride - pad;
  const Index end = size - start;
  return {start, start < 0 ? -start : 0, end < window ? end : window};
}

// Output positions [begin, end) whose windows contain an input position.
template <class Index>
struct Outputs {
  Index begin, end;
};

template <class Index>
VERACE_HOST_DEVICE inline Outputs<Index> outputs_over(Index in, Index stride, Index pad,
                                                      Index window, Index count) {
  const Index reach = in + pad - window;  // windows that start at or before this end before `in`
  const Index end = (in + pad) / stride + 1;
  return {reach < 0 ? 0 : reach / stride + 1, end < count ? end : count};
}

// Larger, or the first NaN: a NaN beats every number and nothing beats it.
VERACE_HOST_DEVICE inline bool wins_over(float value, float best) {
  return value <= best ? false : best == best;
}

}  // namespace verace::kernels

// Geometries, inputs and the oracle of max pooling that its tests share.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "kernels/pool.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"

namespace verace::kernels::pool_test {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;
using Bytes = std::vector<uint8_t>;

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

inline PoolGeometry geometry(const Nhwc& x, int64_t window, int64_t stride, int64_t pad,
                             bool ceil = false) {
  return {x, window, window, stride, stride, pad, pad, ceil};
}

// ResNet-50's pool in both published forms, tails, overlap, gaps (stride > window), unequal sides,
// ceil mode.
inline std::vector<PoolGeometry> geometries() {
  return {geometry({2, 8, 8, 16}, 3, 2, 1),        geometry({2, 9, 7, 5}, 3, 2, 1),
          geometry({1, 8, 10, 65}, 3, 2, 0, true), geometry({2, 9, 11, 33}, 3, 2, 0, true),
          geometry({1, 7, 7, 3}, 2, 2, 0),         geometry({1, 7, 6, 130}, 2, 2, 0, true),
          geometry({1, 6, 6, 17}, 3, 1, 1),        geometry({1, 11, 10, 4}, 2, 3, 0),
          geometry({1, 5, 5, 3}, 1, 1, 0),         geometry({2, 5, 4, 3}, 5, 1, 2, true),
          geometry({1, 7, 7, 2}, 3, 2, 1, true),   {{2, 9, 12, 6}, 2, 4, 3, 2, 1, 0, false},
          {{2, 12, 9, 6}, 4, 2, 1, 3, 0, 1, true}, {{1, 4, 9, 8}, 1, 5, 1, 2, 0, 2, false},
          geometry({1, 6, 37, 64}, 3, 2, 1),       geometry({2, 3, 4, 264}, 2, 1, 0)};
}

inline std::string text(const PoolGeometry& g) {
  std::string s;
  for (const int64_t v :
       {g.x.n, g.x.h, g.x.w, g.x.c, g.r, g.s, g.stride_h, g.stride_w, g.pad_h, g.pad_w}) {
    s += std::to_string(v) + " ";
  }
  return s + (g.ceil_mode ? "ceil" : "floor");
}

// Output sizes counted from the definition: windows that start inside the input or its left padding
// and, in floor mode, end inside the padded input; in ceil mode at least one element beyond the
// previous window's end.
inline int64_t count_windows(int64_t size, int64_t window, int64_t stride, int64_t pad, bool ceil) {
  int64_t windows = 0;
  for (int64_t start = -pad; start < size; start += stride) {
    const bool fits = start + window <= size + pad;
    const bool previous_left_some = windows == 0 || start - stride + window < size + pad;
    if (!(fits || (ceil && previous_left_some))) break;
    ++windows;
  }
  return windows;
}

struct Pooled {
  Doubles y;
  Bytes winner;
  std::vector<size_t> from;  // index in x of each winner
};

inline Pooled pool(const PoolGeometry& g, const Doubles& x) {
  Pooled out;
  const int64_t p_count = count_windows(g.x.h, g.r, g.stride_h, g.pad_h, g.ceil_mode);
  const int64_t q_count = count_windows(g.x.w, g.s, g.stride_w, g.pad_w, g.ceil_mode);
  for (int64_t n = 0; n < g.x.n; ++n)
    for (int64_t p = 0; p < p_count; ++p)
      for (int64_t q = 0; q < q_count; ++q)
        for (int64_t c = 0; c < g.x.c; ++c) {
          double best = -std::numeric_limits<double>::infinity();
          int64_t winner = -1, from = -1;
          for (int64_t tap = 0; tap < g.r * g.s; ++tap) {
            const int64_t h = p * g.stride_h + tap / g.s - g.pad_h;
            const int64_t w = q * g.stride_w + tap % g.s - g.pad_w;
            if (h < 0 || w < 0 || h >= g.x.h || w >= g.x.w) continue;
            const int64_t at = ((n * g.x.h + h) * g.x.w + w) * g.x.c + c;
            if (winner >= 0 && x[static_cast<size_t>(at)] <= best) continue;
            best = x[static_cast<size_t>(at)];
            winner = tap;
            from = at;
          }
          out.y.push_back(best);
          out.winner.push_back(static_cast<uint8_t>(winner));
          out.from.push_back(static_cast<size_t>(from));
        }
  return out;
}

// Numbers that T holds; few different ones with `ties`.
template <class T = float>
Floats tied_input(const PoolGeometry& g, bool ties) {
  Floats x = ties ? test::small_integers(g.x.count(), 3, 3) : test::uniform(g.x.count(), 3);
  for (float& v : x) v -= 5.0f;  // all negative: a padding of zeros would win
  return test::rounded<T>(x);
}

}  // namespace verace::kernels::pool_test

// Vectors of floats for loops of the CPU that must stay in registers: the compiler's vector
// extension, as wide as it is asked for, in however many registers the machine has for it.
#pragma once

#include <cstdint>
#include <cstring>

namespace verace::kernels {

template <int kCount>
struct LanesOf {
  typedef float Type __attribute__((vector_size(kCount * sizeof(float))));
};
template <int kCount>
using Lanes = typename LanesOf<kCount>::Type;

// Any alignment.
template <typename V>
[[gnu::always_inline]] inline V load_lanes(const float* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <typename V>
[[gnu::always_inline]] inline void store_lanes(float* p, const V& v) {
  std::memcpy(p, &v, sizeof v);
}

// As leaky_relu() of scalar_math.h for each; slope in [0, 1].
template <typename V>
[[gnu::always_inline]] inline V leaky_relu_lanes(const V& v, float slope) {
  const V scaled = v * slope;
  return v > scaled ? v : scaled;
}

}  // namespace verace::kernels

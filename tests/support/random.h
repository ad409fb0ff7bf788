// Deterministic test data: element i depends on the seed and i alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace verace::test {

// SplitMix64 (Steele, Lea & Flood 2014) of a counter.
inline uint64_t random_bits(uint64_t seed, uint64_t i) {
  uint64_t z = (seed * 0xD1342543DE82EF95ull) + (i + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// In [0, 1).
inline double random_unit(uint64_t seed, uint64_t i) {
  return static_cast<double>(random_bits(seed, i) >> 11) * 0x1p-53;
}

inline void fill_uniform(std::span<float> values, uint64_t seed, float lo = -1.0f,
                         float hi = 1.0f) {
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(lo + (static_cast<double>(hi) - lo) * random_unit(seed, i));
  }
}

// Integers in [-max_abs, max_abs]: sums of their products are exact in float while they stay below
// 2^24.
inline void fill_small_integers(std::span<float> values, uint64_t seed, int max_abs) {
  const uint64_t choices = static_cast<uint64_t>(2 * max_abs + 1);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(static_cast<int64_t>(random_bits(seed, i) % choices) - max_abs);
  }
}

inline std::vector<float> uniform(int64_t n, uint64_t seed, float lo = -1.0f, float hi = 1.0f) {
  std::vector<float> values(static_cast<size_t>(n));
  fill_uniform(values, seed, lo, hi);
  return values;
}

inline std::vector<float> small_integers(int64_t n, uint64_t seed, int max_abs) {
  std::vector<float> values(static_cast<size_t>(n));
  fill_small_integers(values, seed, max_abs);
  return values;
}

inline std::vector<double> uniform_double(int64_t n, uint64_t seed, double lo = -1.0,
                                          double hi = 1.0) {
  std::vector<double> values(static_cast<size_t>(n));
  for (size_t i = 0; i < values.size(); ++i) values[i] = lo + (hi - lo) * random_unit(seed, i);
  return values;
}

// Values rounded to float, for oracles that must start from what the kernel sees.
inline std::vector<double> widen(std::span<const float> values) {
  return std::vector<double>(values.begin(), values.end());
}

inline std::vector<float> narrow(std::span<const double> values) {
  std::vector<float> result(values.size());
  for (size_t i = 0; i < values.size(); ++i) result[i] = static_cast<float>(values[i]);
  return result;
}

}  // namespace verace::test

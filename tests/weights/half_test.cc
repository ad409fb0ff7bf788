// 16-bit conversions: all 65536 patterns against the definition of the formats.
#include "weights/half.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

namespace verace::weights::half_test {
namespace {

// From the definition: sign, exponent and fraction of a format with `fraction_bits` and `bias`, in
// double.
double defined_value(uint16_t bits, int fraction_bits, int exponent_bits) {
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  const int highest = (1 << exponent_bits) - 1;
  const int bias = highest / 2;
  double value = 0;
  if (exponent == highest) {
    value = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    value = std::ldexp(fraction, 1 - bias - fraction_bits);
  } else {
    value = std::ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
  }
  return std::copysign(value, (bits & 0x8000) != 0 ? -1.0 : 1.0);
}

// True when `got` is the value, with its sign, and a NaN keeps its payload in the upper fraction
// bits.
bool is_exact(float got, uint16_t bits, int fraction_bits, int exponent_bits) {
  const double wanted = defined_value(bits, fraction_bits, exponent_bits);
  if (std::signbit(got) != std::signbit(wanted)) return false;
  if (!std::isnan(wanted)) return static_cast<double>(got) == wanted;
  const uint32_t payload = std::bit_cast<uint32_t>(got) & 0x7fffff;
  return std::isnan(got) && payload == (bits & ((1u << fraction_bits) - 1)) << (23 - fraction_bits);
}

std::vector<uint16_t> all_patterns() {
  std::vector<uint16_t> out(65536);
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<uint16_t>(i);
  return out;
}

TEST_CASE("every f16 and bf16 pattern converts exactly, one by one") {
  int wrong_f16 = 0, wrong_bf16 = 0;
  for (const uint16_t bits : all_patterns()) {
    wrong_f16 += !is_exact(f16_to_f32(bits), bits, 10, 5);
    wrong_bf16 += !is_exact(bf16_to_f32(bits), bits, 7, 8);
  }
  CHECK(wrong_f16 == 0);
  CHECK(wrong_bf16 == 0);
}

TEST_CASE("every pattern converts exactly as an array, at even and odd addresses and odd lengths") {
  const std::vector<uint16_t> patterns = all_patterns();
  for (const size_t shift : {size_t{0}, size_t{1}, size_t{3}}) {
    for (const size_t count : {patterns.size(), patterns.size() - 5, size_t{7}, size_t{0}}) {
      std::vector<std::byte> memory(2 * patterns.size() + shift);
      std::memcpy(memory.data() + shift, patterns.data(), 2 * patterns.size());
      const auto source = std::span<const std::byte>(memory).subspan(shift, 2 * count);
      std::vector<float> f16(count), bf16(count);
      f16_to_f32(source, f16);
      bf16_to_f32(source, bf16);
      int wrong = 0;
      for (size_t i = 0; i < count; ++i) {
        wrong += !is_exact(f16[i], patterns[i], 10, 5) + !is_exact(bf16[i], patterns[i], 7, 8);
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("known values") {
  CHECK(f16_to_f32(0x3c00) == 1.0f);
  CHECK(f16_to_f32(0x7bff) == 65504.0f);
  CHECK(f16_to_f32(0x0001) == 0x1p-24f);
  CHECK(f16_to_f32(0x03ff) == 1023 * 0x1p-24f);
  CHECK(f16_to_f32(0xc248) == -3.140625f);
  CHECK(bf16_to_f32(0x3f80) == 1.0f);
  CHECK(bf16_to_f32(0x0001) == 0x1p-133f);
}

}  // namespace
}  // namespace verace::weights::half_test

// Loops over the 16-bit conversions; written so that the compiler vectorises them.
#include "weights/half.h"

#include <bit>
#include <cstring>

#include "kernels/check.h"

namespace verace::weights {
namespace {

static_assert(std::endian::native == std::endian::little, "weight files are little-endian");

template <typename Convert>
void convert(std::span<const std::byte> source, std::span<float> target, Convert to_f32) {
  VERACE_CHECK(source.size() == 2 * target.size());
  const std::byte* in = source.data();
  float* out = target.data();
  const size_t count = target.size();
  for (size_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, in + 2 * i,
                sizeof(bits));  // memcpy: a mapped tensor may start at an odd address
    out[i] = to_f32(bits);
  }
}

}  // namespace

void f16_to_f32(std::span<const std::byte> source, std::span<float> target) {
  convert(source, target, [](uint16_t bits) { return f16_to_f32(bits); });
}

void bf16_to_f32(std::span<const std::byte> source, std::span<float> target) {
  convert(source, target, [](uint16_t bits) { return bf16_to_f32(bits); });
}

}  // namespace verace::weights

// The rounds of Philox4x32-10, and uniform numbers from its words.
#include "engine/rng.h"

#include "kernels/check.h"
#include "kernels/hash.h"

namespace verace::engine {

std::array<uint32_t, 4> Philox::block(uint64_t counter) const {
  constexpr uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
  constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
  constexpr int kRounds = 10;
  std::array<uint32_t, 4> x = {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
                               static_cast<uint32_t>(stream_),
                               static_cast<uint32_t>(stream_ >> 32)};
  uint32_t key0 = static_cast<uint32_t>(seed_), key1 = static_cast<uint32_t>(seed_ >> 32);
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t product0 = uint64_t{kMultiplier0} * x[0];
    const uint64_t product1 = uint64_t{kMultiplier1} * x[2];
    x = {static_cast<uint32_t>(product1 >> 32) ^ x[1] ^ key0, static_cast<uint32_t>(product1),
         static_cast<uint32_t>(product0 >> 32) ^ x[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return x;
}

float Philox::uniform(uint64_t counter) const {
  return static_cast<float>(block(counter)[0] >> 8) * 0x1.0p-24f;
}

uint64_t Philox::below(uint64_t counter, uint64_t bound) const {
  VERACE_CHECK(bound > 0);
  const auto words = block(counter);
  const uint64_t word = uint64_t{words[0]} << 32 | words[1];
  // The upper half of a 128-bit product maps [0, 2^64) onto [0, bound) without a division.
  return static_cast<uint64_t>(static_cast<unsigned __int128>(word) * bound >> 64);
}

uint64_t stream_of(std::string_view name) { return fnv1a(name); }

}  // namespace verace::engine

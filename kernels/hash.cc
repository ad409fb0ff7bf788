// FNV-1a and XXH64.
#include "kernels/hash.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace verace {
namespace {

static_assert(std::endian::native == std::endian::little, "XXH64 reads little-endian words");

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87u, kPrime2 = 0xC2B2AE3D27D4EB4Fu,
                   kPrime3 = 0x165667B19E3779F9u, kPrime4 = 0x85EBCA77C2B2AE63u,
                   kPrime5 = 0x27D4EB2F165667C5u;

template <typename Word>
uint64_t word_at(const std::byte* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

uint64_t mixed(uint64_t sum, uint64_t word) {
  return std::rotl(sum + word * kPrime2, 31) * kPrime1;
}

}  // namespace

uint64_t fnv1a(std::span<const std::byte> bytes, uint64_t state) {
  for (const std::byte byte : bytes) state = (state ^ static_cast<uint64_t>(byte)) * 0x100000001B3u;
  return state;
}

uint64_t fnv1a(std::string_view text, uint64_t state) {
  return fnv1a(std::as_bytes(std::span(text)), state);
}

// As many whole blocks as there are; returns what is left.
std::span<const std::byte> Xxh64::add_blocks(std::span<const std::byte> bytes) {
  std::array<uint64_t, 4> sums = sums_;  // a member would be stored after each block
  for (; bytes.size() >= rest_.size(); bytes = bytes.subspan(rest_.size())) {
    for (size_t i = 0; i < sums.size(); ++i) {
      sums[i] = mixed(sums[i], word_at<uint64_t>(bytes.data() + 8 * i));
    }
  }
  sums_ = sums;
  return bytes;
}

void Xxh64::add(std::span<const std::byte> bytes) {
  const size_t held = count_ % rest_.size();
  count_ += bytes.size();
  if (held > 0) {
    const size_t more = std::min(rest_.size() - held, bytes.size());
    std::copy_n(bytes.begin(), more, rest_.begin() + static_cast<std::ptrdiff_t>(held));
    bytes = bytes.subspan(more);
    if (held + more < rest_.size()) return;
    add_blocks(rest_);
  }
  bytes = add_blocks(bytes);
  std::copy(bytes.begin(), bytes.end(), rest_.begin());
}

uint64_t Xxh64::value() const {
  uint64_t h = sums_[2] + kPrime5;  // the third sum is still the seed where no block was full
  if (count_ >= rest_.size()) {
    h = std::rotl(sums_[0], 1) + std::rotl(sums_[1], 7) + std::rotl(sums_[2], 12) +
        std::rotl(sums_[3], 18);
    for (const uint64_t sum : sums_) h = (h ^ mixed(0, sum)) * kPrime1 + kPrime4;
  }
  h += count_;
  const std::byte* at = rest_.data();
  const std::byte* end = at + count_ % rest_.size();
  for (; end - at >= 8; at += 8) {
    h = std::rotl(h ^ mixed(0, word_at<uint64_t>(at)), 27) * kPrime1 + kPrime4;
  }
  if (end - at >= 4) {
    h = std::rotl(h ^ word_at<uint32_t>(at) * kPrime1, 23) * kPrime2 + kPrime3;
    at += 4;
  }
  for (; at < end; ++at) h = std::rotl(h ^ word_at<uint8_t>(at) * kPrime5, 11) * kPrime1;
  h = (h ^ h >> 33) * kPrime2;
  h = (h ^ h >> 29) * kPrime3;
  return h ^ h >> 32;
}

}  // namespace verace

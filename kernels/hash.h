// Short names of bytes, against damage and mistakes, not against malice: FNV-1a, XXH64 and CRC-32.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace verace {

inline constexpr uint64_t kFnv1aStart = 0xCBF29CE484222325u;

// FNV-1a of 64 bits (Fowler, Noll & Vo; RFC 9923), one byte after the other: for names and small
// things. Random streams, digests of weights and files of plans rest on its values. `state`: what
// the bytes before these gave.
uint64_t fnv1a(std::span<const std::byte> bytes, uint64_t state = kFnv1aStart);
uint64_t fnv1a(std::string_view text, uint64_t state = kFnv1aStart);

// XXH64 with seed 0 (Y. Collet; the xxHash fast digest algorithm, specification 0.1.1): for whole
// files. Four independent sums take 32 bytes at a time, an eighth of FNV-1a's time. Equal bytes
// give equal values, however they are cut into pieces and on every machine.
class Xxh64 {
 public:
  void add(std::span<const std::byte> bytes);
  // Of all bytes so far.
  uint64_t value() const;

 private:
  std::span<const std::byte> add_blocks(std::span<const std::byte> bytes);

  std::array<uint64_t, 4> sums_ = {0x60EA27EEADC0B5D6u, 0xC2B2AE3D27D4EB4Fu, 0,
                                   0x61C8864E7A143579u};
  std::array<std::byte, 32> rest_{};  // a block that is not full yet
  uint64_t count_ = 0;                // of all bytes
};

// CRC-32 as zip and PNG use it (polynomial 0xEDB88320 reflected, initial value and result
// inverted).
uint32_t crc32(std::span<const std::byte> bytes);

}  // namespace verace

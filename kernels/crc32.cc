// CRC-32, eight bytes at a time.
#include <array>
#include <bit>
#include <cstring>

#include "kernels/hash.h"

namespace verace {
namespace {

using Table = std::array<std::array<uint32_t, 256>, 8>;

// table[k][b]: what byte b, followed by k zero bytes, adds to the checksum.
constexpr Table make_table() {
  Table table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit) sum = (sum & 1) != 0 ? sum >> 1 ^ 0xEDB88320U : sum >> 1;
    table[0][byte] = sum;
  }
  for (size_t zeros = 1; zeros < table.size(); ++zeros) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = table[zeros - 1][byte];
      table[zeros][byte] = before >> 8 ^ table[0][before & 0xff];
    }
  }
  return table;
}

constexpr Table kTable = make_table();
static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

}  // namespace

uint32_t crc32(std::span<const std::byte> bytes) {
  uint32_t sum = 0xffffffffU;
  while (bytes.size() >= 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    word ^= sum;
    sum = 0;
    for (size_t i = 0; i < 8; ++i) sum ^= kTable[7 - i][word >> (8 * i) & 0xff];
    bytes = bytes.subspan(8);
  }
  for (const std::byte byte : bytes) {
    sum = sum >> 8 ^ kTable[0][(sum ^ std::to_integer<uint32_t>(byte)) & 0xff];
  }
  return ~sum;
}

}  // namespace verace

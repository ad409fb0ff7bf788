// CRC-32, eight bytes at a time.
#include "weights/torch/crc32.h"

#include <array>

#include "weights/torch/little_endian.h"

namespace verace::weights {
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

}  // namespace

uint32_t crc32(std::span<const std::byte> bytes) {
  uint32_t sum = 0xffffffffU;
  while (bytes.size() >= 8) {
    const uint64_t word = little_endian(bytes.first(8)) ^ sum;
    sum = 0;
    for (size_t i = 0; i < 8; ++i) sum ^= kTable[7 - i][word >> (8 * i) & 0xff];
    bytes = bytes.subspan(8);
  }
  for (const std::byte byte : bytes) {
    sum = sum >> 8 ^ kTable[0][(sum ^ std::to_integer<uint32_t>(byte)) & 0xff];
  }
  return ~sum;
}

}  // namespace verace::weights

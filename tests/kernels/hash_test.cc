// FNV-1a, XXH64 and CRC-32 against values of their authors' programs.
#include "kernels/hash.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace verace::hash_test {
namespace {

std::vector<std::byte> pattern(size_t count) {
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 167 + 13);
  return bytes;
}

uint64_t xxh64(std::span<const std::byte> bytes) {
  Xxh64 sum;
  sum.add(bytes);
  return sum.value();
}

// draft-eastlake-fnv, appendix C.
TEST_CASE("FNV-1a: known values, in one piece or several") {
  CHECK(fnv1a("") == 0xCBF29CE484222325u);
  CHECK(fnv1a("a") == 0xAF63DC4C8601EC8Cu);
  CHECK(fnv1a("foobar") == 0x85944171F73967E8u);
  CHECK(fnv1a("bar", fnv1a("foo")) == fnv1a("foobar"));
}

// Of python-xxhash 3, xxh64(bytes((i * 167 + 13) & 255 for i in range(n))): every length of a tail
// in words of 8, 4 and 1 bytes, without and behind blocks of 32.
TEST_CASE("XXH64: known values") {
  const std::pair<size_t, uint64_t> known[] = {
      {0, 0xEF46DB3751D8E999u},   {1, 0x2078E1AD38AD738Bu},   {3, 0x634D95FC01A189CDu},
      {4, 0xEED340908A1AC6C6u},   {7, 0x0DA493621D6DC898u},   {8, 0x76F916C7BB523126u},
      {11, 0x8BEAE4D88D350B4Bu},  {12, 0xFB52F89A1DC449D2u},  {20, 0xB497DDDE8CA2DE89u},
      {31, 0x65C5FEB01DA7464Du},  {32, 0x7665C921C9BF2EC7u},  {33, 0xB5A9D9EF259AE821u},
      {39, 0xE2148DBBC5AB4089u},  {44, 0x99597B95F6740623u},  {63, 0xB0289CD9324034F0u},
      {64, 0xFFF2525C99BF2005u},  {65, 0x01FBD6D6AC20FBAFu},  {95, 0x3B4CE2D430B0FDE8u},
      {96, 0xB4C91238BEBC5148u},  {100, 0x74E502DB362EFD4Cu}, {127, 0x48B995C66A54BA1Cu},
      {128, 0x048ADD5A12B8C247u}, {200, 0x4D9D64CA846491AFu}};
  for (const auto& [count, value] : known) {
    INFO(count);
    CHECK(xxh64(pattern(count)) == value);
  }
}

TEST_CASE("XXH64: the pieces do not matter, every bit does") {
  const std::vector<std::byte> bytes = pattern(200);
  for (size_t first = 0; first <= 100; ++first) {
    for (const size_t second : {size_t{0}, size_t{1}, size_t{31}, size_t{32}, size_t{70}}) {
      Xxh64 sum;
      const std::span<const std::byte> all(bytes);
      sum.add(all.first(first));
      sum.add(all.subspan(first, second));
      sum.value();  // looking changes nothing
      sum.add(all.subspan(first + second));
      CHECK(sum.value() == 0x4D9D64CA846491AFu);
    }
  }
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::vector<std::byte> changed = bytes;
    changed[bit / 8] ^= std::byte{1} << (bit % 8);
    CHECK(xxh64(changed) != 0x4D9D64CA846491AFu);
  }
}

std::span<const std::byte> text_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST_CASE("CRC-32: published check values, and lengths around the eight bytes taken at once") {
  CHECK(crc32({}) == 0);
  CHECK(crc32(text_bytes("123456789")) == 0xCBF43926);
  CHECK(crc32(text_bytes("The quick brown fox jumps over the lazy dog")) == 0x414FA339);
  std::string text;
  for (int length = 0; length < 70; ++length) {
    uint32_t sum = 0xFFFFFFFFU;  // bit by bit
    for (const char c : text) {
      sum ^= static_cast<uint8_t>(c);
      for (int bit = 0; bit < 8; ++bit) sum = (sum & 1) != 0 ? 0xEDB88320U ^ (sum >> 1) : sum >> 1;
    }
    CHECK(crc32(text_bytes(text)) == ~sum);
    text += static_cast<char>(length * 37 + 200);
  }
}

}  // namespace
}  // namespace verace::hash_test

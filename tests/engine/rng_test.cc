// The counter-based generator against the published test vectors.
#include "engine/rng.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace verace::engine::rng_test {

using Words = std::array<uint32_t, 4>;

// Random123 1.14, tests/kat_vectors: "philox4x32 10" (counter, key -> result).
TEST_CASE("Philox equals the known answers") {
  CHECK(Philox(0, 0).block(0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(Philox(~0ull, ~0ull).block(~0ull) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  // counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0
  CHECK(Philox(0x299f31d0a4093822ull, 0x0370734413198a2eull).block(0x85a308d3243f6a88ull) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("uniform numbers fill [0, 1) evenly") {
  const Philox random(7, 3);
  constexpr int kCount = 100000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double u = random.uniform(static_cast<uint64_t>(i));
    REQUIRE(u >= 0.0);
    REQUIRE(u < 1.0);
    sum += u;
    squares += u * u;
  }
  // Standard errors: 0.29/sqrt(n) = 9e-4 and 0.30/sqrt(n); five of them.
  CHECK(std::abs(sum / kCount - 0.5) < 5e-3);
  CHECK(std::abs(squares / kCount - 1.0 / 3) < 5e-3);
}

TEST_CASE("below() keeps its bound and reaches every value") {
  const Philox random(1);
  std::vector<int> seen(7);
  for (uint64_t i = 0; i < 7000; ++i) ++seen.at(random.below(i, 7));
  for (const int count : seen) CHECK(std::abs(count - 1000) < 200);
}

TEST_CASE("streams and seeds differ") {
  CHECK(Philox(1, 0).block(0) != Philox(1, 1).block(0));
  CHECK(Philox(1, 0).block(0) != Philox(2, 0).block(0));
}

// The authors' test vectors (draft-eastlake-fnv), and a byte beyond ASCII.
TEST_CASE("a name's stream is its FNV-1a hash") {
  CHECK(stream_of("") == 0xcbf29ce484222325u);
  CHECK(stream_of("a") == 0xaf63dc4c8601ec8cu);
  CHECK(stream_of("foobar") == 0x85944171f73967e8u);
  CHECK(stream_of("\xc3") == 0xaf647e4c8602ffd2u);
}

}  // namespace verace::engine::rng_test

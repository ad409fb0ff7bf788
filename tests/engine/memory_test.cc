// Buffers and the arena.
#include "engine/memory.h"

#include <doctest/doctest.h>

#include <cstring>
#include <utility>

#include "kernels/check.h"

namespace verace::engine::memory_test {

TEST_CASE("buffers are counted, aligned, zero and move-only") {
  const int64_t before = memory_use().current;
  {
    Buffer a(1000);
    CHECK(memory_use().current == before + 1000);
    CHECK(reinterpret_cast<uintptr_t>(a.data()) % kAlignment == 0);
    for (int i = 0; i < 1000; ++i) CHECK(a.data()[i] == std::byte{0});
    Buffer b(std::move(a));
    CHECK(b.bytes() == 1000);
    CHECK(a.bytes() == 0);  // NOLINT: the moved-from state is part of the contract
    CHECK(memory_use().current == before + 1000);
    b = Buffer(50);
    CHECK(memory_use().current == before + 50);
    CHECK(memory_use().peak >= before + 1000);
  }
  CHECK(memory_use().current == before);
  static_assert(!std::is_copy_constructible_v<Buffer>);
}

TEST_CASE("a buffer that no system has is an input error that says how much") {
  try {
    Buffer impossible(int64_t{1} << 60);
    FAIL("must throw");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kInput);
    CHECK(std::string(error.what()).find("MB more are needed") != std::string::npos);
  }
}

TEST_CASE("an arena grows and never shrinks") {
  Arena arena;
  arena.reserve(100);
  arena.reserve(5000);
  std::memset(arena.base(), 1, 5000);
  std::byte* base = arena.base();
  arena.reserve(10);
  CHECK(arena.base() == base);
  CHECK(arena.bytes() == 5000);
}

}  // namespace verace::engine::memory_test

// expect_caught(): asserts that a test's own check fails on a deliberately planted fault; and its
// counterparts for what must hold.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <utility>

#include "tests/support/compare.h"
#include "tests/support/contents.h"
#include "tests/support/sanitized.h"

namespace verace::test {

// Whether a planted fault may reach into the guards of a buffer: not where AddressSanitizer watches
// them, which would end the program (and so has caught the fault).
inline bool may_overrun() { return !is_sanitized(); }

// Fails the test that has looked at elements which nothing had written.
inline void expect_no_unwritten_looks() {
  const size_t looks = std::exchange(contents().unwritten_looks, 0);
  CHECK_MESSAGE(looks == 0, "the test looked at ", looks, " elements that nothing had written");
}

// `check_result`: what the test's checking function said about the faulty operation; it must be
// false. The fault may have been that the operation did not write.
inline void expect_caught(const std::string& fault, bool check_result) {
  contents().unwritten_looks = 0;
  CHECK_MESSAGE(!check_result, "planted fault went unnoticed: ", fault);
}

inline void expect_caught(const std::string& fault, const Comparison& comparison) {
  contents().unwritten_looks = 0;
  CHECK_MESSAGE(!comparison.ok, "planted fault went unnoticed: ", fault, "; ", comparison.message);
}

inline void expect_caught(const std::string& fault, const Verdict& verdict) {
  contents().unwritten_looks = 0;
  CHECK_MESSAGE(!verdict.ok, "planted fault went unnoticed: ", fault);
}

// The counterpart for the correct operation, so that both go through the same function.
inline void expect_ok(const std::string& what, const Comparison& comparison) {
  expect_no_unwritten_looks();
  CHECK_MESSAGE(comparison.ok, what, ": ", comparison.message);
}

inline void expect_ok(const std::string& what, const Verdict& verdict) {
  expect_no_unwritten_looks();
  CHECK_MESSAGE(verdict.ok, what, ": ", verdict.message);
}

}  // namespace verace::test

// expect_caught(): asserts that a test's own check fails on a deliberately planted fault.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "tests/support/compare.h"

namespace verace::test {

// Whether a planted fault may reach into the guards of a buffer: not where AddressSanitizer watches
// them, which would end the program (and so has caught the fault).
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool may_overrun = false;
#else
inline constexpr bool may_overrun = true;
#endif

// `check_result`: what the test's checking function said about the faulty operation; it must be
// false.
inline void expect_caught(const std::string& fault, bool check_result) {
  CHECK_MESSAGE(!check_result, "planted fault went unnoticed: ", fault);
}

inline void expect_caught(const std::string& fault, const Comparison& comparison) {
  CHECK_MESSAGE(!comparison.ok, "planted fault went unnoticed: ", fault, "; ", comparison.message);
}

inline void expect_caught(const std::string& fault, const Verdict& verdict) {
  CHECK_MESSAGE(!verdict.ok, "planted fault went unnoticed: ", fault);
}

// The counterpart for the correct operation, so that both go through the same function.
inline void expect_ok(const std::string& what, const Comparison& comparison) {
  CHECK_MESSAGE(comparison.ok, what, ": ", comparison.message);
}

inline void expect_ok(const std::string& what, const Verdict& verdict) {
  CHECK_MESSAGE(verdict.ok, what, ": ", verdict.message);
}

}  // namespace verace::test

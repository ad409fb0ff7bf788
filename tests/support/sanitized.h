// What tests leave out where the sanitizers make it slow.
#pragma once

#include <cstdio>

namespace verace::test {

// Whether this program is built with AddressSanitizer: code takes about seven times as long.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool is_sanitized = true;
#else
inline constexpr bool is_sanitized = false;
#endif

// Whether `what` of `test` ("ROOM/SUBJECT_test") is left out here; if so it is counted and printed
// as skipped (scripts/run_tests.sh reads the line). The release and emulated parts run it.
inline bool skip_if_sanitized(const char* test, const char* what) {
  if constexpr (is_sanitized) {
    std::printf("SKIPPED %s %s: too slow under the sanitizers; other parts run it\n", test, what);
  }
  return is_sanitized;
}

}  // namespace verace::test

// What tests leave out where the sanitizers make it slow.
#pragma once

#include <cstdio>

#include "tests/support/emulated.h"

extern "C" {
// AddressSanitizer's and LeakSanitizer's; null where the program has none.
__attribute__((weak)) void __asan_init();
__attribute__((weak)) void __lsan_disable();
__attribute__((weak)) void __lsan_enable();
}

namespace verace::test {

// Whether what is tested is built with AddressSanitizer: its code takes about seven times as long.
// The tests' own code is the same in all builds (tests/CMakeLists.txt), so the program is asked.
inline bool is_sanitized() { return __asan_init != nullptr; }

// Whether `what` of `test` ("ROOM/SUBJECT_test") is left out here; if so it is counted and printed
// as skipped (scripts/run_tests.sh reads the line). The release and emulated parts run it.
inline bool skip_if_sanitized(const char* test, const char* what) {
  if (is_sanitized()) {
    std::printf("SKIPPED %s %s: too slow under the sanitizers; other parts run it\n", test, what);
  }
  return is_sanitized();
}

// The same, also where each access of a kernel is checked.
inline bool skip_if_checked(const char* test, const char* what) {
  if (skip_if_sanitized(test, what)) return true;
  if (accesses_are_checked()) {
    std::printf("SKIPPED %s %s: too slow under the access checker; other parts run it\n", test,
                what);
  }
  return accesses_are_checked();
}

}  // namespace verace::test

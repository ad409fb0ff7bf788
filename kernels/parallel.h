// Parallel loops of the CPU device; what a thread gets depends on the work alone, never on timing.
#pragma once

#include <cstdint>

#include "kernels/exec.h"

namespace verace::kernels {

// Calls body(i) for i in [0, count) on exec.threads threads, each a contiguous range. body must not
// throw and iterations must not depend on each other.
template <typename Body>
void parallel_for(const Exec& exec, int64_t count, Body&& body) {
  if (exec.threads == 1 || count <= 1) {
    for (int64_t i = 0; i < count; ++i) body(i);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(exec.threads)
  for (int64_t i = 0; i < count; ++i) body(i);
}

// Calls body(begin, end) over [0, count) in pieces of `grain` (the last one shorter). The pieces
// depend on count and grain only, so partial results per piece are the same for any number of
// threads.
template <typename Body>
void parallel_ranges(const Exec& exec, int64_t count, int64_t grain, Body&& body) {
  const int64_t pieces = (count + grain - 1) / grain;
  parallel_for(exec, pieces, [&](int64_t piece) {
    const int64_t begin = piece * grain;
    const int64_t end = begin + grain < count ? begin + grain : count;
    body(begin, end);
  });
}

// Elements per piece of an element-wise loop: large enough to hide the cost of a task, small enough
// for L1.
inline constexpr int64_t kElementGrain = 16384;

}  // namespace verace::kernels

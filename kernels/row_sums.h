// How the CPU's sums over rows (batch norm, bias gradient) divide their work, and prefetch.
#pragma once

#include <cstdint>

namespace verace::kernels::cpu {

inline constexpr int64_t kMaxPieces = 64;  // upper bound of the parallelism of a sum
inline constexpr int64_t kLine = 16;       // floats in a cache line
inline constexpr int64_t kAhead = 4096;    // floats between what is read and what is prefetched
inline constexpr int64_t kChunk = 128;     // channels between two bursts of prefetches

}  // namespace verace::kernels::cpu

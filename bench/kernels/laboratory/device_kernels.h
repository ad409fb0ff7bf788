// The laboratory's own kernels: what the memory of this device can do, and emptying its L2.
#pragma once

#include <cstddef>
#include <cstdint>

struct CUstream_st;

namespace verace::laboratory {

// Overwrites `bytes` bytes at `p` (16-byte aligned; a multiple of 16) with varying numbers.
void overwrite(void* p, size_t bytes, CUstream_st* stream);
// y = x: moves 2 * 4 * count bytes. 16-byte aligned; count is a multiple of 4.
void copy(const float* x, float* y, size_t count, CUstream_st* stream);
// z = x + 3 * y (McCalpin's triad): moves 3 * 4 * count bytes.
void triad(const float* x, const float* y, float* z, size_t count, CUstream_st* stream);
// Nothing: what one launch between two events costs.
void empty(CUstream_st* stream);

}  // namespace verace::laboratory

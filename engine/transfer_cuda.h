// The CUDA runtime's copies; only transfer.cc calls them.
#pragma once

#include <cstdint>

struct CUstream_st;

namespace verace::engine::cuda {

enum class Way { kToDevice, kToHost, kWithin };

// Of pinned memory of the host, the bytes must stay as they are until the copy is done.
void copy(CUstream_st* stream, void* to, const void* from, int64_t bytes, Way way);
// After all work of the device, and done when it returns.
void copy_now(void* to, const void* from, int64_t bytes, Way way);
void fill_zero(CUstream_st* stream, void* p, int64_t bytes);
void wait(CUstream_st* stream);

}  // namespace verace::engine::cuda

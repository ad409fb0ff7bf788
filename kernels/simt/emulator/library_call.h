// What the stand-ins of NVIDIA's libraries share: their work in the order of a stream, and what a
// library would trip over in its arguments.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

struct CUstream_st;

namespace verace::simt::emulator {

// Appends `work` to the stream, as a library's call does. Throws Error(kInternal) where the stream
// does not exist, where the runtime refuses, and for what the work itself throws if it runs at
// once.
void enqueue_library_call(CUstream_st* stream, std::function<void()> work);

// Throws Error(kInternal) with `what` unless [p, p + bytes) is memory that the device reaches.
void check_device_memory(const void* p, size_t bytes, const std::string& what);
// While the work runs: throws Error(kInternal) with `what` unless each of these bytes was written.
void check_written(const void* p, size_t bytes, const std::string& what);

}  // namespace verace::simt::emulator

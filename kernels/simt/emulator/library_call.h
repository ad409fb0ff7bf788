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

// While the work runs: throws Error(kInternal) with `what` unless [p, p + bytes) is memory that the
// device reaches, and each byte of it has been written.
void check_library_reads(const void* p, size_t bytes, const std::string& what);
// The same for what is about to be written, without looking at what stands there.
void check_library_writes(const void* p, size_t bytes, const std::string& what);

}  // namespace verace::simt::emulator

// What the scheduler and the runtime tell the access checker; nothing when it is not compiled in.
#pragma once

#include <cstddef>
#include <cstdint>

namespace verace::simt::emulator::checker {

#if VERACE_SIMT_CHECK
inline constexpr bool compiled_in = true;
#else
inline constexpr bool compiled_in = false;
#endif

inline constexpr unsigned kNoThread = ~0u;

// A launch begins; its arguments may be read by every thread.
void begin_launch(const void* arguments, size_t bytes);
void begin_block(uint64_t block, unsigned threads, const void* dynamic_shared, size_t bytes);
void run_thread(unsigned thread);  // the one that runs from now on; kNoThread: the emulator itself
void barrier();                    // all threads of the block have met
void sync_warp(unsigned warp, uint32_t mask);
void fence();
void atomic(bool begins);

// Device memory.
void allocated(const void* p, size_t bytes, bool initialised);
void freed(const void* p);
void initialised(const void* p, size_t bytes);
void forget(const void* p, size_t bytes);                     // nothing has written these bytes
void copied(const void* to, const void* from, size_t bytes);  // before the bytes are
size_t count_uninitialised(const void* p, size_t bytes);
void forbid(const void* p, size_t bytes);  // any access is an overrun, until allow()
void allow(const void* p, size_t bytes);

}  // namespace verace::simt::emulator::checker

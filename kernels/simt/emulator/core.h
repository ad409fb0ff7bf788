// Between the device API (what a kernel calls) and the scheduler (what runs the threads).
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>

#include "kernels/simt/emulator/qualifiers.h"

namespace verace::simt::emulator {

struct Shape {
  dim3 grid, block;
  size_t dynamic_shared_bytes;
  const char* file;  // of the launch
  int line;
};

// A kernel with its arguments; copies share them (a graph replays the same ones).
struct Body {
  const void* kernel;
  std::shared_ptr<void> closure;
  size_t closure_bytes;
  void (*call)(void* closure);
};

struct Launch {
  Shape shape;
  Body body;
};

template <class... P>
struct Closure {
  void (*kernel)(P...);
  std::tuple<P...> arguments;

  template <size_t... I>
  SIMT_UNCHECKED void call_kernel(std::index_sequence<I...>) {
    kernel(std::get<I>(arguments)...);
  }
  SIMT_UNCHECKED static void call(void* closure) {
    static_cast<Closure*>(closure)->call_kernel(std::index_sequence_for<P...>{});
  }
};

template <class... P>
Body make_body(void (*kernel)(P...), std::tuple<P...> arguments) {
  using C = Closure<P...>;
  return {reinterpret_cast<const void*>(kernel),
          std::make_shared<C>(C{kernel, std::move(arguments)}), sizeof(C), C::call};
}

// Hands a launch to a stream (runtime stand-in); by default it runs at once. Throws verace::Error
// when the launch is invalid or a check inside the kernel fails.
void enqueue(cudaStream_t stream, Launch&& launch);

// ---- called from kernels ------------------------------------------------------------------------

void* dynamic_shared();

enum class Reduce { kNone, kCount, kAll, kAny };
// The block's barrier; returns the reduction of `predicate` over its threads.
int barrier(Reduce reduce, int predicate, const char* file, int line);

// Every lane of `mask` hands in a pointer; the last to arrive runs `complete` for all of them.
using Complete = void (*)(void** lane_slots, uint32_t mask);
struct WarpOperation {
  const char* name;
  Complete complete;   // may be nullptr
  bool orders_memory;  // true for __syncwarp only: a shuffle or a vote orders nothing
};
void warp_collective(uint32_t mask, const WarpOperation& operation, void* slot, const char* file,
                     int line);

void fence();  // __threadfence
unsigned lane();

// Stops the kernel: the launch throws verace::Error with this message and the thread's place.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Stops the kernel unless p is a multiple of `bytes`: where the compiler may split a vector access,
// neither sanitizer nor access checker sees how wide it is on the device.
inline void check_aligned(const void* p, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0) {
    fail("vector access at %p, which is no multiple of %zu", p, bytes);
  }
}

// While one lives, the accesses of this thread count as atomic for the access checker.
struct AtomicScope {
  AtomicScope();
  ~AtomicScope();
  AtomicScope(const AtomicScope&) = delete;
  AtomicScope& operator=(const AtomicScope&) = delete;
};

}  // namespace verace::simt::emulator

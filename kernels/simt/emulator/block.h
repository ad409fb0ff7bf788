// One block at a time of a grid, on one OS thread: its threads as fibers on demand, its barriers
// and warp operations.
//
// A fiber runs thread after thread as plain calls; only when a thread has to wait does another
// fiber go on with the rest. A kernel without barriers costs one switch per block.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/simt/emulator/core.h"
#include "kernels/simt/emulator/fiber.h"
#include "kernels/simt/emulator/options.h"
#include "kernels/simt/emulator/schedule.h"

namespace verace::simt::emulator {

class Block {
 public:
  // The one of this OS thread.
  static Block& here();

  // Runs all threads of block `index`, the `number`-th of its grid. Throws verace::Error when a
  // check fails; the threads are then abandoned where they are.
  void run(const Launch& launch, dim3 index, uint64_t number);

  Counters& counters() { return counters_; }

  // For the running thread:
  int barrier(Reduce reduce, int predicate, const char* file, int line);
  void warp_collective(uint32_t mask, const WarpOperation& operation, void* slot, const char* file,
                       int line);
  unsigned lane() const { return current_->id & 31; }
  void* dynamic_shared();
  bool on_own_stack(const void* p) const;
  // Abandons the thread's stack, so the message is emptied: nobody will destroy it.
  [[noreturn]] void fail(std::string&& message);

 private:
  enum class State : uint8_t { kReady, kBarrier, kWarp, kDone };
  struct Thread {
    Fiber* fiber = nullptr;  // nullptr: has not begun
    uint3 index{};
    unsigned id = 0;
    State state = State::kReady;
    // Where it waits:
    const char* what = nullptr;
    const char* file = nullptr;
    int line = 0;
    int result = 0;  // of the barrier
  };
  struct Pending {  // a warp operation some of whose lanes have not arrived
    uint32_t mask, arrived;
    WarpOperation operation;
    const char* file;
    int line;
    void* slots[32];
  };

  void begin(const Launch& launch, dim3 index, uint64_t number);
  void number_threads(dim3 shape);
  void prepare_dynamic_shared(size_t bytes);
  [[noreturn]] void throw_error(dim3 index);
  static void fiber_entry();
  [[noreturn]] void run_threads();
  Fiber* next();
  Fiber* idle_fiber();
  void go_to(Fiber* fiber);
  void wait(State state, const char* what, const char* file, int line);
  void wait_or_go_on(Thread& thread);
  void reduce_at_barrier(const Thread& thread, Reduce reduce, bool predicate);
  void release_barrier();
  void finish(Thread& thread);
  Pending& pending_operation(uint32_t mask, const WarpOperation& operation, const char* file,
                             int line);
  void complete(unsigned warp, Pending& pending);
  std::string deadlock() const;

  const Launch* launch_ = nullptr;
  dim3 numbered_{0, 0, 0};  // the block shape for which threads_ have their indices
  std::vector<Thread> threads_;
  ReadyThreads ready_;
  unsigned live_ = 0, at_barrier_ = 0, first_at_barrier_ = 0;
  Reduce reduce_ = Reduce::kNone;
  int reduced_ = 0;
  std::vector<uint32_t> returned_;             // by warp: lanes that have returned
  std::vector<std::vector<Pending>> pending_;  // by warp
  Thread* current_ = nullptr;

  Fiber main_;
  Fiber* running_ = &main_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;

  std::unique_ptr<std::byte[]> dynamic_shared_;
  size_t dynamic_shared_bytes_ = 0;
  std::string error_;
  Counters counters_{};
};

}  // namespace verace::simt::emulator

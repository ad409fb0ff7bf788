// A fiber: a stack of its own that one OS thread switches to and from; one runs the threads of a
// block that have not had to wait.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#if VERACE_SIMT_UCONTEXT
#include <ucontext.h>
#endif

namespace verace::simt::emulator {

class Fiber {
 public:
  // The OS thread's own stack: the place that fibers are started from.
  Fiber() = default;
  // A new stack on which `entry` begins at the first switch; entry never returns.
  explicit Fiber(void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Forgets where the fiber was (what it ran is abandoned, not unwound: device code owns nothing)
  // and makes it begin anew.
  void restart();

  // Leaves `from`, goes on in `to`. `abandon`: `from` will only ever be restarted.
  static void change(Fiber& from, Fiber& to, bool abandon = false);
  // The first thing that an entry function must call.
  static void entered();

  bool contains(const void* p) const;

 private:
  void* stack_pointer_ = nullptr;
  std::byte* mapping_ = nullptr;  // guard page, then the stack
  const void* bottom_ = nullptr;  // lowest address of the stack
  size_t size_ = 0;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
  void (*entry_)() = nullptr;
  size_t colour_ = 0;
#if VERACE_SIMT_UCONTEXT
  ucontext_t context_;
#endif
};

}  // namespace verace::simt::emulator

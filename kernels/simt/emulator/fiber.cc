// Switching between stacks: twelve instructions on x86-64, <ucontext.h> elsewhere; and what
// AddressSanitizer has to be told of it.
#include "kernels/simt/emulator/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "kernels/check.h"
#include "kernels/simt/emulator/qualifiers.h"

#if SIMT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !VERACE_SIMT_UCONTEXT
#if !defined(__x86_64__)
#error "no stack switch for this processor: configure with -DVERACE_SIMT_UCONTEXT=ON"
#endif
// Saves the registers that a call preserves, and the stack pointer in *save; takes those of `to`.
extern "C" void verace_simt_switch(void** save, void* to);
asm(R"(.text
.p2align 4
.type verace_simt_switch,@function
verace_simt_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size verace_simt_switch,.-verace_simt_switch
)");
#endif

namespace verace::simt::emulator {
namespace {

// One page, of whatever size.
size_t guard_bytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}
constexpr size_t kStackBytes = size_t{128} << 10;
// The tops of the stacks are spread over this many cache lines: all at one distance from a page
// border, they would share a few cache sets.
constexpr size_t kColours = 61, kColourBytes = 64;
thread_local size_t next_colour = 0;

thread_local Fiber* left = nullptr;  // the fiber that the last switch came from

#if SIMT_ASAN
// Gives back where AddressSanitizer kept the frames of an abandoned fiber. Only who leaves a stack
// for good can, so this pretends to go there and leave.
__attribute__((no_sanitize("address"))) void drop_fake_stack(void* fake_stack, const void* bottom,
                                                             size_t size) {
  if (fake_stack == nullptr) return;
  void* own = nullptr;
  const void* own_bottom = nullptr;
  size_t own_size = 0;
  __sanitizer_start_switch_fiber(&own, bottom, size);
  __sanitizer_finish_switch_fiber(fake_stack, &own_bottom, &own_size);
  __sanitizer_start_switch_fiber(nullptr, own_bottom, own_size);
  __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
}
#endif

}  // namespace

Fiber::Fiber(void (*entry)()) : entry_(entry), colour_(next_colour++ % kColours * kColourBytes) {
  void* mapping = mmap(nullptr, guard_bytes() + kStackBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  VERACE_CHECK(mapping != MAP_FAILED, "no memory for the stack of an emulated thread");
  mapping_ = static_cast<std::byte*>(mapping);
  VERACE_CHECK(mprotect(mapping_, guard_bytes(), PROT_NONE) == 0, "no guard page for a stack");
  bottom_ = mapping_ + guard_bytes();
  size_ = kStackBytes;
  restart();
}

Fiber::~Fiber() {
  if (mapping_ == nullptr) return;
#if SIMT_ASAN
  drop_fake_stack(fake_stack_, bottom_, size_);
  __asan_unpoison_memory_region(mapping_ + guard_bytes(), size_);
#endif
  munmap(mapping_, guard_bytes() + kStackBytes);
}

void Fiber::restart() {
#if SIMT_ASAN
  // An abandoned stack keeps the poison of its frames.
  drop_fake_stack(fake_stack_, bottom_, size_);
  __asan_unpoison_memory_region(mapping_ + guard_bytes(), size_);
#endif
  fake_stack_ = nullptr;
#if VERACE_SIMT_UCONTEXT
  getcontext(&context_);
  context_.uc_stack.ss_sp = mapping_ + guard_bytes();
  context_.uc_stack.ss_size = kStackBytes - colour_;
  context_.uc_link = nullptr;
  makecontext(&context_, entry_, 0);
#else
  // What verace_simt_switch pops: six registers and the address to return to. At the entry the
  // stack pointer is 8 modulo 16, as after a call.
  auto** top = reinterpret_cast<void**>(mapping_ + guard_bytes() + kStackBytes - colour_);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry_);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  stack_pointer_ = top;
#endif
}

bool Fiber::contains(const void* p) const {
  return reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(bottom_) < size_;
}

void Fiber::change(Fiber& from, Fiber& to, [[maybe_unused]] bool abandon) {
  left = &from;
#if SIMT_ASAN
  __sanitizer_start_switch_fiber(abandon ? nullptr : &from.fake_stack_, to.bottom_, to.size_);
#endif
#if VERACE_SIMT_UCONTEXT
  swapcontext(&from.context_, &to.context_);
#else
  verace_simt_switch(&from.stack_pointer_, to.stack_pointer_);
#endif
#if SIMT_ASAN
  const void* bottom = nullptr;
  size_t size = 0;
  // What the fiber has while it runs belongs to ASan, and is gone when it leaves for good.
  __sanitizer_finish_switch_fiber(std::exchange(from.fake_stack_, nullptr), &bottom, &size);
  if (left->entry_ == nullptr) {
    left->bottom_ = bottom;
    left->size_ = size;
  }
#endif
}

void Fiber::entered() {
#if SIMT_ASAN
  const void* bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  if (left->entry_ == nullptr) {  // the OS thread's stack, whose place only ASan knows
    left->bottom_ = bottom;
    left->size_ = size;
  }
#endif
}

}  // namespace verace::simt::emulator

// How the threads of a block take turns, and what is checked when they wait for each other.
#include "kernels/simt/emulator/block.h"

#include <bit>
#include <cstring>

#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/simt/emulator/checker.h"
#include "kernels/simt/emulator/device_api.h"

namespace verace::simt::emulator {
namespace {

bool same_place(const char* file_a, int line_a, const char* file_b, int line_b) {
  return line_a == line_b && (file_a == file_b || std::strcmp(file_a, file_b) == 0);
}

void tell_checker(unsigned thread) {
  if constexpr (checker::compiled_in) checker::run_thread(thread);
}

}  // namespace

Block& Block::here() {
  // A thread-local object with a destructor costs a check at every access; a pointer does not.
  static thread_local constinit Block* here = nullptr;
  if (here == nullptr) {
    thread_local Block block;
    here = &block;
  }
  return *here;
}

// ---- a block's life -----------------------------------------------------------------------------

void Block::number_threads(dim3 shape) {
  if (numbered_.x == shape.x && numbered_.y == shape.y && numbered_.z == shape.z) return;
  numbered_ = shape;
  threads_.resize(size_t{shape.x} * shape.y * shape.z);
  for (unsigned i = 0; i < threads_.size(); ++i) {
    threads_[i].id = i;
    threads_[i].index = uint3{i % shape.x, i / shape.x % shape.y, i / shape.x / shape.y};
  }
}

// Every byte 0xff, so every float NaN: what is read before it is written shows in the result.
void Block::prepare_dynamic_shared(size_t bytes) {
  if (dynamic_shared_bytes_ != bytes) {
    dynamic_shared_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
    dynamic_shared_bytes_ = bytes;
  }
  if (bytes > 0) std::memset(dynamic_shared_.get(), 0xff, bytes);
}

void Block::begin(const Launch& launch, dim3 index, uint64_t number) {
  launch_ = &launch;
  const Shape& shape = launch.shape;
  number_threads(shape.block);
  for (Thread& thread : threads_) {
    thread.state = State::kReady;
    thread.fiber = nullptr;
  }
  const auto threads = static_cast<unsigned>(threads_.size());
  live_ = threads;
  at_barrier_ = 0;
  ready_.begin_block(threads, current_schedule(), number);
  returned_.assign((threads + 31) / 32, 0);
  pending_.resize(returned_.size());
  for (auto& operations : pending_) operations.clear();
  blockIdx = uint3{index.x, index.y, index.z};
  blockDim = shape.block;
  gridDim = shape.grid;
  prepare_dynamic_shared(shape.dynamic_shared_bytes);
  if constexpr (checker::compiled_in) {
    checker::begin_block(number, threads, dynamic_shared_.get(), shape.dynamic_shared_bytes);
  }
}

void Block::run(const Launch& launch, dim3 index, uint64_t number) {
  begin(launch, index, number);
  go_to(next());
  tell_checker(checker::kNoThread);
  current_ = nullptr;
  ++counters_.blocks;
  counters_.threads += threads_.size();
  if (!error_.empty()) throw_error(index);
}

void Block::throw_error(dim3 index) {
  const Shape& shape = launch_->shape;
  const std::string message = text::format("{}:{}: block ({},{},{}): {}", shape.file, shape.line,
                                           index.x, index.y, index.z, error_);
  error_.clear();
  idle_.clear();
  for (const auto& fiber : fibers_) {
    fiber->restart();
    idle_.push_back(fiber.get());
  }
  throw Error(ErrorKind::kInternal, message);
}

// ---- taking turns -------------------------------------------------------------------------------

void Block::fiber_entry() {
  Fiber::entered();
  here().run_threads();
}

// What every fiber does: runs threads that have not begun, until one elsewhere has to go on.
void Block::run_threads() {
  Fiber* const self = running_;
  for (;;) {
    Thread& thread = *current_;
    thread.fiber = self;
    threadIdx = thread.index;
    tell_checker(thread.id);
    launch_->body.call(launch_->body.closure.get());
    tell_checker(checker::kNoThread);
    finish(thread);
    idle_.push_back(self);  // next() takes it back when the next thread has not begun
    Fiber* const fiber = next();
    if (fiber != self) go_to(fiber);
  }
}

Fiber* Block::idle_fiber() {
  if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>(fiber_entry));
    return fibers_.back().get();
  }
  Fiber* const fiber = idle_.back();
  idle_.pop_back();
  return fiber;
}

// Chooses the next thread (current_) and returns its fiber; main_ when all have returned or none
// can go on.
Fiber* Block::next() {
  const int chosen = ready_.take();
  if (chosen == ReadyThreads::kNone) {
    if (live_ > 0) error_ = deadlock();
    return &main_;
  }
  current_ = &threads_[static_cast<size_t>(chosen)];
  return current_->fiber != nullptr ? current_->fiber : idle_fiber();
}

void Block::go_to(Fiber* fiber) {
  Fiber* const from = running_;
  running_ = fiber;
  ++counters_.switches;
  Fiber::change(*from, *fiber, fiber == &main_ && !error_.empty());
}

// Lets others run until this thread, which waits or has just become ready, is chosen.
void Block::wait_or_go_on(Thread& thread) {
  Fiber* const fiber = next();
  if (fiber != thread.fiber) go_to(fiber);
  current_ = &thread;
  threadIdx = thread.index;
  tell_checker(thread.id);
}

void Block::wait(State state, const char* what, const char* file, int line) {
  Thread& thread = *current_;
  thread.state = state;
  thread.what = what;
  thread.file = file;
  thread.line = line;
  wait_or_go_on(thread);
}

void Block::finish(Thread& thread) {
  thread.state = State::kDone;
  --live_;
  const unsigned warp = thread.id / 32, lane = thread.id % 32;
  returned_[warp] |= 1u << lane;
  for (const Pending& pending : pending_[warp]) {
    if ((pending.mask >> lane & 1) != 0) {
      fail(text::format("returns while other lanes wait for it in {} at {}:{} (mask {:08x})",
                        pending.operation.name, pending.file, pending.line, pending.mask));
    }
  }
  if (at_barrier_ > 0) {
    const Thread& other = threads_[first_at_barrier_];
    fail(text::format("returns while thread {} waits at the barrier {}:{}", other.id, other.file,
                      other.line));
  }
}

std::string Block::deadlock() const {
  std::string message = "deadlock: ";
  const Thread* shown = nullptr;
  int lines = 0;
  for (const Thread& thread : threads_) {
    if (thread.state == State::kDone || thread.state == State::kReady) continue;
    const bool repeats = shown != nullptr && shown->state == thread.state &&
                         same_place(shown->file, shown->line, thread.file, thread.line);
    if (repeats || lines == 8) continue;
    shown = &thread;
    ++lines;
    message += text::format("thread {} waits in {} at {}:{}; ", thread.id, thread.what, thread.file,
                            thread.line);
  }
  return message +
         text::format("{} of {} threads have returned", threads_.size() - live_, threads_.size());
}

void Block::fail(std::string&& message) {
  tell_checker(checker::kNoThread);
  error_.clear();
  if (current_ != nullptr) {
    const uint3 i = current_->index;
    error_ = text::format("thread ({},{},{}): ", i.x, i.y, i.z);
  }
  error_ += message;
  std::string().swap(message);
  go_to(&main_);
  __builtin_unreachable();
}

void* Block::dynamic_shared() {
  if (launch_->shape.dynamic_shared_bytes == 0) {
    fail("dynamic shared memory is used, but the launch asked for none");
  }
  return dynamic_shared_.get();
}

bool Block::on_own_stack(const void* p) const { return running_->contains(p); }

// ---- the block's barrier ------------------------------------------------------------------------

void Block::reduce_at_barrier(const Thread& thread, Reduce reduce, bool predicate) {
  if (at_barrier_ == 0) {
    reduce_ = reduce;
    reduced_ = reduce == Reduce::kAll ? 1 : 0;
    first_at_barrier_ = thread.id;
  }
  switch (reduce) {
    case Reduce::kNone:
      break;
    case Reduce::kCount:
      reduced_ += predicate ? 1 : 0;
      break;
    case Reduce::kAll:
      reduced_ &= predicate ? 1 : 0;
      break;
    case Reduce::kAny:
      reduced_ |= predicate ? 1 : 0;
      break;
  }
  ++at_barrier_;
}

int Block::barrier(Reduce reduce, int predicate, const char* file, int line) {
  tell_checker(checker::kNoThread);  // until wait_or_go_on() comes back
  Thread& thread = *current_;
  if (live_ < threads_.size()) {
    fail(text::format("barrier at {}:{}, but {} threads of the block have returned", file, line,
                      threads_.size() - live_));
  }
  if (at_barrier_ > 0) {
    const Thread& other = threads_[first_at_barrier_];
    if (!same_place(file, line, other.file, other.line) || reduce != reduce_) {
      fail(text::format("divergent barrier: this thread at {}:{}, thread {} at {}:{}", file, line,
                        other.id, other.file, other.line));
    }
  }
  reduce_at_barrier(thread, reduce, predicate != 0);
  if (at_barrier_ < live_) {
    wait(State::kBarrier, "__syncthreads", file, line);
    return thread.result;
  }
  thread.state = State::kBarrier;
  release_barrier();
  wait_or_go_on(thread);
  return thread.result;
}

void Block::release_barrier() {
  for (const auto& operations : pending_) {
    for (const Pending& pending : operations) {
      fail(text::format("lanes wait in {} at {}:{} while the rest of the block is at a barrier",
                        pending.operation.name, pending.file, pending.line));
    }
  }
  for (Thread& thread : threads_) {
    thread.result = reduced_;
    thread.state = State::kReady;
    ready_.add(thread.id);
  }
  at_barrier_ = 0;
  ++counters_.barriers;
  if constexpr (checker::compiled_in) checker::barrier();
}

// ---- warp operations ----------------------------------------------------------------------------

Block::Pending& Block::pending_operation(uint32_t mask, const WarpOperation& operation,
                                         const char* file, int line) {
  const unsigned warp = current_->id / 32;
  for (Pending& other : pending_[warp]) {
    if ((other.mask & mask) == 0) continue;
    if (other.mask != mask || other.operation.complete != operation.complete ||
        !same_place(other.file, other.line, file, line)) {
      fail(
          text::format("divergent warp operation: lane {} in {} (mask {:08x}) at {}:{}, others in "
                       "{} (mask {:08x}) at {}:{}",
                       lane(), operation.name, mask, file, line, other.operation.name, other.mask,
                       other.file, other.line));
    }
    return other;
  }
  return pending_[warp].emplace_back(Pending{mask, 0, operation, file, line, {}});
}

void Block::complete(unsigned warp, Pending& pending) {
  ++counters_.warp_operations;
  if (pending.operation.complete != nullptr) {
    pending.operation.complete(pending.slots, pending.mask);
  }
  if constexpr (checker::compiled_in) {
    if (pending.operation.orders_memory) checker::sync_warp(warp, pending.mask);
  }
  const uint32_t mask = pending.mask;
  auto& operations = pending_[warp];
  operations.erase(operations.begin() + (&pending - operations.data()));
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const unsigned id = warp * 32 + static_cast<unsigned>(std::countr_zero(rest));
    threads_[id].state = State::kReady;
    ready_.add(id);
  }
}

void Block::warp_collective(uint32_t mask, const WarpOperation& operation, void* slot,
                            const char* file, int line) {
  tell_checker(checker::kNoThread);  // until wait_or_go_on() comes back
  Thread& thread = *current_;
  const unsigned warp = thread.id / 32, own = thread.id % 32;
  const auto threads = static_cast<unsigned>(threads_.size());
  if (threads - warp * 32 < 32) mask &= (1u << (threads - warp * 32)) - 1;
  if ((mask >> own & 1) == 0) {
    fail(text::format("{} at {}:{}: mask {:08x} leaves out the calling lane {}", operation.name,
                      file, line, mask, own));
  }
  if ((mask & returned_[warp]) != 0) {
    fail(text::format("{} at {}:{}: mask {:08x} names lane {}, which has returned", operation.name,
                      file, line, mask, std::countr_zero(mask & returned_[warp])));
  }
  Pending& pending = pending_operation(mask, operation, file, line);
  pending.slots[own] = slot;
  pending.arrived |= 1u << own;
  if (pending.arrived != mask) {
    wait(State::kWarp, operation.name, file, line);
    return;
  }
  complete(warp, pending);
  wait_or_go_on(thread);
}

}  // namespace verace::simt::emulator

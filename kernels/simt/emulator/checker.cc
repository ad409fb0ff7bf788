// The access checker: what each load and store of a kernel may see; data races by happens-before.
//
// Threads of a block are ordered by barriers, lanes of a warp by __syncwarp (a vector clock per
// lane), blocks by a thread's __threadfence and atomic access and another's access to the same
// variable, launches by their order. A shuffle or a vote orders nothing, as the CUDA guide says.
#include "kernels/simt/emulator/checker.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/format.h"
#include "kernels/simt/emulator/access.h"
#include "kernels/simt/emulator/block.h"
#include "kernels/simt/emulator/device_api.h"
#include "kernels/simt/emulator/fences.h"
#include "kernels/simt/emulator/options.h"
#include "kernels/simt/emulator/shadow.h"
#include "kernels/simt/emulator/source_line.h"

extern "C" char __executable_start, __data_start, _end;

namespace verace::simt::emulator::checker {
namespace {

struct Lane {
  uint32_t clock = 1;
  uint32_t seen[32] = {};  // of the lanes of its warp: what this lane is ordered after
};

// Only the OS thread that runs a kernel is checked, and not while it is inside the emulator: the
// linker may have given the emulator a kernel file's copy of an inline function, with its calls to
// here.
thread_local constinit unsigned running = kNoThread;

class Unwatched {
 public:
  Unwatched() : thread_(running) { running = kNoThread; }
  ~Unwatched() { running = thread_; }
  Unwatched(const Unwatched&) = delete;
  Unwatched& operator=(const Unwatched&) = delete;
  unsigned thread() const { return thread_; }

 private:
  unsigned thread_;
};

struct State {
  Shadow shadow;
  const void* arguments = nullptr;
  size_t argument_bytes = 0;

  std::vector<Segment> segments;   // of this launch
  SegmentId first = 1, next = 1;   // ids of this launch: [first, next)
  std::vector<SegmentId> current;  // by thread of the block; 0: none begun
  std::vector<Lane> lanes;         // by thread
  unsigned thread = 0;             // whose access is being checked
  uint32_t epoch = 0, block = 0;
  uint32_t first_serial = 2, serial = 2;  // a number for each block ever run; > kWritten

  int atomic_depth = 0;
  uintptr_t variable = 0;  // of the atomic access
  Fences fences;
};

State& state() {
  static State all;
  return all;
}

SegmentId own_segment(State& s) {
  SegmentId& id = s.current[s.thread];
  if (id == 0) {
    id = s.next++;
    s.segments.push_back({s.block, s.thread, s.epoch, s.lanes[s.thread].clock});
  }
  return id;
}

// Whether what segment `id` did is known to come before what the running thread does now.
bool is_before(const State& s, SegmentId id, SegmentId own) {
  id &= ~kAtomic;
  if (id < s.first || id == own) return true;
  const Segment& other = s.segments[id - s.first];
  if (other.block == s.block) {
    if (other.thread == s.thread || other.epoch < s.epoch) return true;
    return other.thread / 32 == s.thread / 32 &&
           s.lanes[s.thread].seen[other.thread % 32] >= other.clock;
  }
  return s.fences.is_known(s.thread, id, other);
}

// ---- reports ------------------------------------------------------------------------------------

std::string offset_text(const Region& region, uintptr_t p) {
  return text::format("byte {} of {} memory", p - region.base(),
                      region.shared() ? "shared" : "global");
}

[[noreturn]] void fail_race(const State& s, const Access& access, const char* other_verb,
                            SegmentId id, uint32_t other_code, const Region& region, uintptr_t p) {
  const Segment& other = s.segments[(id & ~kAtomic) - s.first];
  const std::string place = other_code == 0 ? "" : " at " + source_line(other_code);
  Block::here().fail(text::format(
      "{}: data race on {}: {} by this thread, {} by thread {} of block {}{}, and nothing orders "
      "the two",
      source_line(access.code), offset_text(region, p), access.write ? "written" : "read",
      other_verb, other.thread, other.block, place));
}

[[noreturn]] void fail_access(const Access& access, const std::string& what) {
  Block::here().fail(text::format("{}: {} of {} bytes {}", source_line(access.code),
                                  access.write ? "write" : "read", access.bytes, what));
}

bool in_object(uintptr_t p, const void* object, size_t bytes) {
  return p - reinterpret_cast<uintptr_t>(object) < bytes;
}

bool between(uintptr_t p, const char& begin, const char& end) {
  return p >= reinterpret_cast<uintptr_t>(&begin) && p < reinterpret_cast<uintptr_t>(&end);
}

const char* kind_of(const State& s, const Region& region) {
  if (!region.shared()) return "a device allocation";
  return s.shadow.is_shared_array(region) ? "a shared array" : "the launch's dynamic shared memory";
}

// Neither device memory nor shared memory: the thread's own stack, constants and arguments are
// fine.
void check_elsewhere(const State& s, const Access& access) {
  const uintptr_t p = access.address;
  if (Block::here().on_own_stack(reinterpret_cast<const void*>(p))) return;
  if (between(p, __executable_start, __data_start)) return;
  if (in_object(p, s.arguments, s.argument_bytes)) return;
  if (in_object(p, &threadIdx, sizeof threadIdx) || in_object(p, &blockIdx, sizeof blockIdx) ||
      in_object(p, &blockDim, sizeof blockDim) || in_object(p, &gridDim, sizeof gridDim)) {
    return;
  }
  if (const Region* region = s.shadow.before(p)) {
    fail_access(access, text::format("starts {} bytes past the end of {} of {} bytes",
                                     p - region->end(), kind_of(s, *region), region->size()));
  }
  if (between(p, __data_start, _end)) {
    fail_access(access, text::format("at {:#x}, which is static data of the host (or far past a "
                                     "shared array)",
                                     p));
  }
  fail_access(access, text::format("at {:#x}, which is not memory of the device (a pointer of the "
                                   "host?)",
                                   p));
}

// ---- one access ---------------------------------------------------------------------------------

void check_state(const State& s, const Access& access, Region& region, Cell& cell, uintptr_t p) {
  if (cell.state == kForbidden) {
    fail_access(access, "is outside the buffer: " + offset_text(region, p) + " is a guard");
  }
  const uint32_t written = region.shared() ? s.serial : kWritten;
  if (region.shared() && cell.state != written) {  // another block's leavings
    cell.writer = cell.reader = cell.other_reader = 0;
    cell.state = kUnwritten;
  }
  if (access.write) {
    cell.state = written;
  } else if (cell.state == kUnwritten && options().check_uninitialised) {
    const char* const nobody = region.shared() ? "that no thread of the block has written so far: "
                                               : "that nothing has written: ";
    fail_access(access, nobody + offset_text(region, p));
  }
}

void check_races(State& s, const Access& access, SegmentId id, Region& region, Cell& cell,
                 uintptr_t p) {
  const SegmentId own = id & ~kAtomic;
  const auto conflicts = [&](SegmentId other) {
    const bool both_atomic = (id & other & kAtomic) != 0;
    return other != id && !both_atomic && !is_before(s, other, own);
  };
  if (options().check_races) {
    if (conflicts(cell.writer)) {
      fail_race(s, access, "written", cell.writer, cell.writer_code, region, p);
    }
    if (access.write && conflicts(cell.reader)) {
      fail_race(s, access, "read", cell.reader, cell.reader_code, region, p);
    }
    if (access.write && conflicts(cell.other_reader)) {
      fail_race(s, access, "read", cell.other_reader, 0, region, p);
    }
  }
  if (access.write) {
    cell.writer = id;
    cell.writer_code = access.code;
    cell.reader = cell.other_reader = 0;
  } else if (cell.reader != id) {
    if (is_before(s, cell.reader, own)) {
      cell.reader = id;
      cell.reader_code = access.code;
    } else {
      cell.other_reader = id;
    }
  }
}

}  // namespace

void check_access(const Access& access) {
  if (running == kNoThread) return;
  const Unwatched inside;
  State& s = state();
  s.thread = inside.thread();
  const uintptr_t p = access.address;
  Region* const region = s.shadow.find(p);
  if (region == nullptr) {
    check_elsewhere(s, access);
    return;
  }
  ++counters().checked_accesses;
  if (p + access.bytes > region->end()) {
    fail_access(access, text::format("runs past the end of {} of {} bytes", kind_of(s, *region),
                                     region->size()));
  }
  if (access.aligned && p % access.bytes != 0) {
    fail_access(access, text::format("at an address that is no multiple of {}", access.bytes));
  }
  if (s.atomic_depth > 0) s.variable = p;
  const SegmentId id = own_segment(s) | (s.atomic_depth > 0 ? kAtomic : 0);
  Cell* cell = region->cell(p);
  for (unsigned i = 0; i < access.bytes; ++i, ++cell) {
    check_state(s, access, *region, *cell, p + i);
    check_races(s, access, id, *region, *cell, p + i);
  }
}

// ---- what the scheduler tells -------------------------------------------------------------------

void begin_launch(const void* arguments, size_t bytes) {
  State& s = state();
  s.arguments = arguments;
  s.argument_bytes = bytes;
  if (s.next > (1u << 30)) {  // before the ids run into kAtomic
    s.shadow.forget_accesses();
    s.next = 1;
  }
  s.first = s.next;
  s.segments.clear();
  s.first_serial = s.serial + 1;
  s.fences.begin_launch();
}

void begin_block(uint64_t block, unsigned threads, const void* dynamic_shared, size_t bytes) {
  State& s = state();
  s.block = static_cast<uint32_t>(block);
  s.serial = std::max(s.serial + 1, s.first_serial);
  s.epoch = 0;
  s.fences.begin_block();
  s.atomic_depth = 0;
  s.lanes.assign(threads, {});
  s.current.assign(threads, 0);
  s.shadow.set_dynamic_shared(dynamic_shared, bytes);
}

void run_thread(unsigned thread) { running = thread; }

void barrier() {
  State& s = state();
  ++s.epoch;
  s.fences.barrier();
  std::fill(s.current.begin(), s.current.end(), 0u);
}

void sync_warp(unsigned warp, uint32_t mask) {
  State& s = state();
  s.fences.sync_warp(warp, mask);
  Lane* const lanes = s.lanes.data() + size_t{warp} * 32;
  uint32_t latest[32] = {};
  for (unsigned l = 0; l < 32; ++l) {
    if ((mask >> l & 1) == 0) continue;
    lanes[l].seen[l] = lanes[l].clock;
    for (int k = 0; k < 32; ++k) latest[k] = std::max(latest[k], lanes[l].seen[k]);
  }
  for (unsigned l = 0; l < 32; ++l) {
    if ((mask >> l & 1) == 0) continue;
    std::copy(latest, latest + 32, lanes[l].seen);
    ++lanes[l].clock;
    s.current[warp * 32 + l] = 0;
  }
}

// What the thread does from here on is a new segment: not covered by this fence.
void fence() {
  if (running == kNoThread) return;
  const Unwatched inside;
  State& s = state();
  Fence fence{s.block, inside.thread(), s.epoch, s.next, {}, {}};
  std::copy_n(s.lanes[inside.thread()].seen, 32, fence.seen);
  s.fences.fence(std::move(fence));
  s.current[inside.thread()] = 0;
}

void atomic(bool begins) {
  if (running == kNoThread) return;
  const Unwatched inside;
  State& s = state();
  s.atomic_depth += begins ? 1 : -1;
  if (!begins) s.fences.atomic(inside.thread(), s.variable);
}

// ---- what the runtime tells ---------------------------------------------------------------------

namespace {

// The device allocation that p lies in, nullptr if none.
Region* device_memory(uintptr_t p) {
  Region* const region = state().shadow.find(p);
  return region == nullptr || region->shared() ? nullptr : region;
}

// Calls visit(cell) for each byte of [p, p + bytes) that has one.
template <class Visit>
void for_cells(const void* p, size_t bytes, Visit visit) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  Region* const region = device_memory(address);
  if (region == nullptr || bytes == 0) return;
  const size_t most = std::min(bytes, region->end() - address);
  Cell* const cells = region->cell(address);
  for (size_t i = 0; i < most; ++i) visit(cells[i], i);
}

}  // namespace

void allocated(const void* p, size_t bytes, bool written) {
  state().shadow.add(p, bytes);
  if (written) initialised(p, bytes);
}
void freed(const void* p) { state().shadow.remove(p); }

void initialised(const void* p, size_t bytes) {
  for_cells(p, bytes, [](Cell& cell, size_t) {
    if (cell.state != kForbidden) cell.state = kWritten;
  });
}

void forget(const void* p, size_t bytes) {
  for_cells(p, bytes, [](Cell& cell, size_t) {
    if (cell.state != kForbidden) cell.state = kUnwritten;
  });
}

void copied(const void* to, const void* from, size_t bytes) {
  const auto source = reinterpret_cast<uintptr_t>(from);
  Region* const region = device_memory(source);
  const bool known = region != nullptr && source + bytes <= region->end();
  Cell* const cells = known ? region->cell(source) : nullptr;
  for_cells(to, bytes, [cells](Cell& cell, size_t i) {
    if (cell.state == kForbidden) return;
    const bool unwritten = cells != nullptr && cells[i].state == kUnwritten;
    cell.state = unwritten ? kUnwritten : kWritten;
  });
}

size_t count_uninitialised(const void* p, size_t bytes) {
  size_t count = 0;
  for_cells(p, bytes, [&count](Cell& cell, size_t) { count += cell.state == kUnwritten ? 1 : 0; });
  return count;
}

void forbid(const void* p, size_t bytes) {
  for_cells(p, bytes, [](Cell& cell, size_t) { cell.state = kForbidden; });
}
void allow(const void* p, size_t bytes) {
  for_cells(p, bytes, [](Cell& cell, size_t) { cell.state = kWritten; });
}

}  // namespace verace::simt::emulator::checker

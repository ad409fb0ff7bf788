// What tests can set and read of the emulated device: the order of threads, checks, counters. No
// CUDA header needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace verace::simt::emulator {

// The order in which the threads of a block run, and the blocks of a grid. The first three run one
// warp as far as it goes before the next (as hardware may: this shows a forgotten barrier that a
// breadth-first order hides), kScatter takes any thread that can run.
enum class Order { kForward, kReverse, kRandom, kScatter };

struct Schedule {
  const char* name;
  Order order;
  uint64_t seed;
};

// The five schedules under which a kernel must give bit-identical results.
std::span<const Schedule> schedules();
// The one in force for launches from now on; the first of schedules() to begin with, or the one
// that the environment variable VERACE_SIMT_SCHEDULE names ("forward", "reverse", "random-1",
// "random-2", "scatter").
void use_schedule(const Schedule& schedule);
const Schedule& current_schedule();
// Puts a schedule in force for as long as it lives.
class UsedSchedule {
 public:
  explicit UsedSchedule(const Schedule& schedule) : before_(current_schedule()) {
    use_schedule(schedule);
  }
  ~UsedSchedule() { use_schedule(before_); }
  UsedSchedule(const UsedSchedule&) = delete;
  UsedSchedule& operator=(const UsedSchedule&) = delete;

 private:
  Schedule before_;
};

struct Options {
  // That blocks run on; 0: as many as OpenMP has. One in sanitizer builds and for grids of fewer
  // than 4096 threads, which those of the operations' tests are with their few blocks.
  int os_threads = 0;
  bool lazy = false;  // streams do nothing until something waits for them (VERACE_SIMT_LAZY=1)
  size_t memory_limit = size_t{4} << 30;  // bytes of device memory (VERACE_SIMT_MEMORY=BYTES)
  // Of the access checker:
  bool check_races = true;
  bool check_uninitialised = true;
};
Options& options();
// Keeps the options as they are and restores them at its end.
class KeptOptions {
 public:
  KeptOptions() : before_(options()) {}
  ~KeptOptions() { options() = before_; }
  KeptOptions(const KeptOptions&) = delete;
  KeptOptions& operator=(const KeptOptions&) = delete;

 private:
  Options before_;
};

struct Counters {
  uint64_t launches, blocks, threads, barriers, warp_operations, switches, checked_accesses;
};
Counters& counters();

// "fast", "asan", "check": which detectors are compiled in.
const char* build_kind();

}  // namespace verace::simt::emulator

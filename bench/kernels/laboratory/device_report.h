// What the device, its driver and its memory are: for the head of every report.
#pragma once

#include <string>

#include "bench/kernels/laboratory/timing.h"

namespace verace::laboratory {

struct DeviceReport {
  std::string name;  // empty: there is none
  std::string why;   // then the reason, in one line
  bool emulated = false;
  std::string module;  // the version of the driver's kernel module, "580.65.06"; empty: unknown
  int driver = 0, runtime = 0;  // CUDA versions: 13000 is 13.0
  int major = 0, minor = 0;     // compute capability
  int multiprocessors = 0;
  int l2_bytes = 0, clock_khz = 0, memory_clock_khz = 0;
  size_t memory_bytes = 0, free_bytes = 0;
};

DeviceReport device_report();
// A few lines for people.
std::string text(const DeviceReport& device);

// The device's memory, by our own copy and triad over buffers that no cache holds, and what a
// launch of nothing costs between two events.
struct Roofline {
  double copy = 0, triad = 0;  // GB/s, bytes read and written
  Statistic empty;             // microseconds
  double best() const { return copy > triad ? copy : triad; }
};
Roofline measure_roofline(Stopwatch& stopwatch);

}  // namespace verace::laboratory

// Timing work on a stream by CUDA events: warm and cold L2, median with p10 and p90.
#pragma once

#include <functional>
#include <memory>

#include "bench/kernels/laboratory/tensors.h"

struct CUevent_st;

namespace verace::laboratory {

// Of one run, in microseconds.
struct Statistic {
  double median = 0, p10 = 0, p90 = 0;
  int samples = 0;
  int per_sample = 1;  // runs between two events, where one is too short for them
};

struct FreeEvent {
  void operator()(CUevent_st* event) const noexcept;
};
struct FreeStream {
  void operator()(CUstream_st* stream) const noexcept;
};

// Enqueues one run on a stream.
using Work = std::function<void(CUstream_st*)>;

class Stopwatch {
 public:
  explicit Stopwatch(int samples);

  // The L2 is overwritten before each run: what comes from memory costs its time.
  Statistic cold(const Work& work);
  // Run after run: what fits stays in the L2.
  Statistic warm(const Work& work);

 private:
  double microseconds();
  void flush();

  int samples_;
  size_t flush_bytes_;
  DeviceBytes flush_buffer_;
  std::unique_ptr<CUstream_st, FreeStream> stream_;
  std::unique_ptr<CUevent_st, FreeEvent> start_, stop_;
};

// The median and the 10th and 90th percentiles (nearest rank) of a sample, which is not empty.
Statistic statistic_of(std::vector<double> samples);

}  // namespace verace::laboratory

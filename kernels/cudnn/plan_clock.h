// Times the engines of a convolution on the device.
#pragma once

#include <cstddef>
#include <memory>

#include "kernels/cudnn/plan_choice.h"
#include "kernels/exec.h"

namespace verace::kernels::cudnn {

// Device memory for every tensor of one convolution, for as long as its engines are timed.
class DeviceClock {
 public:
  // Allocates and fills the inputs with random numbers that are not zero: multiplying zeros takes
  // less power, so a GPU's clock would be higher. Throws Error(kInput) where the device has too
  // little memory. Not while a stream is being captured.
  DeviceClock(const Exec& exec, const ConvSpec& spec);
  ~DeviceClock();
  DeviceClock(const DeviceClock&) = delete;
  DeviceClock& operator=(const DeviceClock&) = delete;

  // The median time of one run in milliseconds, by events on exec.stream: warm-up, then nine
  // measurements of as many runs as take about a millisecond. The output is full of NaN before the
  // first run; throws Error(kInternal) where a part of it stays so, or the run fails.
  double milliseconds(const ConvGraph& graph, size_t engine);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace verace::kernels::cudnn

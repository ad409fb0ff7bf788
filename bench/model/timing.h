// Times of steps, on the host's clock or on the device's.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "kernels/exec.h"

namespace verace::bench {

// Milliseconds of each call of `step`, in the order of time, until `seconds` are over: at least
// `least`. On a CUDA device `step` enqueues on the stream of `exec`, and the times lie between
// events there: the host is some steps ahead, as in training, so that where the device is slower
// than the host the host's time does not show.
std::vector<double> measure(const kernels::Exec& exec, const std::function<void()>& step,
                            double seconds, size_t least);

// The same from the call until its result is there, one after the other.
std::vector<double> measure_latency(const kernels::Exec& exec, const std::function<void()>& step,
                                    double seconds, size_t least);

// Milliseconds of each of `parts`, called one after the other: on a CUDA device between events in
// its stream, while the host goes on.
std::vector<double> measure_parts(const kernels::Exec& exec,
                                  const std::vector<std::function<void()>>& parts);

// Median, 10th and 90th percentile of times that are not empty.
struct Times {
  double median = 0, p10 = 0, p90 = 0, least = 0;
  size_t count = 0;
};
Times summary(std::vector<double> times);

}  // namespace verace::bench

// The messages of an event file: scalars at a step, written as protocol buffers by hand.
//
// Fields: tensorflow/core/util/event.proto (Event: wall_time = 1 double, step = 2 int64,
// file_version = 3 string, summary = 5 Summary) and tensorflow/core/framework/summary.proto
// (Summary: value = 1 repeated Value; Value: tag = 1 string, simple_value = 2 float); encoding:
// protobuf.dev/programming-guides/encoding.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace verace::apps::tensorboard {

struct Scalar {
  std::string tag;  // "val/loss": TensorBoard groups by what stands before the slash
  double value = 0;
};

// The first event of each file: names the version of the format, "brain.Event:2".
std::string version_event(double wall_time);

// All scalars of one step. wall_time: seconds since 1970. Values are stored as float; NaN, and what
// is beyond float's range, is left out. Empty if nothing remains. Throws Error(kInternal) for a
// negative step.
std::string scalar_event(double wall_time, int64_t step, std::span<const Scalar> scalars);

}  // namespace verace::apps::tensorboard

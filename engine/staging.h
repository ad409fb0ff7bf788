// The inputs of a step's next run, on their way to a CUDA device while it works on the run before.
//
// A copy from ordinary memory makes the host wait, and a copy on the stream of the computation
// makes that wait. So the bytes go into pinned memory, from there by a stream of their own into
// memory of the device beside the arena, and when the step is due within the device to its inputs,
// which takes a hundredth of the time (CUDA C++ Best Practices Guide, "Asynchronous and Overlapping
// Transfers"). Two sets take turns. Defined in staging_cuda.cc, which only builds with CUDA have.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/memory.h"
#include "engine/step.h"
#include "engine/stream.h"

namespace verace::engine {

class Staging {
 public:
  // For inputs of so many bytes each, of steps on exec's stream. Takes twice their sum of pinned
  // and of device memory. Throws Error(kInput) where there is not as much.
  Staging(const kernels::Exec& exec, std::vector<int64_t> bytes);
  // Waits for its copies.
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Takes the inputs of the next run, in the order of the constructor's sizes; they may be changed
  // when this returns. At most once before each deliver().
  void stage(std::span<const std::span<const std::byte>> inputs);
  bool staged() const { return staged_; }
  // Enqueues on the step's stream: these inputs become the step's, whose run comes next.
  void deliver(const Step& step, std::span<const Value> inputs);

  const std::vector<int64_t>& sizes() const { return sizes_; }

 private:
  struct Set {
    Buffer pinned, device;
    Event copied;     // to the device
    Event delivered;  // to a step
  };

  kernels::Exec exec_;
  std::vector<int64_t> sizes_, offsets_;
  Stream copies_;
  std::array<Set, 2> sets_;
  size_t next_ = 0;  // the set that stage() fills
  bool staged_ = false;
};

}  // namespace verace::engine

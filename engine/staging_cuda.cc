// Staging by pinned memory and a stream of its own.
#include "engine/staging.h"

#include <cstring>
#include <utility>

#include "engine/transfer_cuda.h"
#include "kernels/check.h"

namespace verace::engine {

Staging::Staging(const kernels::Exec& exec, std::vector<int64_t> bytes)
    : exec_(exec), sizes_(std::move(bytes)) {
  VERACE_CHECK(memory_of(exec) == MemoryKind::kDevice);
  int64_t sum = 0;
  for (const int64_t size : sizes_) {
    offsets_.push_back(sum);
    sum += align_up(size);
  }
  for (Set& set : sets_) {
    set.pinned = Buffer(sum, MemoryKind::kPinned, Contents::kUndefined);
    set.device = Buffer(sum, MemoryKind::kDevice, Contents::kUndefined);
  }
}

Staging::~Staging() {
  try {
    copies_.synchronize();
  } catch (const Error&) {
    // The device is lost, and with it what would have to be waited for.
  }
}

void Staging::stage(std::span<const std::span<const std::byte>> inputs) {
  VERACE_CHECK(!staged_ && inputs.size() == sizes_.size());
  Set& set = sets_[next_];
  set.copied.synchronize();     // the pinned bytes of two runs before have been read
  copies_.wait(set.delivered);  // and what was copied of them has been taken
  for (size_t i = 0; i < inputs.size(); ++i) {
    VERACE_CHECK(static_cast<int64_t>(inputs[i].size()) == sizes_[i]);
    std::byte* pinned = set.pinned.data() + offsets_[i];
    std::memcpy(pinned, inputs[i].data(), inputs[i].size());
    cuda::copy(copies_.get(), set.device.data() + offsets_[i], pinned, sizes_[i],
               cuda::Way::kToDevice);
  }
  set.copied.record(copies_);
  staged_ = true;
}

void Staging::deliver(const Step& step, std::span<const Value> inputs) {
  VERACE_CHECK(staged_ && inputs.size() == sizes_.size());
  VERACE_CHECK(step.exec().stream == exec_.stream);
  Set& set = sets_[next_];
  set.copied.hold_back(exec_.stream);
  for (size_t i = 0; i < inputs.size(); ++i) {
    VERACE_CHECK(step.info(inputs[i]).bytes() == sizes_[i], step.info(inputs[i]).name);
    cuda::copy(exec_.stream, step.memory().bytes(inputs[i]), set.device.data() + offsets_[i],
               sizes_[i], cuda::Way::kWithin);
  }
  set.delivered.record(exec_.stream);
  staged_ = false;
  next_ = 1 - next_;
}

}  // namespace verace::engine

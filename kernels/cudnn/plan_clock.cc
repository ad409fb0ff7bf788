// Timing with CUDA events, on memory that lives while a convolution is planned.
#include "kernels/cudnn/plan_clock.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "kernels/check_cuda.h"
#include "kernels/cudnn/library.h"
#include "kernels/format.h"
#include "kernels/loss_scale.h"

namespace verace::kernels::cudnn {
namespace {

constexpr int kMeasurements = 9;      // odd: the median is one of them
constexpr double kMeasuredFor = 1.0;  // milliseconds, long beside the half microsecond of an event
constexpr int kMostRuns = 20;         // of one measurement
constexpr size_t kPatternLength = 65537;  // elements; prime, so that no tile sees it twice alike

class Memory {
 public:
  explicit Memory(size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    const cudaError_t error = cudaMalloc(&data_, bytes);  // NOLINT(cuda-malloc): before any arena
    if (error == cudaSuccess) return;
    cudaGetLastError();
    fail_input(text::format("timing convolutions: no {} bytes of device memory ({})", bytes,
                            cudaGetErrorString(error)));
  }
  ~Memory() { cudaFree(data_); }  // NOLINT(cuda-malloc): what the constructor took
  Memory(Memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  size_t bytes() const { return bytes_; }

  // Repeats `pattern` all over the memory.
  void fill(const std::vector<std::byte>& pattern, cudaStream_t stream) {
    size_t full = std::min(pattern.size(), bytes_);
    VERACE_CUDA(cudaMemcpyAsync(data_, pattern.data(), full, cudaMemcpyHostToDevice, stream));
    while (full < bytes_) {
      const size_t more = std::min(full, bytes_ - full);
      VERACE_CUDA(cudaMemcpyAsync(data() + full, data_, more, cudaMemcpyDeviceToDevice, stream));
      full += more;
    }
    VERACE_CUDA(cudaStreamSynchronize(stream));
  }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

class Event {
 public:
  Event() { VERACE_CUDA(cudaEventCreate(&event_)); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(cudaStream_t stream) { VERACE_CUDA(cudaEventRecord(event_, stream)); }
  double since(const Event& start) {
    VERACE_CUDA(cudaEventSynchronize(event_));
    float milliseconds = 0.0f;
    VERACE_CUDA(cudaEventElapsedTime(&milliseconds, start.event_, event_));
    return milliseconds;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

// Numbers of either sign with a size from 1/4 to 1, by SplitMix64 (Steele, Lea & Flood 2014).
template <typename T>
std::vector<std::byte> random_pattern(uint64_t seed) {
  std::vector<std::byte> bytes(kPatternLength * sizeof(T));
  for (size_t i = 0; i < kPatternLength; ++i) {
    uint64_t z = seed * 0xD1342543DE82EF95ull + (i + 1) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    const float size = 0.25f + 0.75f * static_cast<float>(z >> 40) * 0x1p-24f;
    const T value = from_float<T>((z & 1) != 0 ? size : -size);
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
  return bytes;
}

std::vector<std::byte> random_pattern(StorageType type, uint64_t seed) {
  if (type == StorageType::kHalf) return random_pattern<Half>(seed);
  if (type == StorageType::kBFloat16) return random_pattern<BFloat16>(seed);
  return random_pattern<float>(seed);
}

AnyStorage<const void> typed(StorageType type, const void* data) {
  if (type == StorageType::kHalf) return static_cast<const Half*>(data);
  if (type == StorageType::kBFloat16) return static_cast<const BFloat16*>(data);
  return static_cast<const float*>(data);
}

}  // namespace

struct DeviceClock::Impl {
  struct Tensor {
    ConvTensor id;
    StorageType type;
    int64_t count;
    Memory memory;
  };

  Exec exec;
  ConvSpec spec;
  std::vector<Tensor> tensors;  // the output is the first
  std::vector<ConvBinding> bindings;
  Memory workspace{0}, flag{sizeof(uint32_t)};
  Event start, stop;

  void add(ConvTensor id, StorageType type, int64_t count) {
    Memory memory(static_cast<size_t>(count * bytes_of(type)));
    if (!tensors.empty()) {
      memory.fill(random_pattern(type, static_cast<uint64_t>(id)), exec.stream);
    }
    bindings.push_back({id, memory.data()});
    tensors.push_back({id, type, count, std::move(memory)});
  }

  // `runs` runs in a row, in milliseconds.
  double run(const ConvGraph& graph, size_t engine, int runs) {
    cudnnContext* const with = handle(exec.stream);
    const bool wanted = graph.engines()[engine].workspace_bytes > 0;
    std::byte* const scratch = wanted ? workspace.data() : nullptr;
    start.record(exec.stream);
    for (int i = 0; i < runs; ++i) graph.execute(engine, with, bindings, scratch);
    stop.record(exec.stream);
    return stop.since(start);
  }

  void poison() {
    const Memory& output = tensors.front().memory;
    VERACE_CUDA(cudaMemsetAsync(output.data(), 0xFF, output.bytes(), exec.stream));
    VERACE_CUDA(cudaMemsetAsync(flag.data(), 0, flag.bytes(), exec.stream));
  }

  void expect_finite() {
    const Tensor& output = tensors.front();
    const std::array looked_at = {
        ConstStorageTensor{typed(output.type, output.memory.data()), output.count}};
    cuda::find_non_finite(exec, {looked_at, reinterpret_cast<uint32_t*>(flag.data())});
    uint32_t found = 1;
    VERACE_CUDA(
        cudaMemcpyAsync(&found, flag.data(), sizeof found, cudaMemcpyDeviceToHost, exec.stream));
    VERACE_CUDA(cudaStreamSynchronize(exec.stream));
    VERACE_CHECK(found == 0, "it does not write the whole output: " + to_string(spec));
  }
};

DeviceClock::DeviceClock(const Exec& exec, const ConvSpec& spec) : impl_(std::make_unique<Impl>()) {
  impl_->exec = exec;
  impl_->spec = spec;
  const auto add = [&](ConvTensor id) {
    const ConvGeometry& g = spec.g;
    switch (id) {
      case ConvTensor::kX:
        return impl_->add(id, spec.type, g.x.count());
      case ConvTensor::kW:
        return impl_->add(id, spec.type, g.filter_count());
      case ConvTensor::kY:
      case ConvTensor::kAdd:
        return impl_->add(id, spec.type, g.y().count());
      case ConvTensor::kBias:
        return impl_->add(id, StorageType::kFloat, g.k);
    }
  };
  const ConvTensor output = spec.pass == ConvPass::kForward        ? ConvTensor::kY
                            : spec.pass == ConvPass::kBackwardData ? ConvTensor::kX
                                                                   : ConvTensor::kW;
  add(output);
  for (const ConvTensor id : {ConvTensor::kX, ConvTensor::kW, ConvTensor::kY}) {
    if (id != output) add(id);
  }
  if (spec.post.bias) add(ConvTensor::kBias);
  if (spec.post.add) add(ConvTensor::kAdd);
}

DeviceClock::~DeviceClock() = default;

double DeviceClock::milliseconds(const ConvGraph& graph, size_t engine) {
  const auto bytes = static_cast<size_t>(graph.engines().at(engine).workspace_bytes);
  if (bytes > impl_->workspace.bytes()) {
    impl_->workspace = Memory(0);  // first, so that both need not fit
    impl_->workspace = Memory(bytes);
  }
  impl_->poison();
  impl_->run(graph, engine, 1);
  impl_->expect_finite();
  const double once = impl_->run(graph, engine, 1);
  const double wanted = std::ceil(kMeasuredFor / std::max(once, kMeasuredFor / kMostRuns));
  const int runs = std::clamp(static_cast<int>(wanted), 1, kMostRuns);
  std::array<double, kMeasurements> times{};
  for (double& time : times) time = impl_->run(graph, engine, runs) / runs;
  std::ranges::nth_element(times, times.begin() + kMeasurements / 2);
  return times[kMeasurements / 2];
}

}  // namespace verace::kernels::cudnn

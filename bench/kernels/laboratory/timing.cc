// CUDA events around single runs (cold) and around rows of runs (warm).
#include "bench/kernels/laboratory/timing.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "bench/kernels/laboratory/device_kernels.h"
#include "kernels/check.h"
#include "kernels/exec.h"

namespace verace::laboratory {
namespace {

constexpr int kWarmUps = 5;
constexpr double kShortest = 50;  // microseconds between two events, of warm runs
constexpr int kMostPerSample = 100;

void check(cudaError_t status, const char* what) {
  VERACE_CHECK(status == cudaSuccess, std::string(what) + ": " + cudaGetErrorString(status));
}

cudaEvent_t make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  return event;
}

cudaStream_t make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return stream;
}

// Twice the L2, which on Hopper is two halves; a little where nothing is measured anyway.
size_t bytes_to_flush() {
  if (kernels::cuda_is_emulated) return 4096;
  int bytes = 0;
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, 0), "cudaDeviceGetAttribute");
  return 2 * static_cast<size_t>(bytes);
}

}  // namespace

void FreeEvent::operator()(CUevent_st* event) const noexcept { cudaEventDestroy(event); }
void FreeStream::operator()(CUstream_st* stream) const noexcept { cudaStreamDestroy(stream); }

Stopwatch::Stopwatch(int samples)
    : samples_(samples),
      flush_bytes_(bytes_to_flush()),
      flush_buffer_(device_bytes(flush_bytes_)),
      stream_(make_stream()),
      start_(make_event()),
      stop_(make_event()) {
  VERACE_CHECK(samples > 0);
}

double Stopwatch::microseconds() {
  check(cudaEventSynchronize(stop_.get()), "a timed run");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, start_.get(), stop_.get()), "cudaEventElapsedTime");
  return 1e3 * static_cast<double>(milliseconds);
}

void Stopwatch::flush() { overwrite(flush_buffer_.get(), flush_bytes_, stream_.get()); }

// The write keeps the device busy while the host enqueues what follows: the time between the
// events holds no wait for the host.
Statistic Stopwatch::cold(const Work& work) {
  work(stream_.get());
  std::vector<double> samples;
  for (int i = 0; i < samples_; ++i) {
    flush();
    check(cudaEventRecord(start_.get(), stream_.get()), "cudaEventRecord");
    work(stream_.get());
    check(cudaEventRecord(stop_.get(), stream_.get()), "cudaEventRecord");
    samples.push_back(microseconds());
  }
  return statistic_of(std::move(samples));
}

Statistic Stopwatch::warm(const Work& work) {
  const auto sample = [&](int runs) {
    work(stream_.get());
    check(cudaEventRecord(start_.get(), stream_.get()), "cudaEventRecord");
    for (int i = 0; i < runs; ++i) work(stream_.get());
    check(cudaEventRecord(stop_.get(), stream_.get()), "cudaEventRecord");
    return microseconds() / runs;
  };
  const double first = sample(kernels::cuda_is_emulated ? 1 : kWarmUps);
  int runs = 1;
  if (!kernels::cuda_is_emulated) {
    runs = static_cast<int>(std::clamp(std::ceil(kShortest / std::max(first, 0.1)), 1.0,
                                       static_cast<double>(kMostPerSample)));
  }
  std::vector<double> samples;
  for (int i = 0; i < samples_; ++i) samples.push_back(sample(runs));
  Statistic result = statistic_of(std::move(samples));
  result.per_sample = runs;
  return result;
}

Statistic statistic_of(std::vector<double> samples) {
  VERACE_CHECK(!samples.empty());
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) {
    const double rank = std::ceil(share * static_cast<double>(samples.size()));
    return samples[static_cast<size_t>(std::max(rank, 1.0)) - 1];
  };
  return {at(0.5), at(0.1), at(0.9), static_cast<int>(samples.size()), 1};
}

}  // namespace verace::laboratory

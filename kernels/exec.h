// What an operation runs on: the device kind, the threads of the CPU, the CUDA stream.
#pragma once

#include <cstdint>
#include <string>

struct CUstream_st;  // cudaStream_t is a pointer to it; declared here, so that no CUDA header is
                     // needed

namespace verace::kernels {

// kCpu: oneDNN and OpenMP loops. kReference: plain readable loops with double accumulators, slow on
// purpose. kCuda: our kernels on an NVIDIA GPU, or their very sources on the CPU in an emulated
// build; all pointers of its operations are device pointers, and it works in the order of a stream.
enum class DeviceKind { kCpu, kReference, kCuda };

// True when the cuda:: implementations of this build run on the CPU (kernels/simt).
// Not a constant for the compiler: whoever asks compiles to the same code in both.
extern const bool cuda_is_emulated;

// How a convolution on a CUDA device gets its plan (docs/cudnn.md). The arithmetic is the same by
// every plan that these rules allow; the order of sums, and so the last bits, may differ.
struct ConvPlanning {
  enum class Mode : uint8_t {
    kHeuristic,  // the first engine that suits, in the order of cuDNN's heuristics
    kTuned,      // the fastest of the first ones that suit, timed on the device while planning
  };
  Mode mode = Mode::kHeuristic;
  bool deterministic = true;  // only engines that give the same bits in every run
  // Bytes of scratch that the plan of a convolution may want at most. 2 GiB: the heuristics'
  // choices for ResNet-50 want up to 1.2 GB (fp32, batch 256), beside 20 GB of activations.
  int64_t workspace_limit = int64_t{2} << 30;
  // Where plans are kept for later runs; empty: nowhere. kernels/cache_folder.h has the usual one.
  std::string cache_folder;
};

struct Exec {
  DeviceKind device = DeviceKind::kCpu;
  int threads = 1;  // number of threads that parallel loops use, >= 1; results never depend on it
  CUstream_st* stream = nullptr;  // kCuda: where its work is enqueued; nullptr: the default stream
  bool graphs = true;             // kCuda: planned steps are captured once and launched as a whole
  bool checked = false;           // kCuda: planned steps wait after each operation, so that a
                                  // failure names it; no graphs
  bool tf32 = false;  // kCuda: convolutions and matrix products of fp32 round operands to 10 bits
                      // of fraction, for the tensor cores
  ConvPlanning convolutions{};  // kCuda
};

// "cpu", "reference", "cuda", or "cuda (emulated)".
const char* to_string(DeviceKind device);

// An Exec for `device` with `threads` threads; 0 means one per available processor. oneDNN and
// OpenMP are told as well, so one process uses one number.
Exec make_exec(DeviceKind device, int threads = 0);

// The host device that works beside `exec`, for data that lies in memory of the host: the CPU for a
// CUDA device, else `exec` itself.
inline Exec host_beside(const Exec& exec) {
  return exec.device == DeviceKind::kCuda ? Exec{DeviceKind::kCpu, exec.threads} : exec;
}

// What a gradient operation does with its parameter gradient (design.md 3): leave it alone
// (frozen), write it, or add to what is there (gradient accumulation over several batches).
enum class GradMode { kSkip, kOverwrite, kAccumulate };

}  // namespace verace::kernels

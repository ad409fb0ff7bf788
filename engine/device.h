// The device that a program computes on: what `--device` names, whether it can be used, and its
// stream.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/precision.h"
#include "kernels/exec.h"

namespace verace::engine {

class Stream;

// How the operations of a planned step reach a CUDA device; the numbers are the same bits. Other
// devices run them one by one.
enum class Launch {
  kGraph,    // captured once, then launched as a whole (CUDA graph)
  kEager,    // each by itself
  kChecked,  // each by itself and waited for: slow, but a failing one is named
};
// "graph", "eager", "checked".
std::string to_string(Launch launch);
// Throws Error(kInput) that begins with `where`, a flag or a place in a file.
Launch parse_launch(const std::string& text, const std::string& where);

// By which plans a CUDA device convolves (docs/cudnn.md). The last bits may depend on it.
enum class Plans {
  kHeuristic,         // cuDNN's first choice
  kTuned,             // the fastest of its first ones, timed once on this device and then kept
  kNondeterministic,  // tuned, also among those that add in another order in every run
};
// "heuristic", "tuned", "nondeterministic".
std::string to_string(Plans plans);
// Throws as parse_launch().
Plans parse_plans(const std::string& text, const std::string& where);

struct DeviceChoice {
  kernels::DeviceKind kind = kernels::DeviceKind::kCpu;
  int index = 0;  // kCuda: the device's number, as CUDA counts those in CUDA_VISIBLE_DEVICES
  bool operator==(const DeviceChoice&) const = default;
};

// "cpu", "reference" or "cuda:N".
std::string to_string(const DeviceChoice& choice);

// "auto" (empty), "cpu", "reference", "cuda" (cuda:0) or "cuda:N". Throws Error(kInput) that begins
// with `where`, a flag or a place in a file.
std::optional<DeviceChoice> parse_device(const std::string& text, const std::string& where);

// What "auto" stands for here: cuda:0 where it can be used, else the CPU; an emulated CUDA is not
// taken unasked.
struct AutomaticDevice {
  DeviceChoice choice;
  std::string why;  // one phrase
};
AutomaticDevice automatic_device();

// Throws Error(kInput) "WHERE cuda:N: ..." that says what is missing and what to do where the
// device cannot be used. Loads cuDNN and cuBLASLt if it is a CUDA device.
void check_usable(const DeviceChoice& choice, const std::string& where);

// A device in use. On CUDA it owns the stream of the computation; what runs on exec() needs it
// alive. Move-only.
class Device {
 public:
  // The CPU with one thread.
  Device() = default;
  // `threads` of the host's loops; 0: one per processor. On CUDA the device becomes the calling
  // thread's current one. Throws as check_usable(), and Error(kInput) where the device does not
  // answer: it is busy, or full.
  Device(const DeviceChoice& choice, int threads, const std::string& where = "--device",
         Launch launch = Launch::kGraph, Plans plans = Plans::kHeuristic);
  Device(Device&&) noexcept = default;
  Device& operator=(Device&&) noexcept = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const DeviceChoice& choice() const { return choice_; }
  // For operations: kind, threads and the stream.
  kernels::Exec exec() const { return exec_; }
  // "cpu", "reference", "cuda:0 (NVIDIA H200)": for messages and records.
  const std::string& name() const { return name_; }
  // The device and how it is used, for the first line of a run: "cpu, 8 threads, fp32", or
  // "cuda:0 (NVIDIA H200), fp32, steps as CUDA graphs, cuDNN 9.10.2, cuBLASLt 13.0.2, 8 host
  // threads".
  std::string description(Precision precision) const;
  // Bytes of the device's memory, free now and in all; of the host's both 0 (apps/lib/memory_limit
  // knows that). Other programs share it.
  struct Memory {
    int64_t free = 0;
    int64_t total = 0;
  };
  Memory memory() const;
  // CUDA: makes the device the calling thread's current one; each thread that makes streams or
  // memory of its own calls it first.
  void make_current() const;
  // Blocks until all work of exec()'s stream is done. Throws Error for what failed.
  void synchronize() const;

 private:
  DeviceChoice choice_;
  kernels::Exec exec_;
  std::string name_ = "cpu";
  // Shared because such a pointer knows how to delete without the type's destructor, which builds
  // without CUDA have not got.
  std::shared_ptr<Stream> stream_;
};

}  // namespace verace::engine

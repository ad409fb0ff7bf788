// The inside of the runtime stand-in: streams as queues of work, events, graphs, device memory.
// What NVIDIA's header declares is defined on top of it, in runtime_*.cc.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>  // NOLINT(raw-memory): std::align_val_t
#include <string>
#include <vector>

namespace verace::simt::emulator {

// ---- streams ------------------------------------------------------------------------------------

struct Queue;
// "The first `count` pieces of work of `queue` are done."
struct Point {
  std::shared_ptr<Queue> queue;
  uint64_t count = 0;
};
struct Work {
  std::function<void()> run;
  std::vector<Point> after{};
};
struct Queue {
  std::deque<Work> waiting;
  uint64_t issued = 0, done = 0;
};

// A piece of a graph's work, and the earlier ones that it comes after (positions in the order of
// capture).
struct Node {
  std::function<void()> run;
  std::vector<size_t> after;
};
// A graph is its work in the order of capture, which respects every dependency.
struct Capture {
  CUstream_st* origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::vector<Node> nodes;
  std::vector<cudaStream_t> unjoined;  // took part and were not waited for by the origin
  bool invalid = false, ended = false;
};

// Handles given out by the runtime; each use is checked, so a dead handle is an error, not a crash.
// No handle is given out twice: what has been destroyed keeps its address.
template <class T>
class Handles {
 public:
  T* create() {
    auto owned = std::make_unique<T>();
    T* const handle = owned.get();
    live_[handle] = std::move(owned);
    return handle;
  }
  bool has(const T* handle) const { return live_.count(const_cast<T*>(handle)) != 0; }
  bool destroy(T* handle) {
    const auto found = live_.find(handle);
    if (found == live_.end()) return false;
    *handle = T();  // releases what it held
    dead_.push_back(std::move(found->second));
    live_.erase(found);
    return true;
  }
  size_t size() const { return live_.size(); }
  auto begin() const { return live_.begin(); }
  auto end() const { return live_.end(); }

 private:
  std::map<T*, std::unique_ptr<T>> live_;
  std::vector<std::unique_ptr<T>> dead_;
};

// ---- memory -------------------------------------------------------------------------------------

enum class MemoryKind { kDevice, kManaged, kPinned };

class MemoryTable {
 public:
  struct Block {
    MemoryKind kind;
    size_t bytes;
  };
  // nullptr when the limit of the device's memory is reached. The bytes are 0xff (NaN).
  void* allocate(MemoryKind kind, size_t bytes);
  bool release(void* p, bool pinned);  // false: not the start of such an allocation
  // The allocation that [p, p+bytes) lies in, nullptr if none.
  const Block* find(const void* p, size_t bytes) const;
  size_t in_use() const { return in_use_; }  // bytes of device memory
  size_t count() const { return blocks_.size(); }

 private:
  static constexpr std::align_val_t kAlignment{256};
  struct Free {
    void operator()(std::byte* p) const {
      ::operator delete(p, kAlignment);  // NOLINT(raw-memory): device memory
    }
  };
  struct Owned {
    Block block;
    std::unique_ptr<std::byte, Free> bytes;
  };
  std::map<uintptr_t, Owned> blocks_;  // by address
  size_t in_use_ = 0;
};

// ---- the device ---------------------------------------------------------------------------------

struct Runtime {
  std::recursive_mutex mutex;
  MemoryTable memory;
  Handles<CUstream_st> streams;
  Handles<CUevent_st> events;
  Handles<CUgraph_st> graphs;
  Handles<CUgraphExec_st> executables;
  std::map<const void*, size_t> allowed_dynamic_shared;  // by kernel
  cudaError_t last_error = cudaSuccess;
  std::string kernel_failure;  // what a kernel that ran later than its launch was stopped for

  static Runtime& get();
  CUstream_st& stream(cudaStream_t handle);  // nullptr: the default stream
  bool valid(cudaStream_t handle) const { return handle == nullptr || streams.has(handle); }

  // Appends work to a stream, or to the graph that it captures. Runs it at once unless lazy.
  cudaError_t put(CUstream_st& stream, std::function<void()> run, std::vector<Point> after = {});
  // Runs what has to be done for `point`, the whole stream, everything.
  cudaError_t finish(const Point& point);
  cudaError_t finish(CUstream_st& stream);
  cudaError_t finish_all();
  // Not allowed while a stream captures (allocation, waiting ...): the capture becomes invalid.
  cudaError_t refuse_during_capture();

 private:
  void run_until(Queue& queue, uint64_t count);
  std::vector<Point> default_stream_order(const CUstream_st& stream);
};

// Remembers an error for cudaGetLastError.
cudaError_t report(cudaError_t error);

// Lets time pass on the clock that events read, beside the real one.
void pass_time(double milliseconds);

}  // namespace verace::simt::emulator

// The types behind the handles, as NVIDIA's header names them.
struct CUstream_st {
  std::shared_ptr<verace::simt::emulator::Queue> queue =
      std::make_shared<verace::simt::emulator::Queue>();
  bool blocking = true;  // ordered with the default stream
  std::shared_ptr<verace::simt::emulator::Capture> capture;
  std::vector<size_t> captured_last;  // nodes that the next one of this stream comes after
};
struct CUevent_st {
  verace::simt::emulator::Point point;
  bool recorded = false, timed = true;
  std::shared_ptr<double> milliseconds = std::make_shared<double>(0.0);
  std::shared_ptr<verace::simt::emulator::Capture> capture;  // recorded inside this capture
  cudaStream_t captured_on = nullptr;
  std::vector<size_t> captured_last;
};
struct CUgraph_st {
  std::vector<verace::simt::emulator::Node> nodes;
};
struct CUgraphExec_st {
  std::vector<verace::simt::emulator::Node> nodes;
};

// Serialises the runtime's calls and lets the fault injector fail them.
#define SIMT_RUNTIME_CALL(runtime, name)                                             \
  auto& runtime = ::verace::simt::emulator::Runtime::get();                          \
  const std::lock_guard<std::recursive_mutex> simt_lock(runtime.mutex);              \
  if (const cudaError_t simt_fault = ::verace::simt::emulator::injected_fault(name); \
      simt_fault != cudaSuccess) {                                                   \
    return ::verace::simt::emulator::report(simt_fault);                             \
  }

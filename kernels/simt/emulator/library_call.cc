// Work of emulated libraries: in the order of a stream, on memory of the device.
#include "kernels/simt/emulator/library_call.h"

#include <mutex>
#include <utility>

#include "kernels/check.h"
#include "kernels/simt/emulator/faults.h"
#include "kernels/simt/emulator/guard.h"
#include "kernels/simt/emulator/runtime.h"

namespace verace::simt::emulator {

void enqueue_library_call(CUstream_st* stream, std::function<void()> work) {
  Runtime& runtime = Runtime::get();
  const std::lock_guard<std::recursive_mutex> lock(runtime.mutex);
  VERACE_CHECK(runtime.valid(stream), "the stream does not exist");
  // A library says that it failed, not why.
  VERACE_CHECK(injected_fault("simt::library_call") == cudaSuccess, "simt::library_call");
  const cudaError_t status = runtime.put(runtime.stream(stream), std::move(work));
  if (status == cudaSuccess) return;
  runtime.last_error = cudaSuccess;
  const std::string reason = std::exchange(runtime.kernel_failure, {});
  throw Error(ErrorKind::kInternal, reason.empty() ? cudaGetErrorString(status) : reason);
}

void check_device_memory(const void* p, size_t bytes, const std::string& what) {
  Runtime& runtime = Runtime::get();
  const std::lock_guard<std::recursive_mutex> lock(runtime.mutex);
  VERACE_CHECK(runtime.memory.find(p, bytes) != nullptr, "no memory of the device: " + what);
}

void check_written(const void* p, size_t bytes, const std::string& what) {
  VERACE_CHECK(unwritten(p, bytes) == 0, "reads what nothing has written: " + what);
}

}  // namespace verace::simt::emulator

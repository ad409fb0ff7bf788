// Copies of the host; those of a CUDA device are in transfer_cuda.cc.
#include "engine/transfer.h"

#include <cstring>

#include "engine/transfer_cuda.h"
#include "kernels/check.h"
#include "kernels/dispatch.h"

namespace verace::engine {
namespace {

bool on_device(const kernels::Exec& exec) { return memory_of(exec) == MemoryKind::kDevice; }

}  // namespace

void copy_from_host(const kernels::Exec& exec, void* to, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  if constexpr (kernels::have_cuda) {
    if (on_device(exec)) return cuda::copy(exec.stream, to, from, bytes, cuda::Way::kToDevice);
  }
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

void copy_to_host(const kernels::Exec& exec, void* to, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  if constexpr (kernels::have_cuda) {
    if (on_device(exec)) return cuda::copy(exec.stream, to, from, bytes, cuda::Way::kToHost);
  }
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

void fill_zero(const kernels::Exec& exec, void* p, int64_t bytes) {
  if (bytes == 0) return;
  if constexpr (kernels::have_cuda) {
    if (on_device(exec)) return cuda::fill_zero(exec.stream, p, bytes);
  }
  std::memset(p, 0, static_cast<size_t>(bytes));
}

void wait(const kernels::Exec& exec) {
  if constexpr (kernels::have_cuda) {
    if (on_device(exec)) cuda::wait(exec.stream);
  }
}

void read_bytes(const Tensor& tensor, void* to, int64_t bytes) {
  VERACE_CHECK(bytes == tensor.bytes(), tensor.name());
  if (bytes == 0) return;
  if constexpr (kernels::have_cuda) {
    if (tensor.memory() == MemoryKind::kDevice) {
      return cuda::copy_now(to, tensor.bytes_in_memory(), bytes, cuda::Way::kToHost);
    }
  }
  std::memcpy(to, tensor.bytes_in_memory(), static_cast<size_t>(bytes));
}

void write_bytes(const Tensor& tensor, const void* from, int64_t bytes) {
  VERACE_CHECK(bytes == tensor.bytes(), tensor.name());
  if (bytes == 0) return;
  if constexpr (kernels::have_cuda) {
    if (tensor.memory() == MemoryKind::kDevice) {
      return cuda::copy_now(tensor.bytes_in_memory(), from, bytes, cuda::Way::kToDevice);
    }
  }
  std::memcpy(tensor.bytes_in_memory(), from, static_cast<size_t>(bytes));
}

std::vector<float> read(const Tensor& tensor) {
  if (tensor.dtype() != DType::kF32) {
    std::vector<std::byte> bytes(static_cast<size_t>(tensor.bytes()));
    read_bytes(tensor, bytes.data(), tensor.bytes());
    return to_f32(tensor.dtype(), bytes.data(), tensor.count());
  }
  std::vector<float> values(static_cast<size_t>(tensor.bytes()) / sizeof(float));
  read_bytes(tensor, values.data(), tensor.bytes());
  return values;
}

void write(const Tensor& tensor, std::span<const float> values) {
  VERACE_CHECK(tensor.dtype() == DType::kF32, tensor.name());
  write_bytes(tensor, values.data(), static_cast<int64_t>(values.size_bytes()));
}

Tensor copied_to(MemoryKind memory, const Tensor& tensor) {
  if (tensor.empty()) return {};
  Tensor copy(tensor.name(), tensor.dtype(), tensor.shape(), memory);
  std::vector<std::byte> bytes(static_cast<size_t>(tensor.bytes()));
  read_bytes(tensor, bytes.data(), tensor.bytes());
  write_bytes(copy, bytes.data(), copy.bytes());
  return copy;
}

}  // namespace verace::engine

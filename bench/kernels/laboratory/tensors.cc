// Device memory of the laboratory: poison, guards, copies.
#include "bench/kernels/laboratory/tensors.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "kernels/check.h"

namespace verace::laboratory {
namespace {

constexpr size_t kGuard = 256;  // before and behind each tensor
constexpr std::byte kCanary{0xA5};
constexpr size_t kCompared = size_t{16} << 20;  // inputs up to this size are checked for changes

void check(cudaError_t status, const char* what) {
  VERACE_CHECK(status == cudaSuccess, std::string(what) + ": " + cudaGetErrorString(status));
}

std::vector<std::byte> download(const std::byte* from, size_t bytes) {
  std::vector<std::byte> copy(bytes);
  check(cudaMemcpy(copy.data(), from, bytes, cudaMemcpyDeviceToHost), "cudaMemcpy");
  return copy;
}

bool all_are(const std::vector<std::byte>& bytes, std::byte value) {
  return std::all_of(bytes.begin(), bytes.end(), [&](std::byte b) { return b == value; });
}

}  // namespace

const char* name_of(ElementType type) {
  constexpr const char* kNames[] = {"fp32",  "fp16",  "bf16",   "fp64",
                                    "int64", "int32", "uint32", "uint8"};
  return kNames[static_cast<int>(type)];
}

size_t bytes_of(ElementType type) {
  constexpr size_t kBytes[] = {4, 2, 2, 8, 8, 4, 4, 1};
  return kBytes[static_cast<int>(type)];
}

void FreeDevice::operator()(std::byte* p) const noexcept {
  cudaFree(p);  // NOLINT(cuda-malloc): the laboratory stands apart from the engine
}

DeviceBytes device_bytes(size_t bytes) {
  void* p = nullptr;
  check(cudaMalloc(&p, bytes), "cudaMalloc");  // NOLINT(cuda-malloc): as above
  return DeviceBytes(static_cast<std::byte*>(p));
}

void wait_for_device() { check(cudaDeviceSynchronize(), "the device"); }

std::byte* DeviceTensors::allocate(Values values, Role role) {
  const size_t size = values.bytes.size();
  const size_t shifted =
      role == Role::kScratch ? 0 : static_cast<size_t>(shift_) * bytes_of(values.type);
  Tensor tensor{role, kGuard + shifted, std::move(values), size, nullptr};
  tensor.memory = device_bytes(tensor.offset + size + kGuard);
  std::byte* const start = tensor.memory.get() + tensor.offset;
  if (role == Role::kInput) {
    check(cudaMemcpy(start, tensor.values.bytes.data(), size, cudaMemcpyHostToDevice),
          "cudaMemcpy");
  }
  const bool keep = role == Role::kInOut || (role == Role::kInput && size <= kCompared);
  if (!keep) tensor.values.bytes = {};
  tensors_.push_back(std::move(tensor));
  return start;
}

void DeviceTensors::reset() {
  for (const Tensor& t : tensors_) {
    std::byte* const p = t.memory.get();
    check(cudaMemset(p, static_cast<int>(kCanary), t.offset), "cudaMemset");
    check(cudaMemset(p + t.offset + t.size, static_cast<int>(kCanary), kGuard), "cudaMemset");
    if (!t.values.bytes.empty()) {
      check(cudaMemcpy(p + t.offset, t.values.bytes.data(), t.size, cudaMemcpyHostToDevice),
            "cudaMemcpy");
    } else if (t.role != Role::kInput && t.size > 0) {
      check(cudaMemset(p + t.offset, static_cast<int>(kPoison), t.size), "cudaMemset");
    }
  }
}

std::string DeviceTensors::damage() const {
  for (const Tensor& t : tensors_) {
    const std::byte* const p = t.memory.get();
    if (!all_are(download(p, t.offset), kCanary)) return "wrote before " + t.values.name;
    if (!all_are(download(p + t.offset + t.size, kGuard), kCanary)) {
      return "wrote behind " + t.values.name;
    }
    if (t.role == Role::kInput && !t.values.bytes.empty() &&
        download(p + t.offset, t.size) != t.values.bytes) {
      return "changed its input " + t.values.name;
    }
  }
  return "";
}

std::vector<Values> DeviceTensors::outputs() const {
  std::vector<Values> all;
  for (const Tensor& t : tensors_) {
    if (t.role != Role::kOutput && t.role != Role::kInOut) continue;
    all.push_back({t.values.name, t.values.type, t.values.tolerance,
                   download(t.memory.get() + t.offset, t.size)});
  }
  return all;
}

int64_t DeviceTensors::bytes() const {
  int64_t sum = 0;
  for (const Tensor& t : tensors_) sum += static_cast<int64_t>(t.size);
  return sum;
}

std::byte* HostTensors::add(Values values, Role role) {
  tensors_.push_back(std::make_unique<Tensor>(Tensor{role, std::move(values)}));
  return tensors_.back()->values.bytes.data();
}

std::vector<Values> HostTensors::outputs() const {
  std::vector<Values> all;
  for (const auto& t : tensors_) {
    if (t->role == Role::kOutput || t->role == Role::kInOut) all.push_back(t->values);
  }
  return all;
}

}  // namespace verace::laboratory

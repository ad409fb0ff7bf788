// Allocating tensors, and spelling their types and shapes.
#include "engine/tensor.h"

#include <algorithm>
#include <utility>

#include "kernels/check.h"

namespace verace::engine {

int64_t size_of(DType dtype) {
  if (dtype == DType::kU8) return 1;
  return dtype == DType::kF16 || dtype == DType::kBF16 ? 2 : 4;
}

const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kI32:
      return "i32";
    case DType::kU8:
      return "u8";
    case DType::kF16:
      return "f16";
    case DType::kBF16:
      return "bf16";
  }
  return "?";
}

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  return count;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

namespace {

template <typename T>
std::vector<float> widened(const std::byte* elements, int64_t count) {
  const T* from = reinterpret_cast<const T*>(elements);
  std::vector<float> values(static_cast<size_t>(count));
  std::transform(from, from + count, values.begin(), [](T v) { return kernels::to_float(v); });
  return values;
}

}  // namespace

std::vector<float> to_f32(DType dtype, const std::byte* elements, int64_t count) {
  VERACE_CHECK(is_real(dtype), to_string(dtype));
  if (dtype == DType::kF16) return widened<kernels::Half>(elements, count);
  if (dtype == DType::kBF16) return widened<kernels::BFloat16>(elements, count);
  return widened<float>(elements, count);
}

Tensor::Tensor(std::string name, DType dtype, Shape shape, MemoryKind memory)
    : name_(std::move(name)),
      dtype_(dtype),
      shape_(std::move(shape)),
      buffer_(element_count(shape_) * size_of(dtype), memory) {}

kernels::AnyStorage<const void> Tensor::any() const {
  if (dtype_ == DType::kF16) return as<const kernels::Half>();
  if (dtype_ == DType::kBF16) return as<const kernels::BFloat16>();
  return as<const float>();
}

void Tensor::check_type(DType dtype) const { VERACE_CHECK(dtype_ == dtype, name_); }

std::span<float> Tensor::f32_span() const {
  VERACE_CHECK(memory() != MemoryKind::kDevice, name_);
  return {f32(), static_cast<size_t>(count())};
}

}  // namespace verace::engine

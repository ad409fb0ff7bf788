// Allocating tensors, and spelling their types and shapes.
#include "engine/tensor.h"

#include <utility>

#include "kernels/check.h"

namespace verace::engine {

int64_t size_of(DType dtype) { return dtype == DType::kU8 ? 1 : 4; }

const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kI32:
      return "i32";
    case DType::kU8:
      return "u8";
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

Tensor::Tensor(std::string name, DType dtype, Shape shape, MemoryKind memory)
    : name_(std::move(name)),
      dtype_(dtype),
      shape_(std::move(shape)),
      buffer_(element_count(shape_) * size_of(dtype), memory) {}

float* Tensor::f32() const {
  VERACE_CHECK(dtype_ == DType::kF32, name_);
  return reinterpret_cast<float*>(buffer_.data());
}

std::span<float> Tensor::f32_span() const {
  VERACE_CHECK(memory() != MemoryKind::kDevice, name_);
  return {f32(), static_cast<size_t>(count())};
}

}  // namespace verace::engine

// A named, typed, shaped array that owns its memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/memory.h"

namespace verace::engine {

// Element types. The type is a property of a tensor, never of the program.
enum class DType { kF32, kI32, kU8 };

int64_t size_of(DType dtype);
const char* to_string(DType dtype);

using Shape = std::vector<int64_t>;

// Product of the dimensions (1 for a scalar).
int64_t element_count(const Shape& shape);
// "[64, 7, 7, 3]".
std::string to_string(const Shape& shape);

class Tensor {
 public:
  Tensor() = default;
  // Zero-initialised.
  Tensor(std::string name, DType dtype, Shape shape, MemoryKind memory = MemoryKind::kHost);

  const std::string& name() const { return name_; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t count() const { return element_count(shape_); }
  int64_t bytes() const { return buffer_.bytes(); }
  bool empty() const { return buffer_.bytes() == 0; }
  MemoryKind memory() const { return buffer_.kind(); }

  // The elements, wherever they lie: for the operations of a device that reaches that memory.
  // Throws Error(kInternal) when the type is another.
  float* f32() const;
  // The elements in memory of the host; throws Error(kInternal) when they lie elsewhere
  // (engine/transfer.h copies them).
  std::span<float> f32_span() const;
  std::byte* bytes_in_memory() const { return buffer_.data(); }

 private:
  std::string name_;
  DType dtype_ = DType::kF32;
  Shape shape_;
  Buffer buffer_;
};

}  // namespace verace::engine

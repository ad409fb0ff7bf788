// A named, typed, shaped array that owns its memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/memory.h"
#include "kernels/storage.h"

namespace verace::engine {

// Element types. The type is a property of a tensor, never of the program.
// kF16 and kBF16 (kernels/storage.h) exist in memory of CUDA devices.
enum class DType { kF32, kI32, kU8, kF16, kBF16 };

int64_t size_of(DType dtype);
const char* to_string(DType dtype);
// True for the types that hold fractions: they can be read as fp32.
inline bool is_real(DType dtype) { return dtype != DType::kI32 && dtype != DType::kU8; }

// The element type that holds T.
template <typename T>
constexpr DType dtype_of() {
  switch (kernels::storage_type<T>()) {
    case kernels::StorageType::kHalf:
      return DType::kF16;
    case kernels::StorageType::kBFloat16:
      return DType::kBF16;
    case kernels::StorageType::kFloat:
      break;
  }
  return DType::kF32;
}

using Shape = std::vector<int64_t>;

// Product of the dimensions (1 for a scalar).
int64_t element_count(const Shape& shape);
// "[64, 7, 7, 3]".
std::string to_string(const Shape& shape);

// `count` elements of a real type, as fp32.
std::vector<float> to_f32(DType dtype, const std::byte* elements, int64_t count);

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
  float* f32() const { return as<float>(); }
  // The same for T: float, Half or BFloat16.
  template <typename T>
  T* as() const {
    check_type(dtype_of<std::remove_const_t<T>>());
    return reinterpret_cast<T*>(buffer_.data());
  }
  // The elements in memory of the host; throws Error(kInternal) when they lie elsewhere
  // (engine/transfer.h copies them).
  std::span<float> f32_span() const;
  std::byte* bytes_in_memory() const { return buffer_.data(); }
  // The elements, of whichever of these types. Throws Error(kInternal) on others.
  kernels::AnyStorage<const void> any() const;

 private:
  void check_type(DType dtype) const;

  std::string name_;
  DType dtype_ = DType::kF32;
  Shape shape_;
  Buffer buffer_;
};

}  // namespace verace::engine

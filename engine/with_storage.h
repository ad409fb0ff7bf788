// Choosing a storage type at run time.
#pragma once

#include "engine/tensor.h"
#include "kernels/dispatch.h"
#include "kernels/storage.h"

namespace verace::engine {

// body(T{}) with the storage type T of `dtype`: float, Half or BFloat16. A build without CUDA has
// float alone, so that its layers are compiled once.
template <typename Body>
auto with_storage(DType dtype, const Body& body) {
  if constexpr (kernels::have_cuda) {
    if (dtype == DType::kF16) return body(kernels::Half{});
    if (dtype == DType::kBF16) return body(kernels::BFloat16{});
  }
  VERACE_CHECK(dtype == DType::kF32, "no storage type of activations here");
  return body(float{});
}

}  // namespace verace::engine

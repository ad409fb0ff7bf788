// The Keras files of tests/goldens/h5 and the values that make_h5.py put into them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tests/weights/support.h"
#include "weights/half.h"
#include "weights/hdf5/keras.h"

namespace verace::weights {

inline std::string keras_file(const std::string& name) {
  const std::string bytes = read_text(std::string(VERACE_GOLDENS) + "/h5/" + name);
  REQUIRE_MESSAGE(!bytes.empty(), name);
  return bytes;
}

inline TensorTable parse_keras(const std::string& file) {
  return parse_keras_hdf5(std::as_bytes(std::span(file)), "net.h5");
}

// value_of() of make_h5.py; exact in every type.
inline double keras_value(const std::string& name, uint64_t index) {
  uint32_t seed = 0;
  for (const char c : name) seed = seed * 31 + static_cast<unsigned char>(c);
  const double fraction = static_cast<double>((index * 7919 + seed) % 65536) / 65536;
  const bool positive = name.ends_with("gamma") || name.ends_with("moving_variance");
  return fraction + (positive ? 0.5 : -0.5);
}

// The element `index` of a tensor as stored.
inline double element(const TensorView& tensor, size_t index) {
  const auto read = [&](auto number) {
    std::memcpy(&number, tensor.bytes.data() + index * sizeof(number), sizeof(number));
    return number;
  };
  switch (tensor.dtype) {
    case Dtype::kF16:
      return f16_to_f32(read(uint16_t{}));
    case Dtype::kF32:
      return read(float{});
    case Dtype::kF64:
      return read(double{});
    default:
      FAIL("unexpected type");
      return 0;
  }
}

// How many elements of the tensor are not what make_h5.py wrote for that name.
inline size_t wrong_elements(const TensorView& tensor) {
  size_t count = 1;
  for (const int64_t extent : tensor.shape) count *= static_cast<size_t>(extent);
  if (tensor.bytes.size() != count * static_cast<size_t>(size_of(tensor.dtype))) return count;
  size_t wrong = 0;
  for (size_t i = 0; i < count; ++i) {
    const double want = keras_value(tensor.name, i);
    const double rounded =
        tensor.dtype == Dtype::kF16
            ? kernels::to_float(kernels::from_float<kernels::Half>(static_cast<float>(want)))
            : want;
    if (!(element(tensor, i) == rounded)) ++wrong;
  }
  return wrong;
}

}  // namespace verace::weights

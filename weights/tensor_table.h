// What every reader of weight files returns: views of the stored tensors, and the file's metadata.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "weights/dtype.h"

namespace verace::weights {

// One stored tensor. `bytes` points into the file's memory and lives as long as that does. Rank 0
// (a scalar) and zero elements are allowed.
struct TensorView {
  std::string name;         // as the rest of Verace knows it: torchvision's, once translated
  std::string stored_name;  // as the file spells it; empty: the same as name
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;      // in elements, one per extent, not negative; empty: row-major
                                     // (C order) and dense
  std::span<const std::byte> bytes;  // from the element with index 0 to the last one that the
                                     // strides reach; little-endian, any alignment

  int64_t element_count() const;  // product of the shape
  bool is_dense() const { return strides.empty(); }
};

struct TensorTable {
  std::vector<TensorView> tensors;  // in the reader's order
  std::map<std::string, std::string> metadata;
};

}  // namespace verace::weights

// Stored tensors as every reader of weight files gives them, whatever the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "weights/dtype.h"

namespace verace::weights {

// One stored tensor. `bytes` points into the file's memory and lives as long as that does;
// little-endian, any alignment. Rank 0 (a scalar) and zero elements are allowed.
struct TensorView {
  std::string name;         // as the rest of Verace knows it: torchvision's, once it is translated
  std::string stored_name;  // as the file spells it; empty: the same as name
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  // In elements, one per extent; empty: row-major (C order) and dense. Not negative.
  std::vector<int64_t> strides;
  // From the element with index 0 to the last one that the strides reach.
  std::span<const std::byte> bytes;

  int64_t element_count() const;  // the product of the shape
  bool is_dense() const { return strides.empty(); }
  const std::string& name_in_file() const { return stored_name.empty() ? name : stored_name; }
};

// A reader's result: one function per format from the bytes of a file to this.
struct TensorTable {
  std::vector<TensorView> tensors;  // in the order of their data, or as the format lists them
  std::map<std::string, std::string> metadata;
};

// Elements from the first to the last one that `strides` reach (the product of the shape where
// strides are empty), 0 for a tensor without elements. -1 where that is beyond 2^63 - 1.
int64_t reached_elements(std::span<const int64_t> shape, std::span<const int64_t> strides);

// [3 * 7 * 7, 7 * 7, 7, 1] for [64, 3, 7, 7].
std::vector<int64_t> row_major_strides(std::span<const int64_t> shape);

// The tensor's elements one after the other in row-major order: its own bytes where it is dense,
// else gathered into `buffer` (which is replaced and must outlive the result).
std::span<const std::byte> dense_bytes(const TensorView& tensor, std::vector<std::byte>& buffer);

// The same into `target`, which must have element_count() elements of the dtype's size and not
// overlap the tensor.
void gather(const TensorView& tensor, std::span<std::byte> target);

// `text` in single quotes for a one-line message: control characters replaced, long text shortened.
std::string in_quotes(const std::string& text);

// "[64, 3, 7, 7]".
std::string shape_text(std::span<const int64_t> shape);

}  // namespace verace::weights

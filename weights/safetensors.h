// Writing safetensors files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "weights/atomic_file.h"
#include "weights/dtype.h"

namespace verace::weights {

// A tensor to store. Owns its name and shape, borrows its bytes (row-major, little-endian) until
// the write returns.
struct TensorToWrite {
  TensorToWrite(std::string tensor_name, std::vector<int64_t> tensor_shape,
                std::span<const float> values);  // F32
  TensorToWrite(std::string tensor_name, std::vector<int64_t> tensor_shape, Dtype tensor_dtype,
                std::span<const std::byte> tensor_bytes);

  std::string name;
  std::vector<int64_t> shape;
  Dtype dtype;
  std::span<const std::byte> bytes;
};

// Throws Error(kInternal) unless the byte count fits shape and dtype.
void check_tensor(const TensorToWrite& tensor);

// Writes `path` atomically (atomic_file.h). The given order is kept, except that types with larger
// elements come first, so that every tensor is aligned to its element size; the header is padded to
// 8 bytes. Equal input gives equal bytes. A checksum is filled in where the metadata has its key
// (safetensors_checksum.h). `how`: what is done before the rename. Throws Error(kInput) when the
// system refuses (nothing is lost or left behind) or metadata is not UTF-8, and Error(kInternal)
// for a duplicate name or a byte count that does not fit shape and dtype.
void write_safetensors(const std::string& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata, const Commit& how = {});

}  // namespace verace::weights

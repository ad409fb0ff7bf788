// Reading and writing safetensors files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "weights/atomic_file.h"
#include "weights/mapped_file.h"
#include "weights/safetensors_header.h"

namespace verace::weights {

// A weight file, mapped read-only and validated completely on opening (safetensors_header.h says
// what that means). Move-only; all views point into the mapping and live as long as this object (or
// the one it was moved to). Reading from several threads at once is fine.
class SafetensorsFile {
 public:
  // Throws Error(kInput): one line with the file's name, what does not fit and what to do. Files of
  // other formats (zip, pickle, HDF5, compressed, git-lfs pointers, web pages) are recognised and
  // named.
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return path_; }
  int64_t file_bytes() const { return static_cast<int64_t>(file_.bytes().size()); }

  // In the order of their data in the file.
  const std::vector<TensorView>& tensors() const { return content_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return content_.metadata; }

  // nullptr when there is no such tensor.
  const TensorView* find(std::string_view name) const;
  // Throws Error(kInput) when there is no such tensor.
  const TensorView& at(std::string_view name) const;

  // The tensor's elements as fp32 in row-major order; F32 bit for bit, F16 and BF16 exactly. Throws
  // Error(kInput) for a missing name or another dtype, Error(kInternal) when `target` has another
  // number of elements.
  void read_f32(std::string_view name, std::span<float> target) const;
  std::vector<float> read_f32(std::string_view name) const;

 private:
  std::string path_;
  MappedFile file_;
  SafetensorsContent content_;
  std::unordered_map<std::string_view, size_t> index_;  // keys point into content_
};

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

// Writes `path` atomically (atomic_file.h). The given order is kept, except that types with larger
// elements come first, so that every tensor is aligned to its element size; the header is padded to
// 8 bytes. Equal input gives equal bytes. A checksum is filled in where the metadata has its key
// (safetensors_checksum.h). `how`: what is done before the rename. Throws Error(kInput) when the system refuses (nothing is
// lost or left behind) or metadata is not UTF-8, and Error(kInternal) for a duplicate name or a
// byte count that does not fit shape and dtype.
void write_safetensors(const std::string& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata, const Commit& how = {});

}  // namespace verace::weights

// One weight file of any format that we read, opened by its content.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "weights/mapped_file.h"
#include "weights/name_families.h"
#include "weights/tensor_table.h"

namespace verace::weights {

enum class Format {
  kSafetensors,
  kSafetensorsShards,
  kTorchZip,
  kTorchStream,
  kKerasHdf5,
  kKerasArchive,
};

// For people: "safetensors", "safetensors in shards", "PyTorch zip", "PyTorch stream", "Keras
// HDF5", "Keras archive".
std::string_view to_string(Format format);

// A weight file, mapped read-only and validated completely on opening (the parsers' headers say
// what that means; which parser is chosen by the first bytes, never by the name). An index of
// shards (*.index.json) stands for the shards beside it. Move-only; all views point into the
// mapping and live as long as this object (or the one it was moved to). Reading from several
// threads at once is fine.
class WeightFile {
 public:
  // Throws Error(kInput): one line with the file's name, what does not fit and what to do. Formats
  // that we do not read (compressed files, git-lfs pointers, web pages ...) are recognised and
  // named.
  explicit WeightFile(const std::string& path);

  const std::string& path() const { return path_; }
  Format format() const { return format_; }
  int64_t file_bytes() const;  // of all shards and their index
  const Naming& naming() const { return naming_; }

  // In the order of their data in the file, or as the format lists them; names, shapes and strides
  // as translate_names() leaves them.
  const std::vector<TensorView>& tensors() const { return table_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return table_.metadata; }

  // nullptr when there is no such tensor.
  const TensorView* find(std::string_view name) const;
  // Throws Error(kInput) when there is no such tensor.
  const TensorView& at(std::string_view name) const;

  // The tensor's elements as fp32 in row-major order; F32 bit for bit, F16 and BF16 exactly. Throws
  // Error(kInput) for a missing name or another dtype, Error(kInternal) when `target` has another
  // number of elements.
  void read_f32(std::string_view name, std::span<float> target) const;
  std::vector<float> read_f32(std::string_view name) const;
  // The same of a filter [o, i, h, w] in the engine's order [o, h, w, i].
  void read_filter_f32(std::string_view name, std::span<float> target) const;

 private:
  void read_view_f32(const TensorView& tensor, std::span<float> target) const;

  std::string path_;
  Format format_ = Format::kSafetensors;
  std::vector<MappedFile> files_;
  TensorTable table_;
  Naming naming_;
  std::unordered_map<std::string_view, size_t> index_;  // keys point into table_
};

}  // namespace verace::weights

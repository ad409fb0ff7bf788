// Choosing the parser by content; lookup and conversion.
#include "weights/weight_file.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/half.h"
#include "weights/hdf5/keras.h"
#include "weights/hdf5/keras_archive.h"
#include "weights/safetensors_header.h"
#include "weights/safetensors_index.h"
#include "weights/torch/torch_file.h"

namespace verace::weights {
namespace {

using Bytes = std::span<const std::byte>;

bool is_hdf5(Bytes file) {
  constexpr std::string_view kSignature("\x89HDF\r\n\x1a\n", 8);
  const std::string_view head(reinterpret_cast<const char*>(file.data()),
                              std::min(file.size(), kSignature.size()));
  return head == kSignature;
}

struct FormatReader {
  Format format;
  bool (*recognises)(Bytes file);
  TensorTable (*parse)(Bytes file, const std::string& path);
};

// The first that recognises the file reads it; the last takes all and names what it is instead.
constexpr FormatReader kFormatReaders[] = {
    {Format::kKerasArchive, is_keras_archive, parse_keras_archive},
    {Format::kTorchZip, is_torch_zip, parse_torch_zip},
    {Format::kTorchStream, is_torch_stream, parse_torch_stream},
    {Format::kKerasHdf5, is_hdf5, parse_keras_hdf5},
    {Format::kSafetensors, [](Bytes) { return true; }, parse_safetensors},
};

// Of any single file, so also a shard.
const FormatReader& reader_of(Bytes file) {
  return *std::ranges::find_if(
      kFormatReaders, [file](const FormatReader& reader) { return reader.recognises(file); });
}

// Adds a shard's tensors to `whole` after checking that they are those that the index puts there.
void add_shard(const std::string& index_path, const SafetensorsIndex& index,
               const std::string& shard, TensorTable part, TensorTable& whole) {
  for (TensorView& tensor : part.tensors) {
    const auto placed = index.shard_of.find(tensor.name);
    if (placed == index.shard_of.end() || placed->second != shard) {
      fail_input(
          text::format("{}: shard {} holds tensor {}, which the index {}: fetch the index "
                       "and all shards again",
                       index_path, in_quotes(shard), in_quotes(tensor.name),
                       placed == index.shard_of.end() ? "does not name"
                                                      : "puts into " + in_quotes(placed->second)));
    }
    whole.tensors.push_back(std::move(tensor));
  }
  for (auto& [key, value] : part.metadata) {
    const auto [entry, is_new] = whole.metadata.emplace(key, value);
    if (!is_new && entry->second != value) {
      fail_input(
          text::format("{}: its shards contradict each other in the metadata {}: fetch the "
                       "index and all shards again",
                       index_path, in_quotes(key)));
    }
  }
}

}  // namespace

std::string_view to_string(Format format) {
  switch (format) {
    case Format::kSafetensors:
      return "safetensors";
    case Format::kSafetensorsShards:
      return "safetensors in shards";
    case Format::kTorchZip:
      return "PyTorch zip";
    case Format::kTorchStream:
      return "PyTorch stream";
    case Format::kKerasHdf5:
      return "Keras HDF5";
    case Format::kKerasArchive:
      return "Keras archive";
  }
  fail_check("format is in its enum", __FILE__, __LINE__, "");
}

WeightFile::WeightFile(const std::string& path) : path_(path) {
  files_.emplace_back(path);
  if (!looks_like_index(files_[0].bytes())) {
    const FormatReader& reader = reader_of(files_[0].bytes());
    format_ = reader.format;
    table_ = reader.parse(files_[0].bytes(), path);
  } else {
    format_ = Format::kSafetensorsShards;
    const SafetensorsIndex index = parse_safetensors_index(files_[0].bytes(), path);
    for (const std::string& shard : index.shards) {
      const std::string file = (std::filesystem::path(path).parent_path() / shard).string();
      const Bytes bytes = files_.emplace_back(file).bytes();
      add_shard(path, index, shard, reader_of(bytes).parse(bytes, file), table_);
    }
    if (table_.tensors.size() != index.shard_of.size()) {
      fail_input(
          text::format("{}: names {} tensors, its shards hold {}: fetch the index and all "
                       "shards again",
                       path, index.shard_of.size(), table_.tensors.size()));
    }
  }
  naming_ = translate_names(table_, path);
  for (size_t i = 0; i < table_.tensors.size(); ++i) index_[table_.tensors[i].name] = i;
}

int64_t WeightFile::file_bytes() const {
  int64_t bytes = 0;
  for (const MappedFile& file : files_) bytes += static_cast<int64_t>(file.bytes().size());
  return bytes;
}

const TensorView* WeightFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &table_.tensors[found->second];
}

const TensorView& WeightFile::at(std::string_view name) const {
  const TensorView* tensor = find(name);
  if (tensor == nullptr) {
    fail_input(path_ + ": has no tensor " + in_quotes(std::string(name)) +
               ": choose a file of the right network");
  }
  return *tensor;
}

void WeightFile::read_f32(std::string_view name, std::span<float> target) const {
  read_view_f32(at(name), target);
}

void WeightFile::read_filter_f32(std::string_view name, std::span<float> target) const {
  constexpr size_t kRank = 4, kOrder[kRank] = {0, 2, 3, 1};
  const TensorView& tensor = at(name);
  VERACE_CHECK(tensor.shape.size() == kRank, tensor.name);
  std::vector<int64_t> steps = tensor.strides;
  if (steps.empty()) steps = row_major_strides(tensor.shape);
  TensorView view = tensor;
  view.strides.resize(kRank);
  for (size_t axis = 0; axis < kRank; ++axis) {
    view.shape[axis] = tensor.shape[kOrder[axis]];
    view.strides[axis] = steps[kOrder[axis]];
  }
  read_view_f32(view, target);
}

void WeightFile::read_view_f32(const TensorView& tensor, std::span<float> target) const {
  if (!is_exact_in_f32(tensor.dtype)) {
    fail_input(path_ + ": tensor " + in_quotes(tensor.name) + " has dtype " +
               std::string(to_string(tensor.dtype)) + ": convert it to F32, F16 or BF16");
  }
  VERACE_CHECK(static_cast<int64_t>(target.size()) == tensor.element_count(),
               path_ + ": tensor " + in_quotes(tensor.name) + " has " +
                   std::to_string(tensor.element_count()) + " elements, the target " +
                   std::to_string(target.size()));
  if (tensor.dtype == Dtype::kF32) {
    gather(tensor, std::as_writable_bytes(target));
    return;
  }
  std::vector<std::byte> buffer;
  const std::span<const std::byte> halves = dense_bytes(tensor, buffer);
  if (tensor.dtype == Dtype::kF16) {
    f16_to_f32(halves, target);
  } else {
    bf16_to_f32(halves, target);
  }
}

std::vector<float> WeightFile::read_f32(std::string_view name) const {
  std::vector<float> values(static_cast<size_t>(at(name).element_count()));
  read_f32(name, values);
  return values;
}

}  // namespace verace::weights

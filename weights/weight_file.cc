// Choosing the parser by content; lookup and conversion.
#include "weights/weight_file.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/half.h"
#include "weights/safetensors_header.h"
#include "weights/safetensors_index.h"

namespace verace::weights {
namespace {

struct Parsed {
  Format format;
  TensorTable table;
};

// Any single file, so also a shard.
Parsed parse_by_content(std::span<const std::byte> bytes, const std::string& path) {
  return {Format::kSafetensors, parse_safetensors(bytes, path)};
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
  }
  fail_check("format is in its enum", __FILE__, __LINE__, "");
}

WeightFile::WeightFile(const std::string& path) : path_(path) {
  files_.emplace_back(path);
  if (!looks_like_index(files_[0].bytes())) {
    Parsed parsed = parse_by_content(files_[0].bytes(), path);
    format_ = parsed.format;
    table_ = std::move(parsed.table);
  } else {
    format_ = Format::kSafetensorsShards;
    const SafetensorsIndex index = parse_safetensors_index(files_[0].bytes(), path);
    for (const std::string& shard : index.shards) {
      const std::string file = (std::filesystem::path(path).parent_path() / shard).string();
      const MappedFile& mapped = files_.emplace_back(file);
      add_shard(path, index, shard, parse_by_content(mapped.bytes(), file).table, table_);
    }
    if (table_.tensors.size() != index.shard_of.size()) {
      fail_input(
          text::format("{}: names {} tensors, its shards hold {}: fetch the index and all "
                       "shards again",
                       path, index.shard_of.size(), table_.tensors.size()));
    }
  }
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
  const TensorView& tensor = at(name);
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

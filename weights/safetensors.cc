// Header, then data, through an atomic file.
#include "weights/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/safetensors_checksum.h"
#include "weights/safetensors_header.h"

namespace verace::weights {
namespace {

// Length prefix and padded JSON for tensors in this order.
std::string header_bytes(const std::string& path, std::span<const TensorToWrite* const> tensors,
                         const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::set<std::string_view> names{"__metadata__"};
  size_t position = 0;
  for (const TensorToWrite* tensor : tensors) {
    check_tensor(*tensor);
    VERACE_CHECK(names.insert(tensor->name).second, "a second tensor " + tensor->name);
    header[tensor->name] = {{"dtype", to_string(tensor->dtype)},
                            {"shape", tensor->shape},
                            {"data_offsets", {position, position + tensor->bytes.size()}}};
    position += tensor->bytes.size();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    fail_input(path + ": cannot write metadata or names that are not UTF-8: rename them");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  VERACE_CHECK(text.size() <= kMaxHeaderBytes);
  const uint64_t length = text.size();
  char prefix[sizeof(length)];
  std::memcpy(prefix, &length, sizeof(length));
  return std::string(prefix, sizeof(length)) + text;
}

}  // namespace

void check_tensor(const TensorToWrite& tensor) {
  int64_t bytes = size_of(tensor.dtype);
  for (const int64_t extent : tensor.shape) {
    VERACE_CHECK(extent >= 0 && !__builtin_mul_overflow(bytes, extent, &bytes), tensor.name);
  }
  VERACE_CHECK(static_cast<uint64_t>(bytes) == tensor.bytes.size(),
               text::format("{}: shape {} needs {} bytes, given {}", tensor.name,
                            shape_text(tensor.shape), bytes, tensor.bytes.size()));
}

TensorToWrite::TensorToWrite(std::string tensor_name, std::vector<int64_t> tensor_shape,
                             std::span<const float> values)
    : TensorToWrite(std::move(tensor_name), std::move(tensor_shape), Dtype::kF32,
                    std::as_bytes(values)) {}

TensorToWrite::TensorToWrite(std::string tensor_name, std::vector<int64_t> tensor_shape,
                             Dtype tensor_dtype, std::span<const std::byte> tensor_bytes)
    : name(std::move(tensor_name)),
      shape(std::move(tensor_shape)),
      dtype(tensor_dtype),
      bytes(tensor_bytes) {}

void write_safetensors(const std::string& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata, const Commit& how) {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(), [](const TensorToWrite* a, const TensorToWrite* b) {
    return size_of(a->dtype) > size_of(b->dtype);
  });
  std::vector<std::span<const std::byte>> pieces;
  for (const TensorToWrite* tensor : order) pieces.push_back(tensor->bytes);
  std::string header = header_bytes(path, order, metadata);
  fill_checksum(header, pieces);
  AtomicFile file(path);
  file.write(header);
  for (const std::span<const std::byte> piece : pieces) file.write(piece);
  file.commit(how);
}

}  // namespace verace::weights

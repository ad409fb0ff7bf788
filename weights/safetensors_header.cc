// Validation of a safetensors file's structure.
#include "weights/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/file_magic.h"
#include "weights/header_sax.h"

namespace verace::weights {
namespace {

constexpr size_t kPrefixBytes = 8;

// The header's text, after checking that it is there.
std::string header_text(std::span<const std::byte> file, const std::string& path) {
  uint64_t length = 0;
  if (file.size() >= kPrefixBytes) std::memcpy(&length, file.data(), kPrefixBytes);
  const bool starts_object = file.size() > kPrefixBytes && file[kPrefixBytes] == std::byte{'{'};
  if (!starts_object || length > kMaxHeaderBytes) {
    const std::string other = describe_other_format(file);
    if (!other.empty()) fail_input(path + ": " + other);
  }
  if (file.size() < kPrefixBytes) {
    fail_input(text::format("{}: holds {} bytes, too few for a safetensors file: {}", path,
                            file.size(), kExportAgain));
  }
  if (length > kMaxHeaderBytes) {
    fail_input(
        text::format("{}: is not a safetensors file (a header of {} bytes; at most {}): name a "
                     "safetensors file",
                     path, length, kMaxHeaderBytes));
  }
  if (length > file.size() - kPrefixBytes) {
    fail_input(text::format("{}: is truncated: holds {} bytes, but its header alone needs {}: {}",
                            path, file.size(), length + kPrefixBytes, kExportAgain));
  }
  if (length == 0 || !starts_object) {
    fail_input(path + ": is not a safetensors file (its header does not begin with '{'): name a " +
               "safetensors file");
  }
  return {reinterpret_cast<const char*>(file.data()) + kPrefixBytes, static_cast<size_t>(length)};
}

void check_entry(const HeaderEntry& entry, const std::string& path) {
  const auto [begin, end] = std::pair(entry.offsets[0], entry.offsets[1]);
  int64_t bytes = size_of(entry.dtype);
  for (const int64_t extent : entry.shape) {
    if (__builtin_mul_overflow(bytes, extent, &bytes)) {
      fail_input(text::format("{}: tensor {} of shape {} is larger than 2^63 bytes: {}", path,
                              in_quotes(entry.name), shape_text(entry.shape), kExportAgain));
    }
  }
  if (begin > end) {
    fail_input(text::format("{}: tensor {} ends at byte {}, before it begins at {}: {}", path,
                            in_quotes(entry.name), end, begin, kExportAgain));
  }
  if (end - begin != bytes) {
    fail_input(
        text::format("{}: tensor {} of shape {} and dtype {} needs {} bytes, its data_offsets "
                     "give {}: {}",
                     path, in_quotes(entry.name), shape_text(entry.shape), to_string(entry.dtype),
                     bytes, end - begin, kExportAgain));
  }
}

// Sorts by position and demands that each begins where the one before ends. Returns the end of the
// last.
int64_t check_tiling(std::vector<HeaderEntry>& entries, const std::string& path) {
  std::stable_sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return a.offsets < b.offsets;
  });
  int64_t position = 0;
  const HeaderEntry* previous = nullptr;
  for (const HeaderEntry& entry : entries) {
    if (entry.offsets[0] != position) {
      fail_input(text::format("{}: tensor {} begins at byte {} of the data, but {} at {} ({}): {}",
                              path, in_quotes(entry.name), entry.offsets[0],
                              previous ? in_quotes(previous->name) + " ends" : "the data begins",
                              position, entry.offsets[0] < position ? "an overlap" : "a hole",
                              kExportAgain));
    }
    position = entry.offsets[1];
    previous = &entry;
  }
  return position;
}

}  // namespace

TensorTable parse_safetensors(std::span<const std::byte> file, const std::string& path) {
  const std::string text = header_text(file, path);
  Header header = parse_header_json(text, path);
  for (const HeaderEntry& entry : header.entries) check_entry(entry, path);
  const auto data_bytes = static_cast<uint64_t>(check_tiling(header.entries, path));
  const std::span<const std::byte> data = file.subspan(kPrefixBytes + text.size());
  if (data.size() < data_bytes) {
    fail_input(text::format("{}: is truncated: holds {} bytes, but its header announces {}: {}",
                            path, file.size(), kPrefixBytes + text.size() + data_bytes,
                            kExportAgain));
  }
  if (data.size() > data_bytes) {
    fail_input(
        text::format("{}: has {} bytes after its last tensor (holds {}, its header announces "
                     "{}): {}",
                     path, data.size() - data_bytes, file.size(),
                     file.size() - data.size() + data_bytes, kExportAgain));
  }
  TensorTable content;
  content.metadata = std::move(header.metadata);
  content.tensors.reserve(header.entries.size());
  for (HeaderEntry& entry : header.entries) {
    const auto begin = static_cast<size_t>(entry.offsets[0]);
    const auto end = static_cast<size_t>(entry.offsets[1]);
    content.tensors.push_back({std::move(entry.name),
                               {},
                               entry.dtype,
                               std::move(entry.shape),
                               {},
                               data.subspan(begin, end - begin)});
  }
  return content;
}

}  // namespace verace::weights

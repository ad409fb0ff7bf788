// The header of .npy files, and the values behind it.
#include "apps/lib/dump/npy.h"

#include <bit>
#include <cstring>
#include <string>

#include "kernels/check.h"

namespace verace::apps {
namespace {

static_assert(std::endian::native == std::endian::little, "values are written as they lie");

constexpr size_t kAlignment = 64;

// Everything before the data.
std::string beginning(const engine::Shape& shape) {
  std::string tuple;
  for (const int64_t size : shape) tuple += std::to_string(size) + ", ";
  // A tuple of one element keeps its comma: (3,).
  if (shape.size() > 1) tuple.resize(tuple.size() - 2);
  if (shape.size() == 1) tuple.resize(tuple.size() - 1);
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + tuple + "), }";
  constexpr size_t kPrefix = 10;
  const size_t used = kPrefix + header.size() + 1;
  header.append((kAlignment - used % kAlignment) % kAlignment, ' ');
  header += '\n';
  VERACE_CHECK(header.size() < 65536);
  std::string bytes = "\x93NUMPY";
  bytes += '\x01';
  bytes += '\0';
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header;
}

}  // namespace

std::vector<std::byte> npy_file(const engine::Shape& shape, std::span<const float> values) {
  VERACE_CHECK(static_cast<int64_t>(values.size()) == engine::element_count(shape));
  const std::string header = beginning(shape);
  std::vector<std::byte> bytes(header.size() + values.size_bytes());
  std::memcpy(bytes.data(), header.data(), header.size());
  if (!values.empty()) {
    std::memcpy(bytes.data() + header.size(), values.data(), values.size_bytes());
  }
  return bytes;
}

int64_t npy_file_bytes(const engine::Shape& shape) {
  return static_cast<int64_t>(beginning(shape).size()) +
         engine::element_count(shape) * static_cast<int64_t>(sizeof(float));
}

}  // namespace verace::apps

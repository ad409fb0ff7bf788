// read_npy(): float32 arrays in C order from NumPy's .npy files (format versions 1 to 3).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/files.h"

namespace verace::test {

struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

namespace detail {

// The text between `open` and `close` after `key` in the header's Python dictionary.
inline std::string npy_field(const std::string& header, const std::string& key, char open,
                             char close) {
  const size_t at = header.find("'" + key + "'");
  const size_t colon = at == std::string::npos ? at : header.find(':', at);
  const size_t begin = colon == std::string::npos ? colon : header.find(open, colon);
  const size_t end = begin == std::string::npos ? begin : header.find(close, begin + 1);
  if (end == std::string::npos) throw std::runtime_error("npy header without " + key);
  return header.substr(begin + 1, end - begin - 1);
}

inline std::vector<int64_t> npy_shape(const std::string& text) {
  std::vector<int64_t> shape;
  for (size_t at = 0; at < text.size();) {
    if (text[at] < '0' || text[at] > '9') {
      ++at;
      continue;
    }
    size_t used = 0;
    shape.push_back(std::stoll(text.substr(at), &used));
    at += used;
  }
  return shape;
}

}  // namespace detail

inline NpyArray read_npy(const std::string& path) {
  static_assert(std::endian::native == std::endian::little);
  if (!std::filesystem::exists(path)) throw std::runtime_error("cannot open " + path);
  const std::string bytes = read_text(path);
  const auto byte = [&](size_t i) {
    return static_cast<size_t>(static_cast<uint8_t>(bytes.at(i)));
  };
  if (bytes.size() < 10 || bytes.compare(0, 6, "\x93NUMPY") != 0) {
    throw std::runtime_error(path + " is no .npy file");
  }
  const bool first_version = byte(6) == 1;
  const size_t start = first_version ? 10 : 12;
  const size_t length =
      byte(8) | byte(9) << 8 | (first_version ? size_t{0} : byte(10) << 16 | byte(11) << 24);
  if (bytes.size() < start + length) throw std::runtime_error(path + " ends in its header");
  const std::string header = bytes.substr(start, length);
  if (detail::npy_field(header, "descr", '\'', '\'') != "<f4") {
    throw std::runtime_error(path + " is not little-endian float32");
  }
  if (detail::npy_field(header, "fortran_order", ' ', ',') != "False") {
    throw std::runtime_error(path + " is not in C order");
  }
  NpyArray array;
  array.shape = detail::npy_shape(detail::npy_field(header, "shape", '(', ')'));
  size_t count = 1;
  for (const int64_t size : array.shape) count *= static_cast<size_t>(size);
  if (bytes.size() - start - length != count * sizeof(float)) {
    throw std::runtime_error(path + " does not hold what its shape says");
  }
  array.values.resize(count);
  std::memcpy(array.values.data(), bytes.data() + start + length, count * sizeof(float));
  return array;
}

}  // namespace verace::test

// Keras' HDF5 files with some of their bytes replaced, and how they are refused.
#pragma once

#include "tests/weights/keras_files.h"

namespace verace::weights::keras_bytes {

inline constexpr uint64_t kNothing = ~uint64_t{0};

inline std::string refusal(const std::string& file) {
  const std::string message = input_error([&] { parse_keras(file); });
  CHECK_CONTAINS(message, "net.h5: ");
  return message;
}

template <typename Number>
Number number_at(const std::string& file, size_t position) {
  Number value{};
  REQUIRE(position + sizeof(value) <= file.size());
  std::memcpy(&value, file.data() + position, sizeof(value));
  return value;
}

template <typename Number>
std::string with(std::string file, size_t position, Number value) {
  REQUIRE(position + sizeof(value) <= file.size());
  std::memcpy(file.data() + position, &value, sizeof(value));
  return file;
}

// Places of the superblock.
inline constexpr size_t kBase = 24, kEnd = 40, kRootHeader = 64;
inline constexpr size_t kRootTree = 80, kRootHeap = 88;

}  // namespace verace::weights::keras_bytes

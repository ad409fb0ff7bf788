// Reading numbers and bytes of an HDF5 file one after the other, every read checked against the end
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace verace::weights::hdf5 {

static_assert(std::endian::native == std::endian::little,
              "numbers of HDF5 files are little-endian");

// What a file is read from, and how it is refused.
struct Source {
  std::span<const std::byte> bytes;
  std::string path;

  // Throws Error(kInput): "PATH: WHAT (at byte N): fetch or export the file again". `where` points
  // into `bytes`.
  [[noreturn]] void damaged(const std::string& what, const std::byte* where) const;
  // Throws Error(kInput): "PATH: WHAT: ADVICE". The file may be sound, but is none that we read.
  [[noreturn]] void unsupported(const std::string& what, const std::string& advice) const;
};

// A position within `bytes`, which are a part of the source's. Each read fails (as damaged, naming
// `what`) when it would pass their end. `what` is a literal: "a symbol table node".
class Cursor {
 public:
  Cursor(const Source& source, std::span<const std::byte> bytes, const char* what)
      : source_(&source), bytes_(bytes), what_(what) {}

  uint8_t u8() { return number<uint8_t>(); }
  uint16_t u16() { return number<uint16_t>(); }
  uint32_t u32() { return number<uint32_t>(); }
  uint64_t u64() { return number<uint64_t>(); }

  // The next `count` bytes.
  std::span<const std::byte> take(uint64_t count);
  void skip(uint64_t count) { take(count); }
  // The next bytes must be these.
  void expect_signature(std::string_view signature);
  // The next byte must be `version`.
  void expect_version(uint8_t version);

  uint64_t left() const { return bytes_.size() - position_; }
  // The structure being read is wrong: "WHAT PROBLEM", at the current position.
  [[noreturn]] void fail(const std::string& problem) const;

 private:
  template <typename Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof(Number)).data(), sizeof(Number));
    return value;
  }

  const Source* source_;
  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
  const char* what_;
};

// The bytes as text, up to the first NUL.
std::string_view text_of(std::span<const std::byte> bytes);

}  // namespace verace::weights::hdf5

// A whole file, mapped read-only into memory.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace verace::weights {

// Owns the mapping; move-only; moving keeps the address of bytes(). The file must not shrink while
// it is mapped.
class MappedFile {
 public:
  // Throws Error(kInput) when `path` cannot be opened or is not a regular file. An empty file gives
  // no bytes.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace verace::weights

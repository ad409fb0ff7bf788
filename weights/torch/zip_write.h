// Writing an uncompressed zip archive, member by member.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "weights/atomic_file.h"

namespace verace::weights {

// Largest archive without zip64, and so the largest that is written here.
inline constexpr uint64_t kMaxZipBytes = 0xfffffffe;
inline constexpr size_t kMaxZipMembers = 0xfffe;
// So many bytes at most are added to a member's name (twice) and content.
inline constexpr uint64_t kZipMemberBytes = 256;

class ZipWriter {
 public:
  explicit ZipWriter(AtomicFile& file) : file_(file) {}

  // Appends a member. Its content begins at a multiple of 64 bytes of the file, as PyTorch writes
  // it. The caller keeps to the limits above.
  void add(std::string_view name, std::span<const std::byte> bytes);
  void add(std::string_view name, std::string_view text);

  // Writes the directory; nothing may follow.
  void finish();

 private:
  void write(std::string_view text);

  AtomicFile& file_;
  uint64_t position_ = 0;
  uint64_t members_ = 0;
  std::string directory_;
};

}  // namespace verace::weights

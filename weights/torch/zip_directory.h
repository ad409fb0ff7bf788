// The members of an uncompressed zip archive in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace verace::weights {

inline constexpr uint64_t kLocalHeaderBytes = 30;  // before a member's name

struct ZipMember {
  std::string_view name;             // as stored; points into the file
  std::span<const std::byte> bytes;  // points into the file
  uint32_t crc32 = 0;                // as the directory states it; not checked
  uint64_t header_offset = 0;        // of its local header
};

class ZipDirectory {
 public:
  // Reads the central directory at the end of `file` (with zip64); sizes are taken from there
  // alone, because writers that stream leave them out of the local headers. `path` only names the
  // file in messages. Throws Error(kInput) naming the member when one is compressed or encrypted,
  // lies outside the file, overlaps another one or has a name twice, and for archives that are cut,
  // in several parts, or do not begin with the file's first byte. So what the members hold together
  // is never more than the file.
  ZipDirectory(std::span<const std::byte> file, const std::string& path);

  const std::vector<ZipMember>& members() const { return members_; }  // in the directory's order
  // nullptr when there is none of that name.
  const ZipMember* find(std::string_view name) const;

 private:
  std::vector<ZipMember> members_;
  std::unordered_map<std::string_view, size_t> index_;
};

}  // namespace verace::weights

// Reading the central directory of a zip archive (PKWARE's APPNOTE.TXT, 4.3).
#include "weights/torch/zip_directory.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/tensor_table.h"
#include "weights/torch/advice.h"
#include "weights/torch/little_endian.h"

namespace verace::weights {
namespace {

constexpr const char* kRepack =
    "load and save it again with PyTorch, or unpack it and pack it with zip -0 -r";

constexpr uint64_t kLocalHeader = 0x04034b50, kEntry = 0x02014b50, kEnd = 0x06054b50,
                   kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr uint64_t kEntryBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20;
constexpr uint64_t kIn64 = 0xffffffff;  // "see the zip64 record"
constexpr uint64_t kEncrypted = 1;
constexpr uint16_t kExtra64 = 1;

struct End {
  uint64_t entries = 0;
  uint64_t bytes = 0;   // of the central directory
  uint64_t offset = 0;  // of the central directory
};

class DirectoryReader {
 public:
  DirectoryReader(std::span<const std::byte> file, const std::string& path)
      : file_(file), path_(path) {}

  std::vector<ZipMember> read();

 private:
  [[noreturn]] void fail(const std::string& what, const char* advice = kAgain) const {
    fail_input(text::format("{}: {}: {}", path_, what, advice));
  }
  [[noreturn]] void fail_member(std::string_view name, const std::string& what,
                                const char* advice = kAgain) const {
    fail(text::format("its member {} {}", quoted(name), what), advice);
  }

  // The number of `bytes` bytes at `offset`, which the caller knows to be within the file.
  uint64_t number(uint64_t offset, size_t bytes) const {
    return little_endian(file_.subspan(offset, bytes));
  }
  std::string_view text(uint64_t offset, uint64_t bytes) const {
    return {reinterpret_cast<const char*>(file_.data()) + offset, bytes};
  }

  uint64_t find_end() const;
  End read_end() const;
  End read_end64(uint64_t end) const;
  ZipMember read_entry(uint64_t& position) const;
  void read_extra64(std::string_view name, uint64_t offset, uint64_t bytes,
                    std::span<uint64_t* const> fields) const;
  std::span<const std::byte> data_of(const ZipMember& member, uint64_t size) const;
  void check_disjoint(const std::vector<ZipMember>& members) const;

  std::span<const std::byte> file_;
  const std::string& path_;
  End directory_;
};

// The end record is last, but for a comment of at most 65535 bytes that it announces.
uint64_t DirectoryReader::find_end() const {
  if (file_.size() >= kEndBytes) {
    const uint64_t last = file_.size() - kEndBytes;
    const uint64_t first = last > 0xffff ? last - 0xffff : 0;
    for (uint64_t at = last + 1; at-- > first;) {
      if (number(at, 4) == kEnd && number(at + 20, 2) == last - at) return at;
    }
  }
  fail("is a zip archive without its directory, probably cut short");
}

End DirectoryReader::read_end64(uint64_t end) const {
  const uint64_t offset = number(end - kLocator64Bytes + 8, 8);
  if (end - kLocator64Bytes < kEnd64Bytes || offset > end - kLocator64Bytes - kEnd64Bytes ||
      number(offset, 4) != kEnd64) {
    fail("is a zip archive whose zip64 record is not where it should be");
  }
  const End found{number(offset + 32, 8), number(offset + 40, 8), number(offset + 48, 8)};
  if (number(offset + 16, 8) != 0 || number(offset + 24, 8) != found.entries) {
    fail("is one part of a zip archive in several parts", "join the parts first");
  }
  if (found.offset > offset || found.bytes != offset - found.offset) {
    fail("is a zip archive whose directory is not where its end says");
  }
  return found;
}

End DirectoryReader::read_end() const {
  const uint64_t end = find_end();
  if (end >= kLocator64Bytes && number(end - kLocator64Bytes, 4) == kLocator64) {
    return read_end64(end);
  }
  const End found{number(end + 10, 2), number(end + 12, 4), number(end + 16, 4)};
  if (number(end + 4, 4) != 0 || number(end + 8, 2) != found.entries) {
    fail("is one part of a zip archive in several parts", "join the parts first");
  }
  if (found.offset > end || found.bytes != end - found.offset) {
    fail("is a zip archive whose directory is not where its end says");
  }
  return found;
}

// Replaces those of `fields` that say so by the numbers of the zip64 extra field, in order.
void DirectoryReader::read_extra64(std::string_view name, uint64_t offset, uint64_t bytes,
                                   std::span<uint64_t* const> fields) const {
  const uint64_t end = offset + bytes;
  while (end - offset >= 4) {
    const uint64_t tag = number(offset, 2);
    const uint64_t length = number(offset + 2, 2);
    offset += 4;
    if (length > end - offset) break;
    if (tag == kExtra64) {
      uint64_t at = offset;
      for (uint64_t* field : fields) {
        if (*field != kIn64) continue;
        if (offset + length - at < 8) fail_member(name, "has a zip64 record that is too short");
        *field = number(at, 8);
        at += 8;
      }
      return;
    }
    offset += length;
  }
}

ZipMember DirectoryReader::read_entry(uint64_t& position) const {
  const uint64_t limit = directory_.offset + directory_.bytes;
  if (limit - position < kEntryBytes || number(position, 4) != kEntry) {
    fail("is a zip archive with a broken directory");
  }
  const uint64_t at = position;
  const uint64_t name_bytes = number(at + 28, 2);
  const uint64_t extra_bytes = number(at + 30, 2);
  const uint64_t rest = name_bytes + extra_bytes + number(at + 32, 2);
  if (rest > limit - at - kEntryBytes) fail("is a zip archive with a broken directory");
  position = at + kEntryBytes + rest;

  ZipMember member;
  member.name = text(at + kEntryBytes, name_bytes);
  member.crc32 = static_cast<uint32_t>(number(at + 16, 4));
  uint64_t packed = number(at + 20, 4);
  uint64_t size = number(at + 24, 4);
  member.header_offset = number(at + 42, 4);
  uint64_t* const fields[] = {&size, &packed, &member.header_offset};
  read_extra64(member.name, at + kEntryBytes + name_bytes, extra_bytes, fields);
  const uint64_t method = number(at + 10, 2);
  if ((number(at + 8, 2) & kEncrypted) != 0) {
    fail_member(member.name, "is encrypted", "unpack it first");
  }
  if (method != 0) {
    fail_member(member.name, text::format("is compressed (method {})", method), kRepack);
  }
  if (packed != size) {
    fail_member(member.name, text::format("is stored, but has two sizes, {} and {}", packed, size));
  }
  member.bytes = data_of(member, size);
  return member;
}

std::span<const std::byte> DirectoryReader::data_of(const ZipMember& member, uint64_t size) const {
  const uint64_t at = member.header_offset;
  if (at > directory_.offset || directory_.offset - at < kLocalHeaderBytes ||
      number(at, 4) != kLocalHeader) {
    fail_member(member.name, text::format("has no header at byte {}", at));
  }
  const uint64_t name_bytes = number(at + 26, 2);
  const uint64_t head = kLocalHeaderBytes + name_bytes + number(at + 28, 2);
  if (head > directory_.offset - at || size > directory_.offset - at - head) {
    fail_member(member.name, text::format("of {} bytes at byte {} reaches beyond the members' part "
                                          "of the file ({} bytes)",
                                          size, at, directory_.offset));
  }
  if (text(at + kLocalHeaderBytes, name_bytes) != member.name || number(at + 8, 2) != 0) {
    fail_member(member.name, "has another name or method in its own header");
  }
  return file_.subspan(at + head, size);
}

void DirectoryReader::check_disjoint(const std::vector<ZipMember>& members) const {
  std::vector<const ZipMember*> order;
  for (const ZipMember& member : members) order.push_back(&member);
  std::sort(order.begin(), order.end(), [](const ZipMember* a, const ZipMember* b) {
    return a->header_offset < b->header_offset;
  });
  for (size_t i = 1; i < order.size(); ++i) {
    const std::span<const std::byte> before = order[i - 1]->bytes;
    const auto end = static_cast<uint64_t>(before.data() + before.size() - file_.data());
    if (order[i]->header_offset < end) {
      fail_member(order[i]->name,
                  text::format("overlaps {}", in_quotes(std::string(order[i - 1]->name))));
    }
  }
  if (!order.empty() && order.front()->header_offset != 0) {
    fail("is a zip archive with something before its first member");
  }
}

std::vector<ZipMember> DirectoryReader::read() {
  directory_ = read_end();
  uint64_t position = directory_.offset;
  std::vector<ZipMember> members;
  for (uint64_t i = 0; i < directory_.entries; ++i) members.push_back(read_entry(position));
  if (position != directory_.offset + directory_.bytes) {
    fail("is a zip archive with a broken directory");
  }
  check_disjoint(members);
  return members;
}

}  // namespace

ZipDirectory::ZipDirectory(std::span<const std::byte> file, const std::string& path)
    : members_(DirectoryReader(file, path).read()) {
  for (size_t i = 0; i < members_.size(); ++i) {
    if (!index_.emplace(members_[i].name, i).second) {
      fail_input(text::format("{}: its member {} is there twice: {}", path,
                              quoted(members_[i].name), kAgain));
    }
  }
}

const ZipMember* ZipDirectory::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &members_[found->second];
}

}  // namespace verace::weights

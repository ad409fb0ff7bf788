// Reading groups: symbol tables, and links that are messages.
#include "weights/hdf5/group.h"

#include <algorithm>
#include <set>
#include <vector>

#include "kernels/format.h"
#include "weights/hdf5/advice.h"
#include "weights/tensor_table.h"

namespace verace::weights::hdf5 {
namespace {

constexpr uint32_t kCachedSoftLink = 2;
constexpr uint64_t kScratchBytes = 16;

class SymbolTable {
 public:
  SymbolTable(File& file, Group& group) : file_(&file), group_(&group) {}

  void read(std::span<const std::byte> message) {
    Cursor cursor(file_->source(), message, "a symbol table message");
    const uint64_t tree = cursor.u64();
    read_heap(cursor.u64());
    std::vector<uint64_t> open{tree};
    while (!open.empty()) {
      const uint64_t address = open.back();
      open.pop_back();
      read_node(address, open);
    }
  }

 private:
  void read_heap(uint64_t address) {
    Cursor cursor = file_->from(address, "a local heap");
    cursor.expect_signature("HEAP");
    cursor.expect_version(0);
    cursor.skip(3);
    const uint64_t size = cursor.u64();
    cursor.skip(8);  // the free list
    names_ = file_->at(cursor.u64(), size, "the text of a local heap").take(size);
  }

  // A node of the B-tree; nodes below it are put into `open`.
  void read_node(uint64_t address, std::vector<uint64_t>& open) {
    Cursor cursor = file_->from(address, "a B-tree node");
    if (!seen_.insert(address).second) cursor.fail("is part of its tree twice");
    cursor.expect_signature("TREE");
    if (const uint8_t type = cursor.u8(); type != 0) {
      cursor.fail(text::format("is of type {}, not one of a group", type));
    }
    const uint8_t level = cursor.u8();
    const uint16_t count = cursor.u16();
    cursor.skip(8 + 8);  // siblings
    for (uint16_t i = 0; i < count; ++i) {
      file_->spend(1);
      cursor.skip(8);  // key
      const uint64_t child = cursor.u64();
      if (level == 0) {
        read_entries(child);
      } else {
        open.push_back(child);
      }
    }
  }

  void read_entries(uint64_t address) {
    Cursor cursor = file_->from(address, "a symbol table node");
    if (!seen_.insert(address).second) cursor.fail("is part of its tree twice");
    cursor.expect_signature("SNOD");
    cursor.expect_version(1);
    cursor.skip(1);
    const uint16_t count = cursor.u16();
    for (uint16_t i = 0; i < count; ++i) {
      file_->spend(1);
      const uint64_t name = cursor.u64();
      Link link;
      link.address = cursor.u64();
      if (cursor.u32() == kCachedSoftLink) link.kind = Link::Kind::kSoft;
      cursor.skip(4 + kScratchBytes);
      if (name >= names_.size()) cursor.fail("names a link beyond the end of its local heap");
      const auto rest = names_.subspan(static_cast<size_t>(name));
      const auto longest = rest.first(std::min(rest.size(), kMaxNameBytes + 1));
      const std::string_view text = text_of(longest);
      if (text.size() == longest.size()) cursor.fail("names a link whose text does not end");
      if (!group_->emplace(text, link).second) cursor.fail("holds a name twice");
    }
  }

  File* file_;
  Group* group_;
  std::span<const std::byte> names_;
  std::set<uint64_t> seen_;
};

// A number of 1, 2, 4 or 8 bytes, as the low two bits of a link's flags say.
uint64_t sized_number(Cursor& cursor, uint8_t flags) {
  switch (flags & 3) {
    case 0:
      return cursor.u8();
    case 1:
      return cursor.u16();
    case 2:
      return cursor.u32();
    default:
      return cursor.u64();
  }
}

void read_link(File& file, std::span<const std::byte> message, Group& group) {
  constexpr uint8_t kHasOrder = 4;
  constexpr uint8_t kHasKind = 8;
  constexpr uint8_t kHasEncoding = 16;
  Cursor cursor(file.source(), message, "a link message");
  cursor.expect_version(1);
  const uint8_t flags = cursor.u8();
  const uint8_t kind = (flags & kHasKind) != 0 ? cursor.u8() : uint8_t{0};
  if ((flags & kHasOrder) != 0) cursor.skip(8);
  if ((flags & kHasEncoding) != 0) cursor.skip(1);
  const auto name = cursor.take(sized_number(cursor, flags));
  Link link;
  switch (kind) {
    case 0:
      link.address = cursor.u64();
      break;
    case 1:
      link.kind = Link::Kind::kSoft;
      break;
    case 64:
      link.kind = Link::Kind::kExternal;
      break;
    default:
      link.kind = Link::Kind::kOther;
  }
  const std::string_view text(reinterpret_cast<const char*>(name.data()), name.size());
  if (!group.emplace(text, link).second) cursor.fail("holds a name twice");
}

// Whether a link info message (the group's links are messages or in a heap) says: in a heap.
bool links_in_heap(File& file, std::span<const std::byte> message) {
  Cursor cursor(file.source(), message, "a link info message");
  cursor.expect_version(0);
  const bool has_order = (cursor.u8() & 1) != 0;
  if (has_order) cursor.skip(8);
  return cursor.u64() != kUndefined;
}

}  // namespace

Group read_group(File& file, std::span<const Message> messages, const std::string& path) {
  Group group;
  const Message* table = find_message(messages, kSymbolTableMessage);
  if (table != nullptr) {
    SymbolTable(file, group).read(table->body);
    return group;
  }
  const Message* info = find_message(messages, kLinkInfoMessage);
  if (info == nullptr) {
    file.source().unsupported(in_quotes(path) + " is no group, but Keras writes one there",
                              kResave);
  }
  if (links_in_heap(file, info->body)) {
    file.source().unsupported(
        text::format("group {} is of the newer layout (links in a fractal heap)", in_quotes(path)),
        kResave);
  }
  for (const Message& message : messages) {
    if (message.type == kLinkMessage) read_link(file, message.body, group);
  }
  return group;
}

}  // namespace verace::weights::hdf5

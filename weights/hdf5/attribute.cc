// Reading attributes of strings.
#include "weights/hdf5/attribute.h"

#include "kernels/format.h"
#include "weights/hdf5/advice.h"
#include "weights/hdf5/datatype.h"
#include "weights/tensor_table.h"

namespace verace::weights::hdf5 {
namespace {

constexpr const char* kAttribute = "an attribute";

struct Attribute {
  std::string_view name;
  std::span<const std::byte> type, space, values;
  uint8_t flags = 0;  // whether type and space are shared messages
};

// `count` bytes; attributes of version 1 fill each part up to a multiple of eight.
std::span<const std::byte> part(Cursor& cursor, uint64_t count, bool padded) {
  const auto bytes = cursor.take(count);
  if (padded) cursor.skip((8 - count % 8) % 8);
  return bytes;
}

Attribute parse_attribute(const Source& source, std::span<const std::byte> message) {
  Cursor cursor(source, message, kAttribute);
  const uint8_t version = cursor.u8();
  if (version < 1 || version > 3) cursor.fail(text::format("has the unknown version {}", version));
  Attribute attribute;
  attribute.flags = cursor.u8();
  if (version == 1) attribute.flags = 0;  // reserved there
  const uint16_t name_bytes = cursor.u16();
  const uint16_t type_bytes = cursor.u16();
  const uint16_t space_bytes = cursor.u16();
  if (version == 3) cursor.skip(1);  // the name's encoding
  attribute.name = text_of(part(cursor, name_bytes, version == 1));
  attribute.type = part(cursor, type_bytes, version == 1);
  attribute.space = part(cursor, space_bytes, version == 1);
  attribute.values = cursor.take(cursor.left());
  return attribute;
}

// The attribute of that name; its values may be followed by padding.
std::optional<Attribute> find_attribute(File& file, std::span<const Message> messages,
                                        std::string_view name) {
  std::optional<Attribute> found;
  for (const Message& message : messages) {
    if (message.type != kAttributeMessage || message.shared) continue;
    file.spend(1 + message.body.size() / kTextBytesPerStep);
    const Attribute attribute = parse_attribute(file.source(), message.body);
    if (attribute.name != name) continue;
    if (found) Cursor(file.source(), message.body, kAttribute).fail("appears twice");
    found = attribute;
  }
  return found;
}

void check_dense_attributes(File& file, std::span<const Message> messages) {
  const Message* info = find_message(messages, kAttributeInfoMessage);
  if (info == nullptr) return;
  Cursor cursor(file.source(), info->body, "an attribute info message");
  cursor.expect_version(0);
  if ((cursor.u8() & 1) != 0) cursor.skip(2);  // the largest creation index
  if (cursor.u64() != kUndefined) {
    file.source().unsupported("holds attributes in a fractal heap (h5py's libver='latest')",
                              kResave);
  }
}

std::string_view variable_string(File& file, GlobalHeaps& heaps, Cursor& values) {
  const uint32_t length = values.u32();
  const uint64_t address = values.u64();
  const uint32_t index = values.u32();
  if (length == 0) return {};
  const auto object = heaps.object(address, index);
  file.spend(length / kTextBytesPerStep);
  if (length > object.size()) values.fail("names a string that is longer than its place");
  return text_of(object.first(length));
}

}  // namespace

std::optional<std::vector<std::string_view>> read_strings(File& file, GlobalHeaps& heaps,
                                                          std::span<const Message> messages,
                                                          std::string_view name) {
  check_dense_attributes(file, messages);
  const std::optional<Attribute> attribute = find_attribute(file, messages, name);
  if (!attribute) return {};
  const std::string quoted = in_quotes(std::string(name));
  if (attribute->flags != 0) {
    file.source().unsupported(
        text::format("attribute {} shares its type or shape with others", quoted), kResave);
  }
  const Dataspace space = parse_dataspace(file.source(), attribute->space);
  std::vector<std::string_view> strings;
  if (space.elements == 0) return strings;
  const Datatype type = parse_datatype(file.source(), attribute->type);
  const bool is_fixed = type.kind == Datatype::Kind::kFixedString;
  if (!is_fixed && type.kind != Datatype::Kind::kVariableString) {
    file.source().unsupported(
        text::format("attribute {} holds {}, not text", quoted, type.description), kResave);
  }
  Cursor values(file.source(), attribute->values, kAttribute);
  if (type.bytes == 0) values.fail("holds strings of no bytes");
  for (uint64_t i = 0; i < space.elements; ++i) {
    file.spend(1);
    std::string_view text =
        is_fixed ? text_of(values.take(type.bytes)) : variable_string(file, heaps, values);
    if (type.space_padded) text = text.substr(0, text.find_last_not_of(' ') + 1);
    strings.push_back(text);
  }
  return strings;
}

}  // namespace verace::weights::hdf5

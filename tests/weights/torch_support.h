// PyTorch files put together by hand: pickles by opcode, zips by byte.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/hash.h"
#include "tests/weights/support.h"

namespace verace::weights {

// The tests' own, so that a wrong one in the product shows.
inline std::string number(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(i < 8 ? value >> (8 * i) : 0);
  return out;
}

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// Of this process so far: what else the machine does is no part of it.
inline double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// Parts of a pickle; each makes one value.
namespace op {

inline std::string text(std::string_view value) {
  return "X" + number(value.size(), 4) + std::string(value);
}
inline std::string integer(int64_t value) {
  return std::string("\x8a\x08") + number(static_cast<uint64_t>(value), 8);
}
inline std::string name(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
inline std::string tuple(const std::vector<std::string>& items) {
  std::string out = "(";
  for (const std::string& item : items) out += item;
  return out + "t";
}
inline std::string integers(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (const int64_t value : values) items.push_back(integer(value));
  return tuple(items);
}
inline std::string call(const std::string& function, const std::vector<std::string>& arguments) {
  return function + tuple(arguments) + "R";
}
using Items = std::vector<std::pair<std::string, std::string>>;  // a name, and a value's opcodes
inline std::string fill(const Items& items) {
  std::string out = "(";
  for (const auto& [key, value] : items) out += text(key) + value;
  return out + "u";
}
inline std::string dict(const Items& items) { return "}" + fill(items); }
inline std::string ordered(const Items& items) {
  return call(name("collections", "OrderedDict"), {}) + fill(items);
}
// What a state dict refers to: `elements` numbers under `key`.
inline std::string storage(std::string_view key, int64_t elements,
                           std::string_view type = "FloatStorage") {
  return tuple({text("storage"), name("torch", type), text(key), text("cpu"), integer(elements)}) +
         "Q";
}
inline std::string tensor(const std::string& storage, int64_t offset,
                          const std::vector<int64_t>& size, const std::vector<int64_t>& stride) {
  return call(name("torch._utils", "_rebuild_tensor_v2"),
              {storage, integer(offset), integers(size), integers(stride), "\x89", ordered({})});
}
inline std::string pickle(const std::string& root) { return "\x80\x02" + root + "."; }

}  // namespace op

// One member of a zip; what is changed makes it malformed.
struct Member {
  std::string name;
  std::string data;
  uint16_t flags = 0;
  uint16_t method = 0;
  uint32_t crc = 0;               // of the directory's entry
  std::string local_name = name;  // in its own header
  uint16_t local_method = method;
  uint64_t size = data.size();    // in the directory
  uint64_t packed = data.size();  // in the directory
  int64_t moved = 0;              // the directory's offset is wrong by so much
  std::string local_extra = "";
  std::string extra = "";  // in the directory
};

// As Python's zipfile lays it out; the local headers have no sizes, as when written as a stream.
inline std::string zip_bytes(const std::vector<Member>& members, const std::string& before_end = "",
                             const std::string& comment = "") {
  std::string out, directory;
  for (const Member& m : members) {
    const uint64_t offset = out.size() + static_cast<uint64_t>(m.moved);
    out += "PK\x03\x04" + number(20, 2) + number(m.flags, 2) + number(m.local_method, 2) +
           number(0, 4) + number(0, 12) + number(m.local_name.size(), 2) +
           number(m.local_extra.size(), 2) + m.local_name + m.local_extra + m.data;
    directory += "PK\x01\x02" + number(20, 2) + number(20, 2) + number(m.flags, 2) +
                 number(m.method, 2) + number(0, 4) + number(m.crc, 4) + number(m.packed, 4) +
                 number(m.size, 4) + number(m.name.size(), 2) + number(m.extra.size(), 2) +
                 number(0, 2) + number(0, 2) + number(0, 2) + number(0, 4) + number(offset, 4) +
                 m.name + m.extra;
  }
  const uint64_t at = out.size();
  return out + directory + before_end + "PK\x05\x06" + number(0, 4) + number(members.size(), 2) +
         number(members.size(), 2) + number(directory.size(), 4) + number(at, 4) +
         number(comment.size(), 2) + comment;
}

// A zip container with this state dict (opcodes of the root value) and these storages.
inline std::string torch_zip(const std::string& root,
                             const std::vector<std::pair<std::string, std::string>>& storages) {
  const std::string pickle = op::pickle(root);
  std::vector<Member> members{
      {.name = "net/data.pkl", .data = pickle, .crc = crc32(bytes_of(pickle))}};
  for (const auto& [key, data] : storages) {
    members.push_back({.name = "net/data/" + key, .data = data});
  }
  members.push_back({.name = "net/version", .data = "3\n"});
  return zip_bytes(members);
}

// A stream container; `elements` as written before each storage.
struct StreamStorage {
  std::string key;
  uint64_t elements;
  std::string data;
};
inline std::string torch_stream(const std::string& root, const std::vector<StreamStorage>& storages,
                                const std::string& little_endian = "\x88") {
  std::string keys = "](", data;
  for (const StreamStorage& s : storages) {
    keys += op::text(s.key);
    data += number(s.elements, 8) + s.data;
  }
  return op::pickle("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") +
         op::pickle("M" + number(1001, 2)) +
         op::pickle(op::dict(
             {{"protocol_version", "M" + number(1001, 2)}, {"little_endian", little_endian}})) +
         op::pickle(root) + op::pickle(keys + "e") + data;
}

// Four-byte floats.
inline std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

}  // namespace verace::weights

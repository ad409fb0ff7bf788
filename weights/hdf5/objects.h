// Finding objects of an HDF5 file by their paths, each header and group read once
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/hdf5/group.h"
#include "weights/hdf5/object_header.h"

namespace verace::weights::hdf5 {

struct Object {
  std::string path;  // from the root: "/conv1/conv1_W:0"
  uint64_t address = kUndefined;
  std::span<const Message> messages;
};

class Objects {
 public:
  explicit Objects(File& file) : file_(&file) {}

  Object root();
  // The object that `path` (names with slashes between them) leads to from `start`. Throws
  // Error(kInput), naming the path, when there is none and when a soft or external link is on the
  // way: what those mean is not decided by this file alone.
  Object at(const Object& start, std::string_view path);
  // The same, or nothing when there is no object `name` (one name) in the group `start`.
  std::optional<Object> find(const Object& start, std::string_view name);
  // Names and links of a group.
  const Group& links(const Object& group);

 private:
  Object object(std::string path, uint64_t address);

  File* file_;
  std::map<uint64_t, std::vector<Message>> headers_;
  std::map<uint64_t, Group> groups_;
};

}  // namespace verace::weights::hdf5

// Groups of HDF5 files: names, and the objects that they lead to
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "weights/hdf5/object_header.h"

namespace verace::weights::hdf5 {

struct Link {
  enum class Kind { kHard, kSoft, kExternal, kOther };
  Kind kind = Kind::kHard;
  uint64_t address = kUndefined;  // of the object's header; hard links only
};

// Names are parts of the file's bytes.
using Group = std::map<std::string_view, Link>;

// The links of the group whose header holds `messages` (`path` is for messages): by a symbol table
// (B-tree of version 1, symbol table nodes, local heap), or as link messages in the header itself.
// Links that are not hard are listed: who follows one refuses it. Throws Error(kInput) for objects
// that are no groups, links in a fractal heap, cut or cyclic trees, and names that appear twice.
Group read_group(File& file, std::span<const Message> messages, const std::string& path);

}  // namespace verace::weights::hdf5

// Attributes of HDF5 groups that hold text
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/hdf5/global_heap.h"
#include "weights/hdf5/object_header.h"

namespace verace::weights::hdf5 {

// The strings of the attribute `name` among the messages of an object header: fixed-length ones
// without their padding, or variable-length ones through the global heap. They are parts of the
// file's bytes, and as many as it holds; an empty array of any type has none. Nothing when there is
// no attribute of that name. Throws Error(kInput) for attributes that do not hold text, and for
// damaged ones.
std::optional<std::vector<std::string_view>> read_strings(File& file, GlobalHeaps& heaps,
                                                          std::span<const Message> messages,
                                                          std::string_view name);

}  // namespace verace::weights::hdf5

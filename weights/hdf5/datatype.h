// Element types and shapes of HDF5 datasets and attributes
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "weights/dtype.h"
#include "weights/hdf5/cursor.h"

namespace verace::weights::hdf5 {

struct Datatype {
  enum class Kind {
    kFloat,           // IEEE 754 binary16, 32 or 64, little-endian: `dtype`
    kFixedString,     // `bytes` characters
    kVariableString,  // `bytes` = 16: length, and where in which global heap
    kOther,
  };
  Kind kind = Kind::kOther;
  Dtype dtype = Dtype::kF32;
  uint64_t bytes = 0;  // per element
  bool space_padded = false;
  std::string description;  // for messages: "64-bit integers"
};

// `message` is the body of a datatype message, or the datatype inside of an attribute. Types that
// are none of the above are described, not refused. Throws Error(kInput) for a cut message.
Datatype parse_datatype(const Source& source, std::span<const std::byte> message);

struct Dataspace {
  std::vector<int64_t> shape;  // empty for a scalar
  uint64_t elements = 1;       // the product of `shape`; 0 for a dataspace without any element
};

// Throws Error(kInput) for a cut message, unknown versions, more than kMaxRank extents, and shapes
// of 2^63 elements or more.
Dataspace parse_dataspace(const Source& source, std::span<const std::byte> message);

}  // namespace verace::weights::hdf5

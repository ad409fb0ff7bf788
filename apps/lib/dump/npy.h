// NumPy's .npy files: arrays of float32 as numpy.load() reads them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor.h"

namespace verace::apps {

// The file's bytes for `values` of this shape, in C order, little-endian float32. Format version
// 1.0 (numpy.lib.format): "\x93NUMPY", 1, 0, the header's length as two bytes, then the header as a
// Python dictionary, padded with spaces and ended by a newline such that the data begin at a
// multiple of 64 bytes. CHECK: as many values as the shape says.
std::vector<std::byte> npy_file(const engine::Shape& shape, std::span<const float> values);

// Its size without making it.
int64_t npy_file_bytes(const engine::Shape& shape);

}  // namespace verace::apps

// Datasets of HDF5 files: tensors whose values lie in one piece
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "weights/dtype.h"
#include "weights/hdf5/object_header.h"

namespace verace::weights::hdf5 {

struct Dataset {
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;  // row-major, little-endian, any alignment; part of the file
};

// The dataset whose header holds `messages`; `name` is for messages. Contiguous and compact ones of
// floating-point numbers are read. Throws Error(kInput) for damaged ones and, by their name, for
// chunked, compressed, virtual and external ones, those without stored values, other element types,
// and objects that are no datasets.
Dataset read_dataset(File& file, std::span<const Message> messages, const std::string& name);

}  // namespace verace::weights::hdf5

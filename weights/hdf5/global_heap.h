// The global heaps of an HDF5 file: where strings of variable length lie
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

#include "weights/hdf5/file.h"

namespace verace::weights::hdf5 {

// Each heap is read once, when it is first asked for.
class GlobalHeaps {
 public:
  explicit GlobalHeaps(File& file) : file_(&file) {}

  // The object `index` of the heap at `address`. Throws Error(kInput) where there is none.
  std::span<const std::byte> object(uint64_t address, uint32_t index);

 private:
  using Heap = std::map<uint32_t, std::span<const std::byte>>;
  Heap read(uint64_t address);

  File* file_;
  std::map<uint64_t, Heap> heaps_;
};

}  // namespace verace::weights::hdf5

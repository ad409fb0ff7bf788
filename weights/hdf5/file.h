// An HDF5 file in memory: its superblock, its addresses, and the work that reading it may take
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "weights/hdf5/cursor.h"

namespace verace::weights::hdf5 {

// The address of what does not exist.
inline constexpr uint64_t kUndefined = ~uint64_t{0};

// Every message, link, heap object and name that is read costs one step. ResNet-50 takes about
// 10,000 and the largest published Keras networks ten times that; a file whose parts refer to one
// another such that reading it would not end is stopped here.
inline constexpr uint64_t kMaxSteps = 1'000'000;
// Text costs one more per kilobyte.
inline constexpr uint64_t kTextBytesPerStep = 1024;

// Names that Keras makes have a few dozen characters.
inline constexpr size_t kMaxNameBytes = 1024;

// Superblock versions 0 and 1 with addresses of 8 bytes at the start of the file: what h5py writes
// unless it is asked for another `libver`.
class File {
 public:
  // `bytes` must outlive the File; `path` only names it in messages. Throws Error(kInput) for
  // anything else than such a file, and for one that is shorter than its superblock says.
  File(std::span<const std::byte> bytes, const std::string& path);

  const Source& source() const { return source_; }
  // Address of the root group's object header.
  uint64_t root() const { return root_; }

  // `count` bytes from `address` on; all of them lie within the file. `what` names them in
  // messages.
  Cursor at(uint64_t address, uint64_t count, const char* what) const;
  // All bytes from `address` to the end of the file.
  Cursor from(uint64_t address, const char* what) const;

  // Counts work; throws Error(kInput) when it exceeds kMaxSteps.
  void spend(uint64_t steps);

 private:
  void read_superblock();

  Source source_;
  uint64_t root_ = 0;
  uint64_t steps_ = 0;
};

}  // namespace verace::weights::hdf5

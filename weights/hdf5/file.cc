// Reading the superblock.
#include "weights/hdf5/file.h"

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/hdf5/advice.h"

namespace verace::weights::hdf5 {
namespace {

constexpr std::string_view kSignature("\x89HDF\r\n\x1a\n", 8);

}  // namespace

File::File(std::span<const std::byte> bytes, const std::string& path) : source_{bytes, path} {
  read_superblock();
}

void File::read_superblock() {
  const auto& bytes = source_.bytes;
  if (bytes.size() < kSignature.size() ||
      std::memcmp(bytes.data(), kSignature.data(), kSignature.size()) != 0) {
    source_.unsupported("is not an HDF5 file (it lacks the signature)", "name a Keras .h5 file");
  }
  Cursor cursor(source_, bytes.subspan(kSignature.size()), "the superblock");
  const uint8_t version = cursor.u8();
  if (version == 2 || version == 3) {
    source_.unsupported(
        text::format("is HDF5 of the newer layout (superblock version {}, h5py's libver='latest')",
                     version),
        kResave);
  }
  if (version > 3) cursor.fail(text::format("has the unknown version {}", version));
  cursor.expect_version(0);  // of the free space's storage
  cursor.expect_version(0);  // of the root group's entry
  cursor.skip(1);
  cursor.expect_version(0);  // of shared header messages
  const uint8_t address_bytes = cursor.u8();
  const uint8_t length_bytes = cursor.u8();
  if (address_bytes != 8 || length_bytes != 8) {
    source_.unsupported(text::format("is HDF5 with addresses of {} and lengths of {} bytes, not 8",
                                     address_bytes, length_bytes),
                        kResave);
  }
  cursor.skip(1 + 2 + 2 + 4);            // reserved, the K of two kinds of nodes, flags
  if (version == 1) cursor.skip(2 + 2);  // the K of a third kind
  if (cursor.u64() != 0) source_.unsupported("is HDF5 behind a user block", kResave);
  cursor.skip(8);  // free space
  const uint64_t end = cursor.u64();
  if (end > bytes.size()) {
    fail_input(text::format("{}: is truncated: holds {} bytes, but its superblock announces {}: {}",
                            source_.path, bytes.size(), end, kFetch));
  }
  cursor.skip(8 + 8);  // driver information; the root's name
  root_ = cursor.u64();
}

Cursor File::at(uint64_t address, uint64_t count, const char* what) const {
  const auto& bytes = source_.bytes;
  if (address > bytes.size() || count > bytes.size() - address) {
    fail_input(
        text::format("{}: {} ({} bytes at byte {}) lies beyond the end of the file ({} bytes): {}",
                     source_.path, what, count, address, bytes.size(), kFetch));
  }
  return {source_, bytes.subspan(static_cast<size_t>(address), static_cast<size_t>(count)), what};
}

Cursor File::from(uint64_t address, const char* what) const {
  const uint64_t size = source_.bytes.size();
  return at(address, address < size ? size - address : 1, what);
}

void File::spend(uint64_t steps) {
  steps_ += steps;
  if (steps_ > kMaxSteps) {
    source_.unsupported(
        text::format("has more than {} links, messages and names, or refers to itself", kMaxSteps),
        "name a Keras .h5 file");
  }
}

}  // namespace verace::weights::hdf5

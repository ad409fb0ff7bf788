// The layout of a zip archive (PKWARE's APPNOTE.TXT, 4.3).
#include "weights/torch/zip_write.h"

#include "kernels/check.h"
#include "kernels/hash.h"
#include "weights/torch/little_endian.h"
#include "weights/torch/zip_directory.h"

namespace verace::weights {
namespace {

constexpr uint64_t kAlignment = 64;
constexpr uint64_t kVersion = 10;           // that a reader must know: 1.0, stored members
constexpr uint64_t kUtf8Names = 0x800;      // flag
constexpr uint64_t kFirstOfJanuary = 0x21;  // 1980-01-01, 0:00: equal input gives equal bytes

// The fields that local headers and directory share, from the version to the lengths.
std::string common_fields(uint64_t crc, uint64_t size, uint64_t name_bytes, uint64_t extra_bytes) {
  return to_little_endian(kVersion, 2) + to_little_endian(kUtf8Names, 2) + to_little_endian(0, 2) +
         to_little_endian(0, 2) + to_little_endian(kFirstOfJanuary, 2) + to_little_endian(crc, 4) +
         to_little_endian(size, 4) + to_little_endian(size, 4) + to_little_endian(name_bytes, 2) +
         to_little_endian(extra_bytes, 2);
}

// An extra field "FB", PyTorch's own name for padding, so that what follows `begin` bytes and it is
// aligned.
std::string padding(uint64_t begin) {
  constexpr uint64_t kHeadBytes = 4;
  const uint64_t bytes = (kAlignment - (begin + kHeadBytes) % kAlignment) % kAlignment;
  return "FB" + to_little_endian(bytes, 2) + std::string(bytes, 'Z');
}

}  // namespace

void ZipWriter::write(std::string_view text) {
  file_.write(text);
  position_ += text.size();
}

void ZipWriter::add(std::string_view name, std::string_view text) {
  add(name, std::as_bytes(std::span(text)));
}

void ZipWriter::add(std::string_view name, std::span<const std::byte> bytes) {
  const uint64_t offset = position_;
  const uint64_t crc = crc32(bytes);
  const std::string extra = padding(offset + kLocalHeaderBytes + name.size());
  write("PK\x03\x04" + common_fields(crc, bytes.size(), name.size(), extra.size()));
  write(name);
  write(extra);
  file_.write(bytes);
  position_ += bytes.size();
  directory_ += "PK\x01\x02" + to_little_endian(kVersion, 2) +
                common_fields(crc, bytes.size(), name.size(), 0) + to_little_endian(0, 2) +
                to_little_endian(0, 2) + to_little_endian(0, 2) + to_little_endian(0, 4) +
                to_little_endian(offset, 4) + std::string(name);
  ++members_;
  VERACE_CHECK(members_ <= kMaxZipMembers && position_ + directory_.size() <= kMaxZipBytes);
}

void ZipWriter::finish() {
  const uint64_t offset = position_;
  write(directory_);
  write("PK\x05\x06" + to_little_endian(0, 4) + to_little_endian(members_, 2) +
        to_little_endian(members_, 2) + to_little_endian(directory_.size(), 4) +
        to_little_endian(offset, 4) + to_little_endian(0, 2));
}

}  // namespace verace::weights

// Checked reads, and the two ways to refuse a file.
#include "weights/hdf5/cursor.h"

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/hdf5/advice.h"

namespace verace::weights::hdf5 {

void Source::damaged(const std::string& what, const std::byte* where) const {
  fail_input(text::format("{}: {} (at byte {}): {}", path, what, where - bytes.data(), kFetch));
}

void Source::unsupported(const std::string& what, const std::string& advice) const {
  fail_input(text::format("{}: {}: {}", path, what, advice));
}

std::span<const std::byte> Cursor::take(uint64_t count) {
  if (count > left()) {
    fail(text::format("is cut short: {} bytes are missing of {}", count - left(), count));
  }
  const std::span<const std::byte> taken =
      bytes_.subspan(static_cast<size_t>(position_), static_cast<size_t>(count));
  position_ += count;
  return taken;
}

void Cursor::expect_signature(std::string_view signature) {
  const std::span<const std::byte> found = take(signature.size());
  if (std::memcmp(found.data(), signature.data(), signature.size()) != 0) {
    position_ -= signature.size();
    fail(text::format("does not begin with {}", signature));
  }
}

void Cursor::expect_version(uint8_t version) {
  const uint8_t found = u8();
  if (found != version) fail(text::format("has the unknown version {}", found));
}

void Cursor::fail(const std::string& problem) const {
  source_->damaged(text::format("{} {}", what_, problem), bytes_.data() + position_);
}

std::string_view text_of(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.substr(0, text.find('\0'));
}

}  // namespace verace::weights::hdf5

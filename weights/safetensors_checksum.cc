// Filling in the checksum of a file, and checking it.
#include "weights/safetensors_checksum.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "kernels/check.h"
#include "kernels/descriptor.h"
#include "kernels/format.h"
#include "kernels/hash.h"
#include "weights/safetensors_header.h"

namespace verace::weights {
namespace {

constexpr size_t kDigits = 16;

// Where the digits begin in the bytes of a header; npos: there are none. Inside of a JSON text the
// quotes would be escaped, so that nothing else in a header reads like this.
size_t digits_in(std::string_view header) {
  const std::string before = text::format("\"{}\":\"xxh64:", kChecksumKey);
  const size_t found = header.find(before);
  if (found == std::string_view::npos) return found;
  const size_t at = found + before.size();
  const bool whole = header.size() > at + kDigits && header[at + kDigits] == '"';
  return whole ? at : std::string_view::npos;
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

class ReadFile {
 public:
  explicit ReadFile(const std::string& path)
      : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}

  // Of a regular file; 0 for anything else.
  uint64_t size() const {
    struct stat info {};
    const bool regular = file_ && ::fstat(file_.get(), &info) == 0 && S_ISREG(info.st_mode);
    return regular ? static_cast<uint64_t>(info.st_size) : 0;
  }
  // The next bytes, as many as `target` takes or the file still has.
  std::span<const std::byte> next(std::span<std::byte> target) const {
    size_t have = 0;
    while (have < target.size()) {
      const ssize_t got = ::read(file_.get(), target.data() + have, target.size() - have);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        fail_input(text::format("{}: cannot be read ({}): take another file, and check the disc",
                                path_, std::strerror(errno)));
      }
      if (got == 0) break;
      have += static_cast<size_t>(got);
    }
    return target.first(have);
  }

 private:
  const std::string& path_;
  Descriptor file_;
};

}  // namespace

void fill_checksum(std::string& header, std::span<const std::span<const std::byte>> pieces) {
  const size_t at = digits_in(header);
  if (at == std::string::npos) return;
  std::fill_n(header.begin() + static_cast<std::ptrdiff_t>(at), kDigits, '0');
  Xxh64 sum;
  sum.add(bytes_of(header));
  for (const std::span<const std::byte> piece : pieces) sum.add(piece);
  header.replace(at, kDigits, text::format("{:016x}", sum.value()));
}

Checksum check_checksum(const std::string& path) {
  const ReadFile file(path);
  const uint64_t size = file.size();
  uint64_t length = 0;
  if (size < sizeof length) return Checksum::kMissing;
  file.next(std::as_writable_bytes(std::span(&length, 1)));
  if (length > std::min(size - sizeof length, kMaxHeaderBytes)) return Checksum::kMissing;
  std::string header(sizeof length + length, '\0');
  std::memcpy(header.data(), &length, sizeof length);
  file.next(std::as_writable_bytes(std::span(header)).subspan(sizeof length));
  const size_t at = digits_in(header);
  if (at == std::string::npos) return Checksum::kMissing;
  const std::string stored = header.substr(at, kDigits);
  header.replace(at, kDigits, kDigits, '0');
  Xxh64 sum;
  sum.add(bytes_of(header));
  std::vector<std::byte> buffer(size_t{1} << 20);
  for (auto piece = file.next(buffer); !piece.empty(); piece = file.next(buffer)) sum.add(piece);
  return text::format("{:016x}", sum.value()) == stored ? Checksum::kRight : Checksum::kWrong;
}

}  // namespace verace::weights

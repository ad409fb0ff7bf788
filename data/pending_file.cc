// Writing, and the rename.
#include "data/pending_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {

PendingFile::PendingFile(const std::filesystem::path& path)
    : final_(path), temporary_(path.parent_path().string()) {
  if (!temporary_) fail("cannot be created");
}

void PendingFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(temporary_.descriptor(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("cannot be written");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void PendingFile::seek(int64_t offset) {
  if (::lseek(temporary_.descriptor(), offset, SEEK_SET) < 0) fail("cannot be written");
}

void PendingFile::place(Durability durability) {
  const int file = temporary_.descriptor();
  // Network file systems tell of lost bytes at close(), and the lock must last until the rename.
  const bool whole =
      durability == Durability::kSync ? ::fsync(file) == 0 : Descriptor(::dup(file)).close();
  if (!whole) fail("cannot be written");
  if (!temporary_.rename_to(final_.string())) fail("cannot be put in place");
}

void PendingFile::fail(const char* what) const {
  const int code = errno;
  fail_input(text::format("{}: {} ({}); check the directory, its permissions and free space",
                          name_of(final_), what, std::strerror(code)));
}

}  // namespace verace::data

// Temporary names, and the rename.
#include "data/pending_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {

PendingFile::PendingFile(const std::filesystem::path& path) : final_(path) {
  static std::atomic<uint64_t> serial{0};
  // Unique among processes and threads; the leading dot keeps it out of data sets. By the
  // beginning of its name it is known as ours if the process is killed, by the lock as one that is
  // still written (as in weights/atomic_file.h).
  do {
    temporary_ = path.parent_path() / text::format(".verace-tmp-{}-data-{}", ::getpid(), serial++);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  // The destructor will not run then, but there is nothing to remove either.
  if (descriptor_ < 0) fail("cannot be created");
  if (::flock(descriptor_, LOCK_EX) != 0) errno = 0;  // there are file systems without
}

PendingFile::~PendingFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!placed_) ::unlink(temporary_.c_str());
}

void PendingFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("cannot be written");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void PendingFile::seek(int64_t offset) {
  if (::lseek(descriptor_, offset, SEEK_SET) < 0) fail("cannot be written");
}

void PendingFile::place(Durability durability) {
  if (durability == Durability::kSync && ::fsync(descriptor_) != 0) fail("cannot be written");
  const int closing = std::exchange(descriptor_, -1);
  if (::close(closing) != 0) fail("cannot be written");
  if (::rename(temporary_.c_str(), final_.c_str()) != 0) fail("cannot be put in place");
  placed_ = true;
}

void PendingFile::fail(const char* what) const {
  const int code = errno;
  fail_input(text::format("{}: {} ({}); check the directory, its permissions and free space",
                          name_of(final_), what, std::strerror(code)));
}

}  // namespace verace::data

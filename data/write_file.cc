// Files are placed whole or not at all: written under a temporary name, then renamed.
#include "data/write_file.h"

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
namespace {

// A file under a temporary name beside its final one; removed unless it was renamed.
class PendingFile {
 public:
  explicit PendingFile(const std::filesystem::path& path) : final_(path) {
    static std::atomic<uint64_t> serial{0};
    // Unique among processes and threads; the leading dot keeps it out of data sets. By the
    // beginning of its name it is known as ours if the process is killed, by the lock as one that
    // is still written (as in weights/atomic_file.h).
    do {
      temporary_ =
          path.parent_path() / text::format(".verace-tmp-{}-data-{}", ::getpid(), serial++);
      descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (descriptor_ < 0 && errno == EEXIST);
    if (descriptor_ < 0) fail("cannot be created");
    if (::flock(descriptor_, LOCK_EX) != 0) errno = 0;  // there are file systems without
  }
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  ~PendingFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!placed_) ::unlink(temporary_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail("cannot be written");
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }

  void place(Durability durability) {
    if (durability == Durability::kSync && ::fsync(descriptor_) != 0) fail("cannot be written");
    const int closing = std::exchange(descriptor_, -1);
    if (::close(closing) != 0) fail("cannot be written");
    if (::rename(temporary_.c_str(), final_.c_str()) != 0) fail("cannot be put in place");
    placed_ = true;
  }

 private:
  // In the constructor the destructor will not run, but then there is nothing to remove either.
  [[noreturn]] void fail(const char* what) const {
    const int code = errno;
    fail_input(text::format("{}: {} ({}); check the directory, its permissions and free space",
                            name_of(final_), what, std::strerror(code)));
  }

  std::filesystem::path final_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  bool placed_ = false;
};

}  // namespace

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes,
                Durability durability) {
  PendingFile file(path);
  file.write(bytes);
  file.place(durability);
}

void make_empty_folder(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  const bool usable = !error && std::filesystem::is_directory(directory, error);
  if (!usable || error) {
    fail_input(
        text::format("{}: cannot be made a directory ({})", name_of(directory), error.message()));
  }
  const bool empty = std::filesystem::is_empty(directory, error);
  if (error || !empty) {
    fail_input(text::format("{}: is not empty; name a new directory for the drawn pictures",
                            name_of(directory)));
  }
}

}  // namespace verace::data

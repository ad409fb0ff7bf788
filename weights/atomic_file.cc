// Temporary file, fsync, rename, fsync of the folder.
#include "weights/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "kernels/check.h"

namespace verace::weights {
namespace {

std::string advice(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "free some space or choose another folder; nothing was changed";
    case ENOENT:
    case ENOTDIR:
      return "create the folder first";
    case EACCES:
    case EPERM:
    case EROFS:
      return "choose a folder that you may write to";
    default:
      return "choose another folder; nothing was changed";
  }
}

std::string next_temporary_name(const std::string& folder) {
  static std::atomic<uint64_t> counter{0};
  return folder + "/.verace-tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
}

}  // namespace

void AtomicFile::fail(const char* action, int error) const {
  fail_input(path_ + ": cannot " + action + " (" + std::strerror(error) + "): " + advice(error));
}

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  std::error_code failed;
  // Following a link keeps the link; renaming over it would replace it by a file.
  const std::filesystem::path resolved = std::filesystem::weakly_canonical(path, failed);
  if (failed || !resolved.has_filename()) fail("find its folder", failed ? failed.value() : ENOENT);
  target_ = resolved.string();
  folder_ = resolved.parent_path().string();
  struct stat old {};
  const bool exists = ::stat(target_.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode)) {
    fail_input(path_ + ": exists and is not a regular file: choose another name");
  }
  std::string name;
  do {
    name = next_temporary_name(folder_);
    fd_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (fd_ < 0 && errno == EEXIST);
  if (fd_ < 0) fail("create a file in its folder", errno);
  temporary_ = name;
  // A file system without modes is no reason to stop.
  if (exists && ::fchmod(fd_, old.st_mode & 07777) != 0) errno = 0;
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  VERACE_CHECK(fd_ >= 0, "write after commit");
  constexpr size_t kLargestPiece = size_t{1} << 30;  // Linux writes at most 2 GiB per call
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), std::min(bytes.size(), kLargestPiece));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", errno);
    if (written == 0) fail("write", ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::commit() {
  VERACE_CHECK(fd_ >= 0, "commit twice");
  if (::fsync(fd_) != 0) fail("write to the disc", errno);
  if (::close(std::exchange(fd_, -1)) != 0) fail("close", errno);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("rename into place", errno);
  temporary_.clear();
  // The rename itself is durable only when the folder is. Some file systems cannot sync folders
  // (EINVAL).
  const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  const bool lost = ::fsync(folder) != 0 && errno == EIO;
  ::close(folder);
  if (lost) fail("write its folder to the disc", EIO);
}

void write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file_atomically(const std::string& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

void write_file_atomically(const std::string& path, const std::function<void(AtomicFile&)>& fill) {
  AtomicFile file(path);
  fill(file);
  file.commit();
}

}  // namespace verace::weights

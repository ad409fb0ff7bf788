// Temporary file, fsync, proof, rename, fsync of the folder.
#include "weights/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
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

constexpr std::string_view kTemporary = ".verace-tmp-";

std::string next_temporary_name(const std::string& folder) {
  static std::atomic<uint64_t> counter{0};
  return folder + "/" + std::string(kTemporary) + std::to_string(::getpid()) + "-" +
         std::to_string(counter++);
}

FileFault& planted_fault() {
  static FileFault fault;
  return fault;
}

// Whether the step shall fail; errno says how.
bool fails(FileStep step, const std::string& name) {
  if (!planted_fault()) return false;
  const int error = planted_fault()(step, name);
  if (error != 0) errno = error;
  return error != 0;
}

// File systems without hard links.
bool knows_no_links(int error) {
  return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK;
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
  if (fails(FileStep::kCreate, target_)) fail("create a file in its folder", errno);
  while (!create(next_temporary_name(folder_))) {
  }
  // A file system without modes is no reason to stop.
  if (exists && ::fchmod(fd_, old.st_mode & 07777) != 0) errno = 0;
}

// False: another name, please.
bool AtomicFile::create(const std::string& name) {
  fd_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0 && errno == EEXIST) return false;
  if (fd_ < 0) fail("create a file in its folder", errno);
  temporary_ = name;
  // The lock goes with the process, however that ends: what is not locked is abandoned. Where there
  // are no locks, nothing is ever taken for abandoned.
  if (::flock(fd_, LOCK_EX) != 0) errno = 0;
  struct stat info {};
  if (::fstat(fd_, &info) != 0 || info.st_nlink > 0) return true;
  ::close(std::exchange(fd_, -1));  // remove_abandoned_files came before the lock
  temporary_.clear();
  return false;
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  VERACE_CHECK(fd_ >= 0, "write after commit");
  constexpr size_t kLargestPiece = size_t{1} << 30;  // Linux writes at most 2 GiB per call
  if (fails(FileStep::kWrite, temporary_)) fail("write", errno);
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), std::min(bytes.size(), kLargestPiece));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", errno);
    if (written == 0) fail("write", ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::commit(const Commit& how) {
  VERACE_CHECK(fd_ >= 0, "commit twice");
  if (fails(FileStep::kSync, temporary_) || ::fsync(fd_) != 0) fail("write to the disc", errno);
  if (how.prove) {
    ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
    if (fails(FileStep::kProve, temporary_)) fail("read back", errno);
    how.prove(temporary_);
  }
  if (!how.keep_old_as.empty()) keep_old(folder_ + "/" + how.keep_old_as);
  if (fails(FileStep::kRename, temporary_) || ::rename(temporary_.c_str(), target_.c_str()) != 0) {
    fail("rename into place", errno);
  }
  temporary_.clear();
  ::close(std::exchange(fd_, -1));  // only now, for the lock; fsync has told of every error
  sync_folder();
}

void AtomicFile::keep_old(const std::string& name) {
  if (fails(FileStep::kKeepOld, temporary_)) fail("keep the old file", errno);
  std::string link;
  int linked = 0;
  do {
    link = next_temporary_name(folder_);
    linked = ::link(target_.c_str(), link.c_str());
  } while (linked != 0 && errno == EEXIST);
  if (linked != 0) {
    // For an instant the target is not there; whoever looks for it finds it under `name`.
    const bool moved = knows_no_links(errno) && ::rename(target_.c_str(), name.c_str()) == 0;
    if (!moved && errno != ENOENT) fail("keep the old file", errno);
    return;
  }
  const int error = ::rename(link.c_str(), name.c_str()) != 0 ? errno : 0;
  ::unlink(link.c_str());  // still there if `name` was this very file before
  if (error != 0) fail("keep the old file", error);
}

// The rename itself is durable only when the folder is. Some file systems cannot sync folders
// (EINVAL).
void AtomicFile::sync_folder() {
  const bool planted = fails(FileStep::kSyncFolder, target_);
  const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  const bool lost = (planted || ::fsync(folder) != 0) && errno == EIO;
  ::close(folder);
  if (!lost) return;
  fail_input(path_ + ": is in place, but its folder cannot be written to the disc (" +
             std::strerror(EIO) + "): a power cut may undo it; check the disc");
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

int64_t remove_abandoned_files(const std::string& folder) {
  std::error_code error;
  int64_t removed = 0;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::filesystem::path& path = entry->path();
    if (!path.filename().string().starts_with(kTemporary)) continue;
    const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) continue;
    if (::flock(file, LOCK_EX | LOCK_NB) == 0 && ::unlink(path.c_str()) == 0) ++removed;
    ::close(file);
  }
  return removed;
}

void set_file_fault(FileFault fault) { planted_fault() = std::move(fault); }

}  // namespace verace::weights

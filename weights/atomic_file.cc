// Temporary file, fsync, proof, rename, fsync of the folder.
#include "weights/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "kernels/check.h"
#include "kernels/descriptor.h"

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
  temporary_.emplace(folder_);
  if (!*temporary_) fail("create a file in its folder", errno);
  // A file system without modes is no reason to stop.
  if (exists && ::fchmod(temporary_->descriptor(), old.st_mode & 07777) != 0) errno = 0;
}

AtomicFile::~AtomicFile() = default;

void AtomicFile::write(std::span<const std::byte> bytes) {
  VERACE_CHECK(temporary_.has_value(), "write after commit");
  constexpr size_t kLargestPiece = size_t{1} << 30;  // Linux writes at most 2 GiB per call
  const int file = temporary_->descriptor();
  if (fails(FileStep::kWrite, temporary_->name())) fail("write", errno);
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), std::min(bytes.size(), kLargestPiece));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", errno);
    if (written == 0) fail("write", ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::commit(const Commit& how) {
  VERACE_CHECK(temporary_.has_value(), "commit twice");
  const int file = temporary_->descriptor();
  const std::string written = temporary_->name();
  if (fails(FileStep::kSync, written) || ::fsync(file) != 0) fail("write to the disc", errno);
  if (how.prove) {
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    if (fails(FileStep::kProve, written)) fail("read back", errno);
    how.prove(written);
  }
  if (!how.keep_old_as.empty()) keep_old(folder_ + "/" + how.keep_old_as);
  if (fails(FileStep::kRename, written) || !temporary_->rename_to(target_)) {
    fail("rename into place", errno);
  }
  temporary_.reset();  // only now, for the lock; fsync has told of every error
  sync_folder();
}

void AtomicFile::keep_old(const std::string& name) {
  // Its second name will look like a file that somebody left: the lock says that nobody did.
  const Descriptor old(::open(target_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (old) ::flock(old.get(), LOCK_SH | LOCK_NB);
  std::string link;
  int linked = 0;
  do {
    link = temporary_name(folder_);
    const bool planted = fails(FileStep::kKeepOld, temporary_->name());
    linked = planted ? -1 : ::link(target_.c_str(), link.c_str());
  } while (linked != 0 && errno == EEXIST);
  if (linked != 0) {
    // For an instant the target is not there; whoever looks for it finds it under `name`.
    const bool moved = knows_no_links(errno) && ::rename(target_.c_str(), name.c_str()) == 0;
    if (!moved && errno != ENOENT) fail("keep the old file", errno);
    return;
  }
  const bool failed = fails(FileStep::kNameOld, link) || ::rename(link.c_str(), name.c_str()) != 0;
  const int error = failed ? errno : 0;
  ::unlink(link.c_str());  // still there if `name` was this very file before
  if (failed) fail("keep the old file", error);
}

// The rename itself is durable only when the folder is. Some file systems cannot sync folders
// (EINVAL).
void AtomicFile::sync_folder() {
  const bool planted = fails(FileStep::kSyncFolder, target_);
  const int planted_error = planted ? errno : 0;
  const Descriptor folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return;
  const int error = planted ? planted_error : ::fsync(folder.get()) != 0 ? errno : 0;
  if (error != EIO) return;
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

void set_file_fault(FileFault fault) { planted_fault() = std::move(fault); }

}  // namespace verace::weights

// From a URL to a verified file: what is there already, the transfer, the digest, the rename.
#include "apps/lib/download.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "apps/lib/transfer.h"
#include "kernels/check.h"
#include "kernels/descriptor.h"
#include "kernels/format.h"
#include "weights/file_magic.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;

Descriptor open_file(const fs::path& path, int flags) {
  return Descriptor(::open(path.c_str(), flags | O_CLOEXEC, 0666));
}

std::string folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path().string() : ".";
}

int64_t size_of(int descriptor) {
  struct stat info {};
  return ::fstat(descriptor, &info) == 0 ? int64_t{info.st_size} : 0;
}

std::string amount(int64_t bytes) {
  if (bytes < 1000000) return text::format("{} bytes", bytes);
  return text::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

// FILE.part, opened and locked; knows whether it was made here.
class Part {
 public:
  explicit Part(const fs::path& path)
      : path_(path), fd_(open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK)) {
    const int error = errno;
    if (fd_.get() < 0) {
      fail_input(text::format(
          "{}: cannot be created or opened ({}): {}", path.string(), std::strerror(error),
          error == ENOENT ? "create the folder first" : "choose another folder by --out"));
    }
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
      fail_input(path.string() + ": is not a regular file: remove it, or choose another --out");
    }
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      fail_input(path.string() + ": is being fetched at this moment: wait for the other command");
    }
  }
  // An empty one says nothing that the next try could use.
  ~Part() {
    if (!path_.empty() && size() == 0) remove();
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  const fs::path& path() const { return path_; }
  int descriptor() const { return fd_.get(); }
  int64_t size() const { return size_of(fd_.get()); }
  void clear() const {
    if (::ftruncate(fd_.get(), 0) != 0) {
      fail_input(text::format("{}: cannot be emptied ({}): remove it", path_.string(),
                              std::strerror(errno)));
    }
  }
  void remove() {
    ::unlink(path_.c_str());
    path_.clear();
  }
  void rename_to(const fs::path& file);

 private:
  fs::path path_;  // empty: no longer there under this name
  Descriptor fd_;
};

// Durable before it is visible, and never over a file that has appeared meanwhile.
void Part::rename_to(const fs::path& file) {
  const auto fail = [&](const char* action) {
    fail_input(text::format("{}: cannot {} ({}): {} is complete and verified: rename it yourself",
                            file.string(), action, std::strerror(errno), path_.string()));
  };
  if (::fsync(descriptor()) != 0) fail("be written to the disc");
  if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, file.c_str(), RENAME_NOREPLACE) != 0) {
    // Some file systems know no such flag.
    if (errno != EINVAL && errno != ENOSYS) fail("be given its name");
    if (::rename(path_.c_str(), file.c_str()) != 0) fail("be given its name");
  }
  path_.clear();
  const Descriptor folder = open_file(folder_of(file), O_RDONLY | O_DIRECTORY);
  if (folder.get() >= 0) ::fsync(folder.get());
}

// Whether FILE is there already. Throws for one that is not what is asked for.
enum class Presence { kAbsent, kRight, kStopped };
Presence look_at(const DownloadRequest& request) {
  const std::string name = request.file.string();
  struct stat info {};
  if (::lstat(request.file.c_str(), &info) != 0) return Presence::kAbsent;
  const Descriptor there = open_file(request.file, O_RDONLY | O_NONBLOCK);
  if (there.get() < 0) {
    fail_input(text::format("{}: is there and cannot be read ({}): {}", name, std::strerror(errno),
                            "remove it, or choose another name by --out"));
  }
  if (::fstat(there.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    fail_input(name + ": exists and is not a regular file: choose another name by --out");
  }
  const std::string digest = hash_of(there.get(), request.hash.kind, name);
  if (digest.empty()) return Presence::kStopped;
  if (request.hash.fits(digest)) return Presence::kRight;
  fail_input(text::format("{}: is there and is another file ({} is {}, not {}): {}", name,
                          to_string(request.hash.kind), digest, request.hash.hex,
                          "it stays as it is; move it away, or choose another name by --out"));
}

// What a file is, by its first bytes: " (it is HTML ...)", or nothing.
std::string likeness(int descriptor) {
  std::array<std::byte, 512> head{};
  const ssize_t count = ::pread(descriptor, head.data(), head.size(), 0);
  if (count <= 0) return "";
  const std::string format =
      weights::describe_other_format(std::span(head).first(static_cast<size_t>(count)));
  return format.empty() ? "" : ", and " + format.substr(0, format.find(':'));
}

// One file on its way.
class Download {
 public:
  explicit Download(const DownloadRequest& request)
      : request_(request), part_(part_of(request.file)) {}

  DownloadEnd run();

 private:
  std::optional<DownloadEnd> use_what_is_there();
  void check_space() const;
  // Nothing: once more.
  std::optional<DownloadEnd> verify();
  void begin_anew(const std::string& why);
  [[noreturn]] void give_up(const Transfer& transfer) const;

  void say(const std::string& text) const {
    if (request_.say) request_.say(text);
  }

  const DownloadRequest& request_;
  Part part_;
  bool old_bytes_ = false;  // some of what is in the part come from an earlier try
};

void Download::begin_anew(const std::string& why) {
  say(text::format("{}: {}: it is fetched from the beginning", part_.path().string(), why));
  part_.clear();
  old_bytes_ = false;
}

std::optional<DownloadEnd> Download::use_what_is_there() {
  const int64_t size = part_.size();
  if (size == 0) return std::nullopt;
  const std::string digest = hash_of(part_.descriptor(), request_.hash.kind, part_.path().string());
  if (digest.empty()) return DownloadEnd::kStopped;
  if (request_.hash.fits(digest)) {
    say(part_.path().string() + ": was complete");
    part_.rename_to(request_.file);
    return DownloadEnd::kFetched;
  }
  old_bytes_ = true;
  if (request_.bytes > 0 && size >= request_.bytes) {
    begin_anew("is no part of this file");
  } else {
    say(text::format("{}: {} are there from an earlier try", part_.path().string(), amount(size)));
  }
  return std::nullopt;
}

void Download::check_space() const {
  struct statvfs info {};
  const int64_t missing = request_.bytes - part_.size();
  if (missing <= 0 || ::fstatvfs(part_.descriptor(), &info) != 0) return;
  const double free = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
  if (free < static_cast<double>(missing)) {
    fail_input(text::format("{}: needs {} more, and {} are free there: free some space, or {}",
                            request_.file.string(), amount(missing),
                            amount(static_cast<int64_t>(free)), "choose another --out"));
  }
}

std::optional<DownloadEnd> Download::verify() {
  const std::string digest = hash_of(part_.descriptor(), request_.hash.kind, part_.path().string());
  if (digest.empty()) return DownloadEnd::kStopped;
  if (request_.hash.fits(digest)) {
    part_.rename_to(request_.file);
    return DownloadEnd::kFetched;
  }
  if (old_bytes_) {
    begin_anew("what an earlier try had left does not belong to this file");
    return std::nullopt;
  }
  const std::string looks = likeness(part_.descriptor());
  const int64_t size = part_.size();
  part_.remove();
  fail_input(text::format(
      "{}: sends another file: {} bytes with {} {}, not {}{}: nothing was kept; try again later, "
      "or get it elsewhere and put it at {}",
      request_.url, size, to_string(request_.hash.kind), digest, request_.hash.hex, looks,
      request_.file.string()));
}

void Download::give_up(const Transfer& transfer) const {
  const int64_t size = part_.size();
  const std::string kept = size == 0 ? "" : amount(size) + " are kept; ";
  if (transfer.end == TransferEnd::kCannotWrite) {
    fail_input(text::format("{}: cannot be written ({}): {}free some space and run this again",
                            part_.path().string(), transfer.why, kept));
  }
  fail_input(text::format(
      "{}: could not be fetched ({}): {}{}get it on another machine, put it at {} and run this "
      "again, which verifies it",
      request_.url, transfer.why, kept, size == 0 ? "" : "run this again to go on, or ",
      request_.file.string()));
}

DownloadEnd Download::run() {
  if (const auto end = use_what_is_there()) return *end;
  check_space();
  for (int tries = 1;; ++tries) {
    const int64_t before = part_.size();
    const Transfer result = transfer(request_.url, part_.path(), part_.descriptor());
    switch (result.end) {
      case TransferEnd::kStopped:
        return DownloadEnd::kStopped;
      case TransferEnd::kDone:
        if (const auto end = verify()) return *end;
        break;
      case TransferEnd::kCannotResume:
        if (before == 0) give_up(result);
        begin_anew("cannot be continued");
        break;
      case TransferEnd::kFailed:
        if (part_.size() <= before || tries >= kMostTries) give_up(result);
        say(text::format("{}: broke off after {} ({}): it goes on from there",
                         part_.path().string(), amount(part_.size()), result.why));
        break;
      case TransferEnd::kNoProgram:
      case TransferEnd::kCannotWrite:
        give_up(result);
    }
  }
}

}  // namespace

fs::path part_of(const fs::path& file) {
  fs::path part = file;
  part += ".part";
  return part;
}

DownloadEnd download(const DownloadRequest& request) {
  VERACE_CHECK(!request.hash.hex.empty() && is_accepted_url(request.url));
  switch (look_at(request)) {
    case Presence::kRight:
      return DownloadEnd::kAlreadyThere;
    case Presence::kStopped:
      return DownloadEnd::kStopped;
    case Presence::kAbsent:
      break;
  }
  return Download(request).run();
}

}  // namespace verace::apps

// Names, locks, and what a lock can tell.
#include "kernels/temporary_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace verace {
namespace {

constexpr std::string_view kBegin = ".verace-tmp-";

// "@gpu-7": no two hosts' names end in the same, for neither holds a second '@'.
const std::string& end_of_names() {
  static const std::string end = [] {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    std::string text = host.data();
    for (char& c : text) {
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '.') c = '_';
    }
    return "@" + text;
  }();
  return end;
}

// By their numbers in Linux' magic.h; not all of them stand there.
constexpr std::array<uint64_t, 13> kLocalFileSystems = {
    0xEF53,      // ext2, ext3, ext4
    0x58465342,  // xfs
    0x9123683E,  // btrfs
    0x01021994,  // tmpfs
    0x858458F6,  // ramfs
    0x794C7630,  // overlayfs
    0x2FC12FC1,  // zfs
    0xF2F52010,  // f2fs
    0xCA451A4E,  // bcachefs
    0x52654973,  // reiserfs
    0x3153464A,  // jfs
    0x4D44,      // FAT
    0x2011BAB0,  // exFAT
};

}  // namespace

std::string temporary_name(const std::string& folder) {
  static std::atomic<uint64_t> counter{0};
  return folder + (folder.empty() ? "" : "/") + std::string(kBegin) + std::to_string(::getpid()) +
         "-" + std::to_string(counter++) + end_of_names();
}

TemporaryFile::TemporaryFile(const std::string& folder) {
  for (;;) {
    const std::string name = temporary_name(folder);
    Descriptor file(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!file && errno == EEXIST) continue;
    if (!file) return;
    // Where there are no locks nothing is ever taken for abandoned.
    while (::flock(file.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
    struct stat info {};
    // Without a name: remove_abandoned_files came before the lock.
    if (::fstat(file.get(), &info) == 0 && info.st_nlink == 0) continue;
    name_ = name;
    file_ = std::move(file);
    return;
  }
}

TemporaryFile::~TemporaryFile() {
  if (!name_.empty()) ::unlink(name_.c_str());
}

bool TemporaryFile::rename_to(const std::string& target) {
  if (std::rename(name_.c_str(), target.c_str()) != 0) return false;
  name_.clear();
  return true;
}

bool locks_reach_everyone(const std::string& folder) {
  struct statfs info {};
  if (::statfs(folder.empty() ? "." : folder.c_str(), &info) != 0) return false;
  const auto type = static_cast<uint64_t>(info.f_type) & 0xFFFFFFFF;
  return std::ranges::find(kLocalFileSystems, type) != kLocalFileSystems.end();
}

int64_t remove_abandoned_files(const std::string& folder, std::optional<bool> reach) {
  std::error_code error;
  int64_t removed = 0;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::filesystem::path& path = entry->path();
    const std::string name = path.filename().string();
    if (!name.starts_with(kBegin)) continue;
    if (!reach) reach = locks_reach_everyone(folder);
    if (!*reach && !name.ends_with(end_of_names())) continue;
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file) continue;
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0 && ::unlink(path.c_str()) == 0) ++removed;
  }
  return removed;
}

}  // namespace verace

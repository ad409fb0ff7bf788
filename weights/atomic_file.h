// Writing a file so that its name always holds either the old or the complete new content.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace verace::weights {

// Collects the new content under a temporary name in the target's folder; commit() makes it durable
// (fsync) and renames it over the target. Without commit(), or when anything throws, the temporary
// file is removed and the target stays as it was. A symbolic link is followed; the mode of an
// existing target is kept. Not for use by two threads at once. All failures of the system (disc
// full, folder missing, no permission) are Error(kInput) naming the target.
class AtomicFile {
 public:
  // Creates the temporary file. Refuses a target that exists and is not a regular file (a folder,
  // /dev/null ...).
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  void commit();

 private:
  [[noreturn]] void fail(const char* action, int error) const;

  std::string path_;       // as the caller named it, for messages
  std::string target_;     // links resolved
  std::string folder_;     // of target_
  std::string temporary_;  // empty when there is nothing to remove
  int fd_ = -1;
};

// The whole content at once.
void write_file_atomically(const std::string& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::string& path, std::string_view text);
// Piecewise: `fill` writes to the file it is given; an exception from it leaves the target as it
// was.
void write_file_atomically(const std::string& path, const std::function<void(AtomicFile&)>& fill);

}  // namespace verace::weights

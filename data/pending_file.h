// A file that is written under a temporary name beside its final one, and placed when it is whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "data/write_file.h"

namespace verace::data {

// Removed unless it was placed. The folder must exist. All functions throw Error(kInput) naming the
// final file and the system's reason.
class PendingFile {
 public:
  explicit PendingFile(const std::filesystem::path& path);
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  ~PendingFile();

  void write(std::span<const std::byte> bytes);  // at the current place
  void seek(int64_t offset);                     // from the beginning
  // Gives the file its name, over what had it before. Nothing may follow.
  void place(Durability durability);

 private:
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path final_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  bool placed_ = false;
};

}  // namespace verace::data

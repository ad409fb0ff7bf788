// Writing a file so that its name always holds either the old or the complete new content.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kernels/temporary_file.h"

namespace verace::weights {

// What a commit does besides.
struct Commit {
  // Told the name of the new file, which is complete and on the disc; throws if it is not what it
  // should be, and then nothing has changed. What the system holds of it in memory is given back
  // before, where it lets us: so it is read from the disc.
  std::function<void(const std::string& written)> prove;
  // The old content has this name, in the folder of the file, from then on; at no instant is it
  // without a name. Empty: it is gone.
  std::string keep_old_as;
};

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
  void commit(const Commit& how = {});

 private:
  void keep_old(const std::string& name);
  void sync_folder();
  [[noreturn]] void fail(const char* action, int error) const;

  std::string path_;                        // as the caller named it, for messages
  std::string target_;                      // links resolved
  std::string folder_;                      // of target_
  std::optional<TemporaryFile> temporary_;  // until commit()
};

// The whole content at once.
void write_file_atomically(const std::string& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::string& path, std::string_view text);
// Piecewise: `fill` writes to the file it is given; an exception from it leaves the target as it
// was.
void write_file_atomically(const std::string& path, const std::function<void(AtomicFile&)>& fill);

// The steps of writing a file, in their order; kWrite once for each write(). kKeepOld gives the old
// content a second, temporary name, kNameOld the one it is to be kept under.
enum class FileStep { kCreate, kWrite, kSync, kProve, kKeepOld, kNameOld, kRename, kSyncFolder };
// For tests of what a failing disc, or the sudden end of the process, leaves behind: called before
// each step of each file with the temporary file's name (before kCreate and kSyncFolder the
// target's, before kNameOld that of the old content); what it
// returns, if it is not 0, is the errno that the step fails with. Empty: none. Of all threads.
using FileFault = std::function<int(FileStep step, const std::string& name)>;
void set_file_fault(FileFault fault);

}  // namespace verace::weights

// Files under a temporary name that is known as ours, and what is left of them when a process is
// killed
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernels/descriptor.h"

namespace verace {

// A new, empty file FOLDER/.verace-tmp-PID-N@HOST, open for writing and locked. The lock goes with
// the process, however that ends, and so tells what is abandoned. Removed with this object unless
// it was renamed. The leading dot keeps it out of data sets.
class TemporaryFile {
 public:
  // Where the system refuses there is none: `operator bool`, and errno.
  explicit TemporaryFile(const std::string& folder);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  explicit operator bool() const { return static_cast<bool>(file_); }
  const std::string& name() const { return name_; }
  int descriptor() const { return file_.get(); }
  // Gives it its final name; false, and errno: it keeps the temporary one. It stays open, locked.
  bool rename_to(const std::string& target);

 private:
  std::string name_;  // empty: nothing to remove
  Descriptor file_;
};

// A name of that form in `folder`, which this process has not used yet.
std::string temporary_name(const std::string& folder);

// Whether a lock is seen by all who can see a file of `folder`. Not so where other machines may
// have mounted it, for many network file systems keep locks to one machine.
bool locks_reach_everyone(const std::string& folder);

// Removes the temporary files that processes which were killed have left in `folder`: those that
// are not locked; where locks do not reach everyone only those of this machine, by the host's name.
// What cannot be removed stays. Returns how many are gone. `reach`: instead of
// locks_reach_everyone(), for tests.
int64_t remove_abandoned_files(const std::string& folder, std::optional<bool> reach = {});

}  // namespace verace

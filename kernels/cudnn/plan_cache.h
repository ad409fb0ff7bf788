// The plans that earlier runs took, in a file: so that a later one need not ask, time and compile
// again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "kernels/cudnn/conv_graph.h"

namespace verace::kernels::cudnn {

struct CachedPlan {
  SavedPlan saved;
  int64_t nanoseconds = 0;  // of one run when it was taken; 0: was not timed
  int32_t timed = 0;        // engines that were timed then
  bool operator==(const CachedPlan&) const = default;
};

// One file, of one environment: the versions of cuDNN and its frontend, the device, its driver. It
// is a header line with the checksum and the length of all that follows; then the environment, then
// each key with its plan. Several processes may use the file at once: each writes a complete new
// one under another name, while it holds a lock of the folder, with what the others have added
// since. No trouble with the file is an error: it costs a line of text and the time to plan again.
class PlanCache {
 public:
  using Say = std::function<void(const std::string& line)>;

  // Reads FOLDER/cudnn_plans-DEVICE.bin, if it is there; DEVICE is `device` with letters, digits
  // and dashes only. A file that is damaged or of another environment counts as empty; that is
  // said.
  PlanCache(const std::string& folder, const std::string& device, std::string environment, Say say);

  const std::string& path() const { return path_; }
  size_t size() const { return plans_.size(); }

  // The plan of this key, if it is known.
  std::optional<CachedPlan> find(const std::string& key) const;
  void add(const std::string& key, CachedPlan plan);
  void forget(const std::string& key);
  // Writes the file if something changed since it was last written; makes the folder. Where that
  // cannot be done it is said once, and nothing is written from then on.
  void save();

 private:
  using Plans = std::map<std::string, CachedPlan>;

  Plans read(bool aloud) const;
  std::string write(int folder);

  std::string folder_, path_, environment_;
  Say say_;
  Plans plans_;
  std::set<std::string> added_, forgotten_;  // since the file was last written
  bool unwritable_ = false;
};

}  // namespace verace::kernels::cudnn

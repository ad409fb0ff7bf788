// Finds what stands in two splits.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "data/dataset.h"

namespace verace::data {

// Things of one kind, and the splits in which they were seen.
class LeakFinder {
 public:
  explicit LeakFinder(const char* kind) : kind_(kind) {}  // "video"
  // Empty keys are unknown, and nothing.
  void see(const std::string& key, Split split);
  int64_t count() const { return static_cast<int64_t>(leaked_.size()); }
  // "video 'a' is in train and in test (3 such)"; empty if there is none.
  std::string report() const;

 private:
  const char* kind_;
  std::unordered_map<std::string, Split> first_split_;
  std::unordered_set<std::string> leaked_;
  std::string example_;
};

// Calls `see` for each of the names that '+' joins: "id1+id0".
void each_identity(std::string_view identity, const std::function<void(const std::string&)>& see);

// One line that names the first picture, video or identity found in two splits and counts all of
// them; empty if there is none.
std::string describe_leaks(std::span<const Sample> samples);

}  // namespace verace::data

// A map from each picture, video and identity to the split where it was first seen.
#include "data/leak_check.h"

#include <algorithm>

#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {

void LeakFinder::see(const std::string& key, Split split) {
  if (key.empty()) return;
  const auto [seen, is_new] = first_split_.try_emplace(key, split);
  if (is_new || seen->second == split) return;
  if (leaked_.insert(key).second && leaked_.size() == 1) {
    example_ = text::format("{} '{}' is in {} and in {}", kind_, one_line(key),
                            kSplitNames[static_cast<size_t>(seen->second)],
                            kSplitNames[static_cast<size_t>(split)]);
  }
}

std::string LeakFinder::report() const {
  if (leaked_.empty()) return "";
  return text::format("{} ({} such)", example_, leaked_.size());
}

void each_identity(std::string_view identity, const std::function<void(const std::string&)>& see) {
  while (!identity.empty()) {
    const size_t end = std::min(identity.find('+'), identity.size());
    if (end > 0) see(std::string(identity.substr(0, end)));
    identity.remove_prefix(std::min(end + 1, identity.size()));
  }
}

std::string describe_leaks(std::span<const Sample> samples) {
  LeakFinder videos("video");
  LeakFinder identities("identity");
  LeakFinder pictures("picture");
  for (const Sample& sample : samples) {
    videos.see(sample.video, sample.split);
    each_identity(sample.identity,
                  [&](const std::string& name) { identities.see(name, sample.split); });
    pictures.see(sample.path.lexically_normal().native(), sample.split);
  }
  std::string result;
  for (const LeakFinder* finder : {&videos, &identities, &pictures}) {
    const std::string report = finder->report();
    if (!report.empty()) result += (result.empty() ? "" : "; ") + report;
  }
  return result;
}

}  // namespace verace::data

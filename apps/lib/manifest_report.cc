// Counting the pictures, videos and persons of a manifest.
#include "apps/lib/manifest_report.h"

#include <nlohmann/json.hpp>
#include <set>

#include "data/leak_check.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using Json = nlohmann::ordered_json;

std::string leaks_of(const data::Dataset& dataset) {
  return dataset.leak_report.empty() ? "nothing" : one_line(dataset.leak_report);
}

}  // namespace

ManifestCounts count_manifest(const data::Dataset& dataset) {
  ManifestCounts counts;
  std::array<std::array<std::set<std::string>, 2>, 3> videos;
  std::array<std::set<std::string>, 3> persons;
  for (const data::Sample& sample : dataset.samples) {
    const auto split = static_cast<size_t>(sample.split);
    const auto label = static_cast<size_t>(sample.label);
    ++counts.pictures[split][label];
    videos[split][label].insert(sample.video);
    data::each_identity(sample.identity,
                        [&](const std::string& name) { persons[split].insert(name); });
    counts.with_box += sample.box ? 1 : 0;
    counts.with_landmarks += sample.landmarks ? 1 : 0;
    counts.without_identity += sample.identity.empty() ? 1 : 0;
  }
  for (size_t split = 0; split < videos.size(); ++split) {
    for (size_t label = 0; label < videos[split].size(); ++label) {
      counts.videos[split][label] = static_cast<int64_t>(videos[split][label].size());
    }
    counts.identities[split] = static_cast<int64_t>(persons[split].size());
  }
  return counts;
}

std::string manifest_text(const std::string& name, const data::Dataset& dataset) {
  const ManifestCounts counts = count_manifest(dataset);
  std::string out =
      text::format("{}: a manifest of {} pictures\n", one_line(name), dataset.samples.size());
  out += "  split  real pictures (videos)  fake pictures (videos)  identities\n";
  for (size_t split = 0; split < counts.pictures.size(); ++split) {
    out += text::format("  {:<5}", data::kSplitNames[split]);
    for (size_t label = 0; label < 2; ++label) {
      out += text::format("  {:13} {:>8}", counts.pictures[split][label],
                          text::format("({})", counts.videos[split][label]));
    }
    out += text::format("  {:10}\n", counts.identities[split]);
  }
  out += text::format("with a box: {}, with landmarks: {}, without an identity: {}\n",
                      counts.with_box, counts.with_landmarks, counts.without_identity);
  if (!dataset.ignored_columns.empty()) {
    out += text::format("columns that nothing reads: {}\n",
                        one_line(text::join(dataset.ignored_columns, ", ")));
  }
  return out + text::format("in two splits: {}\n", leaks_of(dataset));
}

std::string manifest_json(const std::string& name, const data::Dataset& dataset) {
  const ManifestCounts counts = count_manifest(dataset);
  Json json{{"root", name}, {"kind", "manifest"}};
  for (size_t split = 0; split < counts.pictures.size(); ++split) {
    Json& entry = json["splits"][data::kSplitNames[split]];
    for (size_t label = 0; label < 2; ++label) {
      entry[data::kClassNames[label]] = {{"pictures", counts.pictures[split][label]},
                                         {"videos", counts.videos[split][label]}};
    }
    entry["identities"] = counts.identities[split];
  }
  json["with_box"] = counts.with_box;
  json["with_landmarks"] = counts.with_landmarks;
  json["without_identity"] = counts.without_identity;
  json["ignored_columns"] = dataset.ignored_columns;
  json["leaks"] = one_line(dataset.leak_report);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace verace::apps

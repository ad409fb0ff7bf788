// Train, val and test for a data set of videos: official, by video, by person; and the check for
// leaks.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "data/leak_check.h"
#include "data/text.h"
#include "data/video_set.h"
#include "data/video_sets/files.h"
#include "data/video_sets/grouping.h"
#include "data/video_sets/persons.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

size_t class_of(const VideoSample& sample) {
  return sample.label ? static_cast<size_t>(*sample.label) : 2;
}

std::vector<std::string> persons_of(const VideoSample& sample) {
  std::vector<std::string> persons;
  each_identity(sample.identity, [&](const std::string& name) { persons.push_back(name); });
  std::sort(persons.begin(), persons.end());
  persons.erase(std::unique(persons.begin(), persons.end()), persons.end());
  return persons;
}

void check_shares(const Shares& shares) {
  double sum = 0;
  for (const double share : shares) {
    if (!(share >= 0 && share <= 1))
      fail_input("the shares of train, val and test must lie in [0, 1]");
    sum += share;
  }
  if (!(std::abs(sum - 1) <= 1e-6)) {
    fail_input(text::format("the shares of train, val and test must add up to 1, not to {}", sum));
  }
}

// Divides the videos without a split; what was made from one video stays together.
void divide_by_video(std::vector<VideoSample>& videos, const Shares& shares, uint64_t seed) {
  std::map<std::string, size_t> known;  // names of videos, here or not
  Unions unions(0);
  const auto node_of = [&](const std::string& name) {
    const auto [at, is_new] = known.try_emplace(name, 0);
    if (is_new) at->second = unions.add();
    return at->second;
  };
  for (const VideoSample& sample : videos) {
    if (sample.split) continue;
    const size_t own = node_of(sample.name);
    for (const std::string& source : sample.sources) unions.join(own, node_of(source));
  }
  std::map<size_t, size_t> group_of_root;
  std::vector<VideoGroup> groups;
  std::vector<std::pair<VideoSample*, size_t>> members;
  for (VideoSample& sample : videos) {
    if (sample.split) continue;
    const auto [at, is_new] =
        group_of_root.try_emplace(unions.find(known.at(sample.name)), groups.size());
    if (is_new) groups.push_back({sample.name, {}});
    VideoGroup& group = groups[at->second];
    group.name = std::min(group.name, sample.name);
    ++group.videos[class_of(sample)];
    members.emplace_back(&sample, at->second);
  }
  const std::vector<Split> splits = divide(groups, shares, seed);
  for (const auto& [sample, group] : members) sample->split = splits[group];
}

class Assignment {
 public:
  Assignment(VideoSet& set, const SplitOptions& options)
      : set_(set), options_(options), dropped_(set.root) {
    report_.options = options;
  }

  SplitReport assign() {
    check_shares(options_.shares);
    switch (options_.rule) {
      case SplitRule::kOfficial:
        official();
        break;
      case SplitRule::kVideo:
        by_video();
        break;
      case SplitRule::kIdentity:
        by_identity();
        break;
    }
    count();
    report_.why_dropped = dropped_.take();
    report_.leaks = check_leaks(set_);
    return std::move(report_);
  }

 private:
  void official() {
    if (!set_.has_official) {
      fail_input(
          text::format("{}: {} has no official split here ({}); or divide it by video or by "
                       "identity",
                       name_of(set_.root), set_.kind, set_.official));
    }
    if (set_.kind.starts_with("Celeb-DF")) {
      const double both = options_.shares[0] + options_.shares[1];
      if (!(both > 0)) fail_input("the shares of train and val must not both be 0");
      // A fake of a test video, or the video of a test fake, must not be learnt from: their sources
      // tie them to test. Those are the official list's own leaks; they are reported, not mended.
      divide_by_video(set_.videos, {options_.shares[0] / both, options_.shares[1] / both, 0},
                      options_.seed);
      return;
    }
    drop([](const VideoSample& sample) { return !sample.split; }, "not in the official splits");
  }

  void by_video() {
    for (VideoSample& sample : set_.videos) sample.split.reset();
    divide_by_video(set_.videos, options_.shares, options_.seed);
  }

  void by_identity() {
    std::map<std::vector<std::string>, VideoCounts> counts;
    for (const VideoSample& sample : set_.videos) {
      const std::vector<std::string> persons = persons_of(sample);
      if (!persons.empty()) ++counts[persons][class_of(sample)];
    }
    if (counts.empty()) {
      fail_input(text::format("{}: nothing is known of the persons in {}; divide it by video",
                              name_of(set_.root), set_.kind));
    }
    std::vector<PersonVideos> videos;
    for (const auto& [persons, number] : counts) videos.push_back({persons, number});
    const auto split_of = divide_persons(videos, options_.shares, options_.seed);
    const auto divided = [&](const VideoSample& sample) {
      const std::vector<std::string> persons = persons_of(sample);
      return std::any_of(persons.begin(), persons.end(), [&](const std::string& person) {
        return split_of.at(person) != split_of.at(persons.front());
      });
    };
    drop(divided, "its persons are in different splits");
    for (VideoSample& sample : set_.videos) {
      const std::vector<std::string> persons = persons_of(sample);
      sample.split.reset();
      if (!persons.empty()) sample.split = split_of.at(persons.front());
    }
    divide_by_video(set_.videos, options_.shares, options_.seed);
  }

  template <typename Condition>
  void drop(const Condition& condition, const std::string& why) {
    std::vector<VideoSample> kept;
    for (VideoSample& sample : set_.videos) {
      if (!condition(sample)) {
        kept.push_back(std::move(sample));
        continue;
      }
      dropped_.add(why, sample.name);
      ++report_.dropped[class_of(sample)];
    }
    set_.videos = std::move(kept);
  }

  void count() {
    std::array<std::map<std::string, int>, 3> persons;
    for (const VideoSample& sample : set_.videos) {
      const auto split = static_cast<size_t>(*sample.split);
      ++report_.videos[split][class_of(sample)];
      for (const std::string& person : persons_of(sample)) persons[split][person] = 1;
    }
    for (size_t split = 0; split < persons.size(); ++split) {
      report_.identities[split] = static_cast<int64_t>(persons[split].size());
    }
  }

  VideoSet& set_;
  SplitOptions options_;
  Tallies dropped_;
  SplitReport report_;
};

}  // namespace

SplitReport assign_splits(VideoSet& set, const SplitOptions& options) {
  return Assignment(set, options).assign();
}

LeakReport check_leaks(const VideoSet& set) {
  LeakFinder sources("source video");
  LeakFinder identities("identity");
  LeakReport report;
  for (const VideoSample& sample : set.videos) {
    if (!sample.split) continue;
    sources.see(sample.name, *sample.split);
    for (const std::string& source : sample.sources) sources.see(source, *sample.split);
    const std::vector<std::string> persons = persons_of(sample);
    for (const std::string& person : persons) identities.see(person, *sample.split);
    if (persons.empty()) ++report.unknown;
  }
  report.sources = sources.count();
  report.identities = identities.count();
  std::vector<std::string> parts;
  for (const LeakFinder* finder : {&sources, &identities}) {
    if (const std::string part = finder->report(); !part.empty()) parts.push_back(part);
  }
  report.text = parts.empty() ? "none" : text::join(parts, "; ");
  if (report.unknown > 0) {
    report.text += text::format("; the persons of {} videos are unknown", report.unknown);
  }
  return report;
}

}  // namespace verace::data

// Flags of data sets of videos, and the numbers and names in them.
#include "apps/cli/video_set_flags.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/metadata_reading.h"

namespace verace::cli {
namespace {

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::array<double, 3> shares_in(const std::string& text, const std::string& flag) {
  const std::vector<std::string> parts = parts_of(text);
  std::array<double, 3> shares{};
  bool good = parts.size() == shares.size();
  double sum = 0;
  for (size_t i = 0; good && i < shares.size(); ++i) {
    const std::optional<double> share = weights::number_in_text(parts[i]);
    good = share && *share >= 0 && *share <= 1;
    if (good) sum += shares[i] = *share;
  }
  if (!good || !(std::abs(sum - 1) <= 1e-6)) {
    fail_input(
        text::format("{}: '{}' are not the shares of train, val and test, three numbers that "
                     "add up to 1, for example 0.8,0.1,0.1",
                     flag, text));
  }
  return shares;
}

}  // namespace

void declare_video_set(Flags& flags, VideoSetFlags& set) {
  flags.group("Data sets of videos");
  flags.value(
      "--splits", "RULE",
      "Train, val, test: official (the data set's own), video (what was made from one video "
      "in one split), identity (a person in one split; fakes that join two are dropped)",
      into_choice({data::kSplitRuleNames.begin(), data::kSplitRuleNames.end()}, [&set](size_t i) {
        set.rule = static_cast<data::SplitRule>(i);
        set.splits.rule = *set.rule;
      }));
  flags.value(
      "--shares", "A,B,C",
      "Of train, val and test (default 0.8,0.1,0.1; of Celeb-DF's official split, whose test "
      "is fixed, those of train and val count)",
      [&set](const std::string& text, const std::string& flag) {
        set.splits.shares = shares_in(text, flag);
      });
  flags.value("--split-seed", "N", "Another number, another division (default 1)",
              into(set.splits.seed));
  flags.value("--compression", "C", "FaceForensics++: raw, c0, c23 or c40, where several are there",
              into_choice({"raw", "c0", "c23", "c40"}, [&set](size_t i) {
                set.set.compression = std::array{"raw", "c0", "c23", "c40"}[i];
              }));
  flags.value(
      "--methods", "M,...",
      "FaceForensics++: only these (Deepfakes, Face2Face, ...) and their originals",
      [&set](const std::string& text, const std::string&) { set.set.methods = parts_of(text); });
}

void check_video_set(const Flags& flags, const VideoSetFlags& set) {
  for (const char* flag : {"--shares", "--split-seed"}) {
    if (flags.given(flag) && !set.rule) {
      fail_input(
          text::format("{}: divides nothing without --splits official, video or identity", flag));
    }
  }
}

}  // namespace verace::cli

// Videos of a data set that have no verdict, and why: they are counted, not silently left out.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/lib/metrics.h"
#include "data/dataset.h"

namespace verace::apps {

struct FailedVideo {
  std::string video;             // its name, or the file
  std::optional<int32_t> label;  // empty: unknown
  std::string reason;            // of few kinds, for counting: "no face found"
  std::string detail;            // of this one, one line; may be empty
};

// Those of an account that `verace faces` has written (a CSV with the columns path, frames,
// looked_at, faces and optionally video, label, split, shortfall, damage, in any order and among
// others) without a single face: "cannot be read" where no frame was looked at, else "no face
// found". Only of `split`, where one is given and
// the account names splits. Throws Error(kInput) naming the file and
// the line for what does not have this form.
inline constexpr const char* kCannotBeRead = "cannot be read";
std::vector<FailedVideo> read_failed_videos(const std::filesystem::path& account,
                                            const std::optional<data::Split>& split);

// How many failed, by label and by reason.
struct FailedCounts {
  int64_t count = 0;
  std::array<int64_t, 2> by_label{};  // [label]; the others' is unknown
  std::map<std::string, int64_t> by_reason;
};
FailedCounts count_failed(const std::vector<FailedVideo>& failed);

// Accuracy and balanced accuracy of videos if each failed one of known label had been judged
// wrongly: what the figures are at least. Empty where not defined.
struct AccuracyWithFailed {
  std::optional<double> accuracy, balanced_accuracy;
};
AccuracyWithFailed with_failed(const Metrics& videos, const FailedCounts& failed);

}  // namespace verace::apps

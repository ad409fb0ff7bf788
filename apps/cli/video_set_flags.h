// The flags of commands that read a data set of videos: which part of it, and how it is divided.
#pragma once

#include <optional>

#include "apps/cli/flags.h"
#include "data/video_set.h"

namespace verace::cli {

struct VideoSetFlags {
  data::VideoSetOptions set;
  std::optional<data::SplitRule> rule;  // empty: --splits was not given
  data::SplitOptions splits;            // its rule is `rule`, where there is one
};

// --splits, --shares, --split-seed, --compression, --methods.
void declare_video_set(Flags& flags, VideoSetFlags& set);
// After Flags::apply(). Throws Error(kInput) for --shares and --split-seed without --splits.
void check_video_set(const Flags& flags, const VideoSetFlags& set);

}  // namespace verace::cli

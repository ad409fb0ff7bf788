// A sheet of many crops for looking at.
#pragma once

#include <filesystem>
#include <vector>

#include "apps/lib/faces/outputs.h"
#include "data/image.h"

namespace verace::apps {

// The first face of each video; of few videos further ones, turn by turn, up to 160 in all; of more
// videos some at equal distances. Frames: green real, red fake, grey unknown. Empty (0 x 0) where
// there are no faces. Throws Error(kInput) naming a crop that cannot be read.
data::Image contact_sheet(const std::filesystem::path& out, const std::vector<DoneVideo>& videos);

}  // namespace verace::apps

// Files of a data set that hold the same bytes under two names.
#pragma once

#include <vector>

#include "data/video_set.h"
#include "data/video_sets/files.h"

namespace verace::data {

// Reads files of equal size, and no others. A copy gets the name of the first one (by name) as a
// source, so that both come into one split, and that two splits show as a leak. Copies are tallied,
// those in the other class apart: one of both labels is wrong. Folders of frames and empty files
// are not compared.
void find_copies(std::vector<VideoSample>& videos, Tallies& notes);

}  // namespace verace::data

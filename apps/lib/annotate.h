// A judged video or picture with its faces framed: what was judged, where, and how.
#pragma once

#include <filesystem>
#include <string>

#include "apps/lib/media_predictor.h"

namespace verace::apps {

// Throws Error(kInput) naming `flag` and the file, before any work, where an annotated copy of
// `input` cannot be written to `out`: the same file, a folder that is not there, a picture whose
// name ends in neither .png nor .jpg.
void check_annotation(const std::filesystem::path& input, const std::filesystem::path& out,
                      const std::string& flag);

// Writes a copy of the judged item: of a picture .png or .jpg (quality 95), of a video what
// data::create_video makes of the name. Each face has a frame with its verdict and probability of
// being fake; a line at the top says the verdict of all, or why there is none. Frames of a video
// that were not looked at show the faces of the last one that was, in thin lines. Frames of another
// size than the first are cut, or filled up with black. Returns what was written, for people.
// Throws Error(kInput) as data::open_frames and data::create_video.
std::string annotate(const MediaVerdict& item, const Decision& decision,
                     const std::filesystem::path& out);

}  // namespace verace::apps

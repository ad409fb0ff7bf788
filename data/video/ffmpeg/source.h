// A video file as a source of frames.
#pragma once

#include <filesystem>
#include <memory>

#include "data/frame_source.h"

namespace verace::data::video {

// As Library::open().
std::unique_ptr<FrameSource> open_video(const std::filesystem::path& path, int threads);

}  // namespace verace::data::video

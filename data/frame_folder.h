// The pictures of a folder as frames.
#pragma once

#include <filesystem>
#include <memory>

#include "data/frame_source.h"

namespace verace::data {

// `folder` exists. Its pictures by name (picture_name.h), in natural order; folders in it are not
// looked into. Throws Error(kInput) where it has none, or none that can be decoded.
std::unique_ptr<FrameSource> open_frame_folder(const std::filesystem::path& folder);

}  // namespace verace::data

// The kinds of data sets of videos. For data/video_set.cc.
#pragma once

#include <filesystem>
#include <optional>

#include "data/video_set.h"

namespace verace::data {

// Each returns nothing where the folder does not look like its kind; throws Error(kInput) where it
// does, but is wrong.
std::optional<VideoSet> load_celeb_df(const std::filesystem::path& root);
std::optional<VideoSet> load_faceforensics(const std::filesystem::path& root,
                                           const VideoSetOptions& options);
std::optional<VideoSet> load_class_folders(const std::filesystem::path& root);
// A file, or a folder that holds pictures.
std::optional<VideoSet> load_single_video(const std::filesystem::path& path);
// Whatever lies below.
std::optional<VideoSet> load_unlabelled(const std::filesystem::path& root);

}  // namespace verace::data

// CSV manifests of labelled pictures. For data/dataset.cc.
#pragma once

#include <filesystem>

#include "data/dataset.h"

namespace verace::data {

// The columns of a manifest of faces, in the order in which `verace faces` writes them.
inline constexpr std::array<const char*, 22> kManifestColumns{
    "path",         "label",        "video",
    "identity",     "split",        "frame",
    "seconds",      "score",        "x1",
    "y1",           "x2",           "y2",
    "left_eye_x",   "left_eye_y",   "right_eye_x",
    "right_eye_y",  "nose_x",       "nose_y",
    "left_mouth_x", "left_mouth_y", "right_mouth_x",
    "right_mouth_y"};

// All of load_dataset() for a manifest but the check for leaks and for emptiness.
Dataset read_manifest(const std::filesystem::path& path);

}  // namespace verace::data

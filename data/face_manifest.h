// The lines of a manifest of faces, as load_dataset() (data/dataset.h) reads them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "data/detected_face.h"

namespace verace::data {

// One face. What is empty stays empty in the file.
struct FaceRecord {
  std::string path;  // relative to the manifest's folder
  std::optional<int32_t> label;
  std::string video, identity;
  std::optional<Split> split;
  std::optional<int64_t> frame;   // in display order from 0
  std::optional<double> seconds;  // since the video's first frame
  std::optional<double> score;    // the detector's
  // In pixels of the picture at `path`.
  std::optional<FaceBox> box;
  std::optional<std::array<ImagePoint, kFaceLandmarks>> landmarks;
};

// With its line break.
std::string face_manifest_header();
// Fields with commas, quotes or line breaks are quoted (RFC 4180), bytes kept as they are.
std::string face_manifest_line(const FaceRecord& face);

}  // namespace verace::data

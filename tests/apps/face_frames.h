// Frames that say themselves how many faces they have, and a detector that reads it off them.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "apps/lib/face_detector.h"
#include "kernels/format.h"
#include "tests/support/files.h"

namespace verace::test {

// 64 x 48 pixels of its own; the first pixel holds the number of faces, and `mark` in green.
inline data::Image frame_with_faces(int faces, int mark = 0) {
  data::Image frame{48, 64, {}};
  for (int64_t i = 0; i < frame.height * frame.width * 3; ++i) {
    uint32_t noise = static_cast<uint32_t>(i + 7919 * mark) * 2654435761U;
    noise = (noise ^ (noise >> 15)) * 2246822519U;
    frame.rgb.push_back(static_cast<uint8_t>(noise >> 24));
  }
  frame.rgb[0] = static_cast<uint8_t>(faces);
  frame.rgb[1] = static_cast<uint8_t>(mark);
  return frame;
}

// Face i of such a frame: each is larger than the one before, and less sure.
inline data::DetectedFace planted_face(int i) {
  data::DetectedFace face;
  const float size = 12 + static_cast<float>(i % 20);
  face.box = {2.5F + static_cast<float>(i % 7), 3, 2.5F + static_cast<float>(i % 7) + size,
              3 + size};
  face.score = 0.99F - 0.002F * static_cast<float>(i);
  const auto place = [&](float u, float v) {
    return data::ImagePoint{face.box.x1 + u * size, face.box.y1 + v * size};
  };
  face.landmarks = {place(0.3F, 0.35F), place(0.7F, 0.35F), place(0.5F, 0.55F), place(0.35F, 0.75F),
                    place(0.65F, 0.75F)};
  return face;
}

class PlantedFinder : public apps::FaceFinder {
 public:
  std::vector<std::vector<data::DetectedFace>> find(
      std::span<const data::Image> pictures) override {
    std::vector<std::vector<data::DetectedFace>> found;
    for (const data::Image& picture : pictures) {
      marks.push_back(picture.rgb[1]);
      found.emplace_back();
      for (int i = 0; i < picture.rgb[0]; ++i) found.back().push_back(planted_face(i));
    }
    most_at_once = std::max(most_at_once, pictures.size());
    return found;
  }
  std::string description() const override { return "planted faces"; }

  std::vector<int> marks;  // of all frames that were shown, in order
  size_t most_at_once = 0;
};

// A folder of frames with these numbers of faces; their marks are their numbers.
inline void write_frames(const std::filesystem::path& folder, const std::vector<int>& faces) {
  std::filesystem::create_directories(folder);
  for (size_t i = 0; i < faces.size(); ++i) {
    data::write_png(folder / text::format("{}.png", i),
                    frame_with_faces(faces[i], static_cast<int>(i)), data::Durability::kFast);
  }
}

}  // namespace verace::test

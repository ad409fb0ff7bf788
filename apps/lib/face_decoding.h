// From the maps of a RetinaFace to faces: anchors, boxes, landmarks, and one face where several
// anchors have found it.
//
// The formulas are those of Pytorch_Retinaface (semantics.md C.1), which follow SSD (Liu et al.
// 2016, arXiv 1512.02325, section 2).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "data/detected_face.h"

namespace verace::apps {

// Sides of the square anchors in pixels of the network's input: two on each of the levels with
// strides 8, 16, 32.
using AnchorSizes = std::array<std::array<double, 2>, 3>;
inline constexpr AnchorSizes kUsualAnchors = {{{16, 32}, {64, 128}, {256, 512}}};

struct DecodingOptions {
  AnchorSizes anchors = kUsualAnchors;
  double score_threshold = 0.5;  // [0, 1]
  double nms_threshold = 0.4;    // (0, 1]
  double min_size = 0;           // pixels of the picture
};

struct FaceMaps {
  int64_t height = 0, width = 0;  // of the network's input
  // Of one picture: [ceil(height / stride), ceil(width / stride), 32] as RetinaFaceStep says.
  std::array<std::span<const float>, 3> levels;
};

// The faces of a picture of `picture_width` x `picture_height` pixels, in its pixels, the largest
// score first, at most 750. Of overlapping ones that with the largest score stays: the others'
// intersection over union with it, a pixel wider and higher than their corners say, is above the
// threshold. Throws Error(kInput) where a score is not a number.
std::vector<data::DetectedFace> decode_faces(const FaceMaps& maps, int64_t picture_height,
                                             int64_t picture_width, const DecodingOptions& options);

// Those of `faces` that stay, as above; only the first 5000 by score are looked at.
std::vector<data::DetectedFace> suppress_overlapping(std::vector<data::DetectedFace> faces,
                                                     double threshold);

}  // namespace verace::apps

// Decoding of anchors, and non-maximum suppression.
#include "apps/lib/face_decoding.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/check.h"

namespace verace::apps {
namespace {

using data::DetectedFace;

constexpr int64_t kStrides[] = {8, 16, 32};
constexpr int64_t kAnchorsPerPlace = 2;
constexpr int64_t kNumbers = 32;             // of a place: 2 * (2 + 4 + 10)
constexpr int64_t kBoxes = 4, kPoints = 12;  // where they begin among them
constexpr double kCentreVariance = 0.1, kSizeVariance = 0.2;
constexpr size_t kMostBefore = 5000, kMostAfter = 750;

// A square around a place; as shares of the input, as the network learned it.
struct Anchor {
  double x, y, width, height;
};

DetectedFace decode(const Anchor& a, const float* box, const float* points, double width,
                    double height) {
  DetectedFace face;
  const double x = a.x + box[0] * kCentreVariance * a.width;
  const double y = a.y + box[1] * kCentreVariance * a.height;
  const double half_width = a.width * std::exp(box[2] * kSizeVariance) / 2;
  const double half_height = a.height * std::exp(box[3] * kSizeVariance) / 2;
  const auto pixels = [](double share, double size) { return static_cast<float>(share * size); };
  face.box = {pixels(x - half_width, width), pixels(y - half_height, height),
              pixels(x + half_width, width), pixels(y + half_height, height)};
  for (size_t i = 0; i < face.landmarks.size(); ++i) {
    face.landmarks[i] = {pixels(a.x + points[2 * i] * kCentreVariance * a.width, width),
                         pixels(a.y + points[2 * i + 1] * kCentreVariance * a.height, height)};
  }
  return face;
}

// score >= threshold, asked of score = 1 / (1 + exp(-margin)) without computing it.
double least_margin(double threshold) {
  if (threshold <= 0) return -std::numeric_limits<double>::infinity();
  if (threshold >= 1) return std::numeric_limits<double>::infinity();
  return std::log(threshold / (1 - threshold));
}

bool is_finite(const DetectedFace& face) {
  const auto fine = [](float v) { return std::isfinite(v); };
  return fine(face.box.x1) && fine(face.box.y1) && fine(face.box.x2) && fine(face.box.y2) &&
         std::ranges::all_of(face.landmarks,
                             [&](const data::ImagePoint& p) { return fine(p.x) && fine(p.y); });
}

void check_finite(bool finite) {
  if (!finite)
    fail_input("the face detector's answer is not a finite number: its weights are broken");
}

// What overlap is measured by: a box whose last pixel counts as well.
double area(const data::FaceBox& b) {
  return (double{b.x2} - b.x1 + 1) * (double{b.y2} - b.y1 + 1);
}

double overlap(const data::FaceBox& a, const data::FaceBox& b) {
  const double width = std::min(a.x2, b.x2) - double{std::max(a.x1, b.x1)} + 1;
  const double height = std::min(a.y2, b.y2) - double{std::max(a.y1, b.y1)} + 1;
  const double both = std::max(0.0, width) * std::max(0.0, height);
  return both / (area(a) + area(b) - both);
}

}  // namespace

std::vector<DetectedFace> suppress_overlapping(std::vector<DetectedFace> faces, double threshold) {
  std::ranges::stable_sort(faces, std::ranges::greater{}, &DetectedFace::score);
  if (faces.size() > kMostBefore) faces.resize(kMostBefore);
  std::vector<DetectedFace> kept;
  for (const DetectedFace& face : faces) {
    const bool is_new = std::ranges::all_of(
        kept, [&](const DetectedFace& other) { return overlap(face.box, other.box) <= threshold; });
    if (is_new) kept.push_back(face);
    if (kept.size() == kMostAfter) break;
  }
  return kept;
}

std::vector<DetectedFace> decode_faces(const FaceMaps& maps, int64_t picture_height,
                                       int64_t picture_width, const DecodingOptions& options) {
  const double least = least_margin(options.score_threshold);
  const auto width = static_cast<double>(maps.width), height = static_cast<double>(maps.height);
  std::vector<DetectedFace> found;
  bool finite = true;
  for (size_t level = 0; level < maps.levels.size(); ++level) {
    const int64_t stride = kStrides[level];
    const int64_t rows = (maps.height + stride - 1) / stride;
    const int64_t columns = (maps.width + stride - 1) / stride;
    const std::span<const float> map = maps.levels[level];
    VERACE_CHECK(static_cast<int64_t>(map.size()) == rows * columns * kNumbers);
    for (int64_t i = 0; i < rows * columns * kAnchorsPerPlace; ++i) {
      const int64_t place = i / kAnchorsPerPlace, anchor = i % kAnchorsPerPlace;
      const float* numbers = map.data() + place * kNumbers;
      const double margin = double{numbers[2 * anchor + 1]} - numbers[2 * anchor];
      if (!(margin >= least)) {
        finite = finite && !std::isnan(margin);
        continue;
      }
      const double size = options.anchors[level][static_cast<size_t>(anchor)];
      const auto centre = [&](int64_t at) {
        return (static_cast<double>(at) + 0.5) * static_cast<double>(stride);
      };
      const Anchor a{centre(place % columns) / width, centre(place / columns) / height,
                     size / width, size / height};
      DetectedFace face =
          decode(a, numbers + kBoxes + 4 * anchor, numbers + kPoints + 10 * anchor,
                 static_cast<double>(picture_width), static_cast<double>(picture_height));
      face.score = static_cast<float>(1 / (1 + std::exp(-margin)));
      check_finite(is_finite(face));
      found.push_back(face);
    }
  }
  check_finite(finite);
  found = suppress_overlapping(std::move(found), options.nms_threshold);
  std::erase_if(found, [&](const DetectedFace& face) {
    return std::min(face.box.width(), face.box.height()) < options.min_size;
  });
  return found;
}

}  // namespace verace::apps

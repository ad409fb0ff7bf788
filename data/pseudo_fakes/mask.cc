// A deformed polygon, and blurs by running sums.
#include "data/pseudo_fakes/mask.h"

#include <algorithm>
#include <cmath>

#include "data/faces/colour.h"
#include "kernels/check.h"

namespace verace::data {
namespace {

constexpr float kGridReach = 3.0F;  // the grid covers [-3, 3] x [-3, 3] of the face

// Where a point of the undeformed face has moved from.
ImagePoint undeformed(ImagePoint uv, const MaskShape& shape) {
  constexpr int kCells = MaskShape::kGrid - 1;
  const auto place = [](float t) {
    return std::clamp((t + kGridReach) / (2 * kGridReach) * kCells, 0.0F, kCells - 0.001F);
  };
  const float x = place(uv.x);
  const float y = place(uv.y);
  const auto column = static_cast<size_t>(x);
  const auto row = static_cast<size_t>(y);
  const float tx = faces::smooth_step(0, 1, x - static_cast<float>(column));
  const float ty = faces::smooth_step(0, 1, y - static_cast<float>(row));
  const auto corner = [&](size_t down, size_t right) {
    return shape.bend[(row + down) * MaskShape::kGrid + column + right];
  };
  const auto between = [](ImagePoint a, ImagePoint b, float t) { return a + (b - a) * t; };
  const ImagePoint bend =
      between(between(corner(0, 0), corner(0, 1), tx), between(corner(1, 0), corner(1, 1), tx), ty);
  const ImagePoint p = uv - shape.shift - bend;
  return {p.x / shape.scale.x - shape.shear * p.y, p.y / shape.scale.y};
}

bool inside(const std::vector<ImagePoint>& outline, ImagePoint p) {
  for (size_t i = 0; i < outline.size(); ++i) {
    const ImagePoint a = outline[i];
    const ImagePoint b = outline[(i + 1) % outline.size()];
    if ((b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x) < 0) return false;
  }
  return true;
}

// Lines of a mask: rows, or columns.
struct Lines {
  int64_t count, length;          // lines, and pixels of each
  int64_t line_step, pixel_step;  // in the array
};

// The mean over 2 radius + 1 pixels of each line; the border's pixels go on beyond it.
void mean_over_windows(std::vector<uint16_t>& weight, const Lines& lines, int64_t radius) {
  const uint64_t window = 2 * static_cast<uint64_t>(radius) + 1;
  std::vector<uint16_t> line(static_cast<size_t>(lines.length));
  for (int64_t i = 0; i < lines.count; ++i) {
    uint16_t* first = weight.data() + i * lines.line_step;
    for (int64_t k = 0; k < lines.length; ++k) {
      line[static_cast<size_t>(k)] = first[k * lines.pixel_step];
    }
    const auto pixel = [&](int64_t k) -> uint64_t {
      return line[static_cast<size_t>(std::clamp<int64_t>(k, 0, lines.length - 1))];
    };
    uint64_t sum = 0;
    for (int64_t k = -radius; k <= radius; ++k) sum += pixel(k);
    for (int64_t k = 0; k < lines.length; ++k) {
      first[k * lines.pixel_step] = static_cast<uint16_t>((sum + window / 2) / window);
      sum += pixel(k + radius + 1);
      sum -= pixel(k - radius);
    }
  }
}

// Three means, whose radii add up to `reach`.
void blur(FaceMask& mask, int64_t reach) {
  for (const int64_t radius : {reach / 3, (reach + 1) / 3, (reach + 2) / 3}) {
    if (radius == 0) continue;
    mean_over_windows(mask.weight, {mask.height, mask.width, mask.width, 1}, radius);
    mean_over_windows(mask.weight, {mask.width, mask.height, 1, mask.width}, radius);
  }
}

// The part of the picture in which the deformed outline may lie, `margin` pixels wider.
FaceMask empty_mask(int64_t height, int64_t width, const FaceFrame& frame,
                    const std::vector<ImagePoint>& outline, const MaskShape& shape,
                    int64_t margin) {
  float bend = 0;
  for (const ImagePoint& b : shape.bend) bend = std::max({bend, std::abs(b.x), std::abs(b.y)});
  float x1 = 1e9F, y1 = 1e9F, x2 = -1e9F, y2 = -1e9F;
  for (const ImagePoint& corner : outline) {
    const float v = corner.y * shape.scale.y;
    const float u = (corner.x + shape.shear * v) * shape.scale.x;
    // A place that is bent away comes from at most `bend` beside it.
    for (const ImagePoint side : {ImagePoint{-bend, -bend}, ImagePoint{bend, -bend},
                                  ImagePoint{-bend, bend}, ImagePoint{bend, bend}}) {
      const ImagePoint p = frame.place(ImagePoint{u, v} + shape.shift + side);
      x1 = std::min(x1, p.x);
      y1 = std::min(y1, p.y);
      x2 = std::max(x2, p.x);
      y2 = std::max(y2, p.y);
    }
  }
  const auto pixel = [margin](float edge, int64_t outwards, int64_t side) {
    const float bounded = std::clamp(edge, -1e6F, 1e6F);
    return std::clamp<int64_t>(static_cast<int64_t>(std::floor(bounded)) + outwards * (margin + 1),
                               0, side);
  };
  FaceMask mask;
  mask.left = pixel(x1, -1, width);
  mask.top = pixel(y1, -1, height);
  mask.width = pixel(x2, 1, width) - mask.left;
  mask.height = pixel(y2, 1, height) - mask.top;
  mask.weight.assign(static_cast<size_t>(mask.width * mask.height), 0);
  return mask;
}

}  // namespace

uint16_t FaceMask::at(int64_t y, int64_t x) const {
  if (y < top || x < left || y >= top + height || x >= left + width) return 0;
  return weight[static_cast<size_t>((y - top) * width + x - left)];
}

MaskShape draw_mask_shape(Draws& draws) {
  MaskShape shape;
  shape.scale = {draws.between(0.85F, 1.1F), draws.between(0.85F, 1.1F)};
  shape.shear = draws.between(-0.1F, 0.1F);
  shape.shift = {draws.between(-0.12F, 0.12F), draws.between(-0.15F, 0.15F)};
  const float strength = draws.between(0.05F, 0.2F);
  for (ImagePoint& bend : shape.bend) {
    bend.x = draws.between(-strength, strength);
    bend.y = draws.between(-strength, strength);
  }
  shape.first_blur = draws.between(0.0F, 0.5F);
  shape.second_blur = draws.between(0.15F, 0.8F);
  return shape;
}

FaceMask draw_mask(int64_t height, int64_t width, const FaceLandmarks& landmarks,
                   const MaskShape& shape) {
  VERACE_CHECK(*landmark_fault(landmarks) == '\0');
  const FaceFrame frame = face_frame(landmarks);
  const std::vector<ImagePoint> outline = face_outline(landmarks);
  const float unit = std::sqrt(frame.area());
  const auto reach = [unit](float share) {
    const float pixels = std::min(share * unit, 4096.0F);
    return share > 0 ? std::max<int64_t>(1, static_cast<int64_t>(pixels + 0.5F)) : int64_t{0};
  };
  const int64_t soft = reach(shape.second_blur);
  FaceMask mask = empty_mask(height, width, frame, outline, shape, soft + 1);
  if (mask.weight.empty()) return mask;
  for (int64_t y = 0; y < mask.height; ++y) {
    for (int64_t x = 0; x < mask.width; ++x) {
      const ImagePoint centre{static_cast<float>(mask.left + x) + 0.5F,
                              static_cast<float>(mask.top + y) + 0.5F};
      if (inside(outline, undeformed(frame.coordinates(centre), shape))) {
        mask.weight[static_cast<size_t>(y * mask.width + x)] = FaceMask::kFull;
      }
    }
  }
  if (const int64_t cut = reach(shape.first_blur); cut > 0) {
    blur(mask, cut);
    for (uint16_t& weight : mask.weight) weight = weight == FaceMask::kFull ? FaceMask::kFull : 0;
  }
  blur(mask, soft);
  return mask;
}

}  // namespace verace::data

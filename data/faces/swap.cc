// Align by an affine map, resample bilinearly, match mean and spread of the colours, blend.
#include "data/faces/swap.h"

#include "data/draws.h"
#include "data/face_frame.h"

namespace verace::data::faces {
namespace {

constexpr uint8_t kSwapStream = 0xD8;

FaceFrame frame_of(const Landmarks& l) { return {l.left_eye, l.right_eye, l.mouth}; }

// Bilinear; the border's pixels continue beyond it.
Rgb sample(const Picture& p, Point at) {
  const auto side = static_cast<float>(p.size);
  const float x = std::clamp(at.x * side - 0.5F, 0.0F, side - 1.001F);
  const float y = std::clamp(at.y * side - 0.5F, 0.0F, side - 1.001F);
  const auto column = static_cast<int64_t>(x);
  const auto row = static_cast<int64_t>(y);
  const float tx = x - static_cast<float>(column);
  const float ty = y - static_cast<float>(row);
  return mix(mix(p.at(row, column), p.at(row, column + 1), tx),
             mix(p.at(row + 1, column), p.at(row + 1, column + 1), tx), ty);
}

// 1 on the inner face, 0 outside of it. The inner face is an oval round eyes and mouth.
float mask(Point uv, const Swap& swap) {
  const float dx = uv.x / (1.75F * swap.reach);
  const float dy = uv.y / (1.75F * swap.reach);
  return smooth_step(1.0F, 1.0F - swap.feather, std::sqrt(dx * dx + dy * dy));
}

// Mean and spread of the colours under the mask.
struct Statistics {
  Rgb mean, spread;
};

Statistics statistics(const Picture& picture, const std::vector<float>& weights) {
  Rgb sum;
  Rgb squares;
  float total = 1e-6F;
  for (size_t i = 0; i < weights.size(); ++i) {
    const Rgb c = picture.pixels[i];
    sum = sum + c * weights[i];
    squares = squares + c * c * weights[i];
    total += weights[i];
  }
  const Rgb mean = sum * (1.0F / total);
  const Rgb variance = squares * (1.0F / total) - mean * mean;
  const auto root = [](float v) { return std::sqrt(std::max(1e-6F, v)); };
  return {mean, {root(variance.r), root(variance.g), root(variance.b)}};
}

// `picture` with the mean and spread `to` instead of `from`.
void match_colours(Picture& picture, const Statistics& from, const Statistics& to, float share) {
  const Rgb scale{to.spread.r / from.spread.r, to.spread.g / from.spread.g,
                  to.spread.b / from.spread.b};
  for (Rgb& c : picture.pixels) c = mix(c, (c - from.mean) * scale + to.mean, share);
}

}  // namespace

Swap draw_swap(uint64_t seed, int64_t number) {
  Draws draws(engine::Philox(seed, stream_of(kSwapStream, number)));
  Swap s;
  s.reach = draws.between(0.9F, 1.1F);
  s.feather = draws.between(0.1F, 0.25F);
  s.matching = draws.between(0.5F, 0.95F);
  for (Point& error : s.misplacement) {
    error.x = draws.around(0, 0.01F);
    error.y = draws.around(0, 0.01F);
  }
  return s;
}

Picture swap_inner_face(const Face& target, const Face& donor, const Swap& swap) {
  const FaceFrame to = frame_of(target.landmarks);
  const Landmarks found{donor.landmarks.left_eye + swap.misplacement[0],
                        donor.landmarks.right_eye + swap.misplacement[1],
                        donor.landmarks.mouth + swap.misplacement[2]};
  const FaceFrame from = frame_of(found);
  const int64_t size = target.photograph.size;
  Picture aligned(size);
  std::vector<float> weights(aligned.pixels.size());
  for (int64_t y = 0; y < size; ++y) {
    for (int64_t x = 0; x < size; ++x) {
      const Point point{(static_cast<float>(x) + 0.5F) / static_cast<float>(size),
                        (static_cast<float>(y) + 0.5F) / static_cast<float>(size)};
      const Point uv = to.coordinates(point);
      weights[static_cast<size_t>(y * size + x)] = mask(uv, swap);
      aligned.at(y, x) = sample(donor.photograph, from.place(uv));
    }
  }
  match_colours(aligned, statistics(aligned, weights), statistics(target.photograph, weights),
                swap.matching);
  for (size_t i = 0; i < weights.size(); ++i) {
    aligned.pixels[i] = mix(target.photograph.pixels[i], aligned.pixels[i], weights[i]);
  }
  return aligned;
}

}  // namespace verace::data::faces

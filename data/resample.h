// Changing the size of pictures, bit-equal to Pillow, and the crops of the ImageNet evaluation.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "data/image.h"

namespace verace::data {

// kBilinear: a triangle filter that widens when shrinking, so that every pixel of the source counts
// (antialiasing); half-pixel centres; equal to Pillow's Image.resize(..., BILINEAR) in every bit.
// kNearest: the pixel under the target pixel's centre; equal to Pillow's NEAREST.
enum class ResizeFilter { kBilinear, kNearest };
inline constexpr std::array kResizeFilterNames = {"bilinear", "nearest"};

// The picture at [height, width, 3]. Both sizes 1..kMaxImageSide (CHECK). Sides are scaled
// independently; nothing is cropped.
Image resize(const Image& image, int64_t height, int64_t width, ResizeFilter filter);

// The middle [height, width, 3] of a picture that is at least as large (CHECK). Where the rest is
// odd the offset is rounded half to even, as torchvision does.
Image center_crop(const Image& image, int64_t height, int64_t width);

// Scales so that the shorter side is `short_side` (the longer one rounded down, as torchvision
// does) and takes the middle crop x crop; ImageNet's evaluation is 256, 224. crop <= short_side,
// and the longer side may not pass kMaxImageSide (CHECK; fit_to_square() reports it).
Image resize_short_side_and_crop(const Image& image, int64_t short_side, int64_t crop,
                                 ResizeFilter filter = ResizeFilter::kBilinear);

// kStretch: both sides to the output size. kCrop: the shorter side to short_side, then the middle.
enum class Fit { kStretch, kCrop };
inline constexpr std::array kFitNames = {"stretch", "crop"};

// How pictures of any shape become square.
struct PictureFit {
  Fit fit = Fit::kStretch;
  ResizeFilter filter = ResizeFilter::kBilinear;
  bool operator==(const PictureFit&) const = default;
};

struct FitOptions {
  int64_t size = 224;  // height and width of the result, pixels
  Fit fit = Fit::kStretch;
  int64_t short_side = 0;  // for kCrop, pixels; 0: equal to size; ImageNet: 256
  ResizeFilter filter = ResizeFilter::kBilinear;
};

// Throws Error(kInput) unless 1 <= size <= short_side (where given) <= kMaxImageSide.
void check_fit_options(const FitOptions& options);

// Any picture as [size, size, 3], the network's input. Throws Error(kInput) naming the picture if
// it is too elongated for kCrop.
Image fit_to_square(const Image& image, const FitOptions& options,
                    const std::string& name_for_errors);

}  // namespace verace::data

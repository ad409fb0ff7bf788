// Cutting, turning and warping pictures; what lies outside of the source is black.
#pragma once

#include <cstdint>

#include "data/face_geometry.h"
#include "data/image.h"

namespace verace::data {

// [height, width, 3] from (x, y) on, which may reach beyond the picture.
Image cut(const Image& image, int64_t x, int64_t y, int64_t height, int64_t width);

// The picture turned about its middle by `degrees`, counter-clockwise as people see it, in its own
// size: each pixel is the one that lies under its centre. Equal in every bit to Pillow's
// Image.rotate(degrees) with its defaults (16-bit fixed-point steps), for sides below 16384.
Image rotate_nearest(const Image& image, double degrees);
// Where rotate_nearest() brings a place of the picture.
AffineMap rotation_of(const Image& image, double degrees);

// [height, width, 3]: the picture under the similarity `map` (source to target, both in pixels with
// (0, 0) the corner of the first). Bilinear; where it shrinks, the triangle filter widens along the
// source's axes as in resize() (resample.h), so that every pixel of the source counts.
Image warp(const Image& image, const AffineMap& map, int64_t height, int64_t width);

}  // namespace verace::data

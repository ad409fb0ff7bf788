// Inside of picture decoding: one function per file format. For data/image.cc only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "data/image.h"

namespace verace::data::internal {

using Bytes = std::span<const std::byte>;

// A picture as stored, and how it must be turned to stand upright (EXIF numbers 1..8).
struct Decoded {
  Image image;
  int orientation = 1;
};

// Throws Error(kInput) for a side of zero or one beyond the limits of image.h.
void check_limits(int64_t height, int64_t width, const std::string& name);

Decoded decode_jpeg(Bytes bytes, const std::string& name);
Decoded decode_png(Bytes bytes, const std::string& name);
Decoded decode_bmp(Bytes bytes, const std::string& name);

// The orientation 1..8 from a TIFF block as found in EXIF; 1 where it is absent or nonsense. Never
// reads outside of `tiff`, never throws.
int exif_orientation(Bytes tiff);

// The picture turned upright.
Image apply_orientation(Image image, int orientation);

}  // namespace verace::data::internal

// Pictures in memory: decoding JPEG, PNG and BMP files to 8-bit RGB, and encoding PNG and
// JPEG files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/write_file.h"

namespace verace::data {

// An upright 8-bit RGB picture; owns its pixels. rgb: [height, width, 3], rows from the top, no
// padding, values 0..255 as stored in the file (sRGB, not linearised).
struct Image {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<uint8_t> rgb;
};

// Larger pictures are refused before any memory is taken for their pixels.
inline constexpr int64_t kMaxImageSide = 16384;
inline constexpr int64_t kMaxImagePixels = 100'000'000;

// Decodes a JPEG, PNG or BMP picture, recognised by its first bytes (the file's name plays no
// role). Grey becomes RGB; alpha is laid over black; 16-bit channels keep their high byte; CMYK and
// YCCK JPEGs (Adobe's inverted convention, as Pillow reads them) become RGB; the EXIF orientation
// of JPEG and PNG is applied. JPEG pixels equal Pillow's (accurate integer DCT, fancy upsampling).
// Throws Error(kInput), one line starting with `name_for_errors`, for empty, truncated, damaged,
// too large or unknown content. Safe to call from several threads at once.
Image decode_image(std::span<const std::byte> bytes, const std::string& name_for_errors);

// Reads and decodes a picture file. Throws Error(kInput) naming the file.
Image read_image(const std::filesystem::path& path);

// The picture as the bytes of an 8-bit RGB PNG file. Lossless.
std::vector<std::byte> encode_png(const Image& image);

// The picture as the bytes of a baseline JPEG file, 4:2:0, quality 1..100 as libjpeg counts it.
std::vector<std::byte> encode_jpeg(const Image& image, int quality);

// Writes a PNG file as write_file() does.
void write_png(const std::filesystem::path& path, const Image& image,
               Durability durability = Durability::kSync);

}  // namespace verace::data

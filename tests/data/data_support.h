// Helpers of the data tests: pictures by formula, JPEG and PNG bytes.
#pragma once

#include <doctest/doctest.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>
// jpeglib.h needs size_t and FILE from above.
#include <jpeglib.h>

#include "data/image.h"
#include "tests/support/files.h"

namespace verace::data::testing {

namespace fs = std::filesystem;
using test::contains;
using test::input_error;
using test::input_error_if_any;
using test::TempFolder;
using ByteVector = std::vector<std::byte>;

inline void write_file(const fs::path& path, std::string_view text) {
  test::write_text(path, text);
}

inline void write_file(const fs::path& path, const ByteVector& bytes) {
  write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// A smooth picture, different for each seed, that survives JPEG well.
inline Image smooth_image(int64_t height, int64_t width, int seed = 0) {
  Image image{height, width, {}};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      image.rgb.push_back(static_cast<uint8_t>((40 + seed * 37 + y * 100 / height) % 256));
      image.rgb.push_back(static_cast<uint8_t>((200 + seed * 11 - x * 100 / width) % 256));
      image.rgb.push_back(static_cast<uint8_t>((90 + seed * 53 + (x + y) * 2) % 256));
    }
  }
  return image;
}

struct JpegSettings {
  int channels = 3;
  J_COLOR_SPACE colours = JCS_RGB;
  J_COLOR_SPACE stored = JCS_YCbCr;
  bool progressive = false;
  bool full_chroma = false;   // 4:4:4
  std::vector<uint8_t> app1;  // a segment's content, or empty
};

// pixels: [h, w, channels]. Quality 100.
inline ByteVector encode_jpeg(const std::vector<uint8_t>& pixels, int64_t height, int64_t width,
                              const JpegSettings& settings = {}) {
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors = {};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* packed = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &packed, &size);
  info.image_width = static_cast<JDIMENSION>(width);
  info.image_height = static_cast<JDIMENSION>(height);
  info.input_components = settings.channels;
  info.in_color_space = settings.colours;
  jpeg_set_defaults(&info);
  jpeg_set_colorspace(&info, settings.stored);
  jpeg_set_quality(&info, 100, TRUE);
  if (settings.progressive) jpeg_simple_progression(&info);
  if (settings.full_chroma) info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
  jpeg_start_compress(&info, TRUE);
  if (!settings.app1.empty()) {
    jpeg_write_marker(&info, JPEG_APP0 + 1, settings.app1.data(),
                      static_cast<unsigned>(settings.app1.size()));
  }
  while (info.next_scanline < info.image_height) {
    auto* row =
        const_cast<JSAMPROW>(pixels.data() + info.next_scanline * width * settings.channels);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  const auto* begin = reinterpret_cast<const std::byte*>(packed);
  const ByteVector bytes(begin, begin + size);
  std::free(packed);
  return bytes;
}

inline ByteVector encode_jpeg(const Image& image, const JpegSettings& settings = {}) {
  return encode_jpeg(image.rgb, image.height, image.width, settings);
}

// Writes `value` into `out` with `width` bytes.
inline void put(std::vector<uint8_t>& out, uint32_t value, int width, bool little_endian) {
  for (int i = 0; i < width; ++i) {
    const int shift = 8 * (little_endian ? i : width - 1 - i);
    out.push_back(static_cast<uint8_t>(value >> shift));
  }
}

// A TIFF block with another tag and the orientation.
inline std::vector<uint8_t> tiff_block(uint32_t orientation, bool little_endian) {
  std::vector<uint8_t> out;
  out.assign(2, little_endian ? 'I' : 'M');
  put(out, 42, 2, little_endian);
  put(out, 8, 4, little_endian);
  put(out, 2, 2, little_endian);
  for (const uint32_t tag : {0x0100U, 0x0112U}) {
    put(out, tag, 2, little_endian);
    put(out, 3, 2, little_endian);
    put(out, 1, 4, little_endian);
    put(out, tag == 0x0112U ? orientation : 9, 2, little_endian);
    put(out, 0, 2, little_endian);
  }
  put(out, 0, 4, little_endian);
  return out;
}

// PNG files from raw parts, with right checksums and uncompressed deflate blocks.
class PngMaker {
 public:
  PngMaker(uint32_t width, uint32_t height, uint8_t depth, uint8_t colour_type) {
    bytes_.assign({0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'});
    std::vector<uint8_t> header;
    put(header, width, 4, false);
    put(header, height, 4, false);
    header.insert(header.end(), {depth, colour_type, 0, 0, 0});
    chunk("IHDR", header);
  }

  PngMaker& chunk(const std::string& type, const std::vector<uint8_t>& data) {
    put(bytes_, static_cast<uint32_t>(data.size()), 4, false);
    std::vector<uint8_t> body(type.begin(), type.end());
    body.insert(body.end(), data.begin(), data.end());
    bytes_.insert(bytes_.end(), body.begin(), body.end());
    uint32_t crc = 0xFFFFFFFFU;
    for (const uint8_t b : body) {
      crc ^= b;
      for (int i = 0; i < 8; ++i) crc = (crc & 1) != 0 ? 0xEDB88320U ^ (crc >> 1) : crc >> 1;
    }
    put(bytes_, ~crc, 4, false);
    return *this;
  }

  // rows: filter byte and packed pixels of each row; at most 65535 bytes.
  PngMaker& pixels(const std::vector<uint8_t>& rows) {
    std::vector<uint8_t> data{0x78, 0x01, 0x01};
    put(data, static_cast<uint32_t>(rows.size()), 2, true);
    put(data, ~static_cast<uint32_t>(rows.size()), 2, true);
    data.insert(data.end(), rows.begin(), rows.end());
    uint32_t a = 1;
    uint32_t b = 0;
    for (const uint8_t value : rows) {
      a = (a + value) % 65521;
      b = (b + a) % 65521;
    }
    put(data, b << 16 | a, 4, false);
    return chunk("IDAT", data);
  }

  ByteVector finish() {
    chunk("IEND", {});
    const auto* begin = reinterpret_cast<const std::byte*>(bytes_.data());
    return {begin, begin + bytes_.size()};
  }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace verace::data::testing

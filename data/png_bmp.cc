// PNG and BMP by stb_image, after our own checks of checksums, truncation and sizes.

#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

#include "data/codecs.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/hash.h"

namespace {

// A small file can unpack to gigabytes. While stb_image works, no block larger than this is given.
thread_local size_t block_limit = 0;

void* limited_alloc(size_t size) {
  return size > block_limit ? nullptr : std::malloc(size);  // NOLINT(raw-memory): stb's hook
}

void* limited_realloc(void* block, size_t size) {
  return size > block_limit ? nullptr : std::realloc(block, size);  // NOLINT(raw-memory): stb's
}

}  // namespace

#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_MALLOC(size) limited_alloc(size)
#define STBI_REALLOC(block, size) limited_realloc(block, size)
#define STBI_FREE(block) std::free(block)  // NOLINT(raw-memory): stb's hook
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace verace::data::internal {
namespace {

uint32_t big_endian_32(Bytes bytes, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<uint32_t>(bytes[offset + i]);
  return value;
}

uint32_t little_endian(Bytes bytes, size_t offset, size_t width) {
  uint32_t value = 0;
  for (size_t i = 0; i < width; ++i) {
    value |= std::to_integer<uint32_t>(bytes[offset + i]) << (8 * i);
  }
  return value;
}

struct PngFrame {
  int64_t height = 0;
  int64_t width = 0;
  int orientation = 1;
};

// Deflate unpacks a byte to at most 1032 (RFC 1951: two bits for 258 bytes), and a row has at least
// one bit per pixel: fewer packed bytes cannot hold the picture, and no memory is spent on it.
void check_packed_size(const PngFrame& frame, size_t packed, const std::string& name) {
  const int64_t least = frame.height * ((frame.width + 7) / 8 + 1);
  if (static_cast<int64_t>(packed) < least / 1032) {
    fail_input(text::format("{}: truncated PNG ({} bytes for {}x{} pixels); replace or remove it",
                            name, packed, frame.width, frame.height));
  }
}

// Checks the limits, then walks all chunks up to IEND. Damage to a critical chunk (upper-case first
// letter) is an error; a damaged ancillary one is not looked at.
PngFrame check_png(Bytes bytes, const std::string& name) {
  PngFrame frame;
  size_t at = 8, packed = 0;
  while (true) {
    if (bytes.size() - at < 12) {
      fail_input(text::format("{}: truncated PNG; replace or remove it", name));
    }
    const size_t length = big_endian_32(bytes, at);
    if (length > bytes.size() - at - 12) {
      fail_input(text::format("{}: truncated PNG; replace or remove it", name));
    }
    const Bytes type_and_data = bytes.subspan(at + 4, 4 + length);
    const std::string type(reinterpret_cast<const char*>(type_and_data.data()), 4);
    const bool intact = crc32(type_and_data) == big_endian_32(bytes, at + 8 + length);
    const bool critical = (type[0] & 0x20) == 0;
    if (critical && !intact) {
      fail_input(text::format("{}: damaged PNG (wrong checksum); replace or remove it", name));
    }
    if ((at == 8) != (type == "IHDR") || (type == "IHDR" && length != 13)) {
      fail_input(text::format("{}: damaged PNG (no header); replace or remove it", name));
    }
    if (type == "IHDR") {
      frame.width = big_endian_32(bytes, at + 8);
      frame.height = big_endian_32(bytes, at + 12);
      // Before the rest is looked at: the header alone is enough to refuse a picture.
      check_limits(frame.height, frame.width, name);
    }
    if (type == "eXIf" && intact) frame.orientation = exif_orientation(type_and_data.subspan(4));
    if (type == "IDAT") packed += length;
    if (type == "IEND") {
      check_packed_size(frame, packed, name);
      return frame;
    }
    at += 12 + length;
  }
}

// Height and width after checking that the pixels named by the header are all there (stb_image
// reads zeros past the end).
std::pair<int64_t, int64_t> check_bmp(Bytes bytes, const std::string& name) {
  const auto truncated = [&] {
    fail_input(text::format("{}: truncated BMP; replace or remove it", name));
  };
  if (bytes.size() < 26) truncated();
  const int64_t offset = little_endian(bytes, 10, 4);
  const bool core = little_endian(bytes, 14, 4) == 12;  // the old OS/2 header with 16-bit sizes
  if (!core && bytes.size() < 54) truncated();
  // Full-size headers hold signed numbers; a negative height means rows from the top.
  const auto signed_32 = [&](size_t at) -> int64_t {
    return static_cast<int32_t>(little_endian(bytes, at, 4));
  };
  const int64_t width = core ? little_endian(bytes, 18, 2) : signed_32(18);
  int64_t height = core ? little_endian(bytes, 20, 2) : signed_32(22);
  if (height < 0) height = -height;
  check_limits(height, width, name);
  const int64_t bits = little_endian(bytes, core ? 24 : 28, 2);
  // With none the file would hold any number of pixels.
  if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32) {
    fail_input(
        text::format("{}: damaged BMP ({} bits per pixel); replace or remove it", name, bits));
  }
  const int64_t row_bytes = (width * bits + 31) / 32 * 4;
  const int64_t last_row_bytes = (width * bits + 7) / 8;
  const uint32_t compression = core ? 0 : little_endian(bytes, 30, 4);
  constexpr uint32_t kPlain = 0;
  constexpr uint32_t kBitFields = 3;
  if (compression != kPlain && compression != kBitFields) {
    fail_input(text::format("{}: compressed BMP is not read; convert it to PNG", name));
  }
  if (offset + row_bytes * (height - 1) + last_row_bytes > static_cast<int64_t>(bytes.size())) {
    truncated();
  }
  return {height, width};
}

// [pixels, channels] of 1 (grey), 2 (grey, alpha), 3 or 4 channels to RGB over black.
std::vector<uint8_t> to_rgb(const uint8_t* in, int64_t pixels, int channels) {
  std::vector<uint8_t> rgb(static_cast<size_t>(pixels * 3));
  const bool grey = channels < 3;
  const bool alpha = channels % 2 == 0;
  uint8_t* out = rgb.data();
  for (int64_t i = 0; i < pixels; ++i, in += channels, out += 3) {
    const int a = alpha ? in[channels - 1] : 255;
    for (int c = 0; c < 3; ++c) {
      out[c] = static_cast<uint8_t>((in[grey ? 0 : c] * a + 127) / 255);
    }
  }
  return rgb;
}

Image decode_with_stb(Bytes bytes, int64_t height, int64_t width, const std::string& name) {
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  // Unpacked rows (at most 8 bytes a pixel, one filter byte a row, interlaced: per pass) and the
  // collected file bytes, each in a buffer that grows by doubling.
  block_limit = 2 * (static_cast<size_t>(height * width * 8 + height * 16) + bytes.size()) + 65536;
  int w = 0;
  int h = 0;
  int channels = 0;
  const bool known = stbi_info_from_memory(data, size, &w, &h, &channels) != 0;
  std::unique_ptr<stbi_uc, void (*)(void*)> pixels(nullptr, stbi_image_free);
  // stb_image reports the height of a BMP with rows from the top as negative here.
  if (known && w == width && std::abs(h) == height) {
    pixels.reset(stbi_load_from_memory(data, size, &w, &h, &channels, 0));
  }
  if (!pixels) {
    const char* reason = stbi_failure_reason();
    fail_input(text::format("{}: damaged or unusual picture ({}); replace or remove it", name,
                            reason != nullptr ? reason : "unknown reason"));
  }
  VERACE_CHECK(w == width && h == height && channels >= 1 && channels <= 4, name);
  return {height, width, to_rgb(pixels.get(), height * width, channels)};
}

}  // namespace

Decoded decode_png(Bytes bytes, const std::string& name) {
  const PngFrame frame = check_png(bytes, name);
  return {decode_with_stb(bytes, frame.height, frame.width, name), frame.orientation};
}

Decoded decode_bmp(Bytes bytes, const std::string& name) {
  const auto [height, width] = check_bmp(bytes, name);
  return {decode_with_stb(bytes, height, width, name), 1};
}

}  // namespace verace::data::internal

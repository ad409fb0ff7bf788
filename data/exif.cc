// EXIF orientation: a bounds-checked search for one tag, and the eight ways to turn a picture.
#include <optional>
#include <utility>

#include "data/codecs.h"
#include "kernels/check.h"

namespace verace::data::internal {
namespace {

constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kTypeShort = 3;
constexpr uint32_t kTypeLong = 4;
constexpr size_t kEntryBytes = 12;

// Unsigned numbers of either byte order; nothing outside of the block is readable.
class TiffBlock {
 public:
  TiffBlock(Bytes bytes, bool little_endian) : bytes_(bytes), little_endian_(little_endian) {}

  std::optional<uint32_t> number(size_t offset, size_t width) const {
    if (offset > bytes_.size() || bytes_.size() - offset < width) return std::nullopt;
    uint32_t value = 0;
    for (size_t i = 0; i < width; ++i) {
      const size_t at = little_endian_ ? offset + width - 1 - i : offset + i;
      value = value << 8 | std::to_integer<uint32_t>(bytes_[at]);
    }
    return value;
  }

 private:
  Bytes bytes_;
  bool little_endian_;
};

// Where pixel (y, x) of the upright picture stands in a stored one of `height` x `width`.
std::pair<int64_t, int64_t> stored_position(int orientation, int64_t y, int64_t x, int64_t height,
                                            int64_t width) {
  switch (orientation) {
    case 2:
      return {y, width - 1 - x};
    case 3:
      return {height - 1 - y, width - 1 - x};
    case 4:
      return {height - 1 - y, x};
    case 5:
      return {x, y};
    case 6:
      return {height - 1 - x, y};
    case 7:
      return {height - 1 - x, width - 1 - y};
    case 8:
      return {x, width - 1 - y};
    default:
      return {y, x};
  }
}

}  // namespace

int exif_orientation(Bytes tiff) {
  if (tiff.size() < 8) return 1;
  const bool little = tiff[0] == std::byte{'I'} && tiff[1] == std::byte{'I'};
  const bool big = tiff[0] == std::byte{'M'} && tiff[1] == std::byte{'M'};
  const TiffBlock block(tiff, little);
  if (!(little || big) || block.number(2, 2) != 42U) return 1;
  const size_t directory = *block.number(4, 4);
  const uint32_t entries = block.number(directory, 2).value_or(0);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    const auto tag = block.number(entry, 2);
    if (!tag) return 1;
    if (*tag != kOrientationTag) continue;
    const auto type = block.number(entry + 2, 2);
    // A short stands in the first two bytes of the four-byte value, whatever the byte order.
    const auto value = block.number(entry + 8, type == kTypeLong ? 4 : 2);
    const bool good = (type == kTypeShort || type == kTypeLong) && value >= 1U && value <= 8U;
    return good ? static_cast<int>(*value) : 1;
  }
  return 1;
}

Image apply_orientation(Image image, int orientation) {
  VERACE_CHECK(orientation >= 1 && orientation <= 8);
  if (orientation == 1) return image;
  const bool turned = orientation >= 5;
  Image upright;
  upright.height = turned ? image.width : image.height;
  upright.width = turned ? image.height : image.width;
  upright.rgb.resize(image.rgb.size());
  uint8_t* out = upright.rgb.data();
  for (int64_t y = 0; y < upright.height; ++y) {
    for (int64_t x = 0; x < upright.width; ++x, out += 3) {
      const auto [row, column] = stored_position(orientation, y, x, image.height, image.width);
      const uint8_t* in = image.rgb.data() + (row * image.width + column) * 3;
      out[0] = in[0];
      out[1] = in[1];
      out[2] = in[2];
    }
  }
  return upright;
}

}  // namespace verace::data::internal

// Chooses the decoder by content, applies limits and orientation.
#include "data/image.h"

#include <cstring>
#include <string_view>

#include "data/codecs.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{1} << 30;

bool starts_with(internal::Bytes bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

internal::Decoded decode_by_content(internal::Bytes bytes, const std::string& name) {
  using std::string_view_literals::operator""sv;
  if (bytes.empty()) {
    fail_input(text::format("{}: empty file; replace or remove it", name));
  }
  if (starts_with(bytes, "\xff\xd8"sv)) return internal::decode_jpeg(bytes, name);
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n"sv)) return internal::decode_png(bytes, name);
  if (starts_with(bytes, "BM"sv)) return internal::decode_bmp(bytes, name);
  const char* found = "no known picture format";
  if (starts_with(bytes, "GIF8"sv)) found = "GIF";
  if (starts_with(bytes, "RIFF"sv)) found = "a RIFF container (WebP?)";
  if (starts_with(bytes, "II*\0"sv) || starts_with(bytes, "MM\0*"sv)) found = "TIFF";
  if (bytes.size() >= 8 && starts_with(bytes.subspan(4), "ftyp"sv)) found = "HEIF, AVIF or video";
  fail_input(
      text::format("{}: not a JPEG, PNG or BMP picture (found {}); convert it", name, found));
}

}  // namespace

namespace internal {

void check_limits(int64_t height, int64_t width, const std::string& name) {
  if (height < 1 || width < 1) {
    fail_input(text::format("{}: the picture is {}x{} pixels; replace it", name, width, height));
  }
  if (height > kMaxImageSide || width > kMaxImageSide || height * width > kMaxImagePixels) {
    fail_input(
        text::format("{}: {}x{} pixels are more than the {} per side and {} in all that are "
                     "read; scale it down",
                     name, width, height, kMaxImageSide, kMaxImagePixels));
  }
}

}  // namespace internal

Image decode_image(std::span<const std::byte> bytes, const std::string& name_for_errors) {
  const std::string name = one_line(name_for_errors);
  if (static_cast<int64_t>(bytes.size()) > kMaxFileBytes) {
    fail_input(text::format("{}: more than {} bytes for one picture", name, kMaxFileBytes));
  }
  internal::Decoded decoded = decode_by_content(bytes, name);
  const Image& image = decoded.image;
  VERACE_CHECK(static_cast<int64_t>(image.rgb.size()) == image.height * image.width * 3, name);
  return internal::apply_orientation(std::move(decoded.image), decoded.orientation);
}

Image read_image(const std::filesystem::path& path) {
  return decode_image(read_file(path, kMaxFileBytes, "picture"), path.string());
}

}  // namespace verace::data

// PNG writing: stb_image_write packs, write_file() places the file.
#include <cstdlib>
#include <memory>
#include <new>  // NOLINT(raw-memory): for std::bad_alloc

#include "data/image.h"
#include "kernels/check.h"

#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace verace::data {

std::vector<std::byte> encode_png(const Image& image) {
  VERACE_CHECK(image.height >= 1 && image.width >= 1);
  VERACE_CHECK(image.height <= kMaxImageSide && image.width <= kMaxImageSide);
  VERACE_CHECK(image.height * image.width <= kMaxImagePixels);
  VERACE_CHECK(static_cast<int64_t>(image.rgb.size()) == image.height * image.width * 3);
  int length = 0;
  const std::unique_ptr<unsigned char, void (*)(void*)> packed(
      stbi_write_png_to_mem(image.rgb.data(), static_cast<int>(image.width * 3),
                            static_cast<int>(image.width), static_cast<int>(image.height), 3,
                            &length),
      std::free);
  if (!packed) throw std::bad_alloc();
  const auto* begin = reinterpret_cast<const std::byte*>(packed.get());
  return {begin, begin + length};
}

void write_png(const std::filesystem::path& path, const Image& image, Durability durability) {
  write_file(path, encode_png(image), durability);
}

}  // namespace verace::data

// JPEG encoding with libjpeg-turbo.
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
// jpeglib.h needs size_t and FILE from above.
#include <jpeglib.h>

#include "data/image.h"
#include "kernels/check.h"

namespace verace::data {
namespace {

struct Writer {
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors = {};
  std::jmp_buf escape = {};
  char message[JMSG_LENGTH_MAX] = {};
  unsigned char* packed = nullptr;
  unsigned long size = 0;

  Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    jpeg_destroy_compress(&info);  // harmless before create
    std::free(packed);             // NOLINT(raw-memory): libjpeg's malloc
  }
};

[[noreturn]] void escape_with_message(j_common_ptr info) {
  auto* writer = static_cast<Writer*>(info->client_data);
  info->err->format_message(info, writer->message);
  std::longjmp(writer->escape, 1);
}

// The function with setjmp owns nothing that needs a destructor: longjmp would skip it.
bool pack(Writer& writer, const Image& image, int quality) {
  if (setjmp(writer.escape) != 0) {
    writer.packed = nullptr;  // libjpeg may have freed it for a larger one that it did not get
    return false;
  }
  jpeg_compress_struct& info = writer.info;
  info.err = jpeg_std_error(&writer.errors);
  writer.errors.error_exit = escape_with_message;
  info.client_data = &writer;
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &writer.packed, &writer.size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  info.dct_method = JDCT_ISLOW;
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    // libjpeg reads rows through a pointer that is not const.
    auto* row = const_cast<JSAMPROW>(image.rgb.data() + info.next_scanline * image.width * 3);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  return true;
}

}  // namespace

std::vector<std::byte> encode_jpeg(const Image& image, int quality) {
  VERACE_CHECK(image.height >= 1 && image.width >= 1);
  VERACE_CHECK(image.height <= kMaxImageSide && image.width <= kMaxImageSide);
  VERACE_CHECK(static_cast<int64_t>(image.rgb.size()) == image.height * image.width * 3);
  VERACE_CHECK(quality >= 1 && quality <= 100);
  Writer writer;
  const bool packed = pack(writer, image, quality);
  VERACE_CHECK(packed, static_cast<const char*>(writer.message));
  const auto* begin = reinterpret_cast<const std::byte*>(writer.packed);
  return {begin, begin + writer.size};
}

}  // namespace verace::data

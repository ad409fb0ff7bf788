// JPEG decoding with libjpeg-turbo; its errors and the warnings that mean lost data become Error.

#include <csetjmp>
#include <cstdio>
#include <cstring>
// jpeglib.h needs size_t and FILE from above, jerror.h needs jpeglib.h.
#include <jpeglib.h>
//
#include <jerror.h>

#include "data/codecs.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data::internal {
namespace {

// An honest progressive file has about ten scans; thousands are an attack on our time.
constexpr int kMaxScans = 200;

struct Reader {
  jpeg_decompress_struct info = {};
  jpeg_error_mgr errors = {};
  jpeg_progress_mgr progress = {};
  std::jmp_buf escape = {};
  char message[JMSG_LENGTH_MAX] = {};

  Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { jpeg_destroy_decompress(&info); }  // harmless before create
};

[[noreturn]] void escape_with_message(j_common_ptr info) {
  auto* reader = static_cast<Reader*>(info->client_data);
  info->err->format_message(info, reader->message);
  std::longjmp(reader->escape, 1);
}

// Warnings (level -1) that mean that pixels are missing or wrong end the decoding; others (extra
// bytes between segments, odd version numbers) occur in good files.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
      escape_with_message(info);
    default:
      break;
  }
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr info) {
  auto* reader = static_cast<Reader*>(info->client_data);
  if (reader->info.input_scan_number <= kMaxScans) return;
  std::snprintf(reader->message, sizeof(reader->message), "more than %d scans", kMaxScans);
  std::longjmp(reader->escape, 1);
}

// The functions with setjmp own nothing that needs a destructor: longjmp would skip it.
bool read_header(Reader& reader, const unsigned char* bytes, unsigned long size) {
  if (setjmp(reader.escape) != 0) return false;
  reader.info.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = escape_with_message;
  reader.errors.emit_message = on_message;
  reader.errors.output_message = on_output;
  reader.info.client_data = &reader;
  jpeg_create_decompress(&reader.info);
  reader.progress.progress_monitor = on_progress;
  reader.info.progress = &reader.progress;
  jpeg_mem_src(&reader.info, bytes, size);
  jpeg_save_markers(&reader.info, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&reader.info, TRUE);
  const bool inks = reader.info.num_components == 4;
  reader.info.out_color_space = inks ? JCS_CMYK : JCS_RGB;
  reader.info.dct_method = JDCT_ISLOW;
  reader.info.do_fancy_upsampling = TRUE;
  return true;
}

// Rounded a * b / 255 in Pillow's integer form.
int multiply_255(int a, int b) {
  const int t = a * b + 128;
  return ((t >> 8) + t) >> 8;
}

// Adobe stores inks inverted: 255 means no ink. Each colour is what its ink and black let through.
void cmyk_to_rgb(const uint8_t* cmyk, int64_t width, uint8_t* rgb) {
  for (int64_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int light = cmyk[3];
    for (int c = 0; c < 3; ++c) {
      rgb[c] = static_cast<uint8_t>(light - multiply_255(255 - cmyk[c], light));
    }
  }
}

// rgb: [h, w, 3]; cmyk_row: [w, 4], used for four-component files only.
bool read_rows(Reader& reader, uint8_t* rgb, uint8_t* cmyk_row) {
  if (setjmp(reader.escape) != 0) return false;
  jpeg_decompress_struct& info = reader.info;
  jpeg_start_decompress(&info);
  const bool inks = info.out_color_space == JCS_CMYK;
  while (info.output_scanline < info.output_height) {
    uint8_t* target = rgb + size_t{3} * info.output_width * info.output_scanline;
    JSAMPROW row = inks ? cmyk_row : target;
    jpeg_read_scanlines(&info, &row, 1);
    if (inks) cmyk_to_rgb(cmyk_row, info.output_width, target);
  }
  jpeg_finish_decompress(&info);
  return true;
}

int orientation_of(const jpeg_decompress_struct& info) {
  constexpr char kExif[] = "Exif\0";  // six bytes with the final zero
  for (const jpeg_marker_struct* m = info.marker_list; m != nullptr; m = m->next) {
    if (m->marker != JPEG_APP0 + 1 || m->data_length < sizeof(kExif)) continue;
    if (std::memcmp(m->data, kExif, sizeof(kExif)) != 0) continue;
    const Bytes segment(reinterpret_cast<const std::byte*>(m->data), m->data_length);
    return exif_orientation(segment.subspan(sizeof(kExif)));
  }
  return 1;
}

[[noreturn]] void fail_damaged(const Reader& reader, const std::string& name) {
  fail_input(text::format("{}: truncated or damaged JPEG ({}); replace or remove it", name,
                          static_cast<const char*>(reader.message)));
}

}  // namespace

Decoded decode_jpeg(Bytes bytes, const std::string& name) {
  Reader reader;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  if (!read_header(reader, data, bytes.size())) fail_damaged(reader, name);
  check_limits(reader.info.image_height, reader.info.image_width, name);
  Decoded decoded;
  decoded.orientation = orientation_of(reader.info);
  decoded.image.height = reader.info.image_height;
  decoded.image.width = reader.info.image_width;
  decoded.image.rgb.resize(static_cast<size_t>(decoded.image.height * decoded.image.width * 3));
  const bool inks = reader.info.out_color_space == JCS_CMYK;
  std::vector<uint8_t> cmyk_row(inks ? reader.info.image_width * size_t{4} : 0);
  if (!read_rows(reader, decoded.image.rgb.data(), cmyk_row.data())) fail_damaged(reader, name);
  return decoded;
}

}  // namespace verace::data::internal

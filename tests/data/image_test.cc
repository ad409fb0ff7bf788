// Decoding: every kind of JPEG, PNG and BMP, orientation, limits, damage; writing PNG.
#include "data/image.h"

#include <algorithm>
#include <cstdlib>

#include "data/codecs.h"
#include "tests/data/data_support.h"

namespace verace::data::testing::image_test {
namespace {

int largest_difference(const Image& a, const Image& b) {
  REQUIRE(a.height == b.height);
  REQUIRE(a.width == b.width);
  REQUIRE(a.rgb.size() == b.rgb.size());
  REQUIRE(!a.rgb.empty());
  int largest = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i)
    largest = std::max(largest, std::abs(a.rgb[i] - b.rgb[i]));
  return largest;
}

std::vector<uint8_t> pixel(const Image& image, int64_t y, int64_t x) {
  const auto* p = image.rgb.data() + (y * image.width + x) * 3;
  return {p[0], p[1], p[2]};
}

using Rgb = std::vector<uint8_t>;

std::string decode_error(const ByteVector& bytes) {
  return input_error_if_any([&] { decode_image(bytes, "some/name.jpg"); });
}

// Every tenth of the file must throw a message that names it; the whole file must not.
void check_truncations(const ByteVector& bytes) {
  CHECK(decode_error(bytes).empty());
  for (size_t tenth = 0; tenth < 10; ++tenth) {
    const ByteVector part(bytes.begin(),
                          bytes.begin() + static_cast<ptrdiff_t>(bytes.size() * tenth / 10));
    CAPTURE(tenth);
    CHECK(contains(decode_error(part), "some/name.jpg: "));
  }
}

// BMP with a 40-byte header. palette: B, G, R, 0 each.
ByteVector bmp(int32_t width, int32_t height, uint32_t bits, const std::vector<uint8_t>& palette,
               const std::vector<uint8_t>& rows) {
  std::vector<uint8_t> out{'B', 'M'};
  const auto offset = static_cast<uint32_t>(54 + palette.size());
  put(out, offset + static_cast<uint32_t>(rows.size()), 4, true);
  put(out, 0, 4, true);
  put(out, offset, 4, true);
  put(out, 40, 4, true);
  put(out, static_cast<uint32_t>(width), 4, true);
  put(out, static_cast<uint32_t>(height), 4, true);
  put(out, 1, 2, true);
  put(out, bits, 2, true);
  for (int i = 0; i < 4; ++i) put(out, 0, 4, true);
  put(out, static_cast<uint32_t>(palette.size() / 4), 4, true);
  put(out, 0, 4, true);
  out.insert(out.end(), palette.begin(), palette.end());
  out.insert(out.end(), rows.begin(), rows.end());
  const auto* begin = reinterpret_cast<const std::byte*>(out.data());
  return {begin, begin + out.size()};
}

}  // namespace

TEST_CASE("colour JPEG, baseline and progressive") {
  const Image image = smooth_image(37, 50);
  for (const bool progressive : {false, true}) {
    JpegSettings settings;
    settings.progressive = progressive;
    settings.full_chroma = true;
    const ByteVector bytes = encode_jpeg(image, settings);
    CHECK(largest_difference(decode_image(bytes, "x"), image) <= 3);
    check_truncations(bytes);
  }
}

TEST_CASE("JPEG without colour conversion, and of one pixel") {
  const Image image = smooth_image(16, 24);
  JpegSettings settings;
  settings.stored = JCS_RGB;
  CHECK(largest_difference(decode_image(encode_jpeg(image, settings), "x"), image) <= 2);
  const Image dot{1, 1, {200, 100, 50}};
  CHECK(largest_difference(decode_image(encode_jpeg(dot), "x"), dot) <= 3);
}

TEST_CASE("grey JPEG becomes RGB") {
  std::vector<uint8_t> grey(20 * 30);
  for (size_t i = 0; i < grey.size(); ++i) grey[i] = static_cast<uint8_t>(i % 30 * 8);
  const JpegSettings settings{1, JCS_GRAYSCALE, JCS_GRAYSCALE, false, false, {}};
  const Image image = decode_image(encode_jpeg(grey, 20, 30, settings), "x");
  REQUIRE(image.rgb.size() == grey.size() * 3);
  for (size_t i = 0; i < grey.size(); ++i) {
    CHECK(std::abs(image.rgb[3 * i] - grey[i]) <= 1);
    CHECK(image.rgb[3 * i] == image.rgb[3 * i + 1]);
    CHECK(image.rgb[3 * i] == image.rgb[3 * i + 2]);
  }
}

TEST_CASE("CMYK and YCCK JPEGs: inverted inks") {
  // Stored c, m, y, k (255: no ink) -> what Pillow makes of them.
  const std::vector<uint8_t> inks{255, 128, 0, 255};
  for (const J_COLOR_SPACE stored : {JCS_CMYK, JCS_YCCK}) {
    for (const int black : {255, 128, 0}) {
      std::vector<uint8_t> pixels;
      for (int i = 0; i < 16 * 16; ++i) {
        pixels.insert(pixels.end(), inks.begin(), inks.begin() + 3);
        pixels.push_back(static_cast<uint8_t>(black));
      }
      const JpegSettings settings{4, JCS_CMYK, stored, false, true, {}};
      const Image image = decode_image(encode_jpeg(pixels, 16, 16, settings), "x");
      const Rgb got = pixel(image, 7, 9);
      for (size_t c = 0; c < 3; ++c) {
        CHECK(std::abs(got[c] - inks[c] * black / 255) <= 3);
      }
    }
  }
}

TEST_CASE("EXIF orientation: all eight, both byte orders, JPEG and PNG") {
  // Upright: red top left, green top right, blue bottom left, white bottom right; 32 x 48.
  const auto colour = [](bool bottom, bool right) -> Rgb {
    if (bottom) return right ? Rgb{255, 255, 255} : Rgb{0, 0, 255};
    return right ? Rgb{0, 255, 0} : Rgb{255, 0, 0};
  };
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const bool turned = orientation >= 5;
    const int64_t height = turned ? 48 : 32;
    const int64_t width = turned ? 32 : 48;
    Image stored{height, width, {}};
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const bool low = y >= height / 2;
        const bool far = x >= width / 2;
        // The EXIF standard: which side of the scene the stored first row and column show.
        bool bottom = turned ? far : low;
        bool right = turned ? low : far;
        if (orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8) {
          bottom = !bottom;
        }
        if (orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7) {
          right = !right;
        }
        const Rgb rgb = colour(bottom, right);
        stored.rgb.insert(stored.rgb.end(), rgb.begin(), rgb.end());
      }
    }
    for (const bool little : {false, true}) {
      CAPTURE(orientation);
      CAPTURE(little);
      const std::vector<uint8_t> tiff = tiff_block(static_cast<uint32_t>(orientation), little);
      JpegSettings settings;
      settings.full_chroma = true;
      settings.app1.assign({'E', 'x', 'i', 'f', 0, 0});
      settings.app1.insert(settings.app1.end(), tiff.begin(), tiff.end());
      std::vector<uint8_t> rows;
      for (int64_t y = 0; y < height; ++y) {
        rows.push_back(0);
        rows.insert(rows.end(), stored.rgb.begin() + y * width * 3,
                    stored.rgb.begin() + (y + 1) * width * 3);
      }
      PngMaker png(static_cast<uint32_t>(width), static_cast<uint32_t>(height), 8, 2);
      png.chunk("eXIf", tiff).pixels(rows);
      for (const ByteVector& bytes : {encode_jpeg(stored, settings), png.finish()}) {
        const Image image = decode_image(bytes, "x");
        REQUIRE(image.height == 32);
        REQUIRE(image.width == 48);
        for (const bool bottom : {false, true}) {
          for (const bool right : {false, true}) {
            const Rgb got = pixel(image, bottom ? 28 : 3, right ? 44 : 3);
            const Rgb want = colour(bottom, right);
            for (size_t c = 0; c < 3; ++c) CHECK(std::abs(got[c] - want[c]) <= 4);
          }
        }
      }
    }
  }
}

TEST_CASE("orientation moves single pixels to the right place") {
  const Image image{2, 3, {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6}};
  const std::vector<std::vector<uint8_t>> expected{
      {1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1}, {4, 5, 6, 1, 2, 3},
      {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3}, {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image upright = internal::apply_orientation(image, orientation);
    CHECK(upright.width == (orientation >= 5 ? 2 : 3));
    std::vector<uint8_t> got;
    for (size_t i = 0; i < upright.rgb.size(); i += 3) got.push_back(upright.rgb[i]);
    CHECK(got == expected[static_cast<size_t>(orientation - 1)]);
  }
}

TEST_CASE("EXIF nonsense is ignored, never read past the end") {
  const std::vector<uint8_t> good = tiff_block(6, true);
  const auto orientation = [](std::vector<uint8_t> tiff) {
    tiff.shrink_to_fit();  // so that the sanitizer sees a step too far
    return internal::exif_orientation(std::as_bytes(std::span<const uint8_t>(tiff)));
  };
  CHECK(orientation(good) == 6);
  CHECK(orientation(tiff_block(6, false)) == 6);
  CHECK(orientation(tiff_block(0, true)) == 1);
  CHECK(orientation(tiff_block(9, true)) == 1);
  for (size_t length = 0; length < good.size(); ++length) {
    const int got = orientation({good.begin(), good.begin() + static_cast<ptrdiff_t>(length)});
    CHECK((got == 1 || got == 6));
  }
  for (size_t i = 0; i < good.size(); ++i) {
    std::vector<uint8_t> damaged = good;
    damaged[i] = 0xFF;
    const int got = orientation(damaged);
    CHECK((got >= 1 && got <= 8));
  }
}

TEST_CASE("PNG: 8-bit colour, grey, palette, 1 bit") {
  const ByteVector colour = PngMaker(2, 1, 8, 2).pixels({0, 1, 2, 3, 250, 251, 252}).finish();
  CHECK(decode_image(colour, "x").rgb == Rgb{1, 2, 3, 250, 251, 252});
  const ByteVector grey = PngMaker(3, 1, 8, 0).pixels({0, 7, 99, 255}).finish();
  CHECK(decode_image(grey, "x").rgb == Rgb{7, 7, 7, 99, 99, 99, 255, 255, 255});
  PngMaker palette(2, 1, 8, 3);
  palette.chunk("PLTE", {10, 20, 30, 40, 50, 60}).pixels({0, 1, 0});
  CHECK(decode_image(palette.finish(), "x").rgb == Rgb{40, 50, 60, 10, 20, 30});
  const ByteVector bits = PngMaker(3, 1, 1, 0).pixels({0, 0b10100000}).finish();
  CHECK(decode_image(bits, "x").rgb == Rgb{255, 255, 255, 0, 0, 0, 255, 255, 255});
}

TEST_CASE("PNG: alpha is laid over black") {
  const ByteVector colour = PngMaker(3, 1, 8, 6)
                                .pixels({0, 200, 100, 51, 255, 200, 100, 51, 0, 200, 100, 51, 128})
                                .finish();
  CHECK(decode_image(colour, "x").rgb == Rgb{200, 100, 51, 0, 0, 0, 100, 50, 26});
  const ByteVector grey = PngMaker(2, 1, 8, 4).pixels({0, 200, 255, 200, 128}).finish();
  CHECK(decode_image(grey, "x").rgb == Rgb{200, 200, 200, 100, 100, 100});
  PngMaker palette(2, 1, 8, 3);
  palette.chunk("PLTE", {10, 20, 30, 40, 50, 60}).chunk("tRNS", {255, 0}).pixels({0, 0, 1});
  CHECK(decode_image(palette.finish(), "x").rgb == Rgb{10, 20, 30, 0, 0, 0});
  PngMaker key(2, 1, 8, 2);  // one colour is transparent
  key.chunk("tRNS", {0, 9, 0, 8, 0, 7}).pixels({0, 9, 8, 7, 1, 2, 3});
  CHECK(decode_image(key.finish(), "x").rgb == Rgb{0, 0, 0, 1, 2, 3});
}

TEST_CASE("PNG: 16 bits keep the high byte") {
  const ByteVector colour = PngMaker(1, 1, 16, 2).pixels({0, 1, 255, 128, 0, 255, 255}).finish();
  CHECK(decode_image(colour, "x").rgb == Rgb{1, 128, 255});
  const ByteVector grey = PngMaker(1, 1, 16, 0).pixels({0, 77, 200}).finish();
  CHECK(decode_image(grey, "x").rgb == Rgb{77, 77, 77});
}

TEST_CASE("PNG: damage") {
  const Image image = smooth_image(30, 20);
  const ByteVector good = encode_png(image);
  CHECK(decode_image(good, "x").rgb == image.rgb);
  check_truncations(good);
  ByteVector flipped = good;
  flipped[good.size() / 2] ^= std::byte{1};
  CHECK(contains(decode_error(flipped), "checksum"));
  const ByteVector short_data = PngMaker(2, 2, 8, 2).pixels({0, 1, 2, 3, 4, 5, 6}).finish();
  CHECK(contains(decode_error(short_data), "damaged or unusual"));
  CHECK(contains(decode_error(PngMaker(2, 2, 8, 2).finish()), "damaged or unusual"));
  CHECK(contains(decode_error(PngMaker(2, 2, 7, 2).pixels({0}).finish()), "damaged or unusual"));
}

TEST_CASE("PNG: more data than the header promises does not take gigabytes") {
  PngMaker bomb(1, 1, 8, 0);
  // Deflate, fixed codes: a zero, then 4000 times "258 bytes from one byte back".
  std::vector<uint8_t> data{0x78, 0x01};
  uint32_t bits = 0b011;
  int filled = 3;
  const auto put_bits = [&](uint32_t value, int count, bool reversed) {
    for (int i = 0; i < count; ++i) {
      bits |= (value >> (reversed ? count - 1 - i : i) & 1) << filled;
      if (++filled == 8) {
        data.push_back(static_cast<uint8_t>(bits));
        bits = 0;
        filled = 0;
      }
    }
  };
  put_bits(0x30, 8, true);
  for (int i = 0; i < 4000; ++i) {
    put_bits(0xC5, 8, true);
    put_bits(0, 5, true);
  }
  put_bits(0, 7, true);
  data.push_back(static_cast<uint8_t>(bits));
  data.insert(data.end(), 8, 0);
  bomb.chunk("IDAT", data);
  CHECK(contains(decode_error(bomb.finish()), "outofmem"));
}

TEST_CASE("BMP: 24 bits, from the bottom and from the top, palette, truncated") {
  const std::vector<uint8_t> rows{3, 2, 1, 6, 5, 4, 0, 0, 9, 8, 7, 12, 11, 10, 0, 0};
  CHECK(decode_image(bmp(2, 2, 24, {}, rows), "x").rgb ==
        Rgb{7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6});
  const ByteVector top_down = bmp(2, -2, 24, {}, rows);
  CHECK(decode_image(top_down, "x").rgb == Rgb{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  check_truncations(top_down);
  const ByteVector palette = bmp(2, 1, 8, {30, 20, 10, 0, 60, 50, 40, 0}, {1, 0, 0, 0});
  CHECK(decode_image(palette, "x").rgb == Rgb{40, 50, 60, 10, 20, 30});
  ByteVector packed = top_down;
  packed[30] = std::byte{1};
  CHECK(contains(decode_error(packed), "compressed BMP"));
}

TEST_CASE("limits are checked before memory is taken") {
  CHECK(contains(decode_error(PngMaker(60000, 60000, 8, 2).pixels({0}).finish()), "60000x60000"));
  CHECK(contains(decode_error(PngMaker(16384, 6104, 8, 2).pixels({0}).finish()), "scale it down"));
  CHECK(contains(decode_error(PngMaker(0, 4, 8, 2).pixels({0}).finish()), "0x4 pixels"));
  CHECK(contains(decode_error(bmp(60000, 60000, 24, {}, {0})), "60000x60000"));
  CHECK(contains(decode_error(bmp(INT32_MIN, INT32_MIN, 24, {}, {0})), "pixels"));
  // Found by fuzzing: 35 million pixels of no bits each.
  CHECK(contains(decode_error(bmp(8193, 4360, 0, {}, {0})), "0 bits per pixel"));
  CHECK(contains(decode_error(PngMaker(8193, 4360, 8, 2).pixels({0}).finish()), "truncated PNG"));
  ByteVector jpeg = encode_jpeg(smooth_image(8, 8));
  for (size_t i = 0; i + 8 < jpeg.size(); ++i) {
    if (jpeg[i] != std::byte{0xFF} || jpeg[i + 1] != std::byte{0xC0}) continue;
    jpeg[i + 5] = jpeg[i + 7] = std::byte{0xEA};
    jpeg[i + 6] = jpeg[i + 8] = std::byte{0x60};
    break;
  }
  CHECK(contains(decode_error(jpeg), "60000x60000"));
}

TEST_CASE("wrong content and files") {
  const TempFolder dir;
  const auto error = [](const fs::path& path) { return input_error([&] { read_image(path); }); };
  CHECK(contains(decode_error({}), "empty file"));
  CHECK(contains(decode_error(ByteVector(100, std::byte{'x'})), "not a JPEG, PNG or BMP"));
  const std::string_view gif = "GIF89a......";
  const auto* gif_bytes = reinterpret_cast<const std::byte*>(gif.data());
  CHECK(contains(decode_error({gif_bytes, gif_bytes + gif.size()}), "found GIF"));
  CHECK(contains(error(dir.path() / "none.jpg"), "none.jpg: no such file"));
  CHECK(contains(error(dir.path()), "is a directory"));
  write_file(dir.path() / "empty.png", std::string_view());
  CHECK(contains(error(dir.path() / "empty.png"), "empty.png: empty file"));
  write_file(dir.path() / "a\nb.png", std::string_view("text"));
  CHECK(contains(error(dir.path() / "a\nb.png"), "a\\nb.png: not a JPEG"));
  // The content decides, not the name.
  write_file(dir.path() / "really_png.jpg", encode_png(smooth_image(4, 5)));
  CHECK(read_image(dir.path() / "really_png.jpg").rgb == smooth_image(4, 5).rgb);
}

TEST_CASE("random damage never crashes") {
  const Image image = smooth_image(24, 24);
  JpegSettings progressive;
  progressive.progressive = true;
  const std::vector<ByteVector> originals{encode_jpeg(image), encode_jpeg(image, progressive),
                                          encode_png(image),
                                          bmp(2, 1, 24, {}, {1, 2, 3, 4, 5, 6, 0, 0})};
  uint32_t state = 1;
  for (int i = 0; i < 4000; ++i) {
    ByteVector bytes = originals[static_cast<size_t>(i) % originals.size()];
    for (int k = 0; k < 1 + i % 3; ++k) {
      state = state * 1664525U + 1013904223U;
      bytes[(state >> 8) % bytes.size()] = static_cast<std::byte>(state >> 3);
    }
    try {
      const Image got = decode_image(bytes, "x");
      CHECK(static_cast<int64_t>(got.rgb.size()) == got.height * got.width * 3);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kInput);
    }
  }
}

TEST_CASE("write_png: round trip, replacement, errors") {
  const TempFolder dir;
  const fs::path path = dir.path() / "picture.png";
  for (const Image& image : {smooth_image(1, 1), smooth_image(64, 33)}) {
    write_png(path, image);
    const Image back = read_image(path);
    CHECK(back.height == image.height);
    CHECK(back.rgb == image.rgb);
  }
  const auto entries = [&] {
    return std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator());
  };
  CHECK(entries() == 1);  // no temporary file is left
  const fs::path lost = dir.path() / "none" / "x.png";
  CHECK(contains(input_error([&] { write_png(lost, smooth_image(2, 2)); }), "none/x.png: cannot"));
  fs::create_directories(dir.path() / "taken.png" / "inside");
  CHECK(contains(input_error([&] { write_png(dir.path() / "taken.png", smooth_image(2, 2)); }),
                 "cannot be put in place"));
  CHECK(entries() == 2);  // nor after a failure
  CHECK_THROWS_AS(encode_png(Image{2, 2, {1}}), Error);
}

TEST_CASE("encode_jpeg: close to the picture, and smaller with less quality") {
  const Image image = smooth_image(33, 47);
  const ByteVector fine = verace::data::encode_jpeg(image, 95);
  const Image back = decode_image(fine, "fine");
  REQUIRE(back.height == 33);
  REQUIRE(back.width == 47);
  double difference = 0;
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    difference += std::abs(image.rgb[i] - back.rgb[i]);
  }
  CHECK(difference / static_cast<double>(image.rgb.size()) < 3);
  const ByteVector coarse = verace::data::encode_jpeg(image, 40);
  CHECK(coarse.size() < fine.size());
  CHECK(decode_image(coarse, "coarse").rgb != back.rgb);
  CHECK_THROWS_AS(verace::data::encode_jpeg(image, 0), Error);
  CHECK_THROWS_AS(verace::data::encode_jpeg(Image{}, 90), Error);
}

}  // namespace verace::data::testing::image_test

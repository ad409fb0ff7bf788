// Resizing against Pillow's results, bit for bit; crops.
#include "data/resample.h"

#include <array>

#include "data/text.h"
#include "tests/data/data_support.h"

namespace verace::data::testing::resample_test {
namespace {

// As source() in tests/goldens/make_resize.py.
Image source(int64_t height, int64_t width) {
  Image image{height, width, {}};
  for (int64_t i = 0; i < height * width * 3; ++i) {
    uint32_t noise = static_cast<uint32_t>(i) * 2654435761U;
    noise = (noise ^ (noise >> 15)) * 2246822519U;
    image.rgb.push_back(static_cast<uint8_t>(noise >> 24));
  }
  return image;
}

uint64_t fnv1a64(const std::vector<uint8_t>& bytes) {
  uint64_t value = 0xCBF29CE484222325U;
  for (const uint8_t b : bytes) value = (value ^ b) * 0x100000001B3U;
  return value;
}

class Golden {
 public:
  Golden() : bytes_(read_file(fs::path(VERACE_GOLDENS) / "resize.bin", 1 << 20, "golden")) {}

  uint32_t word() {
    const std::vector<uint8_t> four = take(4);
    return four[0] | four[1] << 8 | four[2] << 16 | static_cast<uint32_t>(four[3]) << 24;
  }

  std::vector<uint8_t> take(size_t count) {
    REQUIRE(at_ + count <= bytes_.size());
    const auto* begin = reinterpret_cast<const uint8_t*>(bytes_.data()) + at_;
    at_ += count;
    return {begin, begin + count};
  }

  bool at_end() const { return at_ == bytes_.size(); }

 private:
  ByteVector bytes_;
  size_t at_ = 0;
};

}  // namespace

TEST_CASE("resize equals Pillow in every bit") {
  Golden golden;
  const uint32_t count = golden.word();
  REQUIRE(count >= 36);
  for (uint32_t i = 0; i < count; ++i) {
    const auto filter = golden.word() == 0 ? ResizeFilter::kBilinear : ResizeFilter::kNearest;
    std::array<int64_t, 4> sizes;
    for (int64_t& size : sizes) size = golden.word();
    const auto [in_h, in_w, out_h, out_w] = sizes;
    const bool stored = golden.word() == 1;
    const Image got = resize(source(in_h, in_w), out_h, out_w, filter);
    CAPTURE(sizes[0]);
    CAPTURE(sizes[1]);
    CAPTURE(sizes[2]);
    CAPTURE(sizes[3]);
    CAPTURE(filter == ResizeFilter::kNearest);
    REQUIRE(static_cast<int64_t>(got.rgb.size()) == out_h * out_w * 3);
    if (stored) {
      CHECK(got.rgb == golden.take(got.rgb.size()));
    } else {
      const uint64_t low = golden.word();
      const uint64_t high = golden.word();
      CHECK(fnv1a64(got.rgb) == (high << 32 | low));
    }
  }
  CHECK(golden.at_end());
}

TEST_CASE("a picture of one colour keeps it") {
  const Image flat{40, 30, std::vector<uint8_t>(40 * 30 * 3, 255)};
  for (const ResizeFilter filter : {ResizeFilter::kBilinear, ResizeFilter::kNearest}) {
    const Image got = resize(flat, 17, 53, filter);
    CHECK(got.height == 17);
    CHECK(got.width == 53);
    CHECK(got.rgb == std::vector<uint8_t>(17 * 53 * 3, 255));
  }
}

TEST_CASE("center_crop: offsets as torchvision") {
  // A picture whose red value is the row and whose green value is the column.
  const auto numbered = [](int64_t height, int64_t width) {
    Image image{height, width, {}};
    for (int64_t i = 0; i < height * width; ++i) {
      image.rgb.push_back(static_cast<uint8_t>(i / width));
      image.rgb.push_back(static_cast<uint8_t>(i % width));
      image.rgb.push_back(0);
    }
    return image;
  };
  // Rests 1, 3, 5, 4: offsets round(0.5)=0, round(1.5)=2, round(2.5)=2, 2 (halves to even).
  for (const auto& [rest, offset] : std::vector<std::pair<int64_t, int>>{
           {0, 0}, {1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 2}, {7, 4}, {32, 16}}) {
    const Image got = center_crop(numbered(10 + rest, 20), 10, 20);
    CHECK(got.rgb[0] == offset);
    CHECK(got.rgb[1] == 0);
    CHECK(got.rgb[got.rgb.size() - 3] == offset + 9);
    const Image wide = center_crop(numbered(4, 10 + rest), 4, 10);
    CHECK(wide.rgb[1] == offset);
    CHECK(wide.rgb[wide.rgb.size() - 2] == offset + 9);
  }
  CHECK_THROWS_AS(center_crop(numbered(5, 5), 6, 5), Error);
}

TEST_CASE("resize_short_side_and_crop") {
  const Image image = source(375, 500);
  const Image expected = center_crop(resize(image, 256, 341, ResizeFilter::kBilinear), 224, 224);
  CHECK(resize_short_side_and_crop(image, 256, 224).rgb == expected.rgb);
  CHECK_THROWS_AS(resize_short_side_and_crop(image, 200, 224), Error);
}

TEST_CASE("fit_to_square") {
  const Image image = source(40, 80);
  FitOptions options;
  options.size = 16;
  CHECK(fit_to_square(image, options, "x").rgb ==
        resize(image, 16, 16, ResizeFilter::kBilinear).rgb);
  options.fit = Fit::kCrop;
  CHECK(fit_to_square(image, options, "x").rgb == resize_short_side_and_crop(image, 16, 16).rgb);
  options.short_side = 20;
  CHECK(fit_to_square(image, options, "x").rgb == resize_short_side_and_crop(image, 20, 16).rgb);
  options.short_side = 15;
  CHECK(contains(input_error([&] { check_fit_options(options); }), "shorter side 15"));
  options.short_side = 0;
  const Image line = source(1, 2000);
  CHECK(contains(input_error([&] { fit_to_square(line, options, "line.png"); }),
                 "line.png: 2000x1 pixels"));
}

}  // namespace verace::data::testing::resample_test

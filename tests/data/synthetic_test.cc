// The drawn data set: deterministic, balanced, readable by load_dataset().
#include "data/synthetic.h"

#include <cstdlib>
#include <set>

#include "data/dataset.h"
#include "tests/data/data_support.h"

namespace verace::data::testing::synthetic_test {
namespace {

uint64_t hash(const std::vector<uint8_t>& bytes) {
  uint64_t value = 0xCBF29CE484222325U;
  for (const uint8_t b : bytes) value = (value ^ b) * 0x100000001B3U;
  return value;
}

// How many pixels change if one property of the picture changes.
int64_t changed_pixels(const Image& a, const Image& b) {
  int64_t changed = 0;
  for (size_t i = 0; i < a.rgb.size(); i += 3) {
    changed += std::abs(a.rgb[i] - b.rgb[i]) > 20 ? 1 : 0;
  }
  return changed;
}

}  // namespace

TEST_CASE("pictures depend on seed, index, shape and texture only") {
  const Image a = render_shape(1, 5, 64, Shape::kDisc, Texture::kStripes);
  CHECK(a.height == 64);
  CHECK(a.width == 64);
  CHECK(a.rgb == render_shape(1, 5, 64, Shape::kDisc, Texture::kStripes).rgb);
  CHECK(a.rgb != render_shape(2, 5, 64, Shape::kDisc, Texture::kStripes).rgb);
  CHECK(a.rgb != render_shape(1, 6, 64, Shape::kDisc, Texture::kStripes).rgb);
  // The same on every machine and after every change that does not mean to change it.
  CHECK(hash(a.rgb) == 7984844250355130452U);
}

TEST_CASE("both properties show, for all sizes") {
  for (const int64_t size : {16, 64, 224}) {
    double texture_share = 0;
    double shape_share = 0;
    for (int64_t i = 0; i < 20; ++i) {
      const Image base = render_shape(3, i, size, Shape::kDisc, Texture::kStripes);
      const Image texture = render_shape(3, i, size, Shape::kDisc, Texture::kChecker);
      const Image shape = render_shape(3, i, size, Shape::kSquare, Texture::kStripes);
      texture_share += static_cast<double>(changed_pixels(base, texture));
      shape_share += static_cast<double>(changed_pixels(base, shape));
    }
    const double pixels = 20.0 * static_cast<double>(size * size);
    CHECK(texture_share / pixels > 0.04);
    CHECK(texture_share / pixels < 0.5);
    CHECK(shape_share / pixels > 0.01);
    CHECK(shape_share / pixels < 0.2);
  }
}

TEST_CASE("write_synthetic_dataset makes a data set that load_dataset reads") {
  for (const bool by_shape : {false, true}) {
    const TempFolder dir;
    SyntheticOptions options;
    options.size = 16;
    options.pictures_per_class = {6, 2, 4};
    options.label_by_shape = by_shape;
    write_synthetic_dataset(dir.path() / "new" / "set", options);
    const Dataset dataset = load_dataset(dir.path() / "new" / "set");
    CHECK(count_classes(dataset) == ClassCounts{{{6, 6}, {2, 2}, {4, 4}}});
    CHECK(dataset.ignored_files == 0);
    std::set<uint64_t> hashes;
    for (const Sample& sample : dataset.samples) {
      const Image image = read_image(sample.path);
      CHECK(hashes.insert(hash(image.rgb)).second);
      const int64_t index = std::stoll(sample.path.stem().string());
      const auto other = static_cast<int32_t>(index / 2 % 2);
      const auto shape = static_cast<Shape>(by_shape ? sample.label : other);
      const auto texture = static_cast<Texture>(by_shape ? other : sample.label);
      CHECK(image.rgb == render_shape(options.seed, index, 16, shape, texture).rgb);
    }
    CHECK(contains(input_error([&] { write_synthetic_dataset(dir.path(), options); }),
                   "is not empty"));
  }
}

}  // namespace verace::data::testing::synthetic_test

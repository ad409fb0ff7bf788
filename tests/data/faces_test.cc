// The drawn faces: the same everywhere, and a readable data set.
#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "data/dataset.h"
#include "data/faces/dataset.h"
#include "kernels/parallel.h"
#include "tests/data/data_support.h"

namespace verace::data::testing::faces_test {
namespace {

kernels::Exec threads(int count) { return kernels::make_exec(kernels::DeviceKind::kCpu, count); }

uint64_t hash(const std::vector<uint8_t>& bytes) {
  uint64_t value = 0xCBF29CE484222325U;
  for (const uint8_t b : bytes) value = (value ^ b) * 0x100000001B3U;
  return value;
}

}  // namespace

TEST_CASE("a drawn face depends on its arguments alone") {
  const faces::DrawnFace face = faces::draw_face(1, 64, 2, 2, 0);
  CHECK(face.image.height == 64);
  CHECK(face.image.width == 64);
  CHECK(face.jpeg_quality >= 75);
  CHECK(face.jpeg_quality <= 95);
  CHECK(face.image.rgb == faces::draw_face(1, 64, 2, 2, 0).image.rgb);
  for (const auto& other : {faces::draw_face(2, 64, 2, 2, 0), faces::draw_face(1, 64, 3, 3, 0),
                            faces::draw_face(1, 64, 2, 3, 0), faces::draw_face(1, 64, 2, 2, 1)}) {
    CHECK(other.image.rgb != face.image.rgb);
  }
  // The same on every machine and after every change that does not mean to change it.
  CHECK(hash(face.image.rgb) == 7108129068959229926U);
}

TEST_CASE("a fake differs from the real picture in the inner face alone, and not by much") {
  double inner = 0;
  double outer = 0;
  for (int64_t person = 0; person < 20; ++person) {
    const Image real = faces::draw_face(1, 64, person, person, 0).image;
    const Image fake = faces::draw_face(1, 64, person, person + 1, 0).image;
    for (int64_t y = 0; y < 64; ++y) {
      for (int64_t x = 0; x < 64; ++x) {
        const auto i = static_cast<size_t>((y * 64 + x) * 3 + 1);
        const double change = std::abs(real.rgb[i] - fake.rgb[i]);
        const bool border = x < 8 || x >= 56 || y < 6 || y >= 58;
        (border ? outer : inner) += change;
      }
    }
  }
  CHECK(outer == 0);
  CHECK(inner / (20 * 48 * 52) > 1);
  CHECK(inner / (20 * 48 * 52) < 20);
}

TEST_CASE("write_dataset: disjoint identities, two videos of each, both manifests") {
  const TempFolder dir;
  const fs::path folder = dir.path() / "new" / "faces";
  const faces::DatasetOptions options{.seed = 3, .size = 32, .identities = {4, 2, 3}, .frames = 2};
  write_dataset(folder, options, threads(2));
  const Dataset dataset = load_dataset(folder / "faces.csv");
  CHECK(count_classes(dataset) == ClassCounts{{{8, 8}, {4, 4}, {6, 6}}});
  CHECK(dataset.leak_report.empty());
  CHECK(dataset.ignored_columns.empty());
  std::map<std::string, std::set<Split>> splits_of;
  std::map<std::string, int64_t> faces_of;
  std::set<uint64_t> pictures;
  for (const Sample& sample : dataset.samples) {
    splits_of[sample.identity].insert(sample.split);
    ++faces_of[sample.video];
    CHECK(pictures.insert(hash(read_image(sample.path).rgb)).second);
  }
  CHECK(splits_of.size() == 9);
  for (const auto& [identity, splits] : splits_of) CHECK(splits.size() == 1);
  CHECK(faces_of.size() == 18);
  for (const auto& [video, count] : faces_of) CHECK(count == 2);

  const Dataset light = load_dataset(folder / "light.csv");
  REQUIRE(light.samples.size() == dataset.samples.size() / 2);
  int64_t from_right = 0;
  for (const Sample& sample : light.samples) from_right += sample.label;
  CHECK(from_right > 0);
  CHECK(from_right < static_cast<int64_t>(light.samples.size()));
  CHECK(contains(input_error([&] { write_dataset(folder, options, threads(1)); }), "not empty"));
}

TEST_CASE("write_dataset writes the same bytes with any number of threads") {
  const TempFolder dir;
  const faces::DatasetOptions options{.seed = 9, .size = 32, .identities = {5, 0, 2}, .frames = 3};
  write_dataset(dir.path() / "one", options, threads(1));
  write_dataset(dir.path() / "three", options, threads(3));
  int64_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir.path() / "one")) {
    if (!entry.is_regular_file()) continue;
    const fs::path other =
        dir.path() / "three" / entry.path().lexically_relative(dir.path() / "one");
    CHECK(test::read_text(entry.path()) == test::read_text(other));
    ++files;
  }
  CHECK(files == 7 * 2 * 3 + 2);
}

}  // namespace verace::data::testing::faces_test

// The files of a dump: .npy bytes, figures, pictures element by element, the list of tensors, the
// index.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "apps/lib/dump/index.h"
#include "apps/lib/dump/npy.h"
#include "apps/lib/dump/tensor_list.h"
#include "apps/lib/dump/tensor_picture.h"
#include "apps/lib/dump/tensor_summary.h"
#include "engine/nearest_names.h"
#include "engine/rng.h"
#include "layers/resnet50.h"
#include "tests/support/files.h"
#include "tests/support/npy.h"

namespace verace::apps::dump_files_test {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::string as_text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

using Pixel = std::array<int, 3>;
Pixel pixel(const data::Image& image, int64_t y, int64_t x) {
  const auto at = static_cast<size_t>((y * image.width + x) * 3);
  return {image.rgb[at], image.rgb[at + 1], image.rgb[at + 2]};
}

// What black-to-white must give, stated apart.
Pixel grey(double value, double low, double high) {
  const int g = static_cast<int>(std::floor((value - low) / (high - low) * 255 + 0.5));
  return {g, g, g};
}

std::vector<float> counting(int64_t count) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(i));
  return values;
}

}  // namespace

TEST_CASE("npy: the bytes that NumPy 1.24 itself writes") {
  const std::vector<float> values = {1.5F, -2.0F, 0.25F};
  const std::string line = std::string("\x93NUMPY\x01\x00v\x00", 10) +
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
  std::string want = line + std::string(127 - line.size(), ' ') + "\n";
  want.append(reinterpret_cast<const char*>(values.data()), 12);
  CHECK(as_text(npy_file({3}, values)) == want);
  const std::string matrix = as_text(npy_file({2, 3}, counting(6)));
  CHECK(matrix.substr(10, 60) == "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } ");
  CHECK(as_text(npy_file({}, std::vector<float>{7})).substr(10, 56) ==
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), } ");
}

TEST_CASE("npy: any shape is read back, and its data are aligned") {
  const test::TempFolder folder;
  for (const engine::Shape& shape : {engine::Shape{1},
                                     {7},
                                     {12345},
                                     {2, 3},
                                     {128, 1, 1, 32},
                                     {1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
                                     {100000, 1, 1, 1},
                                     {1, 10, 10, 10, 10, 1}}) {
    const std::vector<float> values = counting(engine::element_count(shape));
    const std::string bytes = as_text(npy_file(shape, values));
    CHECK(static_cast<int64_t>(bytes.size()) == npy_file_bytes(shape));
    const size_t data = bytes.size() - values.size() * 4;
    CHECK(data % 64 == 0);
    CHECK(bytes[data - 1] == '\n');
    CHECK(static_cast<size_t>(static_cast<uint8_t>(bytes[8])) +
              256 * static_cast<size_t>(static_cast<uint8_t>(bytes[9])) + 10 ==
          data);
    test::write_text(folder / "a.npy", bytes);
    const test::NpyArray array = test::read_npy((folder / "a.npy").string());
    CHECK(array.shape == shape);
    CHECK(array.values == values);
  }
}

TEST_CASE("summary: figures by hand, with what is not finite counted apart") {
  const TensorSummary s = summarise(std::vector<float>{1, 2, 3, 6, 0, -0.0F, kNaN, kInfinity});
  CHECK(s.min == 0);
  CHECK(s.max == 6);
  CHECK(s.mean == 2);
  CHECK(std::abs(s.deviation - std::sqrt((1 + 0 + 1 + 16 + 4 + 4) / 6.0)) < 1e-15);
  CHECK(s.zero_share == 0.25);
  CHECK(s.nan == 1);
  CHECK(s.infinite == 1);
  const TensorSummary none = summarise(std::vector<float>{kNaN, -kInfinity});
  CHECK(std::isnan(none.min));
  CHECK(std::isnan(none.mean));
  CHECK(none.nan == 1);
  CHECK_FALSE(std::signbit(summarise(std::vector<float>{-0.0F}).max));
}

TEST_CASE(
    "picture: every element of the first picture stands where its channel, row and column say") {
  const engine::Shape shape = {2, 2, 3, 5};  // nothing square, nothing equal
  const TensorPicture p = draw_tensor(shape, counting(60), Layout::kBatch, Colours::kGrey);
  CHECK(p.low == 0);
  CHECK(p.high == 29);  // of the first picture
  CHECK(p.shown == "picture 0, all 5 channels, 3 to a row");
  const int64_t scale = 16;
  REQUIRE(p.image.width == 3 * (3 * scale + 1) + 1);
  REQUIRE(p.image.height == 2 * (2 * scale + 1) + 1);
  for (int64_t c = 0; c < 5; ++c) {
    for (int64_t y = 0; y < 2; ++y) {
      for (int64_t x = 0; x < 3; ++x) {
        const int64_t top = 1 + c / 3 * (2 * scale + 1) + y * scale;
        const int64_t left = 1 + c % 3 * (3 * scale + 1) + x * scale;
        const Pixel want = grey(static_cast<double>((y * 3 + x) * 5 + c), 0, 29);
        CHECK(pixel(p.image, top, left) == want);
        CHECK(pixel(p.image, top + scale - 1, left + scale - 1) == want);
      }
    }
  }
  const Pixel gap = pixel(p.image, 0, 0);
  CHECK(gap == pixel(p.image, p.image.height - 2, p.image.width - 2));  // no sixth channel
  CHECK(gap == pixel(p.image, 5, 1 + 3 * scale));                       // between two tiles
}

TEST_CASE("picture: filters stand in rows, their input channels in columns") {
  const engine::Shape shape = {3, 2, 4, 5};  // [k, r, s, c]
  const TensorPicture p = draw_tensor(shape, counting(120), Layout::kWeights, Colours::kGrey);
  CHECK(p.high == 119);
  const int64_t scale = 16;
  for (int64_t k = 0; k < 3; ++k) {
    for (int64_t c = 0; c < 5; ++c) {
      for (int64_t r = 0; r < 2; ++r) {
        for (int64_t s = 0; s < 4; ++s) {
          const double value = static_cast<double>(((k * 2 + r) * 4 + s) * 5 + c);
          CHECK(pixel(p.image, 1 + k * (2 * scale + 1) + r * scale,
                      1 + c * (4 * scale + 1) + s * scale) == grey(value, 0, 119));
        }
      }
    }
  }
}

TEST_CASE("picture: matrices, vectors, colours of gradients, and what is not finite") {
  const std::vector<float> values = {-4, 0, 2, 1, kNaN, kInfinity};
  const TensorPicture p = draw_tensor({2, 3}, values, Layout::kBatch, Colours::kDiverging);
  CHECK(p.low == -4);
  CHECK(p.high == 4);
  REQUIRE(p.image.width == 3 * 16);
  CHECK(pixel(p.image, 0, 0) == Pixel{33, 102, 172});
  CHECK(pixel(p.image, 0, 16) == Pixel{247, 247, 247});
  CHECK(pixel(p.image, 0, 32) == Pixel{213, 136, 145});  // half of the way to red, 212.5 up
  CHECK(pixel(p.image, 16, 16) == Pixel{255, 200, 0});
  CHECK(pixel(p.image, 16, 32) == Pixel{255, 200, 0});
  const TensorPicture cells = draw_tensor({70}, counting(70), Layout::kWeights, Colours::kGrey);
  CHECK(cells.image.width == 64 * 8);
  CHECK(pixel(cells.image, 8, 5 * 8) == grey(69, 0, 69));
  CHECK(draw_tensor({3}, std::vector<float>{2, 2, 2}, Layout::kBatch, Colours::kGrey).low == 2);
  const TensorPicture big =
      draw_tensor({300, 600}, counting(180000), Layout::kWeights, Colours::kGrey);
  CHECK(big.shown == "outputs 0-255 of 300 (rows), inputs 0-511 of 600 (columns)");
  CHECK(big.high == 255 * 600 + 511);
}

TEST_CASE("picture: noise takes no more bytes than announced") {
  const engine::Philox rng(5);
  for (const engine::Shape& shape : {engine::Shape{1, 112, 112, 64},
                                     {1, 56, 56, 256},
                                     {1, 7, 7, 2048},
                                     {2, 16, 16, 4},
                                     {2, 64, 64, 3},
                                     {128},
                                     {2, 1000},
                                     {64, 3, 3, 64},
                                     {4, 7, 7, 3}}) {
    std::vector<float> values(static_cast<size_t>(engine::element_count(shape)));
    for (size_t i = 0; i < values.size(); ++i) values[i] = rng.uniform(i) - 0.5F;
    for (const Colours colours : {Colours::kGrey, Colours::kDiverging}) {
      for (const Layout layout : {Layout::kBatch, Layout::kWeights}) {
        const auto bytes = static_cast<int64_t>(
            data::encode_png(draw_tensor(shape, values, layout, colours).image).size());
        INFO(engine::to_string(shape), ": ", bytes);
        CHECK(bytes <= picture_bytes_at_most(shape, layout));
      }
    }
  }
}

TEST_CASE("nearest names") {
  const std::vector<std::string> names = {"conv2", "conv1", "bn1", "fc", "conv1"};
  CHECK(engine::nearest_names(names, "conv3") == "conv1, conv2 or bn1");
  CHECK(engine::nearest_names({"a", "b"}, "b") == "b or a");
  CHECK(engine::nearest_names({"a"}, "x") == "a");
  CHECK(engine::nearest_names({}, "x").empty());
}

TEST_CASE("index: fields are quoted where they must be, and the page shows what is not finite") {
  DumpedTensor row;
  row.tensor.layer = "conv1";
  row.tensor.does = "conv1 forward, \"folded\"";
  row.tensor.name = "a<b";
  row.tensor.shape = {2, 3};
  row.summary = summarise(std::vector<float>{1, kNaN});
  row.npy = "0.npy";
  const std::string csv = index_csv({row});
  CHECK(csv.substr(csv.find('\n') + 1) ==
        "0,conv1,\"conv1 forward, \"\"folded\"\"\",a<b,activation,,2x3,1,1,1,0,0,1,0,0.npy,,,,\n");
  CHECK(std::count(csv.begin(), csv.begin() + static_cast<int64_t>(csv.find('\n')), ',') == 18);
  const std::string html = index_html({row}, {{"network", "x & y"}});
  CHECK(test::contains(html, "a&lt;b"));
  CHECK(test::contains(html, "x &amp; y"));
  CHECK(test::contains(html, "1 NaN, 0 infinite"));
  CHECK(html.find("http") == std::string::npos);  // nothing from elsewhere
}

}  // namespace verace::apps::dump_files_test

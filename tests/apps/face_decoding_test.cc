// Decoding of anchors and suppression of overlapping faces: by hand, and at the edges of the rules.
#include "apps/lib/face_decoding.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/check.h"
#include "tests/support/files.h"

namespace verace::apps::face_decoding_test {
namespace {

using data::DetectedFace;

// Maps of one picture without faces (score 0.5 everywhere would pass: "no face" leads by 20).
struct Maps {
  int64_t height, width;
  std::array<std::vector<float>, 3> values;
  Maps(int64_t h, int64_t w) : height(h), width(w) {
    for (size_t level = 0; level < 3; ++level) {
      const int64_t stride = int64_t{8} << level;
      const int64_t places = ((h + stride - 1) / stride) * ((w + stride - 1) / stride);
      values[level].assign(static_cast<size_t>(places * 32), 0.0f);
      for (int64_t i = 0; i < places; ++i) {
        for (int64_t anchor = 0; anchor < 2; ++anchor) at(level, i)[2 * anchor] = 20.0f;
      }
    }
  }
  float* at(size_t level, int64_t place) { return values[level].data() + place * 32; }
  // The anchor says "face" by `margin`.
  void face(size_t level, int64_t place, int64_t anchor, float margin) {
    at(level, place)[2 * anchor] = 1.0f;
    at(level, place)[2 * anchor + 1] = 1.0f + margin;
  }
  std::vector<DetectedFace> decode(const DecodingOptions& options, int64_t picture_height,
                                   int64_t picture_width) const {
    return decode_faces({height, width, {values[0], values[1], values[2]}}, picture_height,
                        picture_width, options);
  }
  std::vector<DetectedFace> decode(const DecodingOptions& options = {}) const {
    return decode(options, height, width);
  }
};

void check_near(double got, double want) {
  CHECK_MESSAGE(std::abs(got - want) <= 1e-3, got, " is not ", want);
}
void check_box(const data::FaceBox& box, double x1, double y1, double x2, double y2) {
  check_near(box.x1, x1), check_near(box.y1, y1), check_near(box.x2, x2), check_near(box.y2, y2);
}

TEST_CASE("anchors of all levels lie where they should") {
  // 100 x 70 pixels: maps of 9 x 13, 5 x 7 and 3 x 4 places.
  struct Row {
    size_t level;
    int64_t row, column, columns, anchor;
    double side;
  };
  for (const Row& r : {Row{0, 3, 5, 13, 0, 16}, Row{0, 8, 12, 13, 1, 32}, Row{1, 4, 2, 7, 0, 64},
                       Row{1, 0, 6, 7, 1, 128}, Row{2, 2, 3, 4, 0, 256}, Row{2, 1, 0, 4, 1, 512}}) {
    Maps maps(70, 100);
    maps.face(r.level, r.row * r.columns + r.column, r.anchor, 3.0f);
    const auto faces = maps.decode();
    REQUIRE(faces.size() == 1);
    const double stride = std::pow(2.0, 3 + static_cast<double>(r.level));
    const double x = (static_cast<double>(r.column) + 0.5) * stride;
    const double y = (static_cast<double>(r.row) + 0.5) * stride;
    check_box(faces[0].box, x - r.side / 2, y - r.side / 2, x + r.side / 2, y + r.side / 2);
    check_near(faces[0].score, 1 / (1 + std::exp(-3.0)));
    for (const data::ImagePoint& point : faces[0].landmarks) {
      check_near(point.x, x), check_near(point.y, y);
    }
  }
}

TEST_CASE("boxes and landmarks move and grow by their variances") {
  Maps maps(64, 64);
  maps.face(0, 9, 1, 2.0f);  // row 1, column 1: centre (12, 12), side 32
  float* numbers = maps.at(0, 9);
  const float box[4] = {1.0f, -2.0f, 1.5f, -0.5f};
  std::copy_n(box, 4, numbers + 4 + 4);
  for (int i = 0; i < 10; ++i) numbers[12 + 10 + i] = static_cast<float>(i) - 4;
  const auto faces = maps.decode();
  REQUIRE(faces.size() == 1);
  const double x = 12 + 0.1 * 32, y = 12 - 0.2 * 32;
  const double width = 32 * std::exp(0.3), height = 32 * std::exp(-0.1);
  check_box(faces[0].box, x - width / 2, y - height / 2, x + width / 2, y + height / 2);
  for (size_t i = 0; i < 5; ++i) {
    check_near(faces[0].landmarks[i].x, 12 + 3.2 * (2.0 * static_cast<double>(i) - 4));
    check_near(faces[0].landmarks[i].y, 12 + 3.2 * (2.0 * static_cast<double>(i) - 3));
  }
}

TEST_CASE("faces are in pixels of the picture, whatever the size that the network saw") {
  Maps maps(32, 48);
  maps.face(1, 4, 0, 2.0f);                     // row 1, column 1: centre (24, 24), side 64
  const auto faces = maps.decode({}, 64, 144);  // twice as high, three times as wide
  REQUIRE(faces.size() == 1);
  check_box(faces[0].box, (24 - 32) * 3, (24 - 32) * 2, (24 + 32) * 3, (24 + 32) * 2);
  check_near(faces[0].landmarks[2].x, 72);
  check_near(faces[0].landmarks[2].y, 48);
}

TEST_CASE("the score's threshold, and what never and always passes it") {
  Maps maps(64, 64);
  maps.face(0, 0, 0, std::log(0.7f / 0.3f));
  maps.face(0, 63, 0, -1.0f);
  const auto count = [&](double threshold) {
    return maps.decode({.score_threshold = threshold}).size();
  };
  CHECK(count(0.69) == 1);
  CHECK(count(0.71) == 0);
  CHECK(count(0.26) == 2);
  CHECK(count(1.0) == 0);
  CHECK(count(0.0) > 2);
}

TEST_CASE("faces smaller than the least size are dropped, by their shorter side") {
  Maps maps(64, 64);
  maps.face(0, 9, 0, 2.0f);                    // 16 pixels
  maps.face(1, 15, 0, 2.0f);                   // 64
  maps.at(1, 15)[4 + 2] = 5 * std::log(2.0f);  // 128 x 64
  CHECK(maps.decode({.min_size = 16}).size() == 2);
  CHECK(maps.decode({.min_size = 16.1}).size() == 1);
  CHECK(maps.decode({.min_size = 63.9}).size() == 1);
  CHECK(maps.decode({.min_size = 64.1}).empty());
}

TEST_CASE("two hundred faces in one picture") {
  Maps maps(160, 640);  // 20 x 80 places of 8 pixels
  for (int64_t i = 0; i < 200; ++i) {
    maps.face(0, i / 20 * 2 * 80 + i % 20 * 4, 0, 1.0f + static_cast<float>(i) / 100);
  }
  const auto faces = maps.decode();
  REQUIRE(faces.size() == 200);
  for (size_t i = 0; i < faces.size(); ++i) {
    const auto at = static_cast<int64_t>(199 - i);  // the largest score first
    const auto x = static_cast<double>(at % 20 * 32 + 4), y = static_cast<double>(at / 20 * 16 + 4);
    check_box(faces[i].box, x - 8, y - 8, x + 8, y + 8);
  }
}

TEST_CASE("an answer that is not a number is an error, not no face") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  Maps score(64, 64);
  score.at(1, 3)[1] = kNan;
  CHECK(test::contains(test::input_error([&] { score.decode(); }), "not a finite number"));
  Maps box(64, 64);
  box.face(0, 9, 0, 2.0f);
  box.at(0, 9)[6] = std::numeric_limits<float>::infinity();
  CHECK(test::contains(test::input_error([&] { box.decode(); }), "not a finite number"));
  Maps landmark(64, 64);
  landmark.face(0, 9, 0, 2.0f);
  landmark.at(0, 9)[12] = kNan;
  CHECK(test::contains(test::input_error([&] { landmark.decode(); }), "not a finite number"));
}

DetectedFace face_at(float x1, float y1, float x2, float y2, float score) {
  DetectedFace face;
  face.box = {x1, y1, x2, y2};
  face.score = score;
  return face;
}

TEST_CASE("of overlapping faces the one with the largest score stays") {
  // The last pixel counts: [0, 9] has 10 pixels. Ten and ten with five in common: 50 / 150.
  const std::vector<DetectedFace> faces = {face_at(0, 5, 9, 14, 0.7f), face_at(0, 0, 9, 9, 0.9f),
                                           face_at(40, 40, 49, 49, 0.8f)};
  const auto kept = suppress_overlapping(faces, 0.3);
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].score == 0.9f);
  CHECK(kept[1].score == 0.8f);
  CHECK(suppress_overlapping(faces, 1.0 / 3 + 1e-9).size() == 3);
  CHECK(suppress_overlapping(faces, 1.0 / 3 - 1e-9).size() == 2);
}

TEST_CASE("an overlap of exactly the threshold is kept") {
  // Ten pixels and twenty, all ten in common: 0.5.
  CHECK(suppress_overlapping({face_at(0, 0, 9, 0, 0.9f), face_at(0, 0, 19, 0, 0.8f)}, 0.5).size() ==
        2);
  CHECK(suppress_overlapping({face_at(0, 0, 9, 0, 0.9f), face_at(0, 0, 18, 0, 0.8f)}, 0.5).size() ==
        1);
}

TEST_CASE("a face that is dropped drops none itself") {
  const std::vector<DetectedFace> row = {face_at(0, 0, 9, 9, 0.9f), face_at(4, 0, 13, 9, 0.8f),
                                         face_at(8, 0, 17, 9, 0.7f)};
  CHECK(suppress_overlapping(row, 0.4).size() == 2);
}

TEST_CASE("at most 5000 faces are looked at and 750 stay") {
  std::vector<DetectedFace> apart, equal;
  for (int i = 0; i < 1000; ++i) {
    const auto x = static_cast<float>(20 * i);
    apart.push_back(face_at(x, 0, x + 9, 9, static_cast<float>(i) / 1000));
  }
  const auto kept = suppress_overlapping(apart, 0.4);
  REQUIRE(kept.size() == 750);
  CHECK(kept.front().score == 0.999f);
  CHECK(kept.back().score == 0.25f);
  for (int i = 0; i < 5000; ++i) equal.push_back(face_at(0, 0, 9, 9, 0.9f));
  equal.push_back(face_at(100, 0, 109, 9, 0.1f));  // number 5001
  CHECK(suppress_overlapping(equal, 0.4).size() == 1);
}

}  // namespace
}  // namespace verace::apps::face_decoding_test

// Boxes and similarities: overlap counted pixel by pixel, order, Umeyama's general solution.
#include "data/face_geometry.h"

#include <cmath>
#include <limits>

#include "tests/data/crop_goldens.h"

namespace verace::data::testing::face_geometry_test {
namespace {

// Counts the unit squares that boxes with whole corners cover.
double overlap_by_counting(const FaceBox& a, const FaceBox& b) {
  const auto covers = [](const FaceBox& box, int x, int y) {
    return static_cast<float>(x) >= box.x1 && static_cast<float>(x) < box.x2 &&
           static_cast<float>(y) >= box.y1 && static_cast<float>(y) < box.y2;
  };
  int both = 0, either = 0;
  for (int y = -20; y < 40; ++y) {
    for (int x = -20; x < 40; ++x) {
      const bool in_a = covers(a, x, y), in_b = covers(b, x, y);
      both += in_a && in_b ? 1 : 0;
      either += in_a || in_b ? 1 : 0;
    }
  }
  return either == 0 ? 0 : static_cast<double>(both) / either;
}

double squared_distances(const AffineMap& map, const std::vector<ImagePoint>& from,
                         const std::vector<ImagePoint>& to) {
  double sum = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    sum += std::pow(map.xx * from[i].x + map.xy * from[i].y + map.x0 - to[i].x, 2) +
           std::pow(map.yx * from[i].x + map.yy * from[i].y + map.y0 - to[i].y, 2);
  }
  return sum;
}

std::array<double, 6> entries(const AffineMap& m) { return {m.xx, m.xy, m.x0, m.yx, m.yy, m.y0}; }

double difference(const AffineMap& map, const std::array<double, 6>& golden) {
  double most = 0;
  for (size_t i = 0; i < 6; ++i) {
    const double size = std::abs(golden[i]) + 1;
    const double now = std::abs(entries(map)[i] - golden[i]) / size;
    if (!(now <= most)) most = now;  // NaN stays
  }
  return most;
}

}  // namespace

TEST_CASE("overlap: as counted pixel by pixel") {
  const std::vector<FaceBox> boxes = {{0, 0, 10, 10},  {5, 5, 15, 15}, {2, 3, 4, 9},
                                      {10, 0, 20, 10}, {-8, 2, 3, 5},  {30, 30, 39, 39},
                                      {4, 4, 4, 9},    {9, 9, 2, 2}};
  for (const FaceBox& a : boxes) {
    for (const FaceBox& b : boxes) {
      CHECK(intersection_over_union(a, b) == doctest::Approx(overlap_by_counting(a, b)));
    }
  }
  CHECK(area({1, 2, 4, 8}) == 18);
  CHECK(area({4, 2, 1, 8}) == 0);
}

TEST_CASE("the largest face first, then the surest") {
  const auto face = [](float side, float score) {
    DetectedFace result;
    result.box = {0, 0, side, side};
    result.score = score;
    return result;
  };
  std::vector<DetectedFace> faces = {face(3, 0.9F), face(5, 0.6F), face(5, 0.8F), face(4, 0.99F)};
  sort_by_area(faces);
  CHECK(faces[0].score == 0.8F);
  CHECK(faces[1].score == 0.6F);
  CHECK(faces[2].score == 0.99F);
  CHECK(faces[3].score == 0.9F);
}

TEST_CASE("faces that are none: numbers that are not finite, boxes beside the picture") {
  DetectedFace good;
  good.box = {-5, -5, 20, 20};
  CHECK(is_usable(good, 30, 30));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), INFINITY, -INFINITY}) {
    for (int place = 0; place < 7; ++place) {
      DetectedFace face = good;
      float* const places[] = {&face.box.x1,        &face.box.y1, &face.box.x2,
                               &face.box.y2,        &face.score,  &face.landmarks[2].x,
                               &face.landmarks[4].y};
      *places[place] = bad;
      CHECK_FALSE(is_usable(face, 30, 30));
    }
  }
  for (const FaceBox& box : {FaceBox{30, 0, 40, 10}, FaceBox{0, -9, 10, 0}, FaceBox{8, 8, 8, 20},
                             FaceBox{10, 10, 5, 5}, FaceBox{29.5F, 0, 40, 1}}) {
    DetectedFace face = good;
    face.box = box;
    CHECK_FALSE(is_usable(face, 30, 30));
  }
}

TEST_CASE("maps: one after the other, and back") {
  const AffineMap map = translation(3, -7).then({0.5, -2, 1, 2, 0.5, 4}).then(scaling(2, 3));
  const ImagePoint point = {11, 5};
  const ImagePoint there = map(point);
  CHECK(there.x == 2 * (0.5 * 14 - 2 * -2 + 1));
  CHECK(there.y == 3 * (2 * 14 + 0.5 * -2 + 4));
  const ImagePoint again = map.inverse()(there);
  CHECK(again.x == doctest::Approx(11));
  CHECK(again.y == doctest::Approx(5));
  CHECK_THROWS_AS((AffineMap{1, 2, 0, 2, 4, 0}.inverse()), Error);
}

TEST_CASE("the best similarity: Umeyama's, by singular value decomposition in NumPy") {
  int64_t cases = 0;
  for (const Golden& golden : read_goldens("similarity")) {
    ++cases;
    std::vector<ImagePoint> from, to;
    for (size_t i = 0; i < 10; i += 2) from.push_back({golden.real(i), golden.real(i + 1)});
    for (size_t i = 10; i < 20; i += 2) to.push_back({golden.real(i), golden.real(i + 1)});
    std::array<double, 6> matrix = {};
    for (size_t i = 0; i < 6; ++i) matrix[i] = golden.number(20 + i);
    const std::optional<AffineMap> map = fit_similarity(from, to);
    REQUIRE(map.has_value());
    CHECK(difference(*map, matrix) < 1e-9);
    // What a mistake would give is far from it, and no better (a mirroring may be).
    const double least = squared_distances(*map, from, to);
    const AffineMap& m = *map;
    for (const AffineMap& wrong :
         {AffineMap{m.xx, -m.xy, m.x0, -m.yx, m.yy, m.y0},
          AffineMap{m.xx, m.xy, m.x0 + 1, m.yx, m.yy, m.y0}, m.then(scaling(1.01, 1.01))}) {
      CHECK(difference(wrong, matrix) > 1e-4);
      CHECK(squared_distances(wrong, from, to) > least);
    }
    CHECK(difference({m.yx, m.yy, m.y0, m.xx, m.xy, m.x0}, matrix) > 1e-4);
  }
  CHECK(cases == 12);
}

TEST_CASE("the best similarity: none where the points do not say") {
  const std::vector<ImagePoint> one_place(5, ImagePoint{4, 4});
  const std::vector<ImagePoint> apart = {{0, 0}, {2, 0}, {1, 1}, {0, 2}, {2, 2}};
  CHECK_FALSE(fit_similarity(one_place, apart).has_value());
  CHECK_FALSE(fit_similarity(apart, one_place).has_value());
  CHECK(fit_similarity(apart, apart).has_value());
}

TEST_CASE("a face under a map: the smallest upright box around the corners") {
  DetectedFace face;
  face.box = {2, 3, 6, 5};
  face.landmarks[kNose] = {4, 4};
  face.score = 0.75F;
  const DetectedFace turned = mapped(face, {0, -1, 10, 1, 0, 20});  // a quarter: (x, y) -> (-y, x)
  CHECK(turned.box.x1 == 5);
  CHECK(turned.box.x2 == 7);
  CHECK(turned.box.y1 == 22);
  CHECK(turned.box.y2 == 26);
  CHECK(turned.landmarks[kNose].x == 6);
  CHECK(turned.landmarks[kNose].y == 24);
  CHECK(turned.score == 0.75F);
}

}  // namespace verace::data::testing::face_geometry_test

// Crops of faces: equal to Pillow's where Pillow can make them, and landmarks that stay on what
// they mark.
#include "data/face_crop.h"

#include <algorithm>
#include <cmath>

#include "data/face_geometry.h"
#include "data/resample.h"
#include "data/warp.h"
#include "tests/data/crop_goldens.h"

namespace verace::data::testing::face_crop_test {
namespace {

constexpr std::array kKinds = {CropKind::kTight, CropKind::kMargin, CropKind::kSquare,
                               CropKind::kAligned, CropKind::kEyeAngle};

CropOptions options_of(CropKind kind, int64_t size = 224) {
  return {kind, usual_margin(kind), size};
}

// A face about (x, y), `size` pixels wide, its head leaning by `degrees` to the right.
DetectedFace leaning_face(float x, float y, float size, double degrees) {
  const double sine = std::sin(degrees * 0.017453292519943295);
  const double cosine = std::cos(degrees * 0.017453292519943295);
  const auto place = [&](double u, double v) {
    return ImagePoint{static_cast<float>(x + size * (cosine * u - sine * v)),
                      static_cast<float>(y + size * (sine * u + cosine * v))};
  };
  DetectedFace face;
  face.score = 0.9F;
  face.box = {x - 0.5F * size, y - 0.6F * size, x + 0.5F * size, y + 0.6F * size};
  face.landmarks = {place(-0.18, -0.12), place(0.18, -0.12), place(0, 0.05), place(-0.14, 0.22),
                    place(0.14, 0.22)};
  return face;
}

// A spot of light about a place of a black picture; beyond five radii it is less than half a level.
Image spot(int64_t height, int64_t width, const ImagePoint& where, double radius) {
  Image image{height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * 3))};
  const auto first = [radius](float middle) {
    return std::max<int64_t>(0, static_cast<int64_t>(middle - 5 * radius));
  };
  const auto end = [radius](float middle, int64_t size) {
    return std::min(size, static_cast<int64_t>(middle + 5 * radius) + 1);
  };
  for (int64_t y = first(where.y); y < end(where.y, height); ++y) {
    for (int64_t x = first(where.x); x < end(where.x, width); ++x) {
      const double dx = static_cast<double>(x) + 0.5 - where.x,
                   dy = static_cast<double>(y) + 0.5 - where.y;
      const double light = 255 * std::exp(-(dx * dx + dy * dy) / (2 * radius * radius));
      std::fill_n(image.rgb.begin() + (y * width + x) * 3, 3, static_cast<uint8_t>(light + 0.5));
    }
  }
  return image;
}

ImagePoint middle_of_light(const Image& image) {
  double sum = 0, x = 0, y = 0;
  for (int64_t i = 0; i < image.height * image.width; ++i) {
    const double light = image.rgb[static_cast<size_t>(i) * 3];
    sum += light;
    x += light * (static_cast<double>(i % image.width) + 0.5);
    y += light * (static_cast<double>(i / image.width) + 0.5);
  }
  return {static_cast<float>(x / sum), static_cast<float>(y / sum)};
}

double distance(const ImagePoint& a, const ImagePoint& b) {
  return std::hypot(static_cast<double>(a.x) - b.x, static_cast<double>(a.y) - b.y);
}

DetectedFace face_of(const Golden& golden, size_t box, bool landmarks) {
  DetectedFace face;
  face.box = {golden.real(box), golden.real(box + 1), golden.real(box + 2), golden.real(box + 3)};
  for (size_t i = 0; landmarks && i < kFaceLandmarks; ++i) {
    face.landmarks[i] = {golden.real(box + 4 + 2 * i), golden.real(box + 5 + 2 * i)};
  }
  return face;
}

}  // namespace

TEST_CASE("turning equals Pillow in every bit") {
  int64_t cases = 0;
  for (const Golden& golden : read_goldens("rotate")) {
    CAPTURE(golden.fields[0]);
    CAPTURE(golden.fields[1]);
    CAPTURE(golden.fields[2]);
    const Image picture = noise_picture(golden.whole(0), golden.whole(1));
    CHECK(fnv(rotate_nearest(picture, golden.number(2))) == golden.fields[3]);
    ++cases;
  }
  CHECK(cases == 120);
  // The other sense is another picture.
  CHECK(fnv(rotate_nearest(noise_picture(31, 17), 30)) !=
        fnv(rotate_nearest(noise_picture(31, 17), -30)));
}

TEST_CASE("tight and eye-angle crops equal Pillow's in every bit") {
  int64_t cases = 0;
  for (const bool turned : {false, true}) {
    for (const Golden& golden : read_goldens(turned ? "eye_angle" : "tight")) {
      const Image picture = noise_picture(golden.whole(0), golden.whole(1));
      const DetectedFace face = face_of(golden, 2, turned);
      const size_t at = turned ? 16 : 6;
      const CropKind kind = turned ? CropKind::kEyeAngle : CropKind::kTight;
      const FaceCrop crop = crop_face(picture, face, options_of(kind, golden.whole(at)));
      CAPTURE(cases);
      CHECK(fnv(crop.image) == golden.fields[at + 1]);
      ++cases;
    }
  }
  CHECK(cases == 36);
}

TEST_CASE("landmarks stay on what they mark, whatever the crop") {
  for (const CropKind kind : kKinds) {
    for (const double degrees : {0.0, 17.0, -25.0}) {
      // Larger, as large, and smaller than the crop.
      for (const float size : {60.0F, 150.0F, 420.0F}) {
        CAPTURE(kCropNames[static_cast<size_t>(kind)]);
        CAPTURE(degrees);
        CAPTURE(size);
        const auto height = static_cast<int64_t>(size * 2),
                   width = static_cast<int64_t>(size * 2.2);
        const DetectedFace face = leaning_face(size * 1.1F, size * 0.95F, size, degrees);
        for (size_t i = 0; i < kFaceLandmarks; ++i) {
          const Image frame = spot(height, width, face.landmarks[i], size / 40);
          const FaceCrop crop = crop_face(frame, face, options_of(kind, 160));
          const ImagePoint light = middle_of_light(crop.image);
          CHECK(distance(light, crop.face.landmarks[i]) < 0.6);
          // Planted: x and y swapped, a pixel too far, still in pixels of the frame.
          const ImagePoint mark = crop.face.landmarks[i];
          if (std::abs(mark.x - mark.y) > 2) CHECK_FALSE(distance(light, {mark.y, mark.x}) < 0.6);
          CHECK_FALSE(distance(light, {mark.x + 1, mark.y}) < 0.6);
          CHECK_FALSE(distance(light, face.landmarks[i]) < 0.6);
        }
      }
    }
  }
}

TEST_CASE("aligned and eye-angle crops: eyes level, and in the template's places") {
  for (const double degrees : {0.0, 20.0, -35.0}) {
    const DetectedFace face = leaning_face(200, 190, 150, degrees);
    const Image frame = noise_picture(400, 420);
    const auto eyes = [&](CropKind kind) {
      const DetectedFace found = crop_face(frame, face, options_of(kind)).face;
      return std::pair(found.landmarks[kLeftEye], found.landmarks[kRightEye]);
    };
    for (const CropKind kind : {CropKind::kAligned, CropKind::kEyeAngle}) {
      const auto [left, right] = eyes(kind);
      // The template's own eyes differ by 0.2 of 112 pixels.
      CHECK(std::abs(left.y - right.y) < 1.0);
      CHECK(right.x - left.x > 30);
    }
    if (degrees != 0) {
      const auto [left, right] = eyes(CropKind::kTight);
      CHECK(std::abs(left.y - right.y) > 10);
    }
  }
  // A face that is the template, 3 times as large and moved: the crop shows it in its place.
  DetectedFace face;
  face.box = {100, 100, 300, 300};
  const std::array<ImagePoint, 5> arcface = {{{38.2946F, 51.6963F},
                                              {73.5318F, 51.5014F},
                                              {56.0252F, 71.7366F},
                                              {41.5493F, 92.3655F},
                                              {70.7299F, 92.2041F}}};
  for (size_t i = 0; i < 5; ++i) face.landmarks[i] = {arcface[i].x * 3 + 40, arcface[i].y * 3 + 17};
  const Image frame = noise_picture(400, 420);
  for (const double margin : {0.0, 0.3}) {
    const FaceCrop crop = crop_face(frame, face, {CropKind::kAligned, margin, 224});
    for (size_t i = 0; i < 5; ++i) {
      // DeepfakeBench's way: moved by half the margin, then shrunk.
      const double x = (arcface[i].x * 2 + 112 * margin) / (1 + margin);
      const double y = (arcface[i].y * 2 + 112 * margin) / (1 + margin);
      CHECK(crop.face.landmarks[i].x == doctest::Approx(x).epsilon(1e-4));
      CHECK(crop.face.landmarks[i].y == doctest::Approx(y).epsilon(1e-4));
    }
  }
}

TEST_CASE("warp: without turning, what resize() gives; black outside") {
  const Image picture = noise_picture(50, 70);
  for (const double scale : {0.25, 0.5, 1.0, 2.0}) {
    const auto height = static_cast<int64_t>(50 * scale), width = static_cast<int64_t>(70 * scale);
    const double side_y = static_cast<double>(height) / 50,
                 side_x = static_cast<double>(width) / 70;
    if (side_y != side_x) continue;
    const Image warped = warp(picture, scaling(side_x, side_y), height, width);
    const Image expected = resize(picture, height, width, ResizeFilter::kBilinear);
    int most = 0;
    // resize() leaves black out of the mean at the edge; warp() sees it.
    const int64_t edge = 2;
    for (int64_t y = edge; y < height - edge; ++y) {
      for (int64_t x = edge * 3; x < (width - edge) * 3; ++x) {
        const auto at = static_cast<size_t>(y * width * 3 + x);
        most = std::max(most, std::abs(int{warped.rgb[at]} - int{expected.rgb[at]}));
      }
    }
    CHECK(most <= 1);
  }
  const Image white{10, 10, std::vector<uint8_t>(300, 255)};
  const Image moved = warp(white, translation(5, 0), 10, 10);
  CHECK(moved.rgb[0] == 0);
  CHECK(moved.rgb[4 * 3] == 0);
  CHECK(moved.rgb[5 * 3] == 255);
  const Image half = warp(white, translation(4.5, 0), 10, 10);
  CHECK(int{half.rgb[4 * 3]} == 128);
  CHECK(half.rgb[5 * 3] == 255);
}

TEST_CASE("rectangles: whole pixels, margins, clamped, squares shifted into the picture") {
  const Image frame = noise_picture(100, 120);
  const auto is_part = [&](const FaceBox& box, const CropOptions& options, int64_t x, int64_t y,
                           int64_t width, int64_t height) {
    DetectedFace face;
    face.box = box;
    const FaceCrop crop = crop_face(frame, face, options);
    const Image part = cut(frame, x, y, height, width);
    const bool same =
        crop.image.rgb == resize(part, options.size, options.size, ResizeFilter::kBilinear).rgb;
    // The box lies in the crop where it lies in that part.
    const double scale = static_cast<double>(options.size);
    const double left = (box.x1 - static_cast<double>(x)) * scale / static_cast<double>(width);
    const double low = (box.y2 - static_cast<double>(y)) * scale / static_cast<double>(height);
    return same && std::abs(crop.face.box.x1 - left) < 1e-3 &&
           std::abs(crop.face.box.y2 - low) < 1e-3;
  };
  const CropOptions tight = {CropKind::kTight, 0, 32};
  CHECK(is_part({10.9F, 20.2F, 50.9F, 70.1F}, tight, 10, 20, 40, 50));
  CHECK_FALSE(is_part({10.9F, 20.2F, 50.9F, 70.1F}, tight, 11, 20, 40, 50));
  CHECK_FALSE(is_part({10.9F, 20.2F, 50.9F, 70.1F}, tight, 20, 10, 50, 40));
  CHECK(is_part({-7, -9, 500, 600}, tight, 0, 0, 120, 100));
  CHECK(is_part({30.2F, 40.2F, 30.4F, 90}, tight, 30, 40, 1, 50));
  const CropOptions margin = {CropKind::kMargin, 0.25, 32};
  CHECK(is_part({40, 40, 60, 80}, margin, 35, 30, 30, 60));
  CHECK(is_part({2, 40, 22, 80}, margin, 0, 30, 27, 60));
  const CropOptions square = {CropKind::kSquare, 0.5, 32};
  CHECK(is_part({40, 40, 60, 60}, square, 35, 35, 30, 30));
  CHECK(is_part({45, 30, 55, 50}, square, 35, 25, 30, 30));  // the longer side counts
  CHECK(is_part({0, 0, 20, 20}, square, 0, 0, 30, 30));      // shifted
  CHECK(is_part({100, 80, 120, 100}, square, 90, 70, 30, 30));
  CHECK(is_part({10, 10, 82, 82}, square, 0, -4, 108, 108));       // higher than the picture: black
  CHECK(is_part({-90, -90, 300, 300}, square, 0, -10, 120, 120));  // the picture and black
}

TEST_CASE("faces without a crop") {
  const Image frame = noise_picture(100, 120);
  DetectedFace face = leaning_face(60, 50, 40, 0);
  for (const CropKind kind : kKinds) CHECK(can_crop(frame, face, options_of(kind)));
  face.landmarks.fill({50, 50});
  for (const CropKind kind : kKinds) {
    CHECK(can_crop(frame, face, options_of(kind)) == (kind != CropKind::kAligned));
  }
  CHECK_THROWS_AS(crop_face(frame, face, options_of(CropKind::kAligned)), Error);
  face = leaning_face(60, 50, 40, 0);
  face.box = {-1e30F, -1e30F, 1e30F, 1e30F};
  for (const CropKind kind : kKinds) CHECK_FALSE(can_crop(frame, face, options_of(kind)));
  face = leaning_face(400, 50, 40, 0);
  for (const CropKind kind : kKinds) CHECK_FALSE(can_crop(frame, face, options_of(kind)));
  face = leaning_face(60, 50, 40, 0);
  face.box.x1 = std::nanf("");
  for (const CropKind kind : kKinds) CHECK_FALSE(can_crop(frame, face, options_of(kind)));
}

}  // namespace verace::data::testing::face_crop_test

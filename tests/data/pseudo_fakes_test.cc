// Pseudo-fakes: masks, perturbations, and what a fake has in common with its real picture.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "data/faces/dataset.h"
#include "data/pseudo_fakes/pseudo_fake.h"
#include "tests/data/data_support.h"

namespace verace::data::testing::pseudo_fakes_test {
namespace {

constexpr int64_t kSize = 128;

struct Face {
  Image image;
  FaceLandmarks landmarks;
};

Face drawn(int64_t person, int64_t size = kSize) {
  return {faces::draw_face(5, size, person, person, 0).image,
          faces::drawn_landmarks(5, size, person, 0)};
}

// A face that looks straight at the camera: eyes 2 units apart, as far above the mouth.
FaceLandmarks frontal(ImagePoint middle, float unit) {
  const auto at = [&](float u, float v) {
    return ImagePoint{middle.x + unit * u, middle.y + unit * v};
  };
  return {at(-1, -1), at(1, -1), at(0, 0), at(-0.8F, 1), at(0.8F, 1)};
}

double mean_change(const Image& a, const Image& b) {
  REQUIRE(a.rgb.size() == b.rgb.size());
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(int{a.rgb[i]} - int{b.rgb[i]});
  return sum / static_cast<double>(a.rgb.size());
}

std::array<double, 3> mean_colour(const Image& image) {
  std::array<double, 3> sum{};
  for (size_t i = 0; i < image.rgb.size(); ++i) sum[i % 3] += image.rgb[i];
  for (double& s : sum) s /= static_cast<double>(image.rgb.size()) / 3;
  return sum;
}

// Mean square of the differences between neighbours: sharpness.
double roughness(const Image& image) {
  double sum = 0;
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t i = 3; i < image.width * 3; ++i) {
      const auto at = static_cast<size_t>(y * image.width * 3 + i);
      sum += std::pow(int{image.rgb[at]} - int{image.rgb[at - 3]}, 2);
    }
  }
  return sum / static_cast<double>(image.rgb.size());
}

uint64_t hash(const std::vector<uint8_t>& bytes) {
  uint64_t value = 0xCBF29CE484222325U;
  for (const uint8_t b : bytes) value = (value ^ b) * 0x100000001B3U;
  return value;
}

// How many pixels differ where the mask is 0, and where it is not.
std::array<int64_t, 2> differing(const Image& real, const PseudoFake& fake) {
  std::array<int64_t, 2> count{};
  for (int64_t y = 0; y < real.height; ++y) {
    for (int64_t x = 0; x < real.width; ++x) {
      const auto i = static_cast<size_t>((y * real.width + x) * 3);
      const bool same = std::equal(&real.rgb[i], &real.rgb[i] + 3, &fake.image.rgb[i]);
      if (!same) ++count[fake.mask.at(y, x) > 0 ? 1 : 0];
    }
  }
  return count;
}

// The largest step between neighbours of a mask, as a share of the full weight.
double steepest(const FaceMask& mask) {
  int step = 0;
  for (int64_t y = mask.top; y < mask.top + mask.height; ++y) {
    for (int64_t x = mask.left + 1; x < mask.left + mask.width; ++x) {
      step = std::max(step, std::abs(int{mask.at(y, x)} - int{mask.at(y, x - 1)}));
    }
  }
  return static_cast<double>(step) / FaceMask::kFull;
}

// How many of 200 x 200 pixels have another weight.
int64_t unequal(const FaceMask& a, const FaceMask& b) {
  int64_t count = 0;
  for (int64_t i = 0; i < 40000; ++i) count += a.at(i / 200, i % 200) != b.at(i / 200, i % 200);
  return count;
}

int64_t covered(const FaceMask& mask) {
  return std::ranges::count_if(mask.weight, [](uint16_t w) { return w > FaceMask::kFull / 2; });
}

}  // namespace

TEST_CASE("the outline reaches from the brows to the chin, beyond eyes and mouth on both sides") {
  const std::vector<ImagePoint> outline = face_outline(frontal({100, 100}, 30));
  float left = 0, right = 0, top = 0, bottom = 0;
  for (size_t i = 0; i < outline.size(); ++i) {
    const ImagePoint a = outline[i];
    const ImagePoint b = outline[(i + 1) % outline.size()];
    const ImagePoint c = outline[(i + 2) % outline.size()];
    CHECK((b.x - a.x) * (c.y - b.y) - (b.y - a.y) * (c.x - b.x) > 0);  // convex, one direction
    left = std::min(left, a.x);
    right = std::max(right, a.x);
    top = std::min(top, a.y);
    bottom = std::max(bottom, a.y);
  }
  CHECK(left == -right);
  CHECK(right > 1.8F);
  CHECK(right < 2.3F);
  CHECK(top < -1.5F);
  CHECK(top > -2.2F);
  CHECK(bottom > 2.2F);
  CHECK(bottom < 2.8F);
}

TEST_CASE("the outline follows a head that turns: nearer to the eye on the side where it looks") {
  FaceLandmarks turned = frontal({100, 100}, 30);
  turned[kNose].x += 15;  // half a unit to the right
  const auto side = [](const FaceLandmarks& landmarks, float sign) {
    float most = 0;
    for (const ImagePoint& p : face_outline(landmarks)) most = std::max(most, sign * p.x);
    return most;
  };
  const float usual = side(frontal({100, 100}, 30), 1);
  CHECK(side(turned, 1) < usual - 0.3F);
  CHECK(side(turned, -1) > usual + 0.3F);
}

TEST_CASE("landmarks that are no face are told") {
  const FaceLandmarks good = frontal({60, 60}, 20);
  CHECK(std::string(landmark_fault(good)).empty());
  FaceLandmarks eyes = good;
  std::swap(eyes[kLeftEye], eyes[kRightEye]);
  FaceLandmarks mouth = good;
  std::swap(mouth[kLeftMouth], mouth[kRightMouth]);
  FaceLandmarks both = eyes;
  std::swap(both[kLeftMouth], both[kRightMouth]);
  for (const FaceLandmarks& wrong : {eyes, mouth, both}) {
    CHECK(contains(landmark_fault(wrong), "exchanged"));
  }
  FaceLandmarks line = good;
  line[kLeftEye] = {60, 50};
  line[kRightEye] = {60.5F, 50};
  CHECK(contains(landmark_fault(line), "one line"));
  FaceLandmarks broken = good;
  broken[kNose].x = std::nanf("");
  CHECK(contains(landmark_fault(broken), "not finite"));
  const FaceLandmarks point{};
  CHECK(contains(landmark_fault(point), "one line"));
}

TEST_CASE("a mask without deformation is the outline; deformations and blurs change it as told") {
  const FaceLandmarks landmarks = frontal({100, 100}, 25);
  const MaskShape plain;
  const FaceMask mask = draw_mask(200, 200, landmarks, plain);
  CHECK(steepest(mask) == 1.0);
  for (const uint16_t weight : mask.weight) CHECK((weight == 0 || weight == FaceMask::kFull));
  for (const ImagePoint& p : landmarks) {
    CHECK(mask.at(static_cast<int64_t>(p.y), static_cast<int64_t>(p.x)) == FaceMask::kFull);
  }
  // Its area is that of the polygon.
  double area = 0;
  const std::vector<ImagePoint> outline = face_outline(landmarks);
  for (size_t i = 0; i < outline.size(); ++i) {
    const ImagePoint& a = outline[i];
    const ImagePoint& b = outline[(i + 1) % outline.size()];
    area += (a.x * b.y - a.y * b.x) / 2.0 * 25 * 25;
  }
  CHECK(std::abs(static_cast<double>(covered(mask)) / area - 1) < 0.02);

  MaskShape small = plain;
  small.scale = {0.8F, 0.8F};
  const double shrunk = static_cast<double>(covered(draw_mask(200, 200, landmarks, small)));
  CHECK(std::abs(shrunk / area - 0.64) < 0.02);
  MaskShape moved = plain;
  moved.shift = {0.4F, 0};
  CHECK(draw_mask(200, 200, landmarks, moved).at(100, 158) == FaceMask::kFull);
  CHECK(mask.at(100, 158) == 0);
  MaskShape sheared = plain;
  sheared.shear = 0.3F;
  CHECK(covered(draw_mask(200, 200, landmarks, sheared)) > 0);
  CHECK(unequal(draw_mask(200, 200, landmarks, sheared), mask) > 200);
  MaskShape bent = plain;
  for (size_t i = 0; i < bent.bend.size(); i += 2) bent.bend[i] = {0.2F, -0.2F};
  const FaceMask other = draw_mask(200, 200, landmarks, bent);
  CHECK(unequal(other, mask) > 200);
  CHECK(std::abs(static_cast<double>(covered(other)) / area - 1) < 0.25);

  MaskShape soft = plain;
  soft.second_blur = 0.6F;  // 15 pixels
  const FaceMask blurred = draw_mask(200, 200, landmarks, soft);
  CHECK(steepest(blurred) < 0.12);
  CHECK(blurred.at(100, 100) == FaceMask::kFull);
  CHECK(std::abs(static_cast<double>(covered(blurred)) / area - 1) < 0.03);
  MaskShape cut = soft;
  cut.first_blur = 0.6F;
  const FaceMask inner = draw_mask(200, 200, landmarks, cut);
  CHECK(steepest(inner) < 0.12);
  CHECK(static_cast<double>(covered(inner)) < 0.8 * area);
  // What is cut off is what is blurred over: nothing of it passes the hard outline.
  for (int64_t y = 0; y < 200; ++y) {
    for (int64_t x = 0; x < 200; ++x) CHECK((inner.at(y, x) == 0 || mask.at(y, x) > 0));
  }
}

TEST_CASE("a mask turns, grows and moves with the landmarks, and is cut at the picture's border") {
  const FaceLandmarks upright = frontal({100, 100}, 20);
  FaceLandmarks lying = upright;  // turned by a right angle about (100, 100)
  for (ImagePoint& p : lying) p = {100 - (p.y - 100), 100 + (p.x - 100)};
  const FaceMask a = draw_mask(200, 200, upright, {});
  const FaceMask b = draw_mask(200, 200, lying, {});
  int64_t differ = 0;
  for (int64_t y = 0; y < 200; ++y) {
    for (int64_t x = 0; x < 200; ++x) differ += a.at(y, x) != b.at(x, 199 - y) ? 1 : 0;
  }
  CHECK(differ < 20);
  MaskShape soft;
  soft.second_blur = 0.5F;
  const FaceMask corner = draw_mask(200, 200, frontal({2, 2}, 20), soft);
  CHECK(corner.top == 0);
  CHECK(corner.left == 0);
  CHECK(corner.at(0, 0) == FaceMask::kFull);
  CHECK(draw_mask(200, 200, frontal({900, 900}, 20), soft).weight.empty());
  CHECK(draw_mask(200, 200, frontal({100, 100}, 1e6F), {}).weight.size() == 40000);
}

TEST_CASE("drawn masks are soft, of a face's size, and all different") {
  std::set<uint64_t> seen;
  const Face face = drawn(3);
  const double plain = static_cast<double>(covered(draw_mask(kSize, kSize, face.landmarks, {})));
  double sum = 0;
  for (int64_t i = 0; i < 40; ++i) {
    const MaskShape shape = draw_pseudo_fake_recipe(7, i, 0).mask;
    const FaceMask mask = draw_mask(kSize, kSize, face.landmarks, shape);
    CHECK(steepest(mask) < 0.6);
    CHECK(std::ranges::count(mask.weight, FaceMask::kFull) > 0);
    sum += static_cast<double>(covered(mask)) / plain;
    std::vector<uint8_t> bytes;
    for (const uint16_t w : mask.weight) bytes.push_back(static_cast<uint8_t>(w >> 8));
    CHECK(seen.insert(hash(bytes)).second);
  }
  CHECK(sum / 40 > 0.4);
  CHECK(sum / 40 < 1.1);
}

TEST_CASE("a perturbation without effect changes no bit, each of its parts does its own") {
  const Image image = drawn(1).image;
  CHECK(perturb(image, {}).rgb == image.rgb);
  CHECK(misplace(image, {}, {64, 64}, 20).rgb == image.rgb);
  const auto colour = mean_colour(image);

  Perturbation shift;
  shift.rgb_shift = {12, 0, -9};
  const auto shifted = mean_colour(perturb(image, shift));
  CHECK(std::abs(shifted[0] - colour[0] - 12) < 2);
  CHECK(shifted[1] == colour[1]);
  CHECK(std::abs(shifted[2] - colour[2] + 9) < 2);

  Perturbation hue;
  hue.hue = 1.0F / 3;  // red to green, green to blue, blue to red
  const Image turned = perturb(image, hue);
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    for (size_t k = 0; k < 3; ++k) {
      CHECK(std::abs(int{turned.rgb[i + (k + 1) % 3]} - int{image.rgb[i + k]}) <= 1);
    }
  }
  Perturbation whole;
  whole.hue = 1;
  CHECK(mean_change(perturb(image, whole), image) < 0.02);

  Perturbation grey;
  grey.saturation = 0;
  const Image colourless = perturb(image, grey);
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    const uint8_t high = std::max({image.rgb[i], image.rgb[i + 1], image.rgb[i + 2]});
    for (size_t k = 0; k < 3; ++k) CHECK(colourless.rgb[i + k] == high);
  }
  Perturbation dark;
  dark.value = 0.5F;
  Perturbation bright;
  bright.brightness = 10;
  Perturbation flat;
  flat.contrast = 0;
  const auto darker = mean_colour(perturb(image, dark));
  const auto brighter = mean_colour(perturb(image, bright));
  for (size_t k = 0; k < 3; ++k) {
    CHECK(std::abs(darker[k] - colour[k] / 2) < 1);
    CHECK(std::abs(brighter[k] - colour[k] - 10) < 1);
    CHECK(mean_colour(perturb(image, flat))[k] == 128);
  }

  Perturbation sharp;
  sharp.sharpen = 0.8F;
  CHECK(roughness(perturb(image, sharp)) > 1.3 * roughness(image));
  Perturbation blurred;
  blurred.blur = 1;
  Perturbation twice;
  twice.blur = 2;
  CHECK(roughness(perturb(image, blurred)) < 0.8 * roughness(image));
  CHECK(roughness(perturb(image, twice)) < roughness(perturb(image, blurred)));
  Perturbation coarse;
  coarse.shrink = 2.5F;
  CHECK(roughness(perturb(image, coarse)) < 0.8 * roughness(image));
  CHECK(perturb(image, coarse).width == image.width);
  Perturbation jpeg;
  jpeg.jpeg_quality = 60;
  const double loss = mean_change(perturb(image, jpeg), image);
  CHECK(loss > 0.5);
  CHECK(loss < 6);
  for (const Perturbation& p : {sharp, blurred, coarse, jpeg}) {
    const auto mean = mean_colour(perturb(image, p));
    for (size_t k = 0; k < 3; ++k) CHECK(std::abs(mean[k] - colour[k]) < 1);
  }
}

TEST_CASE("misplacing moves, scales and turns about the centre") {
  Image image{41, 41, std::vector<uint8_t>(41 * 41 * 3, 0)};
  const auto mark = [](Image& picture, int64_t y, int64_t x) {
    for (int64_t k = 0; k < 3; ++k) picture.rgb[static_cast<size_t>((y * 41 + x) * 3 + k)] = 255;
  };
  const auto brightest = [](const Image& picture) {
    const auto i = std::ranges::max_element(picture.rgb) - picture.rgb.begin();
    return std::pair(i / 3 / 41, i / 3 % 41);
  };
  mark(image, 20, 30);
  const ImagePoint centre{20.5F, 20.5F};
  CHECK(brightest(misplace(image, {1, 1, 0, 0.5F, -0.25F}, centre, 8)) == std::pair(18L, 34L));
  CHECK(brightest(misplace(image, {1.5F, 1, 0, 0, 0}, centre, 8)) == std::pair(20L, 35L));
  CHECK(brightest(misplace(image, {1, 1.5F, 0, 0, 0}, centre, 8)) == std::pair(20L, 30L));
  // A positive turn is clockwise on the screen (y is down).
  CHECK(brightest(misplace(image, {1, 1, 0.3F, 0, 0}, centre, 8)) == std::pair(23L, 30L));
}

TEST_CASE("outside of the mask a fake is the real picture in every bit, inside it is not") {
  for (int64_t person = 0; person < 12; ++person) {
    const Face face = drawn(person);
    const PseudoFake fake = draw_pseudo_fake(face.image, face.landmarks, 1, person, 0, "face");
    const auto [outside, inside] = differing(face.image, fake);
    CHECK(outside == 0);
    CHECK(inside > 300);
    CHECK(fake.change >= kLeastChange);
    CHECK(fake.change < 60);
    CHECK(fake.image.rgb.size() == face.image.rgb.size());
  }
}

TEST_CASE("the blend ratio is that of the recipe; without a perturbation a fake is the real one") {
  const Face face = drawn(4);
  PseudoFakeRecipe recipe;
  recipe.mask.second_blur = 0.4F;
  for (int quarters = 1; quarters <= 4; ++quarters) {
    recipe.quarters = quarters;
    const PseudoFake same = make_pseudo_fake(face.image, face.landmarks, recipe);
    CHECK(same.image.rgb == face.image.rgb);
    CHECK(same.change == 0);
  }
  recipe.misplacement.shift_x = 0.2F;
  CHECK(make_pseudo_fake(face.image, face.landmarks, recipe).change > 0.5F);
  recipe.misplacement = {};
  recipe.perturbation.brightness = 40;
  for (int quarters = 1; quarters <= 4; ++quarters) {
    recipe.quarters = quarters;
    const PseudoFake fake = make_pseudo_fake(face.image, face.landmarks, recipe);
    const FaceMask& mask = fake.mask;
    for (int64_t y = 0; y < kSize; ++y) {
      for (int64_t x = 0; x < kSize; ++x) {
        const auto i = static_cast<size_t>((y * kSize + x) * 3);
        const double source = std::min(255, int{face.image.rgb[i]} + 40);
        const double share = quarters / 4.0 * mask.at(y, x) / FaceMask::kFull;
        const double expected = face.image.rgb[i] + (source - face.image.rgb[i]) * share;
        CHECK(std::abs(fake.image.rgb[i] - expected) <= 0.5 + 1e-9);
      }
    }
  }
}

TEST_CASE("recipes: by seed, sample, epoch and attempt alone; ratios as in the paper") {
  const Face face = drawn(2);
  const auto fake = [&](uint64_t seed, int64_t sample, int64_t epoch) {
    return draw_pseudo_fake(face.image, face.landmarks, seed, sample, epoch, "face").image.rgb;
  };
  CHECK(fake(1, 2, 3) == fake(1, 2, 3));
  CHECK(fake(1, 2, 3) != fake(2, 2, 3));
  CHECK(fake(1, 2, 3) != fake(1, 3, 3));
  CHECK(fake(1, 2, 3) != fake(1, 2, 4));
  CHECK(draw_pseudo_fake_recipe(1, 2, 3, 0).mask.bend[0].x !=
        draw_pseudo_fake_recipe(1, 2, 3, 1).mask.bend[0].x);
  // The same on every machine and after every change that does not mean to change it.
  PseudoFakeRecipe without_jpeg = draw_pseudo_fake_recipe(1, 4, 0);
  without_jpeg.perturbation.jpeg_quality = 0;  // not another library's bits
  CHECK(hash(make_pseudo_fake(face.image, face.landmarks, without_jpeg).image.rgb) ==
        2359490722106390683U);

  std::map<int, int64_t> ratios;
  int64_t sharper = 0, blurred = 0, shrunk = 0, compressed = 0, shifted = 0;
  constexpr int64_t kCount = 3000;
  for (int64_t i = 0; i < kCount; ++i) {
    const PseudoFakeRecipe recipe = draw_pseudo_fake_recipe(11, i, 0);
    const Perturbation& p = recipe.perturbation;
    ++ratios[recipe.quarters];
    sharper += p.sharpen > 0 ? 1 : 0;
    blurred += p.blur > 0 ? 1 : 0;
    shrunk += p.shrink > 1 ? 1 : 0;
    compressed += p.jpeg_quality > 0 ? 1 : 0;
    shifted += p.rgb_shift != std::array<int, 3>{} ? 1 : 0;
    CHECK(recipe.misplacement != Misplacement{});
    CHECK(recipe.mask.second_blur > 0);
  }
  CHECK(sharper + blurred + shrunk == kCount);  // one of them
  const auto near = [](int64_t count, double share) {
    return std::abs(static_cast<double>(count) / kCount - share) < 0.04;
  };
  for (int quarters = 1; quarters <= 3; ++quarters) CHECK(near(ratios[quarters], 1.0 / 6));
  CHECK(near(ratios[4], 0.5));
  CHECK(near(sharper, 1.0 / 3));
  CHECK(near(blurred, 1.0 / 3));
  CHECK(near(compressed, 0.5));
  CHECK(near(shifted, 0.3));
}

TEST_CASE("pictures of which no fake can be made are refused by name") {
  const Image flat{64, 64, std::vector<uint8_t>(size_t{64} * 64 * 3, 0)};
  Face face = drawn(0);
  CHECK(contains(input_error([&] {
                   draw_pseudo_fake(face.image, frontal({500, 500}, 10), 1, 0, 0, "far.png");
                 }),
                 "far.png: no pseudo-fake"));
  CHECK(contains(input_error([&] {
                   draw_pseudo_fake(face.image, frontal({60, 60}, 0.5F), 1, 0, 0, "tiny.png");
                 }),
                 "too small"));
  std::swap(face.landmarks[kLeftEye], face.landmarks[kRightEye]);
  CHECK(contains(
      input_error([&] { draw_pseudo_fake(face.image, face.landmarks, 1, 0, 0, "swapped.png"); }),
      "left and right"));
}

TEST_CASE("the smallest pictures and the largest faces do no harm") {
  for (const int64_t side : {1, 2, 7, 8, 9}) {
    const Image image = smooth_image(side, side + 1);
    for (int64_t i = 0; i < 20; ++i) {
      const PseudoFake fake =
          make_pseudo_fake(image, frontal({3, 3}, 2), draw_pseudo_fake_recipe(3, i, 0));
      CHECK(differing(image, fake)[0] == 0);
    }
  }
  const Image image = smooth_image(40, 60);
  const PseudoFake fake =
      make_pseudo_fake(image, frontal({30, 20}, 1e5F), draw_pseudo_fake_recipe(3, 1, 0));
  CHECK(differing(image, fake)[1] > 0);
}

}  // namespace verace::data::testing::pseudo_fakes_test

// Draws recipes, changes the part of the picture round the mask, and blends in whole numbers.
#include "data/pseudo_fakes/pseudo_fake.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

constexpr uint8_t kRecipeStream = 0xDA;
constexpr int64_t kAttempts = 16;

// A part of a picture.
struct Part {
  int64_t top, left, height, width;
};

// The mask and what perturbations and misplacements reach beyond it.
Part surroundings(const Image& picture, const FaceMask& mask, float unit) {
  const int64_t margin = 8 + static_cast<int64_t>(std::min(unit, 4096.0F) * 0.5F);
  const int64_t top = std::max<int64_t>(0, mask.top - margin);
  const int64_t left = std::max<int64_t>(0, mask.left - margin);
  return {top, left, std::min(picture.height, mask.top + mask.height + margin) - top,
          std::min(picture.width, mask.left + mask.width + margin) - left};
}

Image cut_out(const Image& picture, const Part& part) {
  Image image{part.height, part.width, {}};
  image.rgb.reserve(static_cast<size_t>(part.height * part.width * 3));
  for (int64_t y = 0; y < part.height; ++y) {
    const auto row = picture.rgb.begin() + ((part.top + y) * picture.width + part.left) * 3;
    image.rgb.insert(image.rgb.end(), row, row + part.width * 3);
  }
  return image;
}

// Blends `source`, which lies at `part`, into the picture; the weighted mean of the changes.
float blend(Image& picture, const Image& source, const Part& part, const FaceMask& mask,
            int quarters) {
  constexpr int64_t kWhole = int64_t{4} * FaceMask::kFull;
  int64_t changes = 0;
  int64_t weights = 0;
  for (int64_t y = 0; y < mask.height; ++y) {
    for (int64_t x = 0; x < mask.width; ++x) {
      const int64_t weight = mask.weight[static_cast<size_t>(y * mask.width + x)];
      if (weight == 0) continue;
      uint8_t* target =
          &picture.rgb[static_cast<size_t>(((mask.top + y) * picture.width + mask.left + x) * 3)];
      const uint8_t* other = &source.rgb[static_cast<size_t>(
          ((mask.top + y - part.top) * part.width + mask.left + x - part.left) * 3)];
      for (int k = 0; k < 3; ++k) {
        // Rounded to the nearest; the sum is never negative.
        const int64_t mixed = target[k] * kWhole + (other[k] - target[k]) * weight * quarters;
        const auto value = static_cast<uint8_t>((mixed + kWhole / 2) / kWhole);
        changes += std::abs(value - target[k]) * weight;
        target[k] = value;
      }
      weights += 3 * weight;
    }
  }
  return weights > 0 ? static_cast<float>(changes) / static_cast<float>(weights) : 0.0F;
}

// Whether a mask is more than a few pixels of the picture.
bool is_worth_blending(const FaceMask& mask) {
  constexpr int64_t kFewPixels = 64;
  return std::ranges::count_if(mask.weight, [](uint16_t w) { return w >= FaceMask::kFull / 2; }) >=
         kFewPixels;
}

}  // namespace

PseudoFakeRecipe draw_pseudo_fake_recipe(uint64_t seed, int64_t sample, int64_t epoch,
                                         int64_t attempt) {
  VERACE_CHECK(sample >= 0 && sample < int64_t{1} << 32);
  VERACE_CHECK(epoch >= 0 && epoch < int64_t{1} << 20);
  VERACE_CHECK(attempt >= 0 && attempt < kAttempts);
  Draws draws(engine::Philox(seed, stream_of(kRecipeStream, attempt << 52 | epoch << 32 | sample)));
  PseudoFakeRecipe recipe;
  recipe.mask = draw_mask_shape(draws);
  recipe.perturbation = draw_perturbation(draws);
  recipe.misplacement = draw_misplacement(draws);
  // The paper's 0.25, 0.5, 0.75, 1, 1, 1.
  recipe.quarters = std::min(4, 1 + static_cast<int>(draws.between(0, 6)));
  return recipe;
}

PseudoFake make_pseudo_fake(const Image& real, const FaceLandmarks& landmarks,
                            const PseudoFakeRecipe& recipe) {
  VERACE_CHECK(recipe.quarters >= 1 && recipe.quarters <= 4);
  PseudoFake fake{real, draw_mask(real.height, real.width, landmarks, recipe.mask), 0};
  if (fake.mask.weight.empty()) return fake;
  const FaceFrame frame = face_frame(landmarks);
  const float unit = std::sqrt(frame.area());
  const Part part = surroundings(real, fake.mask, unit);
  const ImagePoint centre =
      frame.middle - ImagePoint{static_cast<float>(part.left), static_cast<float>(part.top)};
  const Image source = misplace(perturb(cut_out(real, part), recipe.perturbation),
                                recipe.misplacement, centre, unit);
  fake.change = blend(fake.image, source, part, fake.mask, recipe.quarters);
  return fake;
}

PseudoFake draw_pseudo_fake(const Image& real, const FaceLandmarks& landmarks, uint64_t seed,
                            int64_t sample, int64_t epoch, const std::string& name_for_errors) {
  if (const char* fault = landmark_fault(landmarks); *fault != '\0') {
    fail_input(text::format("{}: its landmarks {}: no pseudo-fake can be made of it",
                            name_for_errors, fault));
  }
  for (int64_t attempt = 0; attempt < kAttempts; ++attempt) {
    PseudoFake fake =
        make_pseudo_fake(real, landmarks, draw_pseudo_fake_recipe(seed, sample, epoch, attempt));
    if (!is_worth_blending(fake.mask)) continue;
    if (fake.change >= kLeastChange) return fake;
  }
  fail_input(
      text::format("{}: no pseudo-fake can be made of it: the face is too small or outside "
                   "of the picture, or the picture has one colour",
                   name_for_errors));
}

}  // namespace verace::data

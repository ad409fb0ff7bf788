// Tiles on a grey ground.
#include "apps/lib/fakes_sheet.h"

#include <algorithm>

#include "data/resample.h"

namespace verace::apps {
namespace {

constexpr int64_t kTripleTile = 144;
constexpr int64_t kSheetGap = 4;
constexpr int64_t kTriplesInRow = 3;
constexpr uint8_t kTripleGround = 128;

// The square round a mask, half as wide again, as large as the picture allows.
struct Square {
  int64_t top, left, side;
};

Square square_round(const data::Image& picture, const data::FaceMask& mask) {
  const int64_t side =
      std::min({std::max(mask.width, mask.height) * 5 / 4, picture.width, picture.height});
  const auto place = [side](int64_t first, int64_t extent, int64_t limit) {
    return std::clamp<int64_t>(first + (extent - side) / 2, 0, limit - side);
  };
  return {place(mask.top, mask.height, picture.height), place(mask.left, mask.width, picture.width),
          side};
}

template <typename Colour>
data::Image tile(const Square& square, Colour colour) {
  data::Image image{square.side, square.side, {}};
  for (int64_t y = 0; y < square.side; ++y) {
    for (int64_t x = 0; x < square.side; ++x) {
      for (int64_t k = 0; k < 3; ++k) {
        image.rgb.push_back(colour(square.top + y, square.left + x, k));
      }
    }
  }
  return data::resize(image, kTripleTile, kTripleTile, data::ResizeFilter::kBilinear);
}

}  // namespace

void FakesSheet::add(const data::Image& real, const data::PseudoFake& fake) {
  if (full()) return;
  const Square square = square_round(real, fake.mask);
  const auto of = [](const data::Image& picture) {
    return [&picture](int64_t y, int64_t x, int64_t k) {
      return picture.rgb[static_cast<size_t>((y * picture.width + x) * 3 + k)];
    };
  };
  tiles_.push_back(tile(square, of(real)));
  tiles_.push_back(tile(square, [&fake](int64_t y, int64_t x, int64_t) {
    return static_cast<uint8_t>(fake.mask.at(y, x) >> 8);
  }));
  tiles_.push_back(tile(square, of(fake.image)));
}

data::Image FakesSheet::image() const {
  const auto triples = static_cast<int64_t>(tiles_.size() / 3);
  const int64_t columns = std::min(triples, kTriplesInRow);
  const int64_t rows = (triples + kTriplesInRow - 1) / kTriplesInRow;
  // Tiles of a triple touch each other.
  data::Image sheet{rows * (kTripleTile + kSheetGap) + kSheetGap,
                    columns * (3 * kTripleTile + kSheetGap) + kSheetGap,
                    {}};
  sheet.rgb.assign(static_cast<size_t>(sheet.height * sheet.width * 3), kTripleGround);
  for (size_t i = 0; i < tiles_.size(); ++i) {
    const auto triple = static_cast<int64_t>(i / 3);
    const int64_t top = kSheetGap + triple / kTriplesInRow * (kTripleTile + kSheetGap);
    const int64_t left = kSheetGap + triple % kTriplesInRow * (3 * kTripleTile + kSheetGap) +
                         static_cast<int64_t>(i % 3) * kTripleTile;
    for (int64_t y = 0; y < kTripleTile; ++y) {
      std::copy_n(tiles_[i].rgb.begin() + y * kTripleTile * 3, kTripleTile * 3,
                  sheet.rgb.begin() + ((top + y) * sheet.width + left) * 3);
    }
  }
  return sheet;
}

}  // namespace verace::apps

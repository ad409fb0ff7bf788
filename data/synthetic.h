// Drawn pictures with two independent properties: data for tests.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "data/image.h"

namespace verace::data {

enum class Shape : int32_t { kDisc = 0, kSquare = 1 };
enum class Texture : int32_t { kStripes = 0, kChecker = 1 };

// A size x size picture: on a noisy colour gradient a disc or a (turned) square of equal area,
// filled with stripes or a checker pattern. Place, size, angles and colours depend on (seed, index)
// alone, so that neither property can be guessed from anything else. Equal on every machine. size:
// at least 16 pixels.
Image render_shape(uint64_t seed, int64_t index, int64_t size, Shape shape, Texture texture);

struct SyntheticOptions {
  uint64_t seed = 1;
  int64_t size = 64;                                       // pixels
  std::array<int64_t, 3> pictures_per_class{200, 50, 50};  // train, val, test; 0: no such folder
  // false: real = stripes, fake = checker. true: real = disc, fake = square. The other property is
  // distributed evenly inside of each class (exactly if the number is even).
  bool label_by_shape = false;
  // Only this shape, with labels by texture; empty: both. Not with label_by_shape.
  std::optional<Shape> only_shape = {};
};

// Writes DIR/{train,val,test}/{real,fake}/NUMBER.png as load_dataset() reads it. No picture occurs
// twice. `directory` is made if needed and must be empty. Throws Error(kInput) otherwise, and where
// writing fails.
void write_synthetic_dataset(const std::filesystem::path& directory,
                             const SyntheticOptions& options);

}  // namespace verace::data

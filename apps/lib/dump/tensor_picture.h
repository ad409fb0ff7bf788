// Tensors as pictures: a grid with one tile per channel or filter, in grey or in two colours.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/image.h"
#include "engine/tensor.h"

namespace verace::apps {

// kGrey: black is the smallest value shown, white the largest. kDiverging: white is 0, full blue
// -limit, full red +limit, with limit = the largest magnitude shown. Either way yellow is NaN or
// infinite.
enum class Colours { kGrey, kDiverging };

// What the elements of a tensor stand for, which decides what becomes a tile.
enum class Layout {
  kBatch,    // [n, h, w, c]: one tile h x w for each channel of the first picture, row by row;
             // [n, c]: one row of cells for each picture
  kWeights,  // [k, r, s, c]: one tile r x s for each filter k (rows) and input channel c (columns);
             // [out, in]: one row of cells for each output; [c]: cells, row by row
};

struct TensorPicture {
  data::Image image;
  double low = 0, high = 0;  // the values of black and white, or of full blue and full red
  std::string shown;         // for people: "picture 0, all 64 channels, 8 to a row"
};

// Large tensors are shown in part: at most 4096 tiles of a batch, 64 filters and 64 channels of a
// filter bank, 256 x 512 cells of a matrix. Small tiles are enlarged. CHECK: rank 1, 2 or 4, not
// empty.
TensorPicture draw_tensor(const engine::Shape& shape, std::span<const float> values, Layout layout,
                          Colours colours);

// Bytes of the picture as a PNG file, of noise (which no packer makes smaller): hardly ever more.
int64_t picture_bytes_at_most(const engine::Shape& shape, Layout layout);

}  // namespace verace::apps

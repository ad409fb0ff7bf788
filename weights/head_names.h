// Finding the dense layers behind a backbone, whatever they are called.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "weights/tensor_table.h"

namespace verace::weights {

// A tensor that is no known layer's: where it is, its layer's name in the file, and what it is
// there ("weight" or "bias"; others are ignored).
struct DenseTensor {
  TensorView* tensor;
  std::string layer;
  std::string kind;
};

// The names that `candidates` get: of one dense layer (a weight [out, in] and a bias [out]) "fc.",
// of two "fc.0." and "fc.2.". `table` is translated already but for them. Nothing where the head is
// known already, where the layers do not lead on from the backbone's channels one after the other,
// or where there are more than two.
std::vector<std::pair<TensorView*, std::string>> find_head(const TensorTable& table,
                                                           std::span<const DenseTensor> candidates);

}  // namespace verace::weights

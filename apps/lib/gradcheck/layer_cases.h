// The checks of single layers: every kind of layer, in every mode that it has.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/lib/gradcheck/workbench.h"

namespace verace::apps {

struct LayerCase {
  std::string group;  // what --layer calls it
  std::function<Subject(const CheckContext&)> make;
};

// conv (1x1 to 7x7, strides, padding), batch_norm (statistics of the batch; running ones; frozen,
// with either; folded into the convolution), residual (a value that forks, and the addition),
// dense, leaky_relu, max_pool (padded, ceil mode), average_pool, normalise (pixels to input),
// softmax_cross_entropy.
std::vector<LayerCase> layer_cases();

}  // namespace verace::apps

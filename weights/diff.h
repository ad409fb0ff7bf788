// What training has changed: two weight files of the same network, layer by layer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weights/model_description.h"
#include "weights/weight_file.h"

namespace verace::weights {

// Of one layer, or one of the two parts of a batch norm. All sums in double precision.
struct LayerChange {
  std::string layer;  // "layer1.0.conv1"
  std::string part;   // "weights" (filters and biases), "gamma, beta", "statistics"
  int64_t values = 0;
  // Bit for bit; +0 and -0 are equal, and so is no NaN.
  bool unchanged = false;
  double relative = 0;     // |B - A| / |A| in the Euclidean norm; NaN where A is 0 and B is not
  double largest = 0;      // of one value
  double cosine = 0;       // of the angle between A and B; NaN where one of them is 0
  int64_t not_finite = 0;  // pairs with a NaN or infinity, left out of the figures
  std::string replaced;    // "[1000, 2048] -> [3000, 2048]": another shape, no figures
};

// A property of the network that the files state (or leave to assumption) differently.
struct SettingChange {
  std::string what, before, after;
};

struct Difference {
  std::vector<SettingChange> settings;
  std::vector<LayerChange> layers;  // in forward order
  LayerChange backbone;             // all of its filters, biases, gammas and betas as one vector
};

// Compares what the networks compute with: biases of convolutions (Keras) count as part of the
// running means, in which load_model() keeps them. Heads may differ in shape; they are shown as
// replaced. Throws Error(kInput) naming both files when the backbones are different networks, or
// what check_against() throws for either.
Difference compare(const WeightFile& a, const ModelDescription& network_a, const WeightFile& b,
                   const ModelDescription& network_b);

// For people: a line per changed part, runs of unchanged layers folded into one line.
std::string diff_table(const WeightFile& a, const WeightFile& b, const Difference& difference);

// For programs: before, after, settings [...], layers [...] (all of them), backbone {...};
// undefined figures are null.
std::string diff_json(const WeightFile& a, const WeightFile& b, const Difference& difference);

}  // namespace verace::weights

// The whole classifier in double precision: its loss as a function of pictures and parameters.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "apps/lib/gradcheck/exact.h"
#include "layers/classifier.h"

namespace verace::apps::exact {

// Which batch norms use their batch's statistics; all others use running ones.
using UsesBatch = std::function<bool(const std::string& batch_norm)>;

class Network {
 public:
  // A value by name: "pictures" [n, s, s, 3] in [0, 1], or a parameter of the layer table
  // ("layer1.0.conv1.weight").
  using Lookup = std::function<const Values&(const std::string&)>;

  // Wired from the options by He et al. 2016 (arXiv 1512.03385), table 1 and figure 5 right, apart
  // from layers/resnet50.cc; v1 and v1.5 differ in the place of the stride 2.
  Network(const layers::ClassifierOptions& options, int64_t n, UsesBatch uses_batch);

  // logits [n, classes].
  Values logits(const Lookup& at, Decisions& decisions) const;

 private:
  struct Map {  // activations with their shape
    kernels::Nhwc shape;
    Values values;
  };
  Map conv_bn(const Lookup& at, const std::string& conv, const std::string& bn, const Map& x,
              int64_t stride) const;
  Map block(const Lookup& at, const std::string& prefix, const Map& x, int64_t stride,
            Decisions& decisions) const;

  layers::ClassifierOptions options_;
  int64_t n_;
  UsesBatch uses_batch_;
};

}  // namespace verace::apps::exact

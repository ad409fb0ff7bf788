// An optimiser of a few numbers, whose checkpoints are small.
#pragma once

#include <utility>

#include "engine/layer_table.h"
#include "optim/adam.h"

namespace verace::test {

// Parameters of every rank that a network's have, with the optimiser of 16-bit training.
struct SmallOptimiser {
  engine::LayerTable table = small_table();
  optim::Adam adam{table, {.loss_scale = kernels::LossScaleRule{}}};

  static engine::LayerTable small_table() {
    engine::LayerTable table;
    engine::Layer convolution, dense;
    convolution.name = "conv";
    engine::LayerTable::add_parameter(convolution, "weight", {2, 1, 1, 3});
    dense.name = "fc";
    engine::LayerTable::add_parameter(dense, "weight", {2, 2});
    engine::LayerTable::add_parameter(dense, "bias", {2});
    table.add(std::move(convolution));
    table.add(std::move(dense));
    return table;
  }
};

}  // namespace verace::test

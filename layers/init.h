// Initial weights, from counter-based random numbers: equal for one seed on every machine and
// device.
#pragma once

#include <cstdint>

#include "engine/layer_table.h"

namespace verace::layers {

// kKeras: Glorot uniform U(+-sqrt(6 / (fan_in + fan_out))) (Glorot & Bengio 2010, eq. 16), biases
// 0. kPyTorch: convolutions normal with variance 2 / fan_out (He et al. 2015, arXiv 1502.01852, eq.
// 14; torchvision), dense layers and their biases U(+-1/sqrt(fan_in)).
enum class Initialisation { kKeras, kPyTorch };

// Overwrites the layer's weight and bias; batch norms get gamma 1, beta 0, mean 0, variance 1. The
// numbers depend on the seed and the layer's name only.
void initialise(engine::Layer& layer, Initialisation how, uint64_t seed);

}  // namespace verace::layers

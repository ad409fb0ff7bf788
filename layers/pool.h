// Pooling layers: the stem's max pool and the final global mean. They have no parameters.
#pragma once

#include "engine/network_options.h"
#include "engine/step.h"

namespace verace::layers {

// The stem's 3x3 max pool with stride 2: x [n, h, w, c] -> [n, p, q, c].
engine::Value append_max_pool(engine::StepBuilder& builder, engine::Value x, engine::PoolMode mode);

// Mean over height and width: x [n, h, w, c] -> [n, c].
engine::Value append_global_average_pool(engine::StepBuilder& builder, engine::Value x);

}  // namespace verace::layers

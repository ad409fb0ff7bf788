// Pooling layers: the stem's max pool and the final global mean; and the way from 16-bit storage to
// the fp32 of the head. They have no parameters. Outputs are stored in the type of x.
#pragma once

#include <string>

#include "engine/network_options.h"
#include "engine/step.h"

namespace verace::layers {

// The stem's 3x3 max pool with stride 2: x [n, h, w, c] -> [n, p, q, c].
engine::Value append_max_pool(engine::StepBuilder& builder, engine::Value x, engine::PoolMode mode);

// Mean over height and width: x [n, h, w, c] -> [n, c].
engine::Value append_global_average_pool(engine::StepBuilder& builder, engine::Value x);

// x, the output of `layer`, in fp32, and its gradient back in the type of x; x itself where that is
// fp32.
engine::Value append_to_f32(engine::StepBuilder& builder, const std::string& layer,
                            engine::Value x);

}  // namespace verace::layers

// Whether a cuDNN graph describes the convolution that was meant: from its JSON, by rules of its
// own.
#pragma once

#include <string>

#include "kernels/cudnn/conv_graph.h"

namespace verace::test {

// What is wrong with the graph, as text; empty when nothing is. Sizes and strides are counted here,
// not taken from kernels/: an output exists where the filter lies inside the padded input, a stride
// is the number of elements that stand between two neighbours in memory.
std::string graph_errors(const std::string& json, const kernels::cudnn::ConvSpec& meant);

}  // namespace verace::test

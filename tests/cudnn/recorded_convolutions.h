// Which convolutions a network asks for, written down while it is planned.
//
// The list comes from the layers themselves: recorded_convolutions.cc stands in, at link time, for
// the reference device's convolutions, so every plan that a step asks for comes by here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/network_options.h"
#include "kernels/cudnn/conv_graph.h"

namespace verace::test {

struct NetworkShape {
  engine::Variant variant = engine::Variant::kV15;
  int64_t input_size = 224;
  int64_t stem_channels = 64;
};

struct RecordedConvolution {
  kernels::cudnn::ConvPass pass = kernels::cudnn::ConvPass::kForward;
  kernels::ConvGeometry g;  // of one picture
  kernels::ConvPostOps post;
  std::vector<std::string> steps;  // that ask for it: "inference", "training --freeze stages:2"
};

// A step, and each convolution that it asks for, in order.
struct RecordedStep {
  std::string name;
  std::vector<RecordedConvolution> convolutions;
};

// Every step of the network, of one picture: inference, attack, recalibration, and training with
// every form of --freeze and every length of it.
std::vector<RecordedStep> recorded_steps(const NetworkShape& shape);

// The different convolutions of these steps.
std::vector<RecordedConvolution> distinct(const std::vector<RecordedStep>& steps);

}  // namespace verace::test

// Describes a convolution in cudnn-frontend's terms. Included by conv_graph.cc alone, after
// cudnn-frontend.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cudnn/conv_graph.h"

namespace verace::kernels::cudnn {

namespace fe = cudnn_frontend;
using Attributes = std::shared_ptr<fe::graph::Tensor_attributes>;
using Dimensions = std::vector<int64_t>;

// cuDNN's dimensions are logical, n, c, h, w, whatever the layout; ours is n, h, w, c.
inline Dimensions nchw(const Nhwc& t) { return {t.n, t.c, t.h, t.w}; }

inline Dimensions channels_last(const Dimensions& d) {
  return {d[1] * d[2] * d[3], 1, d[1] * d[3], d[1]};
}

inline fe::DataType_t data_type(StorageType type) {
  switch (type) {
    case StorageType::kHalf:
      return fe::DataType_t::HALF;
    case StorageType::kBFloat16:
      return fe::DataType_t::BFLOAT16;
    case StorageType::kFloat:
      break;
  }
  return fe::DataType_t::FLOAT;
}

// Adds the operations of one convolution to a graph.
class Writer {
 public:
  Writer(fe::graph::Graph& graph, const ConvSpec& spec) : graph_(graph), spec_(spec) {}

  void write() {
    switch (spec_.pass) {
      case ConvPass::kForward:
        return forward();
      case ConvPass::kBackwardData: {
        const Attributes dx = graph_.conv_dgrad(
            y(), w(), geometry(fe::graph::Conv_dgrad_attributes().set_name("convolution")));
        return output(dx, "dx", ConvTensor::kX, nchw(spec_.g.x));
      }
      case ConvPass::kBackwardFilter: {
        const Attributes dw = graph_.conv_wgrad(
            y(), x(), geometry(fe::graph::Conv_wgrad_attributes().set_name("convolution")));
        return output(dw, "dw", ConvTensor::kW, filter());
      }
    }
  }

 private:
  Dimensions filter() const { return {spec_.g.k, spec_.g.x.c, spec_.g.r, spec_.g.s}; }

  Attributes tensor(const char* name, ConvTensor id, const Dimensions& d, fe::DataType_t type) {
    return graph_.tensor(fe::graph::Tensor_attributes()
                             .set_name(name)
                             .set_uid(static_cast<int64_t>(id))
                             .set_dim(d)
                             .set_stride(channels_last(d))
                             .set_data_type(type));
  }
  Attributes x() { return tensor("x", ConvTensor::kX, nchw(spec_.g.x), data_type(spec_.type)); }
  Attributes w() { return tensor("w", ConvTensor::kW, filter(), data_type(spec_.type)); }
  Attributes y() {
    const bool gradient = spec_.pass != ConvPass::kForward;
    return tensor(gradient ? "dy" : "y", ConvTensor::kY, nchw(spec_.g.y()), data_type(spec_.type));
  }

  template <typename ConvAttributes>
  ConvAttributes geometry(ConvAttributes a) const {
    const ConvGeometry& g = spec_.g;
    return a.set_padding({g.pad_h, g.pad_w})
        .set_stride({g.stride_h, g.stride_w})
        .set_dilation({1, 1});
  }

  void output(const Attributes& t, const char* name, ConvTensor id, const Dimensions& d) {
    t->set_name(name)
        .set_uid(static_cast<int64_t>(id))
        .set_output(true)
        .set_dim(d)
        .set_stride(channels_last(d))
        .set_data_type(data_type(spec_.type));
  }

  void forward() {
    Attributes y = graph_.conv_fprop(
        x(), w(), geometry(fe::graph::Conv_fprop_attributes().set_name("convolution")));
    const auto plus = [&](const Attributes& other, const char* name) {
      y = graph_.pointwise(
          y, other,
          fe::graph::Pointwise_attributes().set_name(name).set_mode(fe::PointwiseMode_t::ADD));
    };
    const Dimensions outputs = nchw(spec_.g.y());
    if (spec_.post.bias) {
      plus(tensor("b", ConvTensor::kBias, {1, spec_.g.k, 1, 1}, fe::DataType_t::FLOAT), "bias");
    }
    if (spec_.post.add) {
      plus(tensor("a", ConvTensor::kAdd, outputs, data_type(spec_.type)), "addition");
    }
    if (spec_.post.relu) {
      auto relu = fe::graph::Pointwise_attributes().set_name("relu").set_mode(
          fe::PointwiseMode_t::RELU_FWD);
      if (spec_.post.slope != 0.0f) relu.set_relu_lower_clip_slope(spec_.post.slope);
      y = graph_.pointwise(y, relu);
    }
    output(y, "y", ConvTensor::kY, outputs);
  }

  fe::graph::Graph& graph_;
  const ConvSpec& spec_;
};

}  // namespace verace::kernels::cudnn

// The differences between oneDNN 2.x and 3.x, in one place: how convolutions are described.
//
// 2.x builds an operation descriptor first and a primitive descriptor from it; 3.x builds the
// primitive descriptor at once. Everything else that we use is spelled alike in both, except ReLU.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>

namespace verace::kernels::onednn {

// What a convolution is told; the format tag `any` leaves a layout to the library.
struct ConvDescs {
  dnnl::memory::desc x, w, bias, y;  // bias: the empty descriptor if there is none
  dnnl::memory::dims stride, pad;
};

using ForwardDesc = dnnl::convolution_forward::primitive_desc;
using BackwardDataDesc = dnnl::convolution_backward_data::primitive_desc;
using BackwardFilterDesc = dnnl::convolution_backward_weights::primitive_desc;

inline constexpr auto kDirect = dnnl::algorithm::convolution_direct;

// The library's first implementation whose name starts with `name`; its first one if none does.
// In 2.x next_impl() reads what the maker was given, so that must still be alive here.
template <typename Make>
auto choose_implementation(Make&& make, std::string_view name) {
  auto desc = make();
  while (!std::string_view(desc.impl_info_str()).starts_with(name)) {
    if (!desc.next_impl()) return make();
  }
  return desc;
}

inline ForwardDesc forward_desc(const dnnl::engine& engine, const ConvDescs& d,
                                dnnl::prop_kind kind, const dnnl::primitive_attr& attr,
                                std::string_view implementation = {}) {
#if DNNL_VERSION_MAJOR >= 3
  const auto make = [&] {
    return ForwardDesc(engine, kind, kDirect, d.x, d.w, d.bias, d.y, d.stride, d.pad, d.pad, attr);
  };
#else
  const dnnl::convolution_forward::desc op(kind, kDirect, d.x, d.w, d.bias, d.y, d.stride, d.pad,
                                           d.pad);
  const auto make = [&] { return ForwardDesc(op, attr, engine); };
#endif
  return choose_implementation(make, implementation);
}

// The backward descriptors want a forward one of the same convolution as a hint.
inline ForwardDesc hint_desc(const dnnl::engine& engine, ConvDescs d) {
  d.bias = {};
  return forward_desc(engine, d, dnnl::prop_kind::forward_training, {});
}

inline BackwardDataDesc backward_data_desc(const dnnl::engine& engine, const ConvDescs& d,
                                           const dnnl::primitive_attr& attr) {
  const ForwardDesc hint = hint_desc(engine, d);
#if DNNL_VERSION_MAJOR >= 3
  return {engine, kDirect, d.x, d.w, d.y, d.stride, d.pad, d.pad, hint, attr};
#else
  return {{kDirect, d.x, d.w, d.y, d.stride, d.pad, d.pad}, attr, engine, hint};
#endif
}

inline BackwardFilterDesc backward_filter_desc(const dnnl::engine& engine, const ConvDescs& d,
                                               const dnnl::primitive_attr& attr) {
  const ForwardDesc hint = hint_desc(engine, d);
#if DNNL_VERSION_MAJOR >= 3
  return {engine, kDirect, d.x, d.w, d.y, d.stride, d.pad, d.pad, hint, attr};
#else
  return {{kDirect, d.x, d.w, d.y, d.stride, d.pad, d.pad}, attr, engine, hint};
#endif
}

// slope 0: ReLU.
inline void append_relu(dnnl::post_ops& ops, float slope) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(dnnl::algorithm::eltwise_relu, slope, 0.0f);
#else
  ops.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, slope, 0.0f);
#endif
}

}  // namespace verace::kernels::onednn

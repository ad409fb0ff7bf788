// The convolution of an unfolded convolution and batch norm: forward, and its two gradients.
#include "engine/precision.h"
#include "engine/with_storage.h"
#include "kernels/check.h"
#include "kernels/conv2d.h"
#include "layers/conv_bn_forward.h"

namespace verace::layers {

using engine::StepBuilder;
using engine::StepMemory;
using engine::Value;

namespace {

// The values of one convolution, for its operation.
struct Operands {
  std::string name;  // the layer's
  Value from, to;
  std::optional<Value> scratch;
};

template <typename T>
void append_forward(StepBuilder& b, std::shared_ptr<kernels::ConvForwardOf<T>> plan,
                    const PackedFilter& packed, const Operands& o, int64_t flops) {
  std::vector<Value> reads = {o.from}, writes = {o.to};
  packed.add_to(reads);
  if (o.scratch) writes.push_back(*o.scratch);
  b.add({o.name + " forward", "conv forward", reads, writes, flops,
         [plan, packed, o](const StepMemory& m) {
           plan->run({.x = m.as<T>(o.from),
                      .packed = packed.get<T>(m),
                      .y = m.as<T>(o.to),
                      .scratch = m.as<std::byte>(o.scratch)});
         }});
}

template <typename T>
void append_backward_data(StepBuilder& b, std::shared_ptr<kernels::ConvBackwardDataOf<T>> plan,
                          const PackedFilter& packed, const Operands& o, int64_t flops) {
  std::vector<Value> reads = {o.from}, writes = {o.to};
  packed.add_to(reads);
  if (o.scratch) writes.push_back(*o.scratch);
  b.add(
      {o.name + " backward data", "conv backward data", reads, writes, flops,
       [plan, packed, o](const StepMemory& m) {
         plan->run({m.as<T>(o.from), packed.get<T>(m), m.as<T>(o.to), m.as<std::byte>(o.scratch)});
       }});
}

template <typename T>
void append_backward_filter(StepBuilder& b, const kernels::ConvGeometry& g,
                            engine::Parameter& weight, const std::string& name, Value x, Value dz) {
  std::shared_ptr<kernels::ConvBackwardFilterOf<T>> plan =
      kernels::plan_conv_backward_filter<T>(b.exec(), g);
  const auto scratch = b.scratch(name + " filter scratch", plan->scratch_bytes());
  std::vector<Value> writes;
  if (scratch) writes.push_back(*scratch);
  b.add({name + " backward filter",
         "conv backward filter",
         {x, dz},
         writes,
         g.flops(),
         [plan, x, dz, scratch, &weight](const StepMemory& m) {
           plan->run({m.as<T>(x), m.as<T>(dz), weight.gradient.as<T>(),
                      kernels::GradMode::kOverwrite, m.as<std::byte>(scratch)});
         },
         {&weight.gradient}});
}

}  // namespace

void ConvBn::append_convolution(StepBuilder& b, Forward& f) const {
  const kernels::ConvGeometry g = geometry(b, f.in.x);
  const std::string& name = spec_.conv_name;
  engine::with_storage(b.info(f.in.x).dtype, [&]<typename T>(T) {
    std::shared_ptr<kernels::ConvForwardOf<T>> plan = kernels::plan_conv_forward<T>(b.exec(), g);
    f.packed = append_packing<T>(b, plan, conv_->parameter("weight").value, f.train_conv,
                                 name + " packed");
    f.z = b.temporary(name + " z", engine::dtype_of<T>(), {g.x.n, g.p(), g.q(), g.k});
    const auto scratch = b.scratch(name + " scratch", plan->scratch_bytes());
    append_forward<T>(b, plan, f.packed, {name, f.in.x, f.z, scratch}, g.flops());
  });
}

void ConvBn::append_convolution_backward(StepBuilder& b, const Forward& f, Value dz) const {
  const Value x = f.in.x;
  const kernels::ConvGeometry g = geometry(b, x);
  const std::string& name = spec_.conv_name;
  engine::Parameter& weight = conv_->parameter("weight");
  engine::with_storage(b.info(x).dtype, [&]<typename T>(T) {
    if (f.train_conv) append_backward_filter<T>(b, g, weight, name, x, dz);
    if (!b.needs_gradient(x)) return;
    std::shared_ptr<kernels::ConvBackwardDataOf<T>> plan =
        kernels::plan_conv_backward_data<T>(b.exec(), g);
    const bool shared = f.packed.keeps_layout && plan->keeps_layout();
    const PackedFilter packed =
        shared ? f.packed
               : append_packing<T>(b, plan, weight.value, f.train_conv, name + " packed for data");
    const Value dx = b.temporary(name + " dx", engine::dtype_of<T>(), b.info(x).shape);
    const auto scratch = b.scratch(name + " data scratch", plan->scratch_bytes());
    append_backward_data<T>(b, plan, packed, {name, dz, dx, scratch}, g.flops());
    b.add_gradient(x, dx);
  });
}

}  // namespace verace::layers

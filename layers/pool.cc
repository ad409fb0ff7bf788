// Pooling layers: operations of the forward and the backward pass.
#include "layers/pool.h"

#include "kernels/check.h"
#include "kernels/pool.h"

namespace verace::layers {

using engine::DType;
using engine::StepBuilder;
using engine::StepMemory;
using engine::Value;

namespace {

kernels::Nhwc nhwc(const StepBuilder& b, Value x) {
  const engine::Shape& s = b.info(x).shape;
  VERACE_CHECK(s.size() == 4);
  return {s[0], s[1], s[2], s[3]};
}

void append_max_pool_backward(StepBuilder& b, const kernels::PoolGeometry& g, Value x, Value y,
                              Value winner) {
  const std::vector<Value> dy = b.gradients(y);
  if (dy.empty()) return;
  const Value dx = b.temporary("maxpool dx", DType::kF32, b.info(x).shape);
  std::vector<Value> reads = dy;
  reads.push_back(winner);
  b.add({"maxpool backward",
         "max pool backward",
         reads,
         {dx},
         0,
         [exec = b.exec(), g, dy, winner, dx](const StepMemory& m) {
           kernels::max_pool_backward(
               exec,
               {g, m.f32(dy[0]), dy.size() == 2 ? m.f32(dy[1]) : nullptr, m.u8(winner), m.f32(dx)});
         }});
  b.add_gradient(x, dx);
}

}  // namespace

Value append_max_pool(StepBuilder& b, Value x, engine::PoolMode mode) {
  const bool ceil = mode == engine::PoolMode::kCeil;
  const int64_t pad = ceil ? 0 : 1;
  const kernels::PoolGeometry g{nhwc(b, x), 3, 3, 2, 2, pad, pad, ceil};
  const engine::Shape shape = {g.x.n, g.p(), g.q(), g.x.c};
  const Value y = b.temporary("maxpool output", DType::kF32, shape);
  std::optional<Value> winner;
  std::vector<Value> writes = {y};
  if (b.needs_gradient(x)) {
    winner = b.temporary("maxpool winner", DType::kU8, shape);
    b.set_role(*winner, engine::ValueRole::kAuxiliary);
    writes.push_back(*winner);
    b.set_needs_gradient(y);
    b.on_backward([&b, g, x, y, winner] { append_max_pool_backward(b, g, x, y, *winner); });
  }
  b.add(
      {"maxpool forward",
       "max pool forward",
       {x},
       writes,
       0,
       [exec = b.exec(), g, x, y, winner](const StepMemory& m) {
         kernels::max_pool_forward(exec, {g, m.f32(x), m.f32(y), winner ? m.u8(*winner) : nullptr});
       }});
  return y;
}

Value append_global_average_pool(StepBuilder& b, Value x) {
  const kernels::Nhwc shape = nhwc(b, x);
  const Value y = b.temporary("avgpool output", DType::kF32, {shape.n, shape.c});
  b.add({"avgpool forward",
         "average pool forward",
         {x},
         {y},
         0,
         [exec = b.exec(), shape, x, y](const StepMemory& m) {
           kernels::global_average_pool_forward(exec, {shape, m.f32(x), m.f32(y)});
         }});
  if (b.needs_gradient(x)) {
    b.set_needs_gradient(y);
    b.on_backward([&b, shape, x, y] {
      const std::vector<Value> dy = b.gradients(y);
      if (dy.empty()) return;
      VERACE_CHECK(dy.size() == 1, "the mean's output does not fork");
      const Value dx = b.temporary("avgpool dx", DType::kF32, b.info(x).shape);
      b.add({"avgpool backward",
             "average pool backward",
             dy,
             {dx},
             0,
             [exec = b.exec(), shape, dy, dx](const StepMemory& m) {
               kernels::global_average_pool_backward(exec, {shape, m.f32(dy[0]), m.f32(dx)});
             }});
      b.add_gradient(x, dx);
    });
  }
  return y;
}

}  // namespace verace::layers

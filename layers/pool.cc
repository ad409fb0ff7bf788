// Pooling layers and the cast behind them: operations of the forward and the backward pass.
#include "layers/pool.h"

#include <type_traits>

#include "engine/precision.h"
#include "engine/with_storage.h"
#include "kernels/cast.h"
#include "kernels/check.h"
#include "kernels/pool.h"
#include "layers/nhwc.h"

namespace verace::layers {

using engine::DType;
using engine::StepBuilder;
using engine::StepMemory;
using engine::Value;

namespace {

template <typename T>
void append_max_pool_backward(StepBuilder& b, const kernels::PoolGeometry& g, Value x, Value y,
                              Value winner) {
  const std::vector<Value> dy = b.gradients(y);
  if (dy.empty()) return;
  const Value dx = b.temporary("maxpool dx", engine::dtype_of<T>(), b.info(x).shape);
  std::vector<Value> reads = dy;
  reads.push_back(winner);
  b.add({"maxpool backward",
         "max pool backward",
         reads,
         {dx},
         0,
         [exec = b.exec(), g, dy, winner, dx](const StepMemory& m) {
           const T* second = dy.size() == 2 ? m.as<T>(dy[1]) : nullptr;
           kernels::max_pool_backward<T>(exec,
                                         {g, m.as<T>(dy[0]), second, m.u8(winner), m.as<T>(dx)});
         }});
  b.add_gradient(x, dx);
}

template <typename T>
Value append_max_pool_of(StepBuilder& b, Value x, engine::PoolMode mode) {
  const bool ceil = mode == engine::PoolMode::kCeil;
  const int64_t pad = ceil ? 0 : 1;
  const kernels::PoolGeometry g{nhwc(b, x), 3, 3, 2, 2, pad, pad, ceil};
  const engine::Shape shape = {g.x.n, g.p(), g.q(), g.x.c};
  const Value y = b.temporary("maxpool output", engine::dtype_of<T>(), shape);
  std::optional<Value> winner;
  std::vector<Value> writes = {y};
  if (b.needs_gradient(x)) {
    winner = b.temporary("maxpool winner", DType::kU8, shape);
    b.set_role(*winner, engine::ValueRole::kAuxiliary);
    writes.push_back(*winner);
    b.set_needs_gradient(y);
    b.on_backward([&b, g, x, y, winner] { append_max_pool_backward<T>(b, g, x, y, *winner); });
  }
  b.add({"maxpool forward",
         "max pool forward",
         {x},
         writes,
         0,
         [exec = b.exec(), g, x, y, winner](const StepMemory& m) {
           kernels::max_pool_forward<T>(
               exec, {g, m.as<T>(x), m.as<T>(y), winner ? m.u8(*winner) : nullptr});
         }});
  return y;
}

template <typename T>
void append_average_pool_backward(StepBuilder& b, const kernels::Nhwc& shape, Value x, Value y) {
  const std::vector<Value> dy = b.gradients(y);
  if (dy.empty()) return;
  VERACE_CHECK(dy.size() == 1, "the mean's output does not fork");
  const Value dx = b.temporary("avgpool dx", engine::dtype_of<T>(), b.info(x).shape);
  b.add({"avgpool backward",
         "average pool backward",
         dy,
         {dx},
         0,
         [exec = b.exec(), shape, dy, dx](const StepMemory& m) {
           kernels::global_average_pool_backward<T>(exec, {shape, m.as<T>(dy[0]), m.as<T>(dx)});
         }});
  b.add_gradient(x, dx);
}

template <typename T>
Value append_average_pool_of(StepBuilder& b, Value x) {
  const kernels::Nhwc shape = nhwc(b, x);
  const Value y = b.temporary("avgpool output", engine::dtype_of<T>(), {shape.n, shape.c});
  b.add({"avgpool forward",
         "average pool forward",
         {x},
         {y},
         0,
         [exec = b.exec(), shape, x, y](const StepMemory& m) {
           kernels::global_average_pool_forward<T>(exec, {shape, m.as<T>(x), m.as<T>(y)});
         }});
  if (b.needs_gradient(x)) {
    b.set_needs_gradient(y);
    b.on_backward([&b, shape, x, y] { append_average_pool_backward<T>(b, shape, x, y); });
  }
  return y;
}

// to = from, in another storage type.
template <typename From, typename To>
void append_conversion(StepBuilder& b, const std::string& name, Value from, Value to) {
  b.add({name,
         "cast",
         {from},
         {to},
         0,
         [exec = b.exec(), from, to,
          count = engine::element_count(b.info(from).shape)](const StepMemory& m) {
           kernels::cast<From, To>(exec, {count, m.as<From>(from), m.as<To>(to)});
         }});
}

template <typename T>
Value append_to_f32_of(StepBuilder& b, const std::string& layer, Value x) {
  const Value y = b.temporary(b.info(x).name + " in fp32", DType::kF32, b.info(x).shape);
  append_conversion<T, float>(b, layer + " cast", x, y);
  if (!b.needs_gradient(x)) return y;
  b.set_needs_gradient(y);
  b.on_backward([&b, layer, x, y] {
    const std::vector<Value> dy = b.gradients(y);
    if (dy.empty()) return;
    VERACE_CHECK(dy.size() == 1, "what is cast does not fork");
    const Value dx = b.temporary(layer + " cast dx", engine::dtype_of<T>(), b.info(x).shape);
    append_conversion<float, T>(b, layer + " cast backward", dy[0], dx);
    b.add_gradient(x, dx);
  });
  return y;
}

}  // namespace

Value append_max_pool(StepBuilder& b, Value x, engine::PoolMode mode) {
  return engine::with_storage(b.info(x).dtype,
                              [&]<typename T>(T) { return append_max_pool_of<T>(b, x, mode); });
}

Value append_global_average_pool(StepBuilder& b, Value x) {
  return engine::with_storage(b.info(x).dtype,
                              [&]<typename T>(T) { return append_average_pool_of<T>(b, x); });
}

Value append_to_f32(StepBuilder& b, const std::string& layer, Value x) {
  return engine::with_storage(b.info(x).dtype, [&]<typename T>(T) {
    if constexpr (std::is_same_v<T, float>) {
      return x;
    } else {
      return append_to_f32_of<T>(b, layer, x);
    }
  });
}

}  // namespace verace::layers

// What this device does at best: memory by the laboratory's copies, arithmetic by large products.
#include <fstream>
#include <random>
#include <type_traits>
#include <utility>

#include "bench/kernels/laboratory/device_report.h"
#include "bench/model/roofline.h"
#include "bench/model/timing.h"
#include "engine/transfer.h"
#include "engine/with_storage.h"
#include "kernels/cast.h"
#include "kernels/conv2d.h"
#include "kernels/format.h"
#include "kernels/gemm.h"
#include "weights/atomic_file.h"

namespace verace::bench {
namespace {

constexpr int kCopies = 30;
constexpr double kSeconds = 0.2;  // per product
constexpr size_t kRuns = 5;

// Not zeros: with those the device draws less power, and is faster.
engine::Tensor random_tensor(int64_t count, const kernels::Exec& exec) {
  std::minstd_rand random(7);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> block(size_t{1} << 16);
  for (float& value : block) value = uniform(random);
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = block[i % block.size()];
  engine::Tensor tensor("random", engine::DType::kF32, {count}, engine::memory_of(exec));
  engine::write(tensor, values);
  return tensor;
}

double rate(const kernels::Exec& exec, double flops, const std::function<void()>& run) {
  return flops /
         summary(measure(exec, run, kernels::cuda_is_emulated ? 0 : kSeconds, kRuns)).median * 1e3;
}

engine::Tensor empty_tensor(engine::DType dtype, int64_t count, const kernels::Exec& exec) {
  return {"rates", dtype, {count}, engine::memory_of(exec)};
}

// In the storage type of `dtype`.
double convolution_rate(const kernels::Exec& exec, engine::DType dtype,
                        const kernels::ConvGeometry& g) {
  return engine::with_storage(dtype, [&](auto type) {
    using T = decltype(type);
    const auto plan = kernels::plan_conv_forward<T>(exec, g);
    const engine::Tensor w = random_tensor(g.filter_count(), exec);
    engine::Tensor x = random_tensor(g.x.count(), exec);
    if constexpr (!std::is_same_v<T, float>) {
      engine::Tensor rounded = empty_tensor(dtype, g.x.count(), exec);
      const kernels::CastOf<float, T> cast{g.x.count(), x.f32(), rounded.template as<T>()};
      kernels::cast(exec, cast);
      engine::wait(exec);
      x = std::move(rounded);
    }
    const engine::Tensor packed = empty_tensor(dtype, plan->packed_count(), exec);
    const engine::Tensor y = empty_tensor(dtype, g.y().count(), exec);
    const engine::Buffer scratch(plan->scratch_bytes(), y.memory());
    plan->pack(w.f32(), packed.template as<T>());
    return rate(exec, static_cast<double>(g.flops()), [&] {
      plan->run({.x = x.template as<T>(),
                 .packed = packed.template as<T>(),
                 .y = y.template as<T>(),
                 .scratch = scratch.data()});
    });
  });
}

double product_rate(const kernels::Exec& exec, int64_t size) {
  const auto plan = kernels::plan_gemm(exec, {.m = size, .n = size, .k = size});
  const engine::Tensor a = random_tensor(size * size, exec), b = random_tensor(size * size, exec);
  const engine::Tensor c("c", engine::DType::kF32, {size, size}, a.memory());
  const engine::Buffer scratch(plan->scratch_bytes(), a.memory());
  return rate(exec, 2.0 * static_cast<double>(size * size * size), [&] {
    plan->run({.a = a.f32(), .b = b.f32(), .c = c.f32(), .scratch = scratch.data()});
  });
}

nlohmann::json read_json(const std::string& file) {
  std::ifstream stream(file);
  if (!stream) return nlohmann::json::object();
  try {
    return nlohmann::json::parse(stream);
  } catch (const nlohmann::json::exception& error) {
    fail_input(text::format("--rates {}: {}: delete it", file, error.what()));
  }
}

}  // namespace

Rates rates_of(const World& world, const std::string& file) {
  if (file.empty()) return measure_rates(world);
  nlohmann::json known = read_json(file);
  nlohmann::json& mine = known[std::string(engine::to_string(world.options.precision))];
  if (mine.is_null()) {
    mine = to_json(measure_rates(world));
    weights::write_file_atomically(file, known.dump(1) + "\n");
  }
  return {mine.at("bytes_per_second"), mine.at("flops_per_second"), mine.at("flops_by"),
          mine.at("empty_launch_us")};
}

Rates measure_rates(const World& world) {
  const bool emulated = kernels::cuda_is_emulated;
  const engine::DType dtype = engine::storage_of(world.options.precision);
  Rates rates;
  {
    laboratory::Stopwatch stopwatch(emulated ? 2 : kCopies);
    const laboratory::Roofline memory = laboratory::measure_roofline(stopwatch);
    rates.bytes = memory.best() * 1e9;
    rates.empty_launch_us = memory.empty.median;
  }
  const auto take = [&](const std::string& what, double flops) {
    if (flops <= rates.flops) return;
    rates.flops = flops;
    rates.flops_by = what;
  };
  const int64_t n = emulated ? 1 : 64, side = emulated ? 4 : 56, c = emulated ? 8 : 256;
  kernels::ConvGeometry g{.x = {n, side, side, c}, .k = c, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  take(text::format("3x3 convolution of {} x {} x {} x {}", n, side, side, c),
       convolution_rate(world.exec, dtype, g));
  const int64_t wide = emulated ? 16 : 2048;
  g = {.x = {n / 2 + n % 2, side, side, wide}, .k = wide};
  take(text::format("1x1 convolution of {} x {} x {} x {}", g.x.n, side, side, wide),
       convolution_rate(world.exec, dtype, g));
  if (dtype != engine::DType::kF32) return rates;
  const int64_t size = emulated ? 32 : 8192;
  take(text::format("matrix product of {}^3", size), product_rate(world.exec, size));
  return rates;
}

}  // namespace verace::bench

// Staged inputs: every run sees its own, in order, though copies and runs overlap.
#include "engine/staging.h"

#include <doctest/doctest.h>

#include <numeric>

#include "kernels/activation.h"
#include "kernels/check.h"
#include "tests/support/devices.h"
#include "tests/support/stream.h"

namespace verace::engine::staging_test {
namespace {

#if VERACE_HAVE_CUDA

// A step that adds its two inputs of 1000 numbers.
struct Adding {
  Step step;
  Value a, b, sum;

  explicit Adding(const kernels::Exec& exec) {
    StepBuilder builder(exec);
    a = builder.input("a", DType::kF32, {1000});
    b = builder.input("b", DType::kF32, {1000});
    sum = builder.temporary("sum", DType::kF32, {1000});
    builder.keep(sum);
    builder.add({"add", "add", {a, b}, {sum}, 0, [exec, x = a, y = b, z = sum](const auto& m) {
                   kernels::add<float>(exec, {1000, m.f32(x), m.f32(y), false, m.f32(z)});
                 }});
    step = std::move(builder).plan(std::make_shared<Arena>());
  }
};

std::vector<float> numbers(float first) {
  std::vector<float> values(1000);
  std::iota(values.begin(), values.end(), first);
  return values;
}

std::span<const std::byte> bytes(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

kernels::Exec on_stream(const test::DeviceStream& stream) {
  kernels::Exec exec{kernels::DeviceKind::kCuda, 1};
  exec.stream = stream.get();
  return exec;
}

TEST_CASE("each run works on the inputs that were staged for it") {
  test::note_skipped_devices();
  if (!test::cuda_is_present()) return;
  test::for_each_schedule({kernels::DeviceKind::kCuda, 1}, [] {
    const test::DeviceStream stream;
    const Adding adding(on_stream(stream));
    Staging staging(adding.step.exec(), {4000, 4000});
    const std::vector<Value> values = {adding.a, adding.b};
    const auto stage = [&](int run) {
      std::vector<float> a = numbers(static_cast<float>(run)),
                         b = numbers(1000.0f * static_cast<float>(run));
      staging.stage(std::vector{bytes(a), bytes(b)});
      std::ranges::fill(a, -1.0f);  // the caller's again
      std::ranges::fill(b, -1.0f);
    };
    constexpr int kRuns = 7;
    const Tensor zero("zero", DType::kF32, {1000}, MemoryKind::kDevice);
    std::vector<Tensor> sums;
    for (int run = 0; run < kRuns; ++run) {
      sums.emplace_back("sum", DType::kF32, Shape{1000}, MemoryKind::kDevice);
    }
    stage(0);
    for (int run = 0; run < kRuns; ++run) {
      CHECK(staging.staged());
      staging.deliver(adding.step, values);
      CHECK_FALSE(staging.staged());
      adding.step.run();
      // Nobody waits for the run: the next inputs are staged while it may not even have begun.
      const kernels::Exec& exec = adding.step.exec();
      const float* sum = adding.step.memory().f32(adding.sum);
      kernels::add<float>(exec,
                          {1000, sum, zero.f32(), false, sums[static_cast<size_t>(run)].f32()});
      stage(run + 1);
    }
    for (int run = 0; run < kRuns; ++run) {
      const std::vector<float> sum = read(sums[static_cast<size_t>(run)]);
      const float first = 1001.0f * static_cast<float>(run);
      CHECK(sum[0] == first);
      CHECK(sum[999] == first + 1998.0f);
    }
  });
}

TEST_CASE("staging refuses what it was not made for") {
  if (!test::cuda_is_present()) return;
  const test::DeviceStream stream;
  const Adding adding(on_stream(stream));
  Staging staging(adding.step.exec(), {4000, 4000});
  const std::vector<Value> values = {adding.a, adding.b};
  const std::vector<float> full(1000), half(500);
  CHECK_THROWS_AS(staging.deliver(adding.step, values), Error);  // nothing is staged
  CHECK_THROWS_AS(staging.stage(std::vector{bytes(full)}), Error);
  CHECK_THROWS_AS(staging.stage(std::vector{bytes(full), bytes(half)}), Error);
  staging.stage(std::vector{bytes(full), bytes(full)});
  CHECK_THROWS_AS(staging.stage(std::vector{bytes(full), bytes(full)}), Error);
  const test::DeviceStream other;
  const Adding elsewhere(on_stream(other));
  CHECK_THROWS_AS(staging.deliver(elsewhere.step, values), Error);
  CHECK_THROWS_AS(Staging(kernels::Exec{}, {4}), Error);
}

#else
TEST_CASE("staging") { test::note_skipped_devices(); }
#endif

}  // namespace
}  // namespace verace::engine::staging_test

// Figures of whole steps: names of cases, the work of operations and their bounds, percentiles.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "bench/model/cases.h"
#include "bench/model/roofline.h"
#include "bench/model/timing.h"
#include "kernels/check.h"
#if VERACE_EMULATED
#include "kernels/simt/emulator/library_call.h"
#include "kernels/simt/emulator/runtime.h"
#endif

namespace verace::bench::step_figures_test {
namespace {

using engine::DType;
using engine::StepMemory;
using engine::Value;

const Cost& cost_of(const std::vector<Cost>& all, const std::string& name) {
  const auto found = std::ranges::find_if(all, [&](const Cost& cost) { return cost.name == name; });
  REQUIRE(found != all.end());
  return *found;
}

TEST_CASE("names of cases") {
  CHECK(parse_case("infer1").n == 1);
  CHECK(parse_case("fgsm256").kind == "fgsm");
  CHECK(parse_case("train64_keras15").freeze == "keras:15");
  CHECK(parse_case("train2_stages3").freeze == "stages:3");
  CHECK(parse_case("train2_none").freeze == "none");
  for (const char* wrong : {"", "infer", "infer0", "infer-1", "infer5000", "infer1_none", "train64",
                            "train64_keras", "fgsm1x", "sgemm2"}) {
    CHECK_THROWS_AS(parse_case(wrong), Error);
  }
}

// x [4] -> a -> y [4]: scratch that nobody else sees costs nothing, what is handed on costs both
// who writes and who reads it.
TEST_CASE("an operation's bytes are what others see of it, and its weights") {
  engine::LayerTable table;
  engine::Layer layer;
  layer.name = "fc.0";
  engine::Layer& fc = table.add(std::move(layer));
  table.add_parameter(fc, "weight", {3, 4});
  const auto nothing = [](const StepMemory&) {};
  engine::StepBuilder b(kernels::Exec{});
  const Value x = b.input("x", DType::kF32, {4});
  const Value between = b.temporary("between", DType::kF32, {3});
  const Value scratch = *b.scratch("scratch", 1000);
  const Value y = b.temporary("y", DType::kU8, {4});
  b.keep(y);
  b.add({"fc.0 forward", "dense forward", {x}, {between, scratch}, 24, nothing});
  b.add({"other", "other", {between, x}, {y}, 0, nothing});
  const engine::Step step = std::move(b).plan(std::make_shared<engine::Arena>());
  const std::vector<Cost> all = costs(step, table);
  REQUIRE(all.size() == 2);
  CHECK(all[0].bytes == 4 * 4 + 3 * 4 + 12 * 4);
  CHECK(all[0].flops == 24);
  CHECK(all[1].bytes == 3 * 4 + 4 * 4 + 4);
}

TEST_CASE("the larger of arithmetic and memory bounds an operation") {
  Rates rates;
  rates.bytes = 1e9;
  rates.flops = 1e12;
  CHECK(least_ms({"a", "k", 2'000'000'000, 1'000'000}, rates) == doctest::Approx(2.0));
  CHECK(least_ms({"a", "k", 1'000'000'000, 3'000'000}, rates) == doctest::Approx(3.0));
}

// Elements that inference of v1.5 moves per picture when everything is fused in the convolutions.
double elements_by_hand() {
  const double stem = 112.0 * 112 * 64;
  double elements =
      2.25 * 224 * 224 * 3 + 2 * stem + 56.0 * 56 * 64;  // pixels of 8 bits: a quarter
  double side = 56, in = 64;
  const int blocks[] = {3, 4, 6, 3};
  for (int stage = 0; stage < 4; ++stage) {
    const double middle = 64 << stage, out = 4 * middle;
    for (int block = 0; block < blocks[stage]; ++block) {
      const bool first = block == 0;
      const double to = first && stage > 0 ? side / 2 : side;
      elements += side * side * (in + middle) + side * side * middle + to * to * middle;
      if (first) elements += side * side * in + to * to * out;  // the shortcut's convolution
      elements += to * to * (middle + 2 * out);
      side = to;
      in = out;
    }
  }
  return elements + side * side * in + in;  // the mean
}

TEST_CASE("the work of the full-size network") {
  WorldOptions options;
  options.threads = 1;
  World world(options);
  SUBCASE("inference") {
    const Case c = make_case(world, parse_case("infer16"));
    int64_t flops = 0, bytes = 0;
    for (const Cost& cost : costs(*c.step, world.classifier->table())) {
      flops += cost.flops;
      bytes += cost.bytes;
    }
    CHECK(static_cast<double>(flops) / 16 == doctest::Approx(8.19e9).epsilon(0.005));
    // Statistics and scales of batch norms (0.2 %) are folded into the weights.
    const auto weights = static_cast<double>(world.classifier->table().value_bytes());
    CHECK((static_cast<double>(bytes) - weights) / 16 ==
          doctest::Approx(4 * elements_by_hand()).epsilon(0.001));
  }
  SUBCASE("training") {
    const Case c = make_case(world, parse_case("train2_none"));
    const std::vector<Cost> all = costs(*c.step, world.classifier->table());
    CHECK(cost_of(all, "adam").bytes == 28 * c.trained);
    const Cost& filter = cost_of(all, "layer1.0.conv2 backward filter");
    CHECK(filter.bytes == 4 * (2 * 2 * 56 * 56 * 64 + 9 * 64 * 64));
  }
}

TEST_CASE("percentiles of times") {
  const Times times = summary({5, 1, 3, 2, 4, 6, 7, 8, 9, 10});
  CHECK(times.median == 6);
  CHECK(times.p10 == 2);
  CHECK(times.p90 == 10);
  CHECK(times.least == 1);
  CHECK(times.count == 10);
  CHECK(summary({3}).p90 == 3);
}

TEST_CASE("times on the host") {
  int calls = 0;
  const auto times = measure(
      kernels::Exec{}, [&] { ++calls; }, 0, 4);
  CHECK(times.size() == 4);
  CHECK(calls == 4);
  CHECK(measure_parts(kernels::Exec{}, {[&] { ++calls; }, [&] { ++calls; }}).size() == 2);
  CHECK(calls == 6);
}

#if VERACE_EMULATED
// The emulator lets time pass on the clock of events: 10, 20, 30 ... milliseconds.
TEST_CASE("times on the device, with the host ahead of it") {
  const engine::Device device({kernels::DeviceKind::kCuda, 0}, 1);
  const kernels::Exec exec = device.exec();
  int calls = 0;
  const auto times = measure(
      exec,
      [&] {
        simt::emulator::enqueue_library_call(
            exec.stream, [ms = 10.0 * ++calls] { simt::emulator::pass_time(ms); });
      },
      0, 12);
  REQUIRE(times.size() == 12);
  CHECK(calls == 12);
  for (size_t i = 0; i < times.size(); ++i) {
    CHECK(times[i] == doctest::Approx(10.0 * static_cast<double>(i + 1)).epsilon(0.1));
  }
  const auto pass = [&](double ms) {
    return [&exec, ms] {
      simt::emulator::enqueue_library_call(exec.stream, [ms] { simt::emulator::pass_time(ms); });
    };
  };
  const auto parts = measure_parts(exec, {pass(50), pass(20)});
  REQUIRE(parts.size() == 2);
  CHECK(parts[0] == doctest::Approx(50).epsilon(0.1));
  CHECK(parts[1] == doctest::Approx(20).epsilon(0.1));
}
#endif

}  // namespace
}  // namespace verace::bench::step_figures_test

// Convolution, forward and both gradients, on every device against an independent oracle.
#include "kernels/conv2d.h"

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tests/kernels/conv2d_cases.h"
#include "tests/kernels/conv2d_runs.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/gradient_check.h"
#include "tests/support/guarded.h"
#include "tests/support/tolerances.h"

namespace verace::test::conv2d_test {
namespace {

using namespace verace::kernels;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Calls body(exec, geometry, seed) for every device and geometry.
template <typename Body>
void for_each_case(Body&& body) {
  for_each_convolution_device([&](const Exec& exec) {
    uint64_t seed = 100;
    for (const ConvGeometry& g : geometries()) {
      seed += 10;
      if (is_slow(exec) && g.flops() > 100'000) continue;
      INFO(describe(g));
      body(exec, g, seed);
    }
  });
}

Tolerance allowed(const Case& c, int64_t length) {
  return tolerance(c.integers ? OpClass::kExact : OpClass::kConvolution, length);
}

using Op = std::function<std::vector<float>(const Exec&, const Case&)>;

// ---- The checks, through which correct and faulty operations both go -------------------------
Comparison check_forward(const Exec& exec, const Case& c, const Op& op) {
  Doubles want = oracle_product(c.g, c.g, widen(c.x), widen(c.w));
  for (size_t i = 0; i < want.size(); ++i) {
    if (c.post.bias) want[i] += c.bias[i % static_cast<size_t>(c.g.k)];
    if (c.post.add) want[i] += c.add[i];
    if (c.post.relu) want[i] *= want[i] > 0.0 ? 1.0 : static_cast<double>(c.post.slope);
  }
  // About half of what passes a ReLU is zero; where the filter meets only padding, all of it.
  const double zero_share =
      c.g.pad_w >= c.g.s ? 0.7 : (c.post.relu && c.post.slope == 0.0f ? 0.6 : 0.0);
  return compare(op(exec, c), want, allowed(c, c.g.fan_in() + 2), zero_share);
}

// Share of input pixels that no output reads.
double unread_share(const ConvGeometry& g) {
  if (g.r >= g.stride_h && g.s >= g.stride_w) return 0.0;
  return 1.0 - static_cast<double>(g.y().rows()) / static_cast<double>(g.x.rows());
}

Comparison check_backward_data(const Exec& exec, const Case& c, const Op& op) {
  const Doubles want = oracle_data(c.g, c.g, widen(c.dy), widen(c.w));
  return compare(op(exec, c), want, allowed(c, c.g.r * c.g.s * c.g.k), unread_share(c.g));
}

Comparison check_backward_filter(const Exec& exec, const Case& c, const Op& op) {
  Doubles want = oracle_filter(c.g, c.g, widen(c.x), widen(c.dy));
  if (c.mode == GradMode::kAccumulate) {
    for (size_t i = 0; i < want.size(); ++i) want[i] += c.dw[i];
  }
  return compare(op(exec, c), want, allowed(c, c.g.y().rows() + 1));
}

// ---- Tests -----------------------------------------------------------------------------------
TEST_CASE("forward agrees with the oracle for every combination of post-ops") {
  for_each_case([](const Exec& exec, const ConvGeometry& g, uint64_t seed) {
    for (int bits = 0; bits < 32; ++bits) {
      // 1/8: integers stay exact.
      const ConvPostOps post{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0,
                             (bits & 16) != 0 ? 0.125f : 0.0f};
      const bool add_is_y = (bits & 8) != 0;
      if ((add_is_y && !post.add) || (post.slope > 0.0f && !post.relu)) continue;
      INFO("bias ", post.bias, ", add ", post.add, ", relu ", post.relu, ", slope ", post.slope,
           ", aliased ", add_is_y);
      // Integers and fractions alternate over the combinations, so that both meet every post-op.
      for (const bool integers : {false, true}) {
        if (exec.device == DeviceKind::kReference && integers != ((bits + seed / 10) % 2 == 0)) {
          continue;
        }
        Case c = make_case(g, integers, seed);
        c.post = post;
        c.add_is_y = add_is_y;
        expect_ok("forward", check_forward(exec, c, run_forward<float>));
      }
    }
  });
}

TEST_CASE("backward data agrees with the oracle") {
  for_each_case([](const Exec& exec, const ConvGeometry& g, uint64_t seed) {
    for (const bool integers : {false, true}) {
      const Case c = make_case(g, integers, seed);
      expect_ok("backward data", check_backward_data(exec, c, run_backward_data<float>));
    }
  });
}

TEST_CASE("backward filter agrees with the oracle, written and added") {
  for_each_case([](const Exec& exec, const ConvGeometry& g, uint64_t seed) {
    for (const bool integers : {false, true}) {
      Case c = make_case(g, integers, seed);
      for (const GradMode mode : {GradMode::kOverwrite, GradMode::kAccumulate}) {
        c.mode = mode;
        expect_ok("backward filter", check_backward_filter(exec, c, run_backward_filter<float>));
      }
    }
  });
}

// Loss = sum of random weights times outputs; its gradient with respect to y is those weights.
TEST_CASE("gradients agree with central differences of a random loss") {
  const std::vector<ConvGeometry> small = {geometry({2, 5, 4, 3}, 4, 3, 3, 1, 1, 1, 1),
                                           geometry({1, 7, 6, 2}, 3, 3, 2, 2, 1, 1, 0),
                                           geometry({1, 6, 5, 4}, 5, 1, 1, 2, 2, 0, 0)};
  for_each_convolution_device([&](const Exec& exec) {
    for (const ConvGeometry& g : small) {
      INFO(describe(g));
      const Case c = make_case(g, false, 7);
      const Doubles x = widen(c.x), w = widen(c.w);
      const auto loss = [&](const Doubles& x_in, const Doubles& w_in) {
        const Doubles y = oracle_product(g, g, x_in, w_in);
        double sum = 0.0;
        for (size_t i = 0; i < y.size(); ++i) sum += y[i] * c.dy[i];
        return sum;
      };
      GradientOptions options;
      options.tolerance = tolerance(OpClass::kFiniteDifference, g.fan_in() * g.k);
      options.expected_zero_share = unread_share(g);
      const auto of_x = [&](const Doubles& v) { return loss(v, w); };
      const auto dx = run_backward_data<float>(exec, c);
      expect_ok("dx", check_gradient(of_x, x, std::span<const float>(dx), options));
      options.expected_zero_share = 0.0;
      const auto of_w = [&](const Doubles& v) { return loss(x, v); };
      const auto dw = run_backward_filter<float>(exec, c);
      expect_ok("dw", check_gradient(of_w, w, std::span<const float>(dw), options));
    }
  });
}

TEST_CASE("one plan serves changing buffers") {
  for_each_convolution_device([](const Exec& exec) {
    const ConvGeometry g = geometry({1, 7, 5, 5}, 6, 3, 3, 1, 1, 1, 1);
    const auto plan = plan_conv_forward(exec, g, {});
    for (uint64_t seed : {1u, 2u, 3u}) {
      const Case c = make_case(g, true, seed);
      const Op op = [&](const Exec&, const Case&) {
        const Prepared<float> prepared(*plan, c);
        Guarded<std::byte> scratch(plan->scratch_bytes());
        const Guarded<float> x(c.x);
        Guarded<float> y(g.y().count(), kNan);
        plan->run({.x = x.data(),
                   .packed = prepared.packed.data(),
                   .y = y.data(),
                   .scratch = scratch.data()});
        return y.copy();
      };
      expect_ok("forward", check_forward(exec, c, op));
    }
  });
}

TEST_CASE("no silent fall-back: convolutions of 16-bit storage exist on CUDA only") {
  for_each_host_device([](const Exec& exec) {
    const ConvGeometry g = geometry({1, 4, 4, 8}, 8, 3, 3, 1, 1, 1, 1);
    CHECK_THROWS_AS(plan_conv_forward<Half>(exec, g), Error);
    CHECK_THROWS_AS(plan_conv_backward_data<BFloat16>(exec, g), Error);
    CHECK_THROWS_AS(plan_conv_backward_filter<Half>(exec, g), Error);
  });
}

TEST_CASE("broken promises are refused") {
  for_each_convolution_device([](const Exec& exec) {
    const ConvGeometry g = geometry({1, 4, 4, 3}, 2, 3, 3, 1, 1, 1, 1);
    ConvGeometry impossible = g;
    impossible.r = 9;
    CHECK_THROWS_AS(plan_conv_forward(exec, impossible), Error);
    CHECK_THROWS_AS(plan_conv_forward(exec, g, {.slope = 0.1f}), Error);  // of no ReLU
    CHECK_THROWS_AS(plan_conv_forward(exec, g, {.relu = true, .slope = 1.0f}), Error);
    CHECK_THROWS_AS(plan_conv_forward(exec, g, {.relu = true, .slope = -0.1f}), Error);
    CHECK_THROWS_AS(plan_conv_backward_data(exec, impossible), Error);
    CHECK_THROWS_AS(plan_conv_backward_filter(exec, impossible), Error);
    Case c = make_case(g, false, 3);
    c.mode = GradMode::kSkip;
    CHECK_THROWS_AS(run_backward_filter<float>(exec, c), Error);
    const auto plan = plan_conv_forward(exec, g, {.bias = true});
    const Prepared<float> prepared(*plan, c);
    Guarded<std::byte> scratch(plan->scratch_bytes());
    std::vector<float> y(static_cast<size_t>(g.y().count()));
    CHECK_THROWS_AS(plan->run({.x = c.x.data(),
                               .packed = prepared.packed.data(),
                               .y = y.data(),
                               .scratch = scratch.data()}),
                    Error);
  });
}

// ---- Planted faults --------------------------------------------------------------------------
struct Fault {
  std::string name;
  Op op;
};

using Change = std::function<void(ConvGeometry&)>;
using FromIndex = std::function<Doubles(const Case&, const ConvGeometry& index)>;

// Faults that every one of the three operations can have: `compute` is its oracle.
std::vector<Fault> common_faults(const Op& correct, const FromIndex& compute) {
  const auto with_index = [compute](const Change& change) -> Op {
    return [compute, change](const Exec&, const Case& c) {
      ConvGeometry index = c.g;
      change(index);
      return narrow(compute(c, index));
    };
  };
  const auto with_result = [correct](const std::function<void(std::vector<float>&)>& spoil) -> Op {
    return [correct, spoil](const Exec& exec, const Case& c) {
      std::vector<float> result = correct(exec, c);
      spoil(result);
      return result;
    };
  };
  return {
      {"strides swapped", with_index([](auto& g) { std::swap(g.stride_h, g.stride_w); })},
      {"pads swapped", with_index([](auto& g) { std::swap(g.pad_h, g.pad_w); })},
      {"pad_h off by one", with_index([](auto& g) { g.pad_h += 1; })},
      {"pad_w off by one", with_index([](auto& g) { g.pad_w -= 1; })},
      {"stride_w off by one", with_index([](auto& g) { g.stride_w += 1; })},
      {"scaled by 1.001", with_result([](auto& v) {
         for (float& f : v) f *= 1.001f;
       })},
      {"sign", with_result([](auto& v) {
         for (float& f : v) f = -f;
       })},
      {"zeros", with_result([](auto& v) { v.assign(v.size(), 0.0f); })},
      {"one NaN", with_result([](auto& v) { v[v.size() / 2] = kNan; })},
      {"last element missing", with_result([](auto& v) { v.back() = 0.0f; })},
      {"too short", with_result([](auto& v) { v.pop_back(); })},
      {"shifted by one",
       with_result([](auto& v) { std::rotate(v.begin(), v.begin() + 1, v.end()); })},
  };
}

// The filter's axes exchanged: w[k, s, r, c] instead of w[k, r, s, c] (r == s).
std::vector<float> transpose_taps(const ConvGeometry& g, const std::vector<float>& w) {
  std::vector<float> result(w.size());
  for (int64_t i = 0; i < g.filter_count(); ++i) {
    const int64_t c = i % g.x.c, s = i / g.x.c % g.s, r = i / g.x.c / g.s % g.r;
    const int64_t k = i / g.x.c / g.s / g.r;
    result[static_cast<size_t>(((k * g.r + s) * g.s + r) * g.x.c + c)] = w[static_cast<size_t>(i)];
  }
  return result;
}

// The filter turned by 180 degrees: convolution in the mathematician's sense.
std::vector<float> flip_taps(const ConvGeometry& g, const std::vector<float>& w) {
  std::vector<float> result(w.size());
  const int64_t taps = g.r * g.s;
  for (int64_t i = 0; i < g.filter_count(); ++i) {
    const int64_t c = i % g.x.c, tap = i / g.x.c % taps, k = i / g.x.c / taps;
    result[static_cast<size_t>((k * taps + taps - 1 - tap) * g.x.c + c)] =
        w[static_cast<size_t>(i)];
  }
  return result;
}

using Changed = std::function<void(Case&)>;

// The correct operation on a changed case.
Op on(const Op& op, const Changed& change) {
  return [op, change](const Exec& exec, Case c) {
    change(c);
    return op(exec, c);
  };
}

Case fault_case(bool integers) {
  return make_case(geometry({2, 9, 8, 3}, 4, 3, 3, 2, 1, 1, 0), integers, 11);
}

template <typename Check>
void expect_all_caught(const std::vector<Fault>& faults, const Case& c, Check&& check) {
  const Exec exec = make_exec(DeviceKind::kCpu, 1);
  for (const Fault& fault : faults) expect_caught(fault.name, check(exec, c, fault.op));
}

TEST_CASE("planted faults in forward are caught") {
  const FromIndex compute = [](const Case& c, const ConvGeometry& index) {
    return oracle_product(c.g, index, widen(c.x), widen(c.w));
  };
  for (const bool integers : {false, true}) {
    Case c = fault_case(integers);
    auto faults = common_faults(run_forward<float>, compute);
    const auto add = [&](const std::string& name, const Changed& change) {
      faults.push_back({name, on(run_forward<float>, change)});
    };
    add("filter axes exchanged", [](Case& d) { d.w = transpose_taps(d.g, d.w); });
    add("filter turned", [](Case& d) { d.w = flip_taps(d.g, d.w); });
    add("invented bias", [](Case& d) { d.post.bias = true; });
    add("invented relu", [](Case& d) { d.post.relu = true; });
    expect_all_caught(faults, c, check_forward);

    c.post = {.bias = true, .add = true, .relu = true};
    faults.clear();
    add("bias missing", [](Case& d) { d.post.bias = false; });
    add("add missing", [](Case& d) { d.post.add = false; });
    add("relu missing", [](Case& d) { d.post.relu = false; });
    add("bias shifted",
        [](Case& d) { std::rotate(d.bias.begin(), d.bias.begin() + 1, d.bias.end()); });
    faults.push_back({"relu before add", [](const Exec& exec, Case d) {
                        d.post.add = false;
                        std::vector<float> y = run_forward<float>(exec, d);
                        for (size_t i = 0; i < y.size(); ++i) y[i] += d.add[i];
                        return y;
                      }});
    expect_all_caught(faults, c, check_forward);

    c.post.slope = 0.125f;
    faults.clear();
    add("slope ignored", [](Case& d) { d.post.slope = 0.0f; });
    add("another slope", [](Case& d) { d.post.slope = 0.126f; });
    add("leaky relu missing", [](Case& d) { d.post = {.bias = true, .add = true}; });
    expect_all_caught(faults, c, check_forward);
  }
}

TEST_CASE("planted faults in backward data are caught") {
  const FromIndex compute = [](const Case& c, const ConvGeometry& index) {
    return oracle_data(c.g, index, widen(c.dy), widen(c.w));
  };
  for (const bool integers : {false, true}) {
    auto faults = common_faults(run_backward_data<float>, compute);
    faults.push_back({"filter axes exchanged", on(run_backward_data<float>, [](Case& d) {
                        d.w = transpose_taps(d.g, d.w);
                      })});
    faults.push_back({"filter turned",
                      on(run_backward_data<float>, [](Case& d) { d.w = flip_taps(d.g, d.w); })});
    expect_all_caught(faults, fault_case(integers), check_backward_data);
  }
}

TEST_CASE("planted faults in backward filter are caught") {
  const FromIndex compute = [](const Case& c, const ConvGeometry& index) {
    return oracle_filter(c.g, index, widen(c.x), widen(c.dy));
  };
  for (const bool integers : {false, true}) {
    Case c = fault_case(integers);
    auto faults = common_faults(run_backward_filter<float>, compute);
    faults.push_back({"result transposed", [](const Exec& exec, const Case& d) {
                        return transpose_taps(d.g, run_backward_filter<float>(exec, d));
                      }});
    faults.push_back({"added instead of written", on(run_backward_filter<float>, [](Case& d) {
                        d.mode = GradMode::kAccumulate;
                      })});
    expect_all_caught(faults, c, check_backward_filter);
    c.mode = GradMode::kAccumulate;
    expect_all_caught(
        {{"written instead of added",
          on(run_backward_filter<float>, [](Case& d) { d.mode = GradMode::kOverwrite; })}},
        c, check_backward_filter);
  }
}

}  // namespace
}  // namespace verace::test::conv2d_test

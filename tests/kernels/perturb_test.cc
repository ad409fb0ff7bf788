// FGSM step and 8-bit rounding: equal in every bit to formulas written apart, and planted faults.
#include "kernels/perturb.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/check.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::test::perturb_test {
namespace {

using kernels::Exec;
using kernels::FgsmStep;
using kernels::RoundToEightBits;
using FgsmOperation = std::function<void(const Exec&, const FgsmStep&)>;
using RoundOperation = std::function<void(const Exec&, const RoundToEightBits&)>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();

struct Case {
  int64_t count = 0;
  float epsilon = 0.01f, low = 0.0f, high = 1.0f;
};

// Foolbox 3: x0 + step of gradient sign, projected to the epsilon ball, clipped to the bounds. Each
// intermediate value is stored (volatile), so that none has more precision than float32.
float fgsm_oracle(float x, float gradient, const Case& c) {
  const volatile float direction =
      std::isnan(gradient) || gradient == 0.0f ? 0.0f : std::copysign(1.0f, gradient);
  const volatile float scaled = c.epsilon * direction;
  const volatile float moved = x + scaled;
  const volatile float difference = moved - x;
  const volatile float projected = std::fmin(std::fmax(difference, -c.epsilon), c.epsilon);
  const volatile float result = x + projected;
  return std::fmin(std::fmax(result, c.low), c.high);
}

// Pixels with whole areas at both bounds, gradients of all sizes with zeros of both signs.
struct Input {
  std::vector<float> x, gradient;
};
Input make_input(const Case& c) {
  Input in{uniform(c.count, 21, c.low, c.high), uniform(c.count, 22)};
  constexpr float kSpecial[] = {0.0f,   -0.0f,  kDenormal, -kDenormal,
                                1e-38f, -1e30f, kInfinity, -kInfinity};
  for (size_t i = 0; i < in.x.size(); ++i) {
    const uint64_t choice = random_bits(23, i) % 16;
    if (choice < 8) in.gradient[i] = kSpecial[choice];
    const uint64_t place = random_bits(24, i) % 8;
    if (place == 0) in.x[i] = c.low;
    if (place == 1) in.x[i] = c.high;
    if (place == 2) in.x[i] = c.high - 0.5f * c.epsilon;
    in.x[i] = std::clamp(in.x[i], c.low, c.high);
  }
  return in;
}

// The one check that the operation and every planted fault go through.
Comparison check_fgsm(const FgsmOperation& op, const Exec& exec, const Case& c, int64_t shift = 0) {
  const Input in = make_input(c);
  std::vector<float> want;
  for (size_t i = 0; i < in.x.size(); ++i) {
    want.push_back(fgsm_oracle(in.x[i], in.gradient[i], c));
  }
  const Shifted<float> x(in.x, shift), gradient(in.gradient, shift);
  Shifted<float> adversarial(c.count, kNan, shift);
  op(exec, {c.count, x.data(), gradient.data(), c.epsilon, c.low, c.high, adversarial.data()});
  if (!adversarial.intact()) return detail::failed("wrote outside its output");
  if (!compare_bits(x.floats(), in.x) || !compare_bits(gradient.floats(), in.gradient)) {
    return detail::failed("changed its input");
  }
  return compare_bits(adversarial.floats(), want);
}

const std::vector<Case> kCases{{1},
                               {3},
                               {4},
                               {5},
                               {7},
                               {1023},
                               {1025},
                               {16},
                               {1000},
                               {16384},
                               {16385},
                               {50001},
                               {5000, 0.0f},
                               {5000, 0.001f},
                               {5000, 0.02f},
                               {5000, 2.0f},
                               {5000, 8.0f / 255.0f},
                               {5000, 2.55f, 0.0f, 255.0f},
                               {5000, 0.01f, -1.0f, 1.0f},
                               {5000, 1e-9f}};

TEST_CASE("fgsm_step equals Foolbox' float32 formula in every bit") {
  for_each_device([](const Exec& exec) {
    for (const Case& c : kCases) {
      INFO("count ", c.count, ", epsilon ", c.epsilon, ", bounds ", c.low, " ", c.high);
      expect_ok("fgsm_step", check_fgsm(kernels::fgsm_step, exec, c));
      expect_ok("unaligned", check_fgsm(kernels::fgsm_step, exec, c, 1));
    }
  });
}

std::vector<float> fgsm(const Exec& exec, const std::vector<float>& x, const std::vector<float>& g,
                        float epsilon) {
  const Guarded<float> pixels(x), gradient(g);
  Guarded<float> result(static_cast<int64_t>(x.size()), kNan);
  kernels::fgsm_step(exec, {static_cast<int64_t>(x.size()), pixels.data(), gradient.data(), epsilon,
                            0.0f, 1.0f, result.data()});
  return result.copy();
}

TEST_CASE(
    "fgsm_step: values by hand, clipping at both bounds, gradients of no or hardly any size") {
  for_each_device([](const Exec& exec) {
    CHECK(fgsm(exec, {0.5f, 0.5f, 0.5f}, {3.0f, -3.0f, 0.0f}, 0.25f) ==
          std::vector<float>{0.75f, 0.25f, 0.5f});
    CHECK(fgsm(exec, {0.0f, 1.0f, 0.125f, 0.875f}, {-1.0f, 1.0f, -1.0f, 1.0f}, 0.25f) ==
          std::vector<float>{0.0f, 1.0f, 0.0f, 1.0f});
    // Zero of either sign leaves the pixel; the smallest denormal moves it by the whole epsilon.
    CHECK(fgsm(exec, {0.3f, 0.3f, 0.5f, 0.5f}, {0.0f, -0.0f, kDenormal, -kDenormal}, 0.25f) ==
          std::vector<float>{0.3f, 0.3f, 0.75f, 0.25f});
    // A NaN gradient counts as zero (torch.sign does the same): it never reaches the picture.
    CHECK(fgsm(exec, {0.3f, 0.5f}, {kNan, -kNan}, 0.25f) == std::vector<float>{0.3f, 0.5f});
    CHECK(fgsm(exec, {0.5f, 0.5f}, {kInfinity, -kInfinity}, 0.25f) ==
          std::vector<float>{0.75f, 0.25f});
  });
}

TEST_CASE("fgsm_step: epsilon 0 gives the picture back") {
  for_each_device([](const Exec& exec) {
    const Input in = make_input({3001, 0.0f});
    expect_ok("epsilon 0", compare_bits(fgsm(exec, in.x, in.gradient, 0.0f), in.x));
  });
}

TEST_CASE("fgsm_step stays in the bounds and within epsilon up to rounding") {
  for_each_device([](const Exec& exec) {
    const Input in = make_input({20000});
    const std::vector<float> result = fgsm(exec, in.x, in.gradient, 0.01f);
    double sum = 0.0;
    for (size_t i = 0; i < result.size(); ++i) {
      CHECK_UNARY(result[i] >= 0.0f && result[i] <= 1.0f);
      const double moved = std::abs(static_cast<double>(result[i]) - in.x[i]);
      CHECK_UNARY(moved <= 0.01 + 0x1p-24);
      sum += moved;
    }
    CHECK(sum / 20000 > 0.005);  // and most pixels do move
  });
}

TEST_CASE("fgsm_step may overwrite the picture or the gradient; threads change nothing") {
  const Input in = make_input({40000});
  const Exec one = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  const std::vector<float> want = fgsm(one, in.x, in.gradient, 0.01f);
  for_each_device([&](const Exec& exec) {
    expect_ok("device", compare_bits(fgsm(exec, in.x, in.gradient, 0.01f), want));
    Guarded<float> x(in.x), g(in.gradient);
    kernels::fgsm_step(exec, {40000, x.data(), g.data(), 0.01f, 0.0f, 1.0f, x.data()});
    expect_ok("over the picture", compare_bits(x, want));
    const Guarded<float> again(in.x);
    kernels::fgsm_step(exec, {40000, again.data(), g.data(), 0.01f, 0.0f, 1.0f, g.data()});
    expect_ok("over the gradient", compare_bits(g, want));
  });
}

TEST_CASE("perturb: broken promises are refused, nothing to do is fine") {
  for_each_device([](const Exec& exec) {
    CHECK_THROWS_AS(kernels::fgsm_step(exec, {0, nullptr, nullptr, -0.1f}), Error);
    CHECK_THROWS_AS(kernels::fgsm_step(exec, {0, nullptr, nullptr, kNan}), Error);
    CHECK_THROWS_AS(kernels::fgsm_step(exec, {0, nullptr, nullptr, 0.1f, 1.0f, 0.0f}), Error);
    CHECK_THROWS_AS(kernels::round_to_eight_bits(exec, {-1}), Error);
    kernels::fgsm_step(exec, {});
    kernels::round_to_eight_bits(exec, {});
  });
}

FgsmOperation element_wise(const std::function<float(float x, float g, const FgsmStep& a)>& f) {
  return [f](const Exec&, const FgsmStep& a) {
    for (int64_t i = 0; i < a.count; ++i) a.adversarial[i] = f(a.x[i], a.gradient[i], a);
  };
}

float sign(float g) { return static_cast<float>((g > 0.0f) - (g < 0.0f)); }

TEST_CASE("fgsm_step: planted faults are caught") {
  const Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  const Case c{5000};
  const auto caught = [&](const char* fault, const FgsmOperation& op) {
    expect_caught(fault, check_fgsm(op, exec, c));
  };
  const auto argument = [](const std::function<void(FgsmStep&)>& change) {
    return [change](const Exec& e, FgsmStep a) {
      change(a);
      kernels::fgsm_step(e, a);
    };
  };
  caught("epsilon 0.1 % too large", argument([](FgsmStep& a) { a.epsilon *= 1.001f; }));
  caught("no clipping", argument([](FgsmStep& a) { a.low = -10.0f, a.high = 10.0f; }));
  caught("no clipping below", argument([](FgsmStep& a) { a.low = -10.0f; }));
  caught("bounds of 8-bit pixels", argument([](FgsmStep& a) { a.high = 255.0f; }));
  caught("last element left out", argument([](FgsmStep& a) { a.count -= 1; }));
  caught("gradient of the neighbour", argument([](FgsmStep& a) { a.gradient -= 1; }));
  caught("descent", element_wise([](float x, float g, const FgsmStep& a) {
           return std::clamp(x - a.epsilon * sign(g), a.low, a.high);
         }));
  // clip(x + epsilon * sign) without the detour over Foolbox' difference is no fault: in 140
  // million random trials it gave the same bits.
  caught("epsilon and sum in double, rounded once",
         element_wise([](float x, float g, const FgsmStep& a) {
           return static_cast<float>(std::clamp(x + 0.01 * sign(g), 0.0, 1.0 * a.high));
         }));
  caught("sign(0) = 1", [](const Exec& e, const FgsmStep& a) {
    std::vector<float> g(a.gradient, a.gradient + a.count);
    for (float& value : g) value = value == 0.0f ? 1.0f : value;
    FgsmStep changed = a;
    changed.gradient = g.data();
    kernels::fgsm_step(e, changed);
  });
  caught("denormal gradients flushed to zero", [](const Exec& e, const FgsmStep& a) {
    std::vector<float> g(a.gradient, a.gradient + a.count);
    for (float& value : g) value = std::abs(value) < 1e-37f ? 0.0f : value;
    FgsmStep changed = a;
    changed.gradient = g.data();
    kernels::fgsm_step(e, changed);
  });
  caught("gradient instead of its sign", element_wise([](float x, float g, const FgsmStep& a) {
           return std::clamp(x + a.epsilon * g, a.low, a.high);
         }));
  caught("zeros", element_wise([](float, float, const FgsmStep&) { return 0.0f; }));
  caught("the picture unchanged", element_wise([](float x, float, const FgsmStep&) { return x; }));
  caught("one NaN", [](const Exec& e, const FgsmStep& a) {
    kernels::fgsm_step(e, a);
    a.adversarial[a.count / 2] = kNan;
  });
  caught("one element too many", [](const Exec& e, const FgsmStep& a) {
    kernels::fgsm_step(e, a);
    a.adversarial[a.count] = 0.5f;
  });
}

// Nearest integer, ties to the even one, by comparing the distances to both neighbours.
float round_oracle(float x) {
  const volatile float scaled = x * 255.0f;
  const double below = std::floor(static_cast<double>(scaled));
  const double rest = static_cast<double>(scaled) - below;
  const bool odd = std::fmod(below, 2.0) == 1.0;
  const double level = rest > 0.5 || (rest == 0.5 && odd) ? below + 1 : below;
  const volatile float result = static_cast<float>(level) / 255.0f;
  return result;
}

Comparison check_round(const RoundOperation& op, const Exec& exec, int64_t count,
                       int64_t shift = 0) {
  std::vector<float> input = uniform(count, 31, 0.0f, 1.0f);
  // All levels, and what lies half-way between them.
  for (size_t i = 0; i < std::min<size_t>(input.size(), 256); ++i) {
    input[i] = static_cast<float>(i) / 255.0f;
  }
  for (size_t i = 256; i < std::min<size_t>(input.size(), 511); ++i) {
    input[i] = (static_cast<float>(i - 256) + 0.5f) / 255.0f;
  }
  std::vector<float> want;
  for (const float x : input) want.push_back(round_oracle(x));
  const Shifted<float> x(input, shift);
  Shifted<float> y(count, kNan, shift);
  op(exec, {count, x.data(), y.data()});
  if (!y.intact()) return detail::failed("wrote outside its output");
  return compare_bits(y.floats(), want);
}

TEST_CASE("round_to_eight_bits gives the nearest of 256 levels, in every bit") {
  for_each_device([](const Exec& exec) {
    for (const int64_t count : {1, 7, 255, 1000, 16385, 50001}) {
      expect_ok("round_to_eight_bits", check_round(kernels::round_to_eight_bits, exec, count));
      expect_ok("unaligned", check_round(kernels::round_to_eight_bits, exec, count, 1));
    }
    const Guarded<float> x(std::vector<float>{0.0f, 1.0f, 0.5f, 0.001f, 0.002f, 0.999f});
    Guarded<float> y(6);
    kernels::round_to_eight_bits(exec, {6, x.data(), y.data()});
    // 0.5 * 255 = 127.5 is a tie: 128 is even.
    const std::vector<float> want{0.0f, 1.0f, 128.0f / 255.0f, 0.0f, 1.0f / 255.0f, 1.0f};
    CHECK(y.copy() == want);
    kernels::round_to_eight_bits(exec, {6, y.data(), y.data()});
    CHECK(y.copy() == want);  // a second time and in place: nothing changes
  });
}

TEST_CASE("round_to_eight_bits: planted faults are caught") {
  const Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  const auto caught = [&](const char* fault, const std::function<float(float)>& f) {
    expect_caught(fault, check_round(
                             [&](const Exec&, const RoundToEightBits& a) {
                               for (int64_t i = 0; i < a.count; ++i) a.y[i] = f(a.x[i]);
                             },
                             exec, 5000));
  };
  caught("cut off", [](float x) { return std::floor(x * 255.0f) / 255.0f; });
  caught("ties away from zero", [](float x) { return std::round(x * 255.0f) / 255.0f; });
  caught("256 levels over 256", [](float x) { return std::nearbyint(x * 256.0f) / 256.0f; });
  caught("times 1/255", [](float x) { return std::nearbyint(x * 255.0f) * (1.0f / 255.0f); });
  caught("not divided", [](float x) { return std::nearbyint(x * 255.0f); });
  caught("unchanged", [](float x) { return x; });
  caught("zeros", [](float) { return 0.0f; });
  caught("NaN", [](float) { return kNan; });
}

}  // namespace
}  // namespace verace::test::perturb_test

// Element-wise operations against an independent oracle in double, finite differences and planted
// faults.
#include "kernels/activation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/gradient_check.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/tolerances.h"

namespace verace::kernels {
namespace {

using test::Guarded;
using test::OpClass;
using test::Verdict;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Tails of vectors and of pieces (kElementGrain = 16384).
const std::vector<int64_t> kCounts = {1, 2, 15, 16, 17, 63, 1000, 16384, 16385, 40001};
const test::Tolerance kElementwise = test::tolerance(OpClass::kElementwise, 1);

enum class Alias { kNone, kFirst, kSecond };

// --- leaky ReLU forward

using ForwardOp = std::function<void(const Exec&, const LeakyReluForward&)>;

Verdict check_forward(const ForwardOp& op, const Exec& exec, int64_t count, float slope,
                      bool in_place) {
  const Floats in = test::uniform(count, 1, -2.0f, 2.5f);
  Guarded<float> x(in), fresh(count, kNan);
  Guarded<float>& y = in_place ? x : fresh;
  op(exec, {count, x.data(), slope, y.data()});
  Doubles want;
  for (const float v : in) want.push_back(v > 0.0f ? v : static_cast<double>(slope) * v);
  Verdict v;
  v.require("y", test::compare(y.span(), want, kElementwise, 0.9));
  v.require("canaries", x.intact() && fresh.intact());
  return v;
}

TEST_CASE("leaky ReLU forward") {
  test::for_each_device([](const Exec& exec) {
    for (const int64_t count : kCounts) {
      for (const float slope : {0.0f, 0.1f, 0.01f}) {
        for (const bool in_place : {false, true}) {
          test::expect_ok(std::to_string(count),
                          check_forward(leaky_relu_forward<>, exec, count, slope, in_place));
        }
      }
    }
  });
}

TEST_CASE("ReLU keeps NaN and does nothing for no elements") {
  test::for_each_device([](const Exec& exec) {
    Floats x = {kNan, -1.0f, 0.0f, 3.0f}, y(4);
    leaky_relu_forward(exec, {4, x.data(), 0.0f, y.data()});
    CHECK(std::isnan(y[0]));
    CHECK(y[1] == 0.0f);
    CHECK(y[2] == 0.0f);
    CHECK(y[3] == 3.0f);
    CHECK_NOTHROW(leaky_relu_forward(exec, {}));
    CHECK_THROWS_AS(leaky_relu_forward(exec, {4, x.data(), 1.0f, y.data()}), Error);
  });
}

TEST_CASE("planted faults in leaky ReLU forward are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, void (*change)(LeakyReluForward&)) {
    const auto op = [change](const Exec& e, LeakyReluForward args) {
      change(args);
      leaky_relu_forward(e, args);
    };
    test::expect_caught(fault, check_forward(op, exec, 1000, 0.1f, false));
  };
  caught("slope ignored", [](LeakyReluForward& a) { a.slope = 0.0f; });
  caught("another slope", [](LeakyReluForward& a) { a.slope = 0.10001f; });
  caught("last element left out", [](LeakyReluForward& a) { --a.count; });
  caught("one element too many", [](LeakyReluForward& a) { a.y += 1; });
}

// --- leaky ReLU backward

using BackwardOp = std::function<void(const Exec&, const LeakyReluBackward&)>;

struct BackwardCase {
  int64_t count;
  float slope = 0.1f;
  bool fork = false;
  Alias alias = Alias::kNone;
};

Verdict check_backward(const BackwardOp& op, const Exec& exec, const BackwardCase& k) {
  Floats out = test::uniform(k.count, 2);
  for (size_t i = 0; i < out.size(); i += 7) out[i] = 0.0f;  // at 0 the derivative is the slope
  const Floats in = test::uniform(k.count, 3, 0.1f, 1.0f),
               in2 = test::uniform(k.count, 4, 0.1f, 1.0f);
  Guarded<float> y(out), dy(in), dy2(in2), fresh(k.count, kNan);
  Guarded<float>& dx = k.alias == Alias::kFirst ? dy : k.alias == Alias::kSecond ? dy2 : fresh;
  op(exec, {k.count, y.data(), dy.data(), k.fork ? dy2.data() : nullptr, k.slope, dx.data()});
  Doubles want;
  for (size_t i = 0; i < in.size(); ++i) {
    const double sum = k.fork ? static_cast<double>(in[i]) + in2[i] : in[i];
    want.push_back(sum * (out[i] > 0.0f ? 1.0 : k.slope));
  }
  Verdict v;
  v.require("dx", test::compare(dx.span(), want, kElementwise, 0.9));
  v.require("canaries", y.intact() && dy.intact() && dy2.intact() && fresh.intact());
  v.require("y untouched", test::compare_bits(y, out));
  return v;
}

TEST_CASE("leaky ReLU backward") {
  test::for_each_device([](const Exec& exec) {
    for (const int64_t count : kCounts) {
      for (const float slope : {0.0f, 0.1f}) {
        if (count == 1 && slope == 0.0f) continue;  // the only gradient would be zero
        for (const auto alias : {Alias::kNone, Alias::kFirst}) {
          test::expect_ok(std::to_string(count), check_backward(leaky_relu_backward<>, exec,
                                                                {count, slope, false, alias}));
        }
        for (const auto alias : {Alias::kNone, Alias::kFirst, Alias::kSecond}) {
          test::expect_ok(std::to_string(count),
                          check_backward(leaky_relu_backward<>, exec, {count, slope, true, alias}));
        }
      }
    }
  });
}

TEST_CASE("leaky ReLU backward agrees with finite differences") {
  test::for_each_device([](const Exec& exec) {
    const Floats x = test::uniform(60, 5), weight = test::uniform(60, 6);
    Floats y(60), dx(60);
    leaky_relu_forward(exec, {60, x.data(), 0.1f, y.data()});
    leaky_relu_backward(exec, {60, y.data(), weight.data(), nullptr, 0.1f, dx.data()});
    const auto f = [&](const Doubles& at) {
      double sum = 0.0;
      for (size_t i = 0; i < at.size(); ++i) sum += weight[i] * (at[i] > 0 ? at[i] : 0.1 * at[i]);
      return sum;
    };
    test::GradientOptions options;
    options.tolerance = test::tolerance(OpClass::kFiniteDifference, 1);
    const auto kink = [&](int64_t i) { return std::abs(x[static_cast<size_t>(i)]) < 1e-3f; };
    test::expect_ok("dx", test::check_gradient(f, test::widen(x), dx, options, kink));
    for (float& g : dx) g *= 3.0f;
    test::expect_caught("tripled", test::check_gradient(f, test::widen(x), dx, options, kink));
  });
}

TEST_CASE("planted faults in leaky ReLU backward are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, void (*change)(LeakyReluBackward&)) {
    const auto op = [change](const Exec& e, LeakyReluBackward args) {
      change(args);
      leaky_relu_backward(e, args);
    };
    test::expect_caught(fault, check_backward(op, exec, {1000, 0.1f, true}));
  };
  caught("dy2 ignored", [](LeakyReluBackward& a) { a.dy2 = nullptr; });
  caught("dy2 counted twice", [](LeakyReluBackward& a) { a.dy = a.dy2; });
  caught("mask ignored", [](LeakyReluBackward& a) { a.y = a.dy; });
  caught("slope ignored", [](LeakyReluBackward& a) { a.slope = 0.0f; });
  caught("last element left out", [](LeakyReluBackward& a) { --a.count; });
  const auto all_ones_at_zero = [](const Exec& e, const LeakyReluBackward& a) {
    leaky_relu_backward(e, a);
    for (int64_t i = 0; i < a.count; ++i) {
      if (a.y[i] == 0.0f) a.dx[i] = a.dy[i] + a.dy2[i];
    }
  };
  test::expect_caught("derivative 1 at zero",
                      check_backward(all_ones_at_zero, exec, {1000, 0.1f, true}));
}

// --- add

using AddOp = std::function<void(const Exec&, const Add&)>;

Verdict check_add(const AddOp& op, const Exec& exec, int64_t count, bool relu, Alias alias) {
  const Floats in = test::uniform(count, 7, 0.0f, 1.0f), in2 = test::uniform(count, 8, -0.9f, 1.0f);
  Guarded<float> a(in), b(in2), fresh(count, kNan);
  Guarded<float>& y = alias == Alias::kFirst ? a : alias == Alias::kSecond ? b : fresh;
  op(exec, {count, a.data(), b.data(), relu, y.data()});
  Doubles want;
  for (size_t i = 0; i < in.size(); ++i) {
    const double sum = static_cast<double>(in[i]) + in2[i];
    want.push_back(relu ? std::max(sum, 0.0) : sum);
  }
  Verdict v;
  v.require("y", test::compare(y.span(), want, kElementwise, 0.5));
  v.require("canaries", a.intact() && b.intact() && fresh.intact());
  return v;
}

TEST_CASE("residual addition") {
  test::for_each_device([](const Exec& exec) {
    for (const int64_t count : kCounts) {
      for (const bool relu : {false, true}) {
        for (const auto alias : {Alias::kNone, Alias::kFirst, Alias::kSecond}) {
          test::expect_ok(std::to_string(count), check_add(add<>, exec, count, relu, alias));
        }
      }
    }
  });
}

TEST_CASE("planted faults in the addition are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, void (*change)(Add&)) {
    const auto op = [change](const Exec& e, Add args) {
      change(args);
      add(e, args);
    };
    test::expect_caught(fault, check_add(op, exec, 1000, true, Alias::kNone));
  };
  caught("ReLU ignored", [](Add& a) { a.relu = false; });
  caught("a twice", [](Add& a) { a.b = a.a; });
  caught("last element left out", [](Add& a) { --a.count; });
  caught("shifted by one", [](Add& a) { a.y += 1; });
}

// --- bias gradient

using BiasOp = std::function<void(const Exec&, const BiasGradient&)>;

Verdict check_bias(const BiasOp& op, const Exec& exec, int64_t rows, int64_t c, GradMode mode) {
  const Floats in = test::uniform(rows * c, 9), old = test::uniform(c, 10);
  Guarded<float> dy(in), db(old);
  op(exec, {rows, c, dy.data(), db.data(), mode});
  Verdict v;
  v.require("canaries", dy.intact() && db.intact());
  if (mode == GradMode::kSkip) {
    v.require("db skipped", test::compare_bits(db, old));
    return v;
  }
  Doubles want(old.begin(), old.end());
  if (mode == GradMode::kOverwrite) want.assign(want.size(), 0.0);
  for (size_t i = 0; i < in.size(); ++i) want[i % want.size()] += in[i];
  v.require("db",
            test::compare(db.span(), want,
                          test::tolerance(OpClass::kReduction, std::min<int64_t>(rows, 256))));
  return v;
}

TEST_CASE("bias gradient") {
  test::for_each_device([](const Exec& exec) {
    for (const int64_t rows : {1, 2, 63, 64, 65, 200, 9001}) {
      for (const int64_t c : {1, 5, 16, 33}) {
        for (const auto mode : {GradMode::kSkip, GradMode::kOverwrite, GradMode::kAccumulate}) {
          test::expect_ok(std::to_string(rows), check_bias(bias_gradient<>, exec, rows, c, mode));
        }
      }
    }
    test::expect_ok("wide", check_bias(bias_gradient<>, exec, 70, 3000, GradMode::kAccumulate));
  });
}

TEST_CASE("bias gradient of small integers is exact") {
  test::for_each_device([](const Exec& exec) {
    const Floats dy = test::small_integers(1000 * 7, 11, 8);
    Floats db(7), want(7);
    bias_gradient(exec, {1000, 7, dy.data(), db.data()});
    for (size_t i = 0; i < dy.size(); ++i) want[i % 7] += dy[i];
    test::expect_ok("db", test::compare(db, want, test::tolerance(OpClass::kExact, 1)));
  });
}

TEST_CASE("planted faults in the bias gradient are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, void (*change)(BiasGradient&)) {
    const auto op = [change](const Exec& e, BiasGradient args) {
      change(args);
      bias_gradient(e, args);
    };
    test::expect_caught(fault, check_bias(op, exec, 200, 33, GradMode::kAccumulate));
  };
  caught("overwritten instead of accumulated",
         [](BiasGradient& a) { a.mode = GradMode::kOverwrite; });
  caught("skipped", [](BiasGradient& a) { a.mode = GradMode::kSkip; });
  caught("last row left out", [](BiasGradient& a) { --a.rows; });
  caught("rows and channels swapped", [](BiasGradient& a) { std::swap(a.rows, a.c), a.c = 33; });
}

TEST_CASE("no bit depends on the number of threads") {
  const auto all = [](int threads) {
    const Exec exec{DeviceKind::kCpu, threads};
    const Floats x = test::uniform(40001, 12), dy = test::uniform(40001, 13);
    Floats y(40001), dx(40001), db(40001 / 19);
    leaky_relu_forward(exec, {40001, x.data(), 0.1f, y.data()});
    leaky_relu_backward(exec, {40001, y.data(), dy.data(), nullptr, 0.1f, dx.data()});
    add(exec, {40001, dx.data(), y.data(), true, y.data()});
    bias_gradient(exec, {40001 / 19, 19, dy.data(), db.data()});
    y.insert(y.end(), dx.begin(), dx.end());
    y.insert(y.end(), db.begin(), db.end());
    return y;
  };
  test::expect_ok("2 threads", test::compare_bits(all(2), all(1)));
  test::expect_ok("3 threads", test::compare_bits(all(3), all(1)));
}

}  // namespace
}  // namespace verace::kernels

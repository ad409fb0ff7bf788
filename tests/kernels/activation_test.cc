// Element-wise operations against an independent oracle in double, finite differences and planted
// faults.
#include "kernels/activation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/gradient_check.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::kernels::activation_test {
namespace {

using test::Guarded;
using test::OpClass;
using test::Shifted;
using test::Verdict;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Tails of vectors, of the CPU's pieces (kElementGrain = 16384) and of CUDA's blocks (2048).
std::vector<int64_t> counts(const Exec& exec) {
  std::vector<int64_t> all = {1, 2, 7, 8, 9, 15, 16, 17, 63, 1000, 2047, 2049, 7001};
  if (!test::is_slow(exec)) all.insert(all.end(), {16384, 16385, 40001});
  return all;
}
template <typename T>
const test::Tolerance kElementwise = test::stored_as<T>(test::tolerance(OpClass::kElementwise, 1));

enum class Alias { kNone, kFirst, kSecond };

// --- leaky ReLU forward

template <typename T>
using ForwardOp = std::function<void(const Exec&, const LeakyReluForwardOf<T>&)>;

// shift: how many elements the tensors lie behind an aligned address.
template <typename T>
Verdict check_forward(const ForwardOp<T>& op, const Exec& exec, int64_t count, float slope,
                      bool in_place, int64_t shift = 0) {
  const Floats in = test::rounded<T>(test::uniform(count, 1, -2.0f, 2.5f));
  Shifted<T> x(in, shift), fresh(count, kNan, shift);
  Shifted<T>& y = in_place ? x : fresh;
  op(exec, {count, x.data(), slope, y.data()});
  Doubles want;
  for (const float v : in) want.push_back(v > 0.0f ? v : static_cast<double>(slope) * v);
  Verdict v;
  v.require("y", test::compare(y.floats(), want, kElementwise<T>, 0.9));
  v.require("canaries", x.intact() && fresh.intact());
  return v;
}

TEST_CASE("leaky ReLU forward") {
  test::for_each_device_and_storage([]<typename T>(const Exec& exec, T) {
    for (const int64_t count : counts(exec)) {
      for (const float slope : {0.0f, 0.1f, 0.01f}) {
        for (const bool in_place : {false, true}) {
          test::expect_ok(std::to_string(count),
                          check_forward<T>(leaky_relu_forward<T>, exec, count, slope, in_place));
        }
      }
      test::expect_ok("unaligned",
                      check_forward<T>(leaky_relu_forward<T>, exec, count, 0.1f, false, 1));
    }
  });
}

TEST_CASE("ReLU keeps NaN and does nothing for no elements") {
  test::for_each_device([](const Exec& exec) {
    const Guarded<float> x(Floats{kNan, -1.0f, 0.0f, 3.0f});
    Guarded<float> y(4);
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
    test::expect_caught(fault, check_forward<float>(op, exec, 1000, 0.1f, false));
  };
  caught("slope ignored", [](LeakyReluForward& a) { a.slope = 0.0f; });
  caught("another slope", [](LeakyReluForward& a) { a.slope = 0.10001f; });
  caught("last element left out", [](LeakyReluForward& a) { --a.count; });
  caught("one element too many", [](LeakyReluForward& a) { a.y += 1; });
}

// --- leaky ReLU backward

template <typename T>
using BackwardOp = std::function<void(const Exec&, const LeakyReluBackwardOf<T>&)>;

struct BackwardCase {
  int64_t count;
  float slope = 0.1f;
  bool fork = false;
  Alias alias = Alias::kNone;
  int64_t shift = 0;
};

template <typename T>
Verdict check_backward(const BackwardOp<T>& op, const Exec& exec, const BackwardCase& k) {
  Floats out = test::rounded<T>(test::uniform(k.count, 2));
  for (size_t i = 0; i < out.size(); i += 7) out[i] = 0.0f;  // at 0 the derivative is the slope
  const Floats in = test::rounded<T>(test::uniform(k.count, 3, 0.1f, 1.0f)),
               in2 = test::rounded<T>(test::uniform(k.count, 4, 0.1f, 1.0f));
  Shifted<T> y(out, k.shift), dy(in, k.shift), dy2(in2, k.shift), fresh(k.count, kNan, k.shift);
  Shifted<T>& dx = k.alias == Alias::kFirst ? dy : k.alias == Alias::kSecond ? dy2 : fresh;
  op(exec, {k.count, y.data(), dy.data(), k.fork ? dy2.data() : nullptr, k.slope, dx.data()});
  Doubles want;
  for (size_t i = 0; i < in.size(); ++i) {
    const double sum = k.fork ? static_cast<double>(in[i]) + in2[i] : in[i];
    want.push_back(sum * (out[i] > 0.0f ? 1.0 : k.slope));
  }
  Verdict v;
  v.require("dx", test::compare(dx.floats(), want, kElementwise<T>, 0.9));
  v.require("canaries", y.intact() && dy.intact() && dy2.intact() && fresh.intact());
  v.require("y untouched", test::compare_bits(y.floats(), out));
  return v;
}

TEST_CASE("leaky ReLU backward") {
  test::for_each_device_and_storage([]<typename T>(const Exec& exec, T) {
    const auto good = [&](const BackwardCase& k) {
      test::expect_ok(std::to_string(k.count), check_backward<T>(leaky_relu_backward<T>, exec, k));
    };
    for (const int64_t count : counts(exec)) {
      for (const float slope : {0.0f, 0.1f}) {
        if (count == 1 && slope == 0.0f) continue;  // the only gradient would be zero
        for (const auto alias : {Alias::kNone, Alias::kFirst}) good({count, slope, false, alias});
        for (const auto alias : {Alias::kNone, Alias::kFirst, Alias::kSecond}) {
          good({count, slope, true, alias});
        }
      }
      good({count, 0.1f, true, Alias::kNone, 1});
    }
  });
}

TEST_CASE("leaky ReLU backward agrees with finite differences") {
  test::for_each_device([](const Exec& exec) {
    const Floats x = test::uniform(60, 5), weight = test::uniform(60, 6);
    const Guarded<float> at_x(x), dy(weight);
    Guarded<float> y(60), gradient(60);
    leaky_relu_forward(exec, {60, at_x.data(), 0.1f, y.data()});
    leaky_relu_backward(exec, {60, y.data(), dy.data(), nullptr, 0.1f, gradient.data()});
    Floats dx = gradient.copy();
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
    test::expect_caught(fault, check_backward<float>(op, exec, {1000, 0.1f, true}));
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
                      check_backward<float>(all_ones_at_zero, exec, {1000, 0.1f, true}));
}

// --- add

template <typename T>
using AddOp = std::function<void(const Exec&, const AddOf<T>&)>;

template <typename T>
Verdict check_add(const AddOp<T>& op, const Exec& exec, int64_t count, bool relu, Alias alias,
                  int64_t shift = 0) {
  const Floats in = test::rounded<T>(test::uniform(count, 7, 0.0f, 1.0f)),
               in2 = test::rounded<T>(test::uniform(count, 8, -0.9f, 1.0f));
  Shifted<T> a(in, shift), b(in2, shift), fresh(count, kNan, shift);
  Shifted<T>& y = alias == Alias::kFirst ? a : alias == Alias::kSecond ? b : fresh;
  op(exec, {count, a.data(), b.data(), relu, y.data()});
  Doubles want;
  for (size_t i = 0; i < in.size(); ++i) {
    const double sum = static_cast<double>(in[i]) + in2[i];
    want.push_back(relu ? std::max(sum, 0.0) : sum);
  }
  Verdict v;
  v.require("y", test::compare(y.floats(), want, kElementwise<T>, 0.5));
  v.require("canaries", a.intact() && b.intact() && fresh.intact());
  return v;
}

TEST_CASE("residual addition") {
  test::for_each_device_and_storage([]<typename T>(const Exec& exec, T) {
    for (const int64_t count : counts(exec)) {
      for (const bool relu : {false, true}) {
        for (const auto alias : {Alias::kNone, Alias::kFirst, Alias::kSecond}) {
          test::expect_ok(std::to_string(count), check_add<T>(add<T>, exec, count, relu, alias));
        }
      }
      test::expect_ok("unaligned", check_add<T>(add<T>, exec, count, true, Alias::kNone, 1));
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
    test::expect_caught(fault, check_add<float>(op, exec, 1000, true, Alias::kNone));
  };
  caught("ReLU ignored", [](Add& a) { a.relu = false; });
  caught("a twice", [](Add& a) { a.b = a.a; });
  caught("last element left out", [](Add& a) { --a.count; });
  caught("shifted by one", [](Add& a) { a.y += 1; });
}

// --- bias addition

template <typename T>
using BiasAddOp = std::function<void(const Exec&, const BiasAddOf<T>&)>;

struct BiasAddCase {
  int64_t rows, c;
  float slope = 1.0f;
  bool in_place = false;
  int64_t shift = 0;
};

template <typename T>
Verdict check_bias_add(const BiasAddOp<T>& op, const Exec& exec, const BiasAddCase& k) {
  const Floats in = test::rounded<T>(test::uniform(k.rows * k.c, 14)),
               values = test::uniform(k.c, 15, 0.1f, 1.0f);
  Shifted<T> x(in, k.shift), fresh(k.rows * k.c, kNan, k.shift);
  Shifted<T>& y = k.in_place ? x : fresh;
  const Guarded<float> bias(values);
  op(exec, {k.rows, k.c, x.data(), bias.data(), k.slope, y.data()});
  Doubles want;
  for (size_t i = 0; i < in.size(); ++i) {
    const double sum = static_cast<double>(in[i]) + values[i % values.size()];
    want.push_back(sum > 0 ? sum : k.slope * sum);
  }
  Verdict v;
  v.require("y", test::compare(y.floats(), want, kElementwise<T>, 0.5));
  v.require("canaries", x.intact() && fresh.intact() && bias.intact());
  return v;
}

// Channels for every width of CUDA's vectors: 256 and more allow eight, 128 four, 64 two.
const std::vector<int64_t> kChannels = {1, 3, 33, 64, 130, 260, 264, 3000};

TEST_CASE("bias addition") {
  test::for_each_device_and_storage([]<typename T>(const Exec& exec, T) {
    for (const int64_t rows : {1, 7, 8, 9, 65}) {
      for (const int64_t c : kChannels) {
        if (test::is_slow(exec) && rows * c > 20000) continue;
        for (const float slope : {1.0f, 0.1f, 0.0f}) {
          if (slope == 0.0f && rows * c < 60) continue;  // hardly anything but zeros
          test::expect_ok(std::to_string(c),
                          check_bias_add<T>(bias_add<T>, exec, {rows, c, slope, rows == 8}));
        }
        test::expect_ok("unaligned",
                        check_bias_add<T>(bias_add<T>, exec, {rows, c, 0.1f, false, 1}));
      }
    }
    CHECK_NOTHROW(bias_add<T>(exec, {0, 5}));
    CHECK_THROWS_AS(bias_add<T>(exec, {1, 0}), Error);
  });
}

TEST_CASE("planted faults in the bias addition are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, void (*change)(BiasAdd&)) {
    const auto op = [change](const Exec& e, BiasAdd args) {
      change(args);
      bias_add(e, args);
    };
    test::expect_caught(fault, check_bias_add<float>(op, exec, {40, 33, 0.1f}));
  };
  caught("no activation", [](BiasAdd& a) { a.slope = 1.0f; });
  caught("ReLU", [](BiasAdd& a) { a.slope = 0.0f; });
  caught("bias of the neighbour", [](BiasAdd& a) { a.bias += 1; });
  caught("last row left out", [](BiasAdd& a) { --a.rows; });
  caught("rows and channels swapped", [](BiasAdd& a) { std::swap(a.rows, a.c); });
}

// --- bias gradient

template <typename T>
using BiasOp = std::function<void(const Exec&, const BiasGradientOf<T>&)>;

template <typename T>
Verdict check_bias(const BiasOp<T>& op, const Exec& exec, int64_t rows, int64_t c, GradMode mode,
                   int64_t shift = 0) {
  const Floats in = test::rounded<T>(test::uniform(rows * c, 9)), old = test::uniform(c, 10);
  const Shifted<T> dy(in, shift);
  Guarded<float> db(old);
  Guarded<double> scratch(bias_gradient_scratch(rows, c), std::nan(""));
  op(exec, {rows, c, dy.data(), db.data(), mode, scratch.data()});
  Verdict v;
  v.require("canaries", dy.intact() && db.intact() && scratch.intact());
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
  test::for_each_device_and_storage([]<typename T>(const Exec& exec, T) {
    for (const int64_t rows : {1, 2, 31, 33, 63, 64, 65, 200, 2049}) {
      for (const int64_t c : {1, 3, 5, 16, 33, 64, 130, 132}) {
        if (test::is_slow(exec) && rows * c > 15000) continue;
        for (const auto mode : {GradMode::kSkip, GradMode::kOverwrite, GradMode::kAccumulate}) {
          test::expect_ok(std::to_string(rows),
                          check_bias<T>(bias_gradient<T>, exec, rows, c, mode));
        }
        test::expect_ok("unaligned",
                        check_bias<T>(bias_gradient<T>, exec, rows, c, GradMode::kOverwrite, 1));
      }
    }
    test::expect_ok("long", check_bias<T>(bias_gradient<T>, exec, 9001, 5, GradMode::kAccumulate));
    test::expect_ok("wide", check_bias<T>(bias_gradient<T>, exec, 40, 1000, GradMode::kAccumulate));
  });
}

TEST_CASE("the bias gradient's bits depend neither on the schedule nor on the alignment") {
  test::for_each_cuda_device([](const Exec& exec) {
    const auto produce = [](int64_t shift) {
      return [shift](const Exec& e) {
        const Shifted<Half> dy(test::uniform(523 * 264, 16), shift);
        Guarded<float> db(264);
        Guarded<double> scratch(bias_gradient_scratch(523, 264));
        bias_gradient<Half>(e,
                            {523, 264, dy.data(), db.data(), GradMode::kOverwrite, scratch.data()});
        return db.copy();
      };
    };
    test::expect_ok("schedules", test::always_same_bits(exec, produce(0)));
    test::expect_ok("alignment", test::compare_bits(produce(1)(exec), produce(0)(exec)));
  });
}

// So many rows that each of CUDA's pieces has more than the 64 that its threads add in float.
constexpr int64_t kManyRows = 140001;

TEST_CASE("bias gradient of small integers is exact, also with more rows than one round takes") {
  CHECK(kManyRows > 2 * 64 * bias_gradient_pieces(kManyRows, 1));
  test::for_each_device([](const Exec& exec) {
    for (const auto& [rows, c] : {std::pair<int64_t, int64_t>{1000, 7}, {kManyRows, 1}}) {
      const Floats in = test::small_integers(rows * c, 11, 8);
      const Guarded<float> dy(in);
      Guarded<float> db(c);
      Guarded<double> scratch(bias_gradient_scratch(rows, c));
      Floats want(static_cast<size_t>(c));
      bias_gradient(exec, {rows, c, dy.data(), db.data(), GradMode::kOverwrite, scratch.data()});
      for (size_t i = 0; i < in.size(); ++i) want[i % want.size()] += in[i];
      test::expect_ok("db", test::compare(db.copy(), want, test::tolerance(OpClass::kExact, 1)));
    }
  });
}

TEST_CASE("planted faults in the bias gradient are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, void (*change)(BiasGradient&)) {
    const auto op = [change](const Exec& e, BiasGradient args) {
      change(args);
      bias_gradient(e, args);
    };
    test::expect_caught(fault, check_bias<float>(op, exec, 200, 33, GradMode::kAccumulate));
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
}  // namespace verace::kernels::activation_test

// Max pooling backward against an independent oracle, finite differences and planted faults.
#include "kernels/pool.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/kernels/pool_cases.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/gradient_check.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::kernels::max_pool_backward_test {
namespace {

using namespace pool_test;
using test::Guarded;
using test::OpClass;
using test::Shifted;
using test::Verdict;

template <class T>
using BackwardOp = std::function<void(const Exec&, const MaxPoolBackwardOf<T>&)>;

// What the tests run, as a value that deduces nothing.
template <class T>
void run_backward(const Exec& exec, const MaxPoolBackwardOf<T>& args) {
  max_pool_backward(exec, args);
}

double zero_share(const Doubles& values) {
  double zeros = 0.0;
  for (const double v : values) zeros += v == 0.0 ? 1.0 : 0.0;
  return zeros / static_cast<double>(values.size());
}

template <class T = float>
Verdict check_backward(const BackwardOp<T>& op, const Exec& exec, const PoolGeometry& g, bool fork,
                       int64_t shift = 0) {
  const Pooled forward = pool(g, test::widen(tied_input(g, true)));
  const int64_t count = static_cast<int64_t>(forward.y.size());
  const Floats in = test::rounded<T>(test::uniform(count, 5)),
               in2 = test::rounded<T>(test::uniform(count, 6));
  Shifted<T> dy(in, shift), dy2(in2, shift), dx(g.x.count(), kNan, shift);
  const Guarded<uint8_t> winner(forward.winner);
  op(exec, {g, dy.data(), fork ? dy2.data() : nullptr, winner.data(), dx.data()});
  Doubles want(static_cast<size_t>(g.x.count()));
  for (size_t i = 0; i < in.size(); ++i) {
    want[forward.from[i]] += fork ? static_cast<double>(in[i]) + in2[i] : in[i];
  }
  Verdict v;
  const auto tolerance = test::stored_as<T>(test::tolerance(OpClass::kReduction, g.r * g.s, 2.0));
  v.require("dx", test::compare(dx.floats(), want, tolerance, zero_share(want)));
  v.require("canaries", dy.intact() && dy2.intact() && dx.intact() && winner.intact());
  v.require("dy untouched", test::compare_bits(dy.floats(), in));
  return v;
}

TEST_CASE("max pooling backward") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    for (const PoolGeometry& g : geometries()) {
      for (const bool fork : {false, true}) {
        test::expect_ok(text(g), check_backward<T>(run_backward<T>, exec, g, fork));
        test::expect_ok(text(g), check_backward<T>(run_backward<T>, exec, g, fork, 1));
      }
    }
  });
}

TEST_CASE("max pooling backward of small integers is exact") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    for (const PoolGeometry& g : geometries()) {
      const Pooled forward = pool(g, test::widen(tied_input(g, true)));
      const Floats in = test::small_integers(g.y().count(), 9, 9);
      Shifted<T> dy(in, 0), dx(g.x.count(), kNan, 0);
      const Guarded<uint8_t> winner(forward.winner);
      max_pool_backward(exec,
                        MaxPoolBackwardOf<T>{g, dy.data(), nullptr, winner.data(), dx.data()});
      Doubles want(static_cast<size_t>(g.x.count()));
      for (size_t i = 0; i < in.size(); ++i) want[forward.from[i]] += in[i];
      test::expect_ok(text(g), test::compare(dx.floats(), want, test::tolerance(OpClass::kExact, 1),
                                             zero_share(want)));
    }
  });
}

TEST_CASE("max pooling backward agrees with finite differences") {
  test::for_each_device([](const Exec& exec) {
    for (const PoolGeometry& g :
         {geometry({1, 7, 6, 2}, 3, 2, 1), geometry({1, 6, 7, 2}, 3, 2, 0, true)}) {
      const Floats x = test::uniform(g.x.count(), 7);
      const Floats weight = test::uniform(g.y().count(), 8);
      const Guarded<float> gx(x), dy(weight);
      Guarded<float> y(g.y().count()), gdx(g.x.count());
      Guarded<uint8_t> winner(g.y().count());
      max_pool_forward(exec, {g, gx.data(), y.data(), winner.data()});
      max_pool_backward(exec, {g, dy.data(), nullptr, winner.data(), gdx.data()});
      Floats dx = gdx.copy();
      const auto f = [&](const Doubles& at) {
        const Doubles values = pool(g, at).y;
        double sum = 0.0;
        for (size_t i = 0; i < values.size(); ++i) sum += weight[i] * values[i];
        return sum;
      };
      // A kink: another value of the channel so near that the step could change the winner.
      const auto kink = [&](int64_t i) {
        for (int64_t j = i % 2; j < g.x.count(); j += 2) {
          if (j != i && std::abs(x[static_cast<size_t>(i)] - x[static_cast<size_t>(j)]) < 2e-4f)
            return true;
        }
        return false;
      };
      test::GradientOptions options;
      options.tolerance = test::tolerance(OpClass::kFiniteDifference, 9);
      options.expected_zero_share = 0.8;
      test::expect_ok(text(g), test::check_gradient(f, test::widen(x), dx, options, kink));
      for (float& v : dx) v *= 1.01f;
      test::expect_caught("scaled", test::check_gradient(f, test::widen(x), dx, options, kink));
    }
  });
}

TEST_CASE("planted faults in max pooling backward are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const PoolGeometry g{{2, 9, 12, 6}, 3, 4, 2, 3, 1, 1, false};
  const auto caught = [&](const std::string& fault, void (*change)(MaxPoolBackward&)) {
    const auto op = [change](const Exec& e, MaxPoolBackward args) {
      change(args);
      max_pool_backward(e, args);
    };
    test::expect_caught(fault, check_backward<float>(op, exec, g, true));
  };
  caught("dy2 ignored", [](MaxPoolBackward& a) { a.dy2 = nullptr; });
  caught("height and width swapped", [](MaxPoolBackward& a) {
    std::swap(a.geometry.x.h, a.geometry.x.w);
    std::swap(a.geometry.r, a.geometry.s);
    std::swap(a.geometry.stride_h, a.geometry.stride_w);
  });
  caught("padding off by one", [](MaxPoolBackward& a) { a.geometry.pad_w = 0; });
  const auto after = [&](const std::string& fault, void (*change)(const MaxPoolBackward&)) {
    const auto op = [change](const Exec& e, const MaxPoolBackward& args) {
      max_pool_backward(e, args);
      change(args);
    };
    test::expect_caught(fault, check_backward<float>(op, exec, g, true));
  };
  after("scaled", [](const MaxPoolBackward& a) {
    for (int64_t i = 0; i < a.geometry.x.count(); ++i) a.dx[i] *= 1.001f;
  });
  after("zeros", [](const MaxPoolBackward& a) { std::fill_n(a.dx, a.geometry.x.count(), 0.0f); });
  after("NaN where nothing won", [](const MaxPoolBackward& a) {
    for (int64_t i = 0; i < a.geometry.x.count(); ++i) {
      if (a.dx[i] == 0.0f) a.dx[i] = kNan;
    }
  });
  const auto last_only = [](const Exec&, const MaxPoolBackward& a) {
    // Assignment instead of accumulation where windows overlap.
    const PoolGeometry& q = a.geometry;
    std::fill_n(a.dx, q.x.count(), 0.0f);
    for (int64_t i = 0; i < q.y().count(); ++i) {
      const int64_t c = i % q.x.c, column = i / q.x.c % q.q(), row = i / q.x.c / q.q() % q.p();
      const int64_t n = i / q.x.c / q.q() / q.p();
      const int64_t h = row * q.stride_h - q.pad_h + a.winner[i] / q.s;
      const int64_t w = column * q.stride_w - q.pad_w + a.winner[i] % q.s;
      a.dx[((n * q.x.h + h) * q.x.w + w) * q.x.c + c] = a.dy[i] + a.dy2[i];
    }
  };
  test::expect_caught("missing accumulation", check_backward<float>(last_only, exec, g, true));
}

}  // namespace
}  // namespace verace::kernels::max_pool_backward_test

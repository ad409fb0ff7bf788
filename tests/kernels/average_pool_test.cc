// Global average pooling against an independent oracle; what no bit of pooling may depend on.
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
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::kernels::average_pool_test {
namespace {

using namespace pool_test;
using test::Guarded;
using test::OpClass;
using test::Shifted;
using test::Verdict;

const std::vector<Nhwc> kAverageShapes = {{1, 1, 1, 1},   {2, 7, 7, 5},  {3, 4, 6, 33},
                                          {2, 7, 7, 257}, {5, 1, 9, 64}, {2, 3, 3, 520}};

template <class T>
using AverageForwardOp = std::function<void(const Exec&, const GlobalAveragePoolForwardOf<T>&)>;
template <class T>
using AverageBackwardOp = std::function<void(const Exec&, const GlobalAveragePoolBackwardOf<T>&)>;

template <class T = float>
Verdict check_average_forward(const AverageForwardOp<T>& op, const Exec& exec, const Nhwc& shape,
                              int64_t shift = 0) {
  const Floats in = test::rounded<T>(test::uniform(shape.count(), 9));
  Shifted<T> x(in, shift), y(shape.n * shape.c, kNan, shift);
  op(exec, {shape, x.data(), y.data()});
  const size_t c = static_cast<size_t>(shape.c), pixels = static_cast<size_t>(shape.h * shape.w);
  Doubles want(static_cast<size_t>(y.size()));
  for (size_t i = 0; i < in.size(); ++i) {
    want[i / (pixels * c) * c + i % c] += in[i] / static_cast<double>(pixels);
  }
  Verdict v;
  const auto tolerance = test::stored_as<T>(test::tolerance(OpClass::kReduction, 4));
  v.require("y", test::compare(y.floats(), want, tolerance));
  v.require("canaries", x.intact() && y.intact());
  return v;
}

template <class T = float>
Verdict check_average_backward(const AverageBackwardOp<T>& op, const Exec& exec, const Nhwc& shape,
                               int64_t shift = 0) {
  const Floats in = test::rounded<T>(test::uniform(shape.n * shape.c, 10));
  Shifted<T> dy(in, shift), dx(shape.count(), kNan, shift);
  op(exec, {shape, dy.data(), dx.data()});
  const size_t c = static_cast<size_t>(shape.c), pixels = static_cast<size_t>(shape.h * shape.w);
  Doubles want;
  for (size_t i = 0; i < static_cast<size_t>(dx.size()); ++i) {
    want.push_back(in[i / (pixels * c) * c + i % c] / static_cast<double>(pixels));
  }
  Verdict v;
  const auto tolerance = test::stored_as<T>(test::tolerance(OpClass::kElementwise, 1));
  v.require("dx", test::compare(dx.floats(), want, tolerance));
  v.require("canaries", dy.intact() && dx.intact());
  return v;
}

TEST_CASE("global average pooling") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    const auto forward = [](const Exec& e, const GlobalAveragePoolForwardOf<T>& a) {
      global_average_pool_forward(e, a);
    };
    const auto backward = [](const Exec& e, const GlobalAveragePoolBackwardOf<T>& a) {
      global_average_pool_backward(e, a);
    };
    for (const Nhwc& shape : kAverageShapes) {
      CAPTURE(shape.c);
      for (const int64_t shift : {0, 1}) {
        test::expect_ok("forward", check_average_forward<T>(forward, exec, shape, shift));
        test::expect_ok("backward", check_average_backward<T>(backward, exec, shape, shift));
      }
    }
  });
}

TEST_CASE("global average pooling: backward is the adjoint of forward") {
  test::for_each_device([](const Exec& exec) {
    const Nhwc shape{2, 3, 5, 7};
    const Guarded<float> x(test::uniform(shape.count(), 11)), dy(test::uniform(14, 12));
    Guarded<float> y(14), dx(shape.count());
    global_average_pool_forward(exec, {shape, x.data(), y.data()});
    global_average_pool_backward(exec, {shape, dy.data(), dx.data()});
    double left = 0.0, right = 0.0;
    for (int64_t i = 0; i < 14; ++i) left += static_cast<double>(y[i]) * dy[i];
    for (int64_t i = 0; i < shape.count(); ++i) right += static_cast<double>(x[i]) * dx[i];
    CHECK(left == doctest::Approx(right).epsilon(1e-5));
  });
}

TEST_CASE("a NaN in a picture reaches the average of its channel only") {
  test::for_each_device([](const Exec& exec) {
    const Nhwc shape{2, 3, 5, 9};
    Floats in = test::uniform(shape.count(), 11);
    in[static_cast<size_t>((15 + 7) * 9 + 4)] = kNan;  // picture 1, pixel 7, channel 4
    const Guarded<float> x(in);
    Guarded<float> y(18);
    global_average_pool_forward(exec, {shape, x.data(), y.data()});
    for (int64_t i = 0; i < 18; ++i) CHECK(std::isnan(y[i]) == (i == 9 + 4));
  });
}

TEST_CASE("planted faults in global average pooling are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const Nhwc shape{3, 4, 6, 33};
  test::expect_caught("sum instead of mean",
                      check_average_forward<float>(
                          [](const Exec& e, const GlobalAveragePoolForward& a) {
                            global_average_pool_forward(e, a);
                            for (int64_t i = 0; i < a.shape.n * a.shape.c; ++i) a.y[i] *= 24.0f;
                          },
                          exec, shape));
  test::expect_caught("a row left out", check_average_forward<float>(
                                            [](const Exec& e, GlobalAveragePoolForward a) {
                                              --a.shape.h;
                                              global_average_pool_forward(e, a);
                                            },
                                            exec, shape));
  test::expect_caught("not divided", check_average_backward<float>(
                                         [](const Exec& e, const GlobalAveragePoolBackward& a) {
                                           global_average_pool_backward(e, a);
                                           for (int64_t i = 0; i < a.shape.count(); ++i)
                                             a.dx[i] *= 24.0f;
                                         },
                                         exec, shape));
  if (test::may_overrun()) {
    test::expect_caught("images swapped with pixels",
                        check_average_backward<float>(
                            [](const Exec& e, GlobalAveragePoolBackward a) {
                              std::swap(a.shape.n, a.shape.h);
                              global_average_pool_backward(e, a);
                            },
                            exec, shape));
  }
}

TEST_CASE("no bit depends on the number of threads") {
  const auto all = [](int threads) {
    const Exec exec{DeviceKind::kCpu, threads};
    Floats result;
    for (const PoolGeometry& g : geometries()) {
      const Floats x = test::uniform(g.x.count(), 13), dy = test::uniform(g.y().count(), 14);
      Floats y(dy.size()), dx(x.size());
      Bytes winner(dy.size());
      max_pool_forward(exec, {g, x.data(), y.data(), winner.data()});
      max_pool_backward(exec, {g, dy.data(), y.data(), winner.data(), dx.data()});
      result.insert(result.end(), y.begin(), y.end());
      result.insert(result.end(), dx.begin(), dx.end());
    }
    const Nhwc shape{3, 7, 7, 300};
    const Floats x = test::uniform(shape.count(), 15);
    Floats y(900), dx(x.size());
    global_average_pool_forward(exec, {shape, x.data(), y.data()});
    global_average_pool_backward(exec, {shape, y.data(), dx.data()});
    result.insert(result.end(), y.begin(), y.end());
    result.insert(result.end(), dx.begin(), dx.end());
    return result;
  };
  test::expect_ok("2 threads", test::compare_bits(all(2), all(1)));
  test::expect_ok("3 threads", test::compare_bits(all(3), all(1)));
}

}  // namespace
}  // namespace verace::kernels::average_pool_test

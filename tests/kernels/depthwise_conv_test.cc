// Depthwise convolution on every device against an independent oracle in double, and planted
// faults.
#include "kernels/depthwise_conv.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::kernels::depthwise_conv_test {
namespace {

using test::OpClass;
using test::Shifted;
using test::Verdict;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;
using Op = std::function<void(const Exec&, const DepthwiseConv&)>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Case {
  Nhwc x;
  int64_t stride = 1;
  float slope = 1.0f;
  bool integers = false;
  int64_t shift = 0;  // elements that the tensors lie behind an aligned address
};

std::string text(const Case& c) {
  const auto s = [](auto v) { return std::to_string(v); };
  return s(c.x.n) + "x" + s(c.x.h) + "x" + s(c.x.w) + "x" + s(c.x.c) + " stride " + s(c.stride) +
         " slope " + s(c.slope);
}

// Scatters each input pixel to the outputs over it: taps outside, no test of borders on the way in.
Doubles oracle(const Case& k, const Floats& x, const Floats& w, const Floats& bias) {
  int64_t p_size = 0, q_size = 0;
  while (p_size * k.stride < k.x.h) ++p_size;
  while (q_size * k.stride < k.x.w) ++q_size;
  const int64_t c = k.x.c;
  Doubles y(static_cast<size_t>(k.x.n * p_size * q_size * c));
  for (size_t i = 0; i < y.size(); ++i) y[i] = bias[i % static_cast<size_t>(c)];
  for (int64_t i = 0; i < k.x.count(); ++i) {
    const int64_t channel = i % c, column = i / c % k.x.w, row = i / c / k.x.w % k.x.h;
    for (int64_t tap = 0; tap < 9; ++tap) {
      const int64_t down = row + 1 - tap / 3, right = column + 1 - tap % 3;
      if (down < 0 || right < 0 || down % k.stride != 0 || right % k.stride != 0) continue;
      const int64_t p = down / k.stride, q = right / k.stride;
      if (p >= p_size || q >= q_size) continue;
      const int64_t image = i / c / k.x.w / k.x.h;
      y[static_cast<size_t>(((image * p_size + p) * q_size + q) * c + channel)] +=
          static_cast<double>(x[static_cast<size_t>(i)]) *
          w[static_cast<size_t>(tap * c + channel)];
    }
  }
  for (double& v : y) v = v > 0 ? v : v * static_cast<double>(k.slope);
  return y;
}

Verdict check(const Op& op, const Exec& exec, const Case& k) {
  const auto data = [&](int64_t count, uint64_t seed) {
    return k.integers ? test::small_integers(count, seed, 4) : test::uniform(count, seed);
  };
  const Floats x = data(k.x.count(), 1), w = data(9 * k.x.c, 2), bias = data(k.x.c, 3);
  const Doubles want = oracle(k, x, w, bias);
  Shifted<float> in(x, k.shift), filter(w, k.shift), add(bias, k.shift),
      y(static_cast<int64_t>(want.size()), kNan, k.shift);
  op(exec, {k.x, k.stride, in.data(), filter.data(), add.data(), k.slope, y.data()});
  const OpClass op_class = k.integers ? OpClass::kExact : OpClass::kConvolution;
  Verdict v;
  v.require("y", test::compare(y.floats(), want, test::tolerance(op_class, 10),
                               k.slope == 0.0f ? 0.75 : 0.2));
  v.require("canaries", in.intact() && filter.intact() && add.intact() && y.intact());
  v.require("inputs untouched", test::compare_bits(in.floats(), x));
  return v;
}

// Heights and widths of which the window covers less than all, odd and even; channels that fill
// vectors and that do not.
std::vector<Nhwc> shapes() {
  return {{1, 1, 1, 5},  {2, 4, 7, 1},   {1, 1, 6, 8},  {1, 5, 1, 16}, {3, 5, 4, 7},
          {2, 6, 7, 24}, {1, 9, 8, 33},  {1, 2, 2, 16}, {2, 7, 7, 4},  {1, 3, 12, 20},
          {1, 4, 5, 64}, {1, 12, 3, 40}, {1, 8, 11, 3}};
}

TEST_CASE("depthwise convolution agrees with the oracle") {
  test::for_each_device([](const Exec& exec) {
    for (const Nhwc& x : shapes()) {
      for (const int64_t stride : {1, 2}) {
        for (const float slope : {0.0f, 0.125f, 1.0f}) {
          for (const bool integers : {false, true}) {
            const Case k{x, stride, slope, integers};
            test::expect_ok(text(k), check(depthwise_conv, exec, k));
          }
        }
        const Case shifted{x, stride, 0.1f, false, 1};
        test::expect_ok(text(shifted) + " shifted", check(depthwise_conv, exec, shifted));
      }
    }
  });
}

TEST_CASE("depthwise convolution of maps in several pieces, in the same bits in every order") {
  test::for_each_device([](const Exec& exec) {
    if (test::is_slow(exec)) return;
    const Case k{{2, 70, 61, 32}, 2, 0.1f};
    test::expect_ok(text(k), check(depthwise_conv, exec, k));
  });
  const auto produce = [](const Exec& exec) {
    const Nhwc shape{1, 9, 10, 12};
    const Floats x = test::uniform(shape.count(), 1), w = test::uniform(108, 2),
                 bias = test::uniform(12, 3);
    Shifted<float> in(x, 0), filter(w, 0), add(bias, 0), y(shape.count(), kNan, 0);
    depthwise_conv(exec, {shape, 1, in.data(), filter.data(), add.data(), 0.0f, y.data()});
    return y.floats();
  };
  test::for_each_device([&](const Exec& exec) { CHECK(test::always_same_bits(exec, produce).ok); });
}

TEST_CASE("what a depthwise convolution refuses") {
  test::for_each_device([](const Exec& exec) {
    Shifted<float> x(Floats(64, 1.0f), 0), y(64, 0.0f, 0);
    const DepthwiseConv good{{1, 4, 4, 4}, 1, x.data(), x.data(), x.data(), 0.0f, y.data()};
    CHECK_NOTHROW(depthwise_conv(exec, good));
    const auto refused = [&](const auto& change) {
      DepthwiseConv bad = good;
      change(bad);
      CHECK_THROWS_AS(depthwise_conv(exec, bad), Error);
    };
    refused([](auto& a) { a.stride = 3; });
    refused([](auto& a) { a.stride = 0; });
    refused([](auto& a) { a.slope = 1.5f; });
    refused([](auto& a) { a.slope = -0.1f; });
    refused([](auto& a) { a.shape.h = 0; });
    refused([](auto& a) { a.bias = nullptr; });
    refused([&](auto& a) { a.x = y.data(); });
  });
}

TEST_CASE("planted faults in depthwise convolution are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, const Case& k, const auto& change) {
    const auto op = [&](const Exec& e, DepthwiseConv a) {
      Floats w(a.w, a.w + 9 * a.shape.c), bias(a.bias, a.bias + a.shape.c);
      const int64_t outputs = a.y_shape().count();
      change(a, w, bias);
      Floats scratch(static_cast<size_t>(a.y_shape().count()));
      DepthwiseConv aside = a;
      aside.w = w.data(), aside.bias = bias.data(), aside.y = scratch.data();
      depthwise_conv(e, aside);
      for (int64_t i = 0; i < outputs; ++i) {
        a.y[i] = scratch[static_cast<size_t>(i) % scratch.size()];
      }
    };
    test::expect_caught(fault, check(op, exec, k));
  };
  for (const bool integers : {false, true}) {
    const Case k{{2, 7, 6, 5}, 2, 0.125f, integers};
    caught("slope ignored", k, [](auto& a, auto&, auto&) { a.slope = 0.0f; });
    caught("no activation", k, [](auto& a, auto&, auto&) { a.slope = 1.0f; });
    caught("another stride", k, [](auto& a, auto&, auto&) { a.stride = 1; });
    caught("height and width exchanged", k,
           [](auto& a, auto&, auto&) { std::swap(a.shape.h, a.shape.w); });
    caught("bias missing", k, [](auto&, auto&, auto& bias) { bias.assign(bias.size(), 0.0f); });
    caught("bias of the next channel", k, [](auto&, auto&, auto& bias) {
      std::rotate(bias.begin(), bias.begin() + 1, bias.end());
    });
    caught("filter turned", k, [](auto&, auto& w, auto&) { std::reverse(w.begin(), w.end()); });
    caught("filter axes exchanged", k, [](auto&, auto& w, auto&) {
      for (size_t r = 0; r < 3; ++r) {
        for (size_t s = 0; s < r; ++s) {
          for (size_t c = 0; c < 5; ++c) std::swap(w[(r * 3 + s) * 5 + c], w[(s * 3 + r) * 5 + c]);
        }
      }
    });
    caught("filter as [c, 3, 3]", k, [](auto&, auto& w, auto&) {
      const Floats before = w;
      for (size_t i = 0; i < w.size(); ++i) w[i] = before[i % 5 * 9 + i / 5];
    });
    caught("one tap missing", k, [](auto&, auto& w, auto&) { w[8 * 5 + 4] = 0.0f; });
  }
}

}  // namespace
}  // namespace verace::kernels::depthwise_conv_test

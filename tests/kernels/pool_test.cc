// Pooling against an independent oracle in double, finite differences and planted faults.
#include "kernels/pool.h"

#include <doctest/doctest.h>

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
using Bytes = std::vector<uint8_t>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
const test::Tolerance kExact = test::tolerance(OpClass::kExact, 1);

PoolGeometry geometry(const Nhwc& x, int64_t window, int64_t stride, int64_t pad,
                      bool ceil = false) {
  return {x, window, window, stride, stride, pad, pad, ceil};
}

// ResNet-50's pool in both published forms, tails, overlap, gaps (stride > window), unequal sides,
// ceil mode.
std::vector<PoolGeometry> geometries() {
  return {geometry({2, 8, 8, 16}, 3, 2, 1),        geometry({2, 9, 7, 5}, 3, 2, 1),
          geometry({1, 8, 10, 65}, 3, 2, 0, true), geometry({2, 9, 11, 33}, 3, 2, 0, true),
          geometry({1, 7, 7, 3}, 2, 2, 0),         geometry({1, 7, 6, 130}, 2, 2, 0, true),
          geometry({1, 6, 6, 17}, 3, 1, 1),        geometry({1, 11, 10, 4}, 2, 3, 0),
          geometry({1, 5, 5, 3}, 1, 1, 0),         geometry({2, 5, 4, 3}, 5, 1, 2, true),
          geometry({1, 7, 7, 2}, 3, 2, 1, true),   {{2, 9, 12, 6}, 2, 4, 3, 2, 1, 0, false},
          {{2, 12, 9, 6}, 4, 2, 1, 3, 0, 1, true}, {{1, 4, 9, 8}, 1, 5, 1, 2, 0, 2, false}};
}

std::string text(const PoolGeometry& g) {
  std::string s;
  for (const int64_t v :
       {g.x.n, g.x.h, g.x.w, g.x.c, g.r, g.s, g.stride_h, g.stride_w, g.pad_h, g.pad_w}) {
    s += std::to_string(v) + " ";
  }
  return s + (g.ceil_mode ? "ceil" : "floor");
}

// Output sizes counted from the definition: windows that start inside the input or its left padding
// and, in floor mode, end inside the padded input; in ceil mode at least one element beyond the
// previous window's end.
int64_t count_windows(int64_t size, int64_t window, int64_t stride, int64_t pad, bool ceil) {
  int64_t windows = 0;
  for (int64_t start = -pad; start < size; start += stride) {
    const bool fits = start + window <= size + pad;
    const bool previous_left_some = windows == 0 || start - stride + window < size + pad;
    if (!(fits || (ceil && previous_left_some))) break;
    ++windows;
  }
  return windows;
}

TEST_CASE("output sizes agree with counting windows") {
  for (int64_t size = 1; size <= 12; ++size) {
    for (int64_t window = 1; window <= 5; ++window) {
      for (int64_t stride = 1; stride <= 4; ++stride) {
        for (int64_t pad = 0; pad < window; ++pad) {
          if (size + 2 * pad < window) continue;
          for (const bool ceil : {false, true}) {
            const PoolGeometry g{
                {1, size, size + 3, 1}, window, window, stride, stride, pad, pad, ceil};
            CAPTURE(text(g));
            CHECK(g.p() == count_windows(size, window, stride, pad, ceil));
            CHECK(g.q() == count_windows(size + 3, window, stride, pad, ceil));
          }
        }
      }
    }
  }
}

// --- max pooling forward

struct Pooled {
  Doubles y;
  Bytes winner;
  std::vector<size_t> from;  // index in x of each winner
};

Pooled pool(const PoolGeometry& g, const Doubles& x) {
  Pooled out;
  const int64_t p_count = count_windows(g.x.h, g.r, g.stride_h, g.pad_h, g.ceil_mode);
  const int64_t q_count = count_windows(g.x.w, g.s, g.stride_w, g.pad_w, g.ceil_mode);
  for (int64_t n = 0; n < g.x.n; ++n)
    for (int64_t p = 0; p < p_count; ++p)
      for (int64_t q = 0; q < q_count; ++q)
        for (int64_t c = 0; c < g.x.c; ++c) {
          double best = -std::numeric_limits<double>::infinity();
          int64_t winner = -1, from = -1;
          for (int64_t tap = 0; tap < g.r * g.s; ++tap) {
            const int64_t h = p * g.stride_h + tap / g.s - g.pad_h;
            const int64_t w = q * g.stride_w + tap % g.s - g.pad_w;
            if (h < 0 || w < 0 || h >= g.x.h || w >= g.x.w) continue;
            const int64_t at = ((n * g.x.h + h) * g.x.w + w) * g.x.c + c;
            if (winner >= 0 && x[static_cast<size_t>(at)] <= best) continue;
            best = x[static_cast<size_t>(at)];
            winner = tap;
            from = at;
          }
          out.y.push_back(best);
          out.winner.push_back(static_cast<uint8_t>(winner));
          out.from.push_back(static_cast<size_t>(from));
        }
  return out;
}

// Few different values, so that ties are frequent.
Floats tied_input(const PoolGeometry& g, bool ties) {
  Floats x = ties ? test::small_integers(g.x.count(), 3, 3) : test::uniform(g.x.count(), 3);
  for (float& v : x) v -= 5.0f;  // all negative: a padding of zeros would win
  return x;
}

using ForwardOp = std::function<void(const Exec&, const MaxPoolForward&)>;

Verdict check_forward(const ForwardOp& op, const Exec& exec, const PoolGeometry& g, bool ties,
                      bool keep_winner = true) {
  const Floats in = tied_input(g, ties);
  const Pooled want = pool(g, test::widen(in));
  const int64_t count = static_cast<int64_t>(want.y.size());
  Guarded<float> x(in), y(count, kNan);
  Guarded<uint8_t> winner(count, uint8_t{255});
  op(exec, {g, x.data(), y.data(), keep_winner ? winner.data() : nullptr});
  Verdict v;
  v.require("y", test::compare(y.span(), want.y, kExact));
  if (keep_winner) v.require("winner", test::compare_bits(winner, want.winner));
  v.require("canaries", x.intact() && y.intact() && winner.intact());
  return v;
}

TEST_CASE("max pooling forward: values and winners") {
  test::for_each_device([](const Exec& exec) {
    for (const PoolGeometry& g : geometries()) {
      for (const bool ties : {false, true}) {
        test::expect_ok(text(g), check_forward(max_pool_forward, exec, g, ties));
        test::expect_ok(text(g), check_forward(max_pool_forward, exec, g, ties, false));
      }
    }
  });
}

TEST_CASE("max pooling: infinities, NaN and ties") {
  test::for_each_device([](const Exec& exec) {
    const float inf = std::numeric_limits<float>::infinity();
    const auto run = [&](const Floats& x, float& y) {
      uint8_t winner = 255;
      max_pool_forward(exec, {{{1, 1, 3, 1}, 1, 3, 1, 1, 0, 0, false}, x.data(), &y, &winner});
      return static_cast<int>(winner);
    };
    float y = 0.0f;
    CHECK(run({-inf, -inf, -inf}, y) == 0);
    CHECK(y == -inf);
    CHECK(run({1.0f, kNan, 3.0f}, y) == 1);
    CHECK(std::isnan(y));
    CHECK(run({kNan, 5.0f, 3.0f}, y) == 0);
    CHECK(std::isnan(y));
    CHECK(run({1.0f, inf, kNan}, y) == 2);
    CHECK(std::isnan(y));
    CHECK(run({kNan, 1.0f, kNan}, y) == 0);
    CHECK(run({2.0f, 7.0f, 7.0f}, y) == 1);
    CHECK(y == 7.0f);
    CHECK(run({0.0f, -0.0f, 0.0f}, y) == 0);
  });
}

TEST_CASE("a NaN in the padded form reaches exactly the windows that cover it") {
  test::for_each_device([](const Exec& exec) {
    const PoolGeometry g = geometry({1, 8, 8, 3}, 3, 2, 1);
    Floats x = test::uniform(g.x.count(), 4), y(static_cast<size_t>(g.y().count()));
    x[(3 * 8 + 3) * 3 + 1] = kNan;  // pixel (3, 3), channel 1: windows p, q in {1, 2}
    max_pool_forward(exec, {g, x.data(), y.data(), nullptr});
    for (size_t i = 0; i < y.size(); ++i) {
      const size_t p = i / 12, q = i / 3 % 4;
      CHECK(std::isnan(y[i]) == (i % 3 == 1 && (p == 1 || p == 2) && (q == 1 || q == 2)));
    }
  });
}

TEST_CASE("max pooling refuses geometries the contract excludes") {
  test::for_each_device([](const Exec& exec) {
    Floats x(1000), y(1000);
    for (const PoolGeometry& g : {geometry({1, 8, 8, 1}, 3, 2, 3), geometry({1, 2, 2, 1}, 3, 1, 0),
                                  geometry({1, 8, 8, 1}, 3, 0, 1), geometry({0, 8, 8, 1}, 3, 2, 1),
                                  geometry({1, 20, 20, 1}, 16, 1, 0)}) {
      CHECK_THROWS_AS(max_pool_forward(exec, {g, x.data(), y.data(), nullptr}), Error);
    }
  });
}

TEST_CASE("planted faults in max pooling forward are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const PoolGeometry g{{2, 9, 12, 6}, 3, 4, 2, 3, 1, 1, false};
  const auto caught = [&](const std::string& fault, const PoolGeometry& right,
                          void (*change)(PoolGeometry&)) {
    const auto op = [change](const Exec& e, MaxPoolForward args) {
      change(args.geometry);
      max_pool_forward(e, args);
    };
    test::expect_caught(fault, check_forward(op, exec, right, false));
  };
  caught("height and width swapped", g, [](PoolGeometry& a) { std::swap(a.x.h, a.x.w); });
  caught("window sides swapped", g, [](PoolGeometry& a) { std::swap(a.r, a.s); });
  caught("strides swapped", {{2, 9, 9, 6}, 3, 3, 2, 1, 1, 1, false},
         [](PoolGeometry& a) { std::swap(a.stride_h, a.stride_w); });
  caught("padding off by one", g, [](PoolGeometry& a) { a.pad_h = 0; });
  caught("padding of the width ignored", g, [](PoolGeometry& a) { a.pad_w = 0; });
  caught("window too small", g, [](PoolGeometry& a) { a.r = 2; });
  caught("ceil mode ignored", geometry({1, 8, 10, 65}, 3, 2, 0, true),
         [](PoolGeometry& a) { a.ceil_mode = false; });
  caught("ceil mode without asking", geometry({1, 8, 10, 2}, 3, 2, 0),
         [](PoolGeometry& a) { a.ceil_mode = true; });

  const auto last_tie = [](const Exec&, const MaxPoolForward& args) {
    // The same loop with >= instead of >.
    const PoolGeometry& a = args.geometry;
    for (int64_t i = 0; i < a.y().count(); ++i) {
      const int64_t c = i % a.x.c, q = i / a.x.c % a.q(), p = i / a.x.c / a.q() % a.p();
      const int64_t n = i / a.x.c / a.q() / a.p();
      float best = -std::numeric_limits<float>::infinity();
      for (int64_t tap = 0; tap < a.r * a.s; ++tap) {
        const int64_t h = p * a.stride_h + tap / a.s - a.pad_h,
                      w = q * a.stride_w + tap % a.s - a.pad_w;
        if (h < 0 || w < 0 || h >= a.x.h || w >= a.x.w) continue;
        const float value = args.x[((n * a.x.h + h) * a.x.w + w) * a.x.c + c];
        if (!(value >= best)) continue;
        best = value;
        args.winner[i] = static_cast<uint8_t>(tap);
      }
      args.y[i] = best;
    }
  };
  test::expect_ok("without ties both agree", check_forward(last_tie, exec, g, false));
  test::expect_caught("the last of equals wins", check_forward(last_tie, exec, g, true));
  const auto zero_padding = [](const Exec& e, const MaxPoolForward& args) {
    max_pool_forward(e, args);
    for (int64_t j = 0; j < args.geometry.x.c; ++j) args.y[j] = 0.0f;
  };
  test::expect_caught("padding counts as zero", check_forward(zero_padding, exec, g, false));
}

// --- max pooling backward

using BackwardOp = std::function<void(const Exec&, const MaxPoolBackward&)>;

double zero_share(const Doubles& values) {
  double zeros = 0.0;
  for (const double v : values) zeros += v == 0.0 ? 1.0 : 0.0;
  return zeros / static_cast<double>(values.size());
}

Verdict check_backward(const BackwardOp& op, const Exec& exec, const PoolGeometry& g, bool fork) {
  const Pooled forward = pool(g, test::widen(tied_input(g, true)));
  const int64_t count = static_cast<int64_t>(forward.y.size());
  const Floats in = test::uniform(count, 5), in2 = test::uniform(count, 6);
  Guarded<float> dy(in), dy2(in2), dx(g.x.count(), kNan);
  Guarded<uint8_t> winner(forward.winner);
  op(exec, {g, dy.data(), fork ? dy2.data() : nullptr, winner.data(), dx.data()});
  Doubles want(static_cast<size_t>(g.x.count()));
  for (size_t i = 0; i < in.size(); ++i) {
    want[forward.from[i]] += fork ? static_cast<double>(in[i]) + in2[i] : in[i];
  }
  Verdict v;
  v.require("dx",
            test::compare(dx.span(), want, test::tolerance(OpClass::kReduction, g.r * g.s, 2.0),
                          zero_share(want)));
  v.require("canaries", dy.intact() && dy2.intact() && dx.intact() && winner.intact());
  return v;
}

TEST_CASE("max pooling backward") {
  test::for_each_device([](const Exec& exec) {
    for (const PoolGeometry& g : geometries()) {
      for (const bool fork : {false, true}) {
        test::expect_ok(text(g), check_backward(max_pool_backward, exec, g, fork));
      }
    }
  });
}

TEST_CASE("max pooling backward agrees with finite differences") {
  test::for_each_device([](const Exec& exec) {
    for (const PoolGeometry& g :
         {geometry({1, 7, 6, 2}, 3, 2, 1), geometry({1, 6, 7, 2}, 3, 2, 0, true)}) {
      const Floats x = test::uniform(g.x.count(), 7);
      const Floats weight = test::uniform(g.y().count(), 8);
      Floats y(weight.size()), dx(x.size());
      Bytes winner(weight.size());
      max_pool_forward(exec, {g, x.data(), y.data(), winner.data()});
      max_pool_backward(exec, {g, weight.data(), nullptr, winner.data(), dx.data()});
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
    test::expect_caught(fault, check_backward(op, exec, g, true));
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
    test::expect_caught(fault, check_backward(op, exec, g, true));
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
  test::expect_caught("missing accumulation", check_backward(last_only, exec, g, true));
}

// --- global average pooling

const std::vector<Nhwc> kAverageShapes = {
    {1, 1, 1, 1}, {2, 7, 7, 5}, {3, 4, 6, 33}, {2, 7, 7, 257}, {5, 1, 9, 64}};

using AverageForwardOp = std::function<void(const Exec&, const GlobalAveragePoolForward&)>;
using AverageBackwardOp = std::function<void(const Exec&, const GlobalAveragePoolBackward&)>;

Verdict check_average_forward(const AverageForwardOp& op, const Exec& exec, const Nhwc& shape) {
  const Floats in = test::uniform(shape.count(), 9);
  Guarded<float> x(in), y(shape.n * shape.c, kNan);
  op(exec, {shape, x.data(), y.data()});
  const size_t c = static_cast<size_t>(shape.c), pixels = static_cast<size_t>(shape.h * shape.w);
  Doubles want(y.size());
  for (size_t i = 0; i < in.size(); ++i) {
    want[i / (pixels * c) * c + i % c] += in[i] / static_cast<double>(pixels);
  }
  Verdict v;
  v.require("y", test::compare(y.span(), want, test::tolerance(OpClass::kReduction, 4)));
  v.require("canaries", x.intact() && y.intact());
  return v;
}

Verdict check_average_backward(const AverageBackwardOp& op, const Exec& exec, const Nhwc& shape) {
  const Floats in = test::uniform(shape.n * shape.c, 10);
  Guarded<float> dy(in), dx(shape.count(), kNan);
  op(exec, {shape, dy.data(), dx.data()});
  const size_t c = static_cast<size_t>(shape.c), pixels = static_cast<size_t>(shape.h * shape.w);
  Doubles want;
  for (size_t i = 0; i < dx.size(); ++i) {
    want.push_back(in[i / (pixels * c) * c + i % c] / static_cast<double>(pixels));
  }
  Verdict v;
  v.require("dx", test::compare(dx.span(), want, test::tolerance(OpClass::kElementwise, 1)));
  v.require("canaries", dy.intact() && dx.intact());
  return v;
}

TEST_CASE("global average pooling") {
  test::for_each_device([](const Exec& exec) {
    for (const Nhwc& shape : kAverageShapes) {
      CAPTURE(shape.c);
      test::expect_ok("forward", check_average_forward(global_average_pool_forward, exec, shape));
      test::expect_ok("backward",
                      check_average_backward(global_average_pool_backward, exec, shape));
    }
  });
}

TEST_CASE("global average pooling: backward is the adjoint of forward") {
  test::for_each_device([](const Exec& exec) {
    const Nhwc shape{2, 3, 5, 7};
    const Floats x = test::uniform(shape.count(), 11), dy = test::uniform(14, 12);
    Floats y(14), dx(x.size());
    global_average_pool_forward(exec, {shape, x.data(), y.data()});
    global_average_pool_backward(exec, {shape, dy.data(), dx.data()});
    double left = 0.0, right = 0.0;
    for (size_t i = 0; i < y.size(); ++i) left += static_cast<double>(y[i]) * dy[i];
    for (size_t i = 0; i < x.size(); ++i) right += static_cast<double>(x[i]) * dx[i];
    CHECK(left == doctest::Approx(right).epsilon(1e-5));
  });
}

TEST_CASE("planted faults in global average pooling are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const Nhwc shape{3, 4, 6, 33};
  test::expect_caught("sum instead of mean",
                      check_average_forward(
                          [](const Exec& e, const GlobalAveragePoolForward& a) {
                            global_average_pool_forward(e, a);
                            for (int64_t i = 0; i < a.shape.n * a.shape.c; ++i) a.y[i] *= 24.0f;
                          },
                          exec, shape));
  test::expect_caught("a row left out", check_average_forward(
                                            [](const Exec& e, GlobalAveragePoolForward a) {
                                              --a.shape.h;
                                              global_average_pool_forward(e, a);
                                            },
                                            exec, shape));
  test::expect_caught("not divided", check_average_backward(
                                         [](const Exec& e, const GlobalAveragePoolBackward& a) {
                                           global_average_pool_backward(e, a);
                                           for (int64_t i = 0; i < a.shape.count(); ++i)
                                             a.dx[i] *= 24.0f;
                                         },
                                         exec, shape));
  test::expect_caught("images swapped with pixels",
                      check_average_backward(
                          [](const Exec& e, GlobalAveragePoolBackward a) {
                            std::swap(a.shape.n, a.shape.h);
                            global_average_pool_backward(e, a);
                          },
                          exec, shape));
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
}  // namespace verace::kernels

// Max pooling forward against an independent oracle in double, and planted faults.
#include "kernels/pool.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tests/kernels/pool_cases.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::kernels::max_pool_forward_test {
namespace {

using namespace pool_test;
using test::Guarded;
using test::OpClass;
using test::Shifted;
using test::Verdict;

const test::Tolerance kExact = test::tolerance(OpClass::kExact, 1);

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

template <class T>
using ForwardOp = std::function<void(const Exec&, const MaxPoolForwardOf<T>&)>;

// What the tests run, as a value that deduces nothing.
template <class T>
void run_forward(const Exec& exec, const MaxPoolForwardOf<T>& args) {
  max_pool_forward(exec, args);
}

struct ForwardCase {
  PoolGeometry geometry;
  bool ties = false, keep_winner = true;
  int64_t shift = 0;  // elements by which the tensors are out of alignment
};

template <class T = float>
Verdict check_forward(const ForwardOp<T>& op, const Exec& exec, const ForwardCase& k) {
  const Floats in = tied_input<T>(k.geometry, k.ties);
  const Pooled want = pool(k.geometry, test::widen(in));
  const int64_t count = static_cast<int64_t>(want.y.size());
  Shifted<T> x(in, k.shift), y(count, kNan, k.shift);
  Guarded<uint8_t> winner(count, uint8_t{255});
  op(exec, {k.geometry, x.data(), y.data(), k.keep_winner ? winner.data() : nullptr});
  Verdict v;
  v.require("y", test::compare(y.floats(), want.y, kExact));
  if (k.keep_winner) v.require("winner", test::compare_bits(winner, want.winner));
  v.require("canaries", x.intact() && y.intact() && winner.intact());
  v.require("x untouched", test::compare_bits(x.floats(), in));
  return v;
}

TEST_CASE("max pooling forward: values and winners") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    for (const PoolGeometry& g : geometries()) {
      for (const bool ties : {false, true}) {
        for (const bool keep_winner : {false, true}) {
          const ForwardCase k{g, ties, keep_winner};
          test::expect_ok(text(g), check_forward<T>(run_forward<T>, exec, k));
        }
      }
      test::expect_ok(text(g), check_forward<T>(run_forward<T>, exec, {g, true, true, 1}));
    }
  });
}

TEST_CASE("max pooling: winners out of alignment") {
  test::for_each_device([](const Exec& exec) {
    const PoolGeometry g = geometry({2, 8, 8, 16}, 3, 2, 1);
    const Pooled want = pool(g, test::widen(tied_input(g, true)));
    const Guarded<float> x(tied_input(g, true));
    Guarded<float> y(g.y().count());
    for (const int64_t shift : {1, 8, 15}) {
      Guarded<uint8_t> winner(g.y().count() + shift, uint8_t{255});
      max_pool_forward(exec, {g, x.data(), y.data(), winner.data() + shift});
      const Bytes got(winner.data() + shift, winner.data() + winner.size());
      test::expect_ok("winner", test::compare_bits(got, want.winner));
      CHECK(winner[0] == 255);
      CHECK(winner.intact());
    }
  });
}

// The maximum of one window of x in a row, over several channels with the same values.
template <class T>
float row_maximum(const Exec& exec, const Floats& x, int64_t c, int& won) {
  const int64_t width = static_cast<int64_t>(x.size());
  Floats all;
  for (const float v : x) all.insert(all.end(), static_cast<size_t>(c), v);
  Shifted<T> gx(all, 0), y(c, 0.0f, 0);
  Guarded<uint8_t> winner(c, uint8_t{255});
  max_pool_forward(
      exec,
      MaxPoolForwardOf<T>{
          {{1, 1, width, c}, 1, width, 1, 1, 0, 0, false}, gx.data(), y.data(), winner.data()});
  won = winner[0];
  const Floats values = y.floats();
  for (int64_t j = 0; j < c; ++j) {
    CHECK(static_cast<int>(winner[j]) == won);
    const float v = values[static_cast<size_t>(j)];
    CHECK((v == values[0] || (std::isnan(v) && std::isnan(values[0]))));
  }
  return values[0];
}

TEST_CASE("max pooling: infinities, NaN and ties") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    const float inf = std::numeric_limits<float>::infinity();
    for (const int64_t c : {1, 8, 11}) {
      float y = 0.0f;
      const auto run = [&](const Floats& x) {
        int won = -1;
        y = row_maximum<T>(exec, x, c, won);
        return won;
      };
      CHECK(run({-inf, -inf, -inf}) == 0);
      CHECK(y == -inf);
      CHECK(run({1.0f, kNan, 3.0f}) == 1);
      CHECK(std::isnan(y));
      CHECK(run({kNan, 5.0f, 3.0f}) == 0);
      CHECK(std::isnan(y));
      CHECK(run({1.0f, inf, kNan}) == 2);
      CHECK(std::isnan(y));
      CHECK(run({kNan, 1.0f, kNan}) == 0);
      CHECK(run({2.0f, 7.0f, 7.0f}) == 1);
      CHECK(y == 7.0f);
      CHECK(run({0.0f, -0.0f, 0.0f}) == 0);
    }
  });
}

TEST_CASE("a NaN in the padded form reaches exactly the windows that cover it") {
  test::for_each_device([](const Exec& exec) {
    const PoolGeometry g = geometry({1, 8, 8, 3}, 3, 2, 1);
    Floats in = test::uniform(g.x.count(), 4);
    in[(3 * 8 + 3) * 3 + 1] = kNan;  // pixel (3, 3), channel 1: windows p, q in {1, 2}
    const Guarded<float> x(in);
    Guarded<float> y(g.y().count());
    max_pool_forward(exec, {g, x.data(), y.data(), nullptr});
    const Floats values = y.copy();
    for (size_t i = 0; i < values.size(); ++i) {
      const size_t p = i / 12, q = i / 3 % 4;
      CHECK(std::isnan(values[i]) == (i % 3 == 1 && (p == 1 || p == 2) && (q == 1 || q == 2)));
    }
  });
}

TEST_CASE("max pooling refuses geometries the contract excludes") {
  test::for_each_device([](const Exec& exec) {
    Guarded<float> x(1000), y(1000);
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
    test::expect_caught(fault, check_forward<float>(op, exec, {right}));
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
  if (test::may_overrun()) {
    caught("ceil mode without asking", geometry({1, 8, 10, 2}, 3, 2, 0),
           [](PoolGeometry& a) { a.ceil_mode = true; });
  }

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
  test::expect_ok("without ties both agree", check_forward<float>(last_tie, exec, {g}));
  test::expect_caught("the last of equals wins", check_forward<float>(last_tie, exec, {g, true}));
  const auto zero_padding = [](const Exec& e, const MaxPoolForward& args) {
    max_pool_forward(e, args);
    for (int64_t j = 0; j < args.geometry.x.c; ++j) args.y[j] = 0.0f;
  };
  test::expect_caught("padding counts as zero", check_forward<float>(zero_padding, exec, {g}));
}

}  // namespace
}  // namespace verace::kernels::max_pool_forward_test

// Batch norm statistics against an independent oracle in double, and planted faults.
#include "kernels/batch_norm.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tests/kernels/batch_norm_cases.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::kernels::batch_norm_statistics_test {
namespace {

using namespace batch_norm_test;
using test::Guarded;
using test::OpClass;
using test::Shifted;
using test::Verdict;

// Values whose mean is far from zero by `offset`, different per channel.
Floats activations(const Shape& s, uint64_t seed, float offset) {
  Floats x = test::uniform(s.count(), seed);
  for (int64_t i = 0; i < s.count(); ++i) {
    x[static_cast<size_t>(i)] += offset * static_cast<float>(1 + i % s.c % 3);
  }
  return x;
}

struct Moments {
  Doubles mean, variance;  // biased
};

Moments moments(const Shape& s, const Floats& x) {
  Moments m{Doubles(static_cast<size_t>(s.c)), Doubles(static_cast<size_t>(s.c))};
  for (size_t j = 0; j < m.mean.size(); ++j) {
    long double sum = 0;
    for (size_t r = 0; r < static_cast<size_t>(s.rows); ++r) sum += x[r * m.mean.size() + j];
    const long double mean = sum / s.rows;
    long double squares = 0;
    for (size_t r = 0; r < static_cast<size_t>(s.rows); ++r) {
      const long double d = x[r * m.mean.size() + j] - mean;
      squares += d * d;
    }
    m.mean[j] = static_cast<double>(mean);
    m.variance[j] = static_cast<double>(squares / s.rows);
  }
  return m;
}

template <class T>
using StatisticsOp = std::function<void(const Exec&, const BatchNormStatisticsOf<T>&)>;

struct StatisticsCase {
  Shape shape;
  bool running = true;
  RunningVariance convention = RunningVariance::kUnbiased;
  double momentum = 0.1, epsilon = 1e-3;
  float offset = 0.0f;
  int64_t shift = 0;  // elements by which x is out of alignment
};

// What the tests run, as a value that deduces nothing.
template <class T>
void run_statistics(const Exec& exec, const BatchNormStatisticsOf<T>& args) {
  batch_norm_statistics(exec, args);
}

template <class T = float>
Verdict check_statistics(const StatisticsOp<T>& op, const Exec& exec, const StatisticsCase& k) {
  const Floats x = test::rounded<T>(activations(k.shape, 11, k.offset));
  const Floats old_mean = test::uniform(k.shape.c, 12),
               old_var = test::uniform(k.shape.c, 13, 0.5f, 2.0f);
  Shifted<T> gx(x, k.shift);
  Guarded<float> mean(k.shape.c, kNan), inv_std(k.shape.c, kNan);
  Guarded<float> running_mean(old_mean), running_var(old_var);
  Guarded<float> scratch = statistics_scratch(k.shape);
  BatchNormStatisticsOf<T> args;
  args.rows = k.shape.rows;
  args.c = k.shape.c;
  args.x = gx.data();
  args.epsilon = k.epsilon;
  args.mean = mean.data();
  args.inv_std = inv_std.data();
  args.running_mean = k.running ? running_mean.data() : nullptr;
  args.running_var = k.running ? running_var.data() : nullptr;
  args.momentum = k.momentum;
  args.convention = k.convention;
  args.scratch = scratch.data();
  op(exec, args);

  const Moments m = moments(k.shape, x);
  const double n = static_cast<double>(k.shape.rows);
  double factor = 1.0;
  if (k.convention == RunningVariance::kUnbiased) factor = n / (n - 1);
  if (k.convention == RunningVariance::kKeras2) factor = n / (n - 1) * n / (n - 1 - k.epsilon);
  Doubles want_inv_std, want_mean, want_var;
  for (size_t j = 0; j < m.mean.size(); ++j) {
    want_inv_std.push_back(1.0 / std::sqrt(m.variance[j] + k.epsilon));
    want_mean.push_back((1 - k.momentum) * old_mean[j] + k.momentum * m.mean[j]);
    want_var.push_back((1 - k.momentum) * old_var[j] + k.momentum * factor * m.variance[j]);
  }
  Verdict v;
  const auto tolerance = test::tolerance(OpClass::kNormalisation, k.shape.rows, 0.1);
  v.require("mean", test::compare(mean.span(), m.mean, tolerance));
  v.require("inv_std", test::compare(inv_std.span(), want_inv_std, tolerance));
  if (k.running) {
    v.require("running mean", test::compare(running_mean.span(), want_mean, tolerance));
    v.require("running variance", test::compare(running_var.span(), want_var, tolerance));
  } else {
    v.require("running mean untouched", test::compare_bits(running_mean, old_mean));
    v.require("running variance untouched", test::compare_bits(running_var, old_var));
  }
  v.require("canaries", mean.intact() && inv_std.intact() && gx.intact() && running_mean.intact() &&
                            running_var.intact() && scratch.intact());
  v.require("x untouched", test::compare_bits(gx.floats(), x));
  return v;
}

constexpr RunningVariance kConventions[] = {RunningVariance::kUnbiased, RunningVariance::kBiased,
                                            RunningVariance::kKeras2};

TEST_CASE("statistics agree with the oracle in all conventions") {
  for_each_device_once([](const Exec& exec) {
    for (const Shape& shape : kShapes) {
      test::expect_ok(name(shape),
                      check_statistics<float>(run_statistics<float>, exec, {shape, false}));
      if (shape.rows < 2) continue;
      for (const auto convention : kConventions) {
        test::expect_ok(name(shape), check_statistics<float>(run_statistics<float>, exec,
                                                             {shape, true, convention}));
      }
    }
  });
}

TEST_CASE("statistics of all storage types, aligned or not") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    for (const Shape& shape : kSmallShapes) {
      for (const int64_t shift : {0, 1, 4}) {
        StatisticsCase k{shape};
        k.shift = shift;
        test::expect_ok(name(shape), check_statistics<T>(run_statistics<T>, exec, k));
      }
    }
  });
}

TEST_CASE("statistics where each thread has many rows") {
  test::for_each_cuda_device([](const Exec& exec) {
    const StatisticsCase k{many_rows()};
    test::expect_ok(name(k.shape), check_statistics<Half>(run_statistics<Half>, exec, k));
  });
}

TEST_CASE("statistics: alignment changes no bit") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    const Shape shape{1037, 72};
    const Floats x = activations(shape, 11, 3.0f);
    Floats first;
    for (const int64_t shift : {0, 1}) {
      Shifted<T> gx(x, shift);
      Guarded<float> mean(shape.c), inv_std(shape.c), scratch = statistics_scratch(shape);
      BatchNormStatisticsOf<T> args{.rows = shape.rows, .c = shape.c, .x = gx.data()};
      args.mean = mean.data();
      args.inv_std = inv_std.data();
      args.scratch = scratch.data();
      batch_norm_statistics(exec, args);
      Floats all = mean.copy();
      for (const float v : inv_std.span()) all.push_back(v);
      if (shift == 0) first = all;
      test::expect_ok("bits", test::compare_bits(all, first));
    }
  });
}

TEST_CASE("statistics do not cancel when the mean is much larger than the deviation") {
  test::for_each_device([](const Exec& exec) {
    for (const float offset : {10.0f, 1000.0f, -1e5f}) {
      for (const Shape& shape : {Shape{100, 33}, Shape{5003, 19}}) {
        StatisticsCase k{shape, true};
        k.offset = offset;
        k.epsilon = 1e-5;
        test::expect_ok(name(shape), check_statistics<float>(run_statistics<float>, exec, k));
      }
    }
  });
}

// Mean and inverse deviation of x.
struct Results {
  Floats mean, inv_std;
};

Results statistics_of(const Exec& exec, const Shape& shape, const Floats& x,
                      double epsilon = 1e-5) {
  const Guarded<float> gx(x);
  Guarded<float> mean(shape.c, kNan), inv_std(shape.c, kNan), scratch = statistics_scratch(shape);
  batch_norm_statistics(exec, {.rows = shape.rows,
                               .c = shape.c,
                               .x = gx.data(),
                               .epsilon = epsilon,
                               .mean = mean.data(),
                               .inv_std = inv_std.data(),
                               .scratch = scratch.data()});
  return {mean.copy(), inv_std.copy()};
}

TEST_CASE("statistics of a constant channel: variance is exactly zero") {
  test::for_each_device([](const Exec& exec) {
    for (const int64_t rows : {100, 3000}) {
      const Results r =
          statistics_of(exec, {rows, 3}, Floats(static_cast<size_t>(3 * rows), 7.1f), 1e-4);
      for (size_t j = 0; j < 3; ++j) {
        CHECK(r.mean[j] == 7.1f);
        CHECK(r.inv_std[j] == doctest::Approx(100.0).epsilon(1e-6));
      }
    }
  });
}

TEST_CASE("a first row far away from the others does not spoil the statistics") {
  test::for_each_device([](const Exec& exec) {
    const Shape shape{5000, 8};
    Floats x = activations(shape, 3, 100.0f);
    for (size_t j = 0; j < 8; ++j) x[j] = -3000.0f;
    const Results r = statistics_of(exec, shape, x);
    const Moments m = moments(shape, x);
    Doubles want;
    for (const double variance : m.variance) want.push_back(1.0 / std::sqrt(variance + 1e-5));
    const auto tolerance = test::tolerance(OpClass::kNormalisation, 64, 0.1);
    test::expect_ok("mean", test::compare(r.mean, m.mean, tolerance));
    test::expect_ok("inv_std", test::compare(r.inv_std, want, tolerance));
  });
}

TEST_CASE("a NaN in a channel reaches its statistics and no other channel") {
  test::for_each_device([](const Exec& exec) {
    for (const size_t row : {0, 50, 99}) {
      Floats x = test::uniform(100 * 3, 5);
      x[row * 3 + 1] = kNan;
      const Results r = statistics_of(exec, {100, 3}, x);
      CHECK(std::isnan(r.mean[1]));
      CHECK(std::isnan(r.inv_std[1]));
      CHECK(std::isfinite(r.mean[0] + r.mean[2] + r.inv_std[0] + r.inv_std[2]));
    }
  });
}

TEST_CASE("statistics refuse what the contract excludes") {
  test::for_each_device([](const Exec& exec) {
    const Shape shape{2, 2};
    Guarded<float> x(4, 1.0f), a(4), b(4), c(4), d(4), scratch = statistics_scratch(shape);
    BatchNormStatistics good{.rows = 2, .c = 2, .x = x.data()};
    good.mean = a.data();
    good.inv_std = b.data();
    good.scratch = scratch.data();
    CHECK_NOTHROW(batch_norm_statistics(exec, good));
    auto one_row = good;
    one_row.rows = 1;
    one_row.running_mean = c.data();
    one_row.running_var = d.data();
    CHECK_THROWS_AS(batch_norm_statistics(exec, one_row), Error);
    auto half = good;
    half.running_mean = c.data();
    CHECK_THROWS_AS(batch_norm_statistics(exec, half), Error);
    auto flat = good;
    flat.epsilon = 0.0;
    CHECK_THROWS_AS(batch_norm_statistics(exec, flat), Error);
    auto no_scratch = good;
    no_scratch.scratch = nullptr;
    if (exec.device == DeviceKind::kCuda) {
      CHECK_THROWS_AS(batch_norm_statistics(exec, no_scratch), Error);
    } else {
      CHECK_NOTHROW(batch_norm_statistics(exec, no_scratch));
    }
  });
}

TEST_CASE("planted faults in the statistics are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const StatisticsCase k{{33, 17}, true};
  const auto caught = [&](const std::string& fault, const StatisticsOp<float>& op) {
    test::expect_caught(fault, check_statistics<float>(op, exec, k));
  };
  const auto changed = [](void (*change)(BatchNormStatistics&)) {
    return [change](const Exec& e, BatchNormStatistics args) {
      change(args);
      batch_norm_statistics(e, args);
    };
  };
  caught("momentum of the other convention", changed([](auto& a) { a.momentum = 1 - a.momentum; }));
  caught("biased running variance",
         changed([](auto& a) { a.convention = RunningVariance::kBiased; }));
  caught("Keras 2 running variance",
         changed([](auto& a) { a.convention = RunningVariance::kKeras2; }));
  caught("another epsilon", changed([](auto& a) { a.epsilon = 1e-5; }));
  caught("running statistics not moved",
         changed([](auto& a) { a.running_mean = a.running_var = nullptr; }));
  caught("last row left out", changed([](auto& a) { --a.rows; }));
  if (test::may_overrun()) {
    caught("mean written one channel too far", changed([](auto& a) { a.mean += 1; }));
  }
  caught("unbiased variance normalises", [](const Exec& e, const BatchNormStatistics& a) {
    batch_norm_statistics(e, a);
    const float shrink = std::sqrt(static_cast<float>(a.rows - 1) / static_cast<float>(a.rows));
    for (int64_t j = 0; j < a.c; ++j) a.inv_std[j] *= shrink;
  });
  caught("zeros", [](const Exec&, const BatchNormStatistics& a) {
    for (int64_t j = 0; j < a.c; ++j) a.mean[j] = a.inv_std[j] = 0.0f;
  });
  caught("nothing written", [](const Exec&, const BatchNormStatistics&) {});
  StatisticsCase keras = k;
  keras.convention = RunningVariance::kKeras2;
  keras.epsilon = 0.1;
  test::expect_caught(
      "Keras 2 without its second factor",
      check_statistics<float>(changed([](auto& a) { a.convention = RunningVariance::kUnbiased; }),
                              exec, keras));
}

TEST_CASE("inverse_std") {
  test::for_each_device([](const Exec& exec) {
    for (const int64_t c : {1, 37, 300}) {
      const Guarded<float> variance(test::uniform(c, 4, 0.0f, 3.0f));
      Guarded<float> inv_std(c, kNan);
      inverse_std(
          exec, {.c = c, .variance = variance.data(), .epsilon = 1e-3, .inv_std = inv_std.data()});
      Doubles want;
      for (const float v : variance.span()) {
        want.push_back(1.0 / std::sqrt(static_cast<double>(v) + 1e-3));
      }
      test::expect_ok("inverse_std", test::compare(inv_std.span(), want,
                                                   test::tolerance(OpClass::kElementwise, 1)));
      CHECK(inv_std.intact());
    }
  });
}

}  // namespace
}  // namespace verace::kernels::batch_norm_statistics_test

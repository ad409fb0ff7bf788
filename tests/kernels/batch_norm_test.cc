// Batch normalisation against an independent oracle in double, finite differences and planted
// faults.
#include "kernels/batch_norm.h"

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

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Shape {
  int64_t rows, c;
  int64_t count() const { return rows * c; }
};

std::string name(const Shape& s) { return std::to_string(s.rows) + "x" + std::to_string(s.c); }

// Tails of vectors, blocks (32 rows), pieces (64 rows and more) and channel tiles (1024).
const std::vector<Shape> kShapes = {{1, 1},    {2, 3},     {7, 5},     {33, 17},   {64, 16},
                                    {65, 64},  {100, 33},  {131, 130}, {70, 1030}, {70, 2048},
                                    {4500, 7}, {5003, 19}, {257, 256}};

// Values whose mean is far from zero by `offset`, different per channel.
Floats activations(const Shape& s, uint64_t seed, float offset) {
  Floats x = test::uniform(s.count(), seed);
  for (int64_t i = 0; i < s.count(); ++i) {
    x[static_cast<size_t>(i)] += offset * static_cast<float>(1 + i % s.c % 3);
  }
  return x;
}

// --- statistics

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

using StatisticsOp = std::function<void(const Exec&, const BatchNormStatistics&)>;

struct StatisticsCase {
  Shape shape;
  bool running = true;
  RunningVariance convention = RunningVariance::kUnbiased;
  double momentum = 0.1, epsilon = 1e-3;
  float offset = 0.0f;
};

Verdict check_statistics(const StatisticsOp& op, const Exec& exec, const StatisticsCase& k) {
  const Floats x = activations(k.shape, 11, k.offset);
  const Floats old_mean = test::uniform(k.shape.c, 12),
               old_var = test::uniform(k.shape.c, 13, 0.5f, 2.0f);
  Guarded<float> gx(x), mean(k.shape.c, kNan), inv_std(k.shape.c, kNan);
  Guarded<float> running_mean(old_mean), running_var(old_var);
  BatchNormStatistics args;
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
                            running_var.intact());
  v.require("x untouched", test::compare_bits(gx, x));
  return v;
}

TEST_CASE("statistics agree with the oracle in all conventions") {
  test::for_each_device([](const Exec& exec) {
    for (const Shape& shape : kShapes) {
      test::expect_ok(name(shape), check_statistics(batch_norm_statistics, exec, {shape, false}));
      if (shape.rows < 2) continue;
      for (const auto convention :
           {RunningVariance::kUnbiased, RunningVariance::kBiased, RunningVariance::kKeras2}) {
        test::expect_ok(name(shape),
                        check_statistics(batch_norm_statistics, exec, {shape, true, convention}));
      }
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
        test::expect_ok(name(shape), check_statistics(batch_norm_statistics, exec, k));
      }
    }
  });
}

TEST_CASE("statistics of a constant channel: variance is exactly zero") {
  test::for_each_device([](const Exec& exec) {
    const Floats x(300, 7.1f);
    Floats mean(3), inv_std(3);
    batch_norm_statistics(exec, {.rows = 100,
                                 .c = 3,
                                 .x = x.data(),
                                 .epsilon = 1e-4,
                                 .mean = mean.data(),
                                 .inv_std = inv_std.data()});
    for (size_t j = 0; j < 3; ++j) {
      CHECK(mean[j] == 7.1f);
      CHECK(inv_std[j] == doctest::Approx(100.0).epsilon(1e-6));
    }
  });
}

TEST_CASE("a first row far away from the others does not spoil the statistics") {
  test::for_each_device([](const Exec& exec) {
    const Shape shape{5000, 8};
    Floats x = activations(shape, 3, 100.0f);
    for (size_t j = 0; j < 8; ++j) x[j] = -3000.0f;
    Floats mean(8), inv_std(8);
    batch_norm_statistics(exec, {.rows = shape.rows,
                                 .c = shape.c,
                                 .x = x.data(),
                                 .mean = mean.data(),
                                 .inv_std = inv_std.data()});
    const Moments m = moments(shape, x);
    Doubles want;
    for (const double variance : m.variance) want.push_back(1.0 / std::sqrt(variance + 1e-5));
    const auto tolerance = test::tolerance(OpClass::kNormalisation, 64, 0.1);
    test::expect_ok("mean", test::compare(mean, m.mean, tolerance));
    test::expect_ok("inv_std", test::compare(inv_std, want, tolerance));
  });
}

TEST_CASE("a NaN in a channel reaches its statistics and no other channel") {
  test::for_each_device([](const Exec& exec) {
    Floats x = test::uniform(100 * 3, 5), mean(3), inv_std(3);
    x[50 * 3 + 1] = kNan;
    batch_norm_statistics(
        exec, {.rows = 100, .c = 3, .x = x.data(), .mean = mean.data(), .inv_std = inv_std.data()});
    CHECK(std::isnan(mean[1]));
    CHECK(std::isnan(inv_std[1]));
    CHECK(std::isfinite(mean[0] + mean[2] + inv_std[0] + inv_std[2]));
  });
}

TEST_CASE("statistics refuse what the contract excludes") {
  test::for_each_device([](const Exec& exec) {
    Floats x(4, 1.0f), a(4), b(4), c(4), d(4);
    BatchNormStatistics good{
        .rows = 2, .c = 2, .x = x.data(), .mean = a.data(), .inv_std = b.data()};
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
  });
}

TEST_CASE("planted faults in the statistics are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const StatisticsCase k{{33, 17}, true};
  const auto caught = [&](const std::string& fault, const StatisticsOp& op) {
    test::expect_caught(fault, check_statistics(op, exec, k));
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
  caught("mean written one channel too far", changed([](auto& a) { a.mean += 1; }));
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
      check_statistics(changed([](auto& a) { a.convention = RunningVariance::kUnbiased; }), exec,
                       keras));
}

TEST_CASE("inverse_std") {
  test::for_each_device([](const Exec& exec) {
    const Floats variance = test::uniform(37, 4, 0.0f, 3.0f);
    Guarded<float> inv_std(37, kNan);
    inverse_std(exec,
                {.c = 37, .variance = variance.data(), .epsilon = 1e-3, .inv_std = inv_std.data()});
    Doubles want;
    for (const float v : variance) want.push_back(1.0 / std::sqrt(static_cast<double>(v) + 1e-3));
    test::expect_ok("inverse_std",
                    test::compare(inv_std.span(), want, test::tolerance(OpClass::kElementwise, 1)));
    CHECK(inv_std.intact());
  });
}

// --- apply

// Inputs of one normalisation.
struct Layer {
  Shape shape;
  Floats x, mean, inv_std, gamma, beta, shortcut;
  explicit Layer(const Shape& s, uint64_t seed = 20)
      : shape(s),
        x(test::uniform(s.count(), seed)),
        mean(test::uniform(s.c, seed + 1, -0.5f, 0.5f)),
        inv_std(test::uniform(s.c, seed + 2, 0.5f, 2.0f)),
        gamma(test::uniform(s.c, seed + 3, -1.5f, 1.5f)),
        beta(test::uniform(s.c, seed + 4, -0.5f, 0.5f)),
        shortcut(test::uniform(s.count(), seed + 5)) {}
};

using ApplyOp = std::function<void(const Exec&, const BatchNormApply&)>;
enum class ApplyAlias { kNone, kX, kShortcut };

struct ApplyCase {
  Shape shape;
  bool shortcut = false, relu = false;
  ApplyAlias alias = ApplyAlias::kNone;
};

Verdict check_apply(const ApplyOp& op, const Exec& exec, const ApplyCase& k) {
  const Layer in(k.shape);
  Guarded<float> x(in.x), shortcut(in.shortcut), fresh(k.shape.count(), kNan);
  Guarded<float>& y = k.alias == ApplyAlias::kX          ? x
                      : k.alias == ApplyAlias::kShortcut ? shortcut
                                                         : fresh;
  op(exec, {.rows = k.shape.rows,
            .c = k.shape.c,
            .x = x.data(),
            .mean = in.mean.data(),
            .inv_std = in.inv_std.data(),
            .gamma = in.gamma.data(),
            .beta = in.beta.data(),
            .shortcut = k.shortcut ? shortcut.data() : nullptr,
            .relu = k.relu,
            .y = y.data()});
  Doubles want;
  for (size_t i = 0; i < in.x.size(); ++i) {
    const size_t j = i % in.mean.size();
    double z =
        (static_cast<double>(in.x[i]) - in.mean[j]) * in.inv_std[j] * in.gamma[j] + in.beta[j];
    if (k.shortcut) z += in.shortcut[i];
    want.push_back(k.relu ? std::max(z, 0.0) : z);
  }
  Verdict v;
  v.require("y", test::compare(y.span(), want, test::tolerance(OpClass::kElementwise, 1, 2.0),
                               k.relu ? 0.9 : 0.0));
  v.require("canaries", x.intact() && shortcut.intact() && fresh.intact());
  return v;
}

TEST_CASE("apply agrees with the oracle with and without shortcut, ReLU and aliasing") {
  test::for_each_device([](const Exec& exec) {
    for (const Shape& shape : kShapes) {
      for (const bool relu : {false, true}) {
        for (const auto alias : {ApplyAlias::kNone, ApplyAlias::kX}) {
          test::expect_ok(name(shape),
                          check_apply(batch_norm_apply, exec, {shape, false, relu, alias}));
        }
        for (const auto alias : {ApplyAlias::kNone, ApplyAlias::kX, ApplyAlias::kShortcut}) {
          test::expect_ok(name(shape),
                          check_apply(batch_norm_apply, exec, {shape, true, relu, alias}));
        }
      }
    }
  });
}

TEST_CASE("planted faults in apply are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, void (*change)(BatchNormApply&)) {
    const auto op = [change](const Exec& e, BatchNormApply args) {
      change(args);
      batch_norm_apply(e, args);
    };
    test::expect_caught(fault, check_apply(op, exec, {{33, 17}, true, true}));
  };
  caught("shortcut ignored", [](BatchNormApply& a) { a.shortcut = nullptr; });
  caught("ReLU ignored", [](BatchNormApply& a) { a.relu = false; });
  caught("gamma and beta swapped", [](BatchNormApply& a) { std::swap(a.gamma, a.beta); });
  caught("mean ignored", [](BatchNormApply& a) { a.mean = a.beta; });
  caught("last row left out", [](BatchNormApply& a) { --a.rows; });
  caught("one row too many", [](BatchNormApply& a) {
    a.y += a.c;  // the last row lands in the canary
  });
}

// --- backward

enum class Alias { kNone, kDy, kDy2 };

struct BackwardCase {
  Shape shape;
  BatchNormMode mode = BatchNormMode::kBatchStatistics;
  bool fork = false, mask = false;
  bool dx = true, dshortcut = false;
  Alias dx_alias = Alias::kNone, dshortcut_alias = Alias::kNone;
  GradMode dgamma_mode = GradMode::kOverwrite, dbeta_mode = GradMode::kOverwrite;

  std::string text() const {
    return name(shape) + (mode == BatchNormMode::kBatchStatistics ? " batch" : " running") +
           (fork ? " fork" : "") + (mask ? " mask" : "") + (dx ? " dx" : "") +
           (dshortcut ? " dshortcut" : "") + " aliases " +
           std::to_string(static_cast<int>(dx_alias)) +
           std::to_string(static_cast<int>(dshortcut_alias)) + " modes " +
           std::to_string(static_cast<int>(dgamma_mode)) +
           std::to_string(static_cast<int>(dbeta_mode));
  }
};

struct Gradients {
  Doubles dx, dshortcut, dgamma, dbeta;
};

struct BackwardInputs {
  Layer layer;
  Floats dy, dy2, y, old_dgamma, old_dbeta;
  explicit BackwardInputs(const Shape& s)
      : layer(s, 40),
        dy(test::uniform(s.count(), 50)),
        dy2(test::uniform(s.count(), 51)),
        y(test::uniform(s.count(), 52)),
        old_dgamma(test::uniform(s.c, 53)),
        old_dbeta(test::uniform(s.c, 54)) {
    for (float& v : y) v = std::max(v, 0.0f);
  }
};

// Written from the formulas of the paper, channel by channel.
Gradients oracle(const BackwardInputs& in, const BackwardCase& k) {
  const size_t rows = static_cast<size_t>(k.shape.rows), c = static_cast<size_t>(k.shape.c);
  Gradients g{Doubles(rows * c), Doubles(rows * c), Doubles(c), Doubles(c)};
  for (size_t i = 0; i < rows * c; ++i) {
    double dz = in.dy[i];
    if (k.fork) dz += in.dy2[i];
    if (k.mask && in.y[i] <= 0.0f) dz = 0.0;
    g.dshortcut[i] = dz;
    g.dbeta[i % c] += dz;
    g.dgamma[i % c] +=
        dz * (static_cast<double>(in.layer.x[i]) - in.layer.mean[i % c]) * in.layer.inv_std[i % c];
  }
  for (size_t i = 0; i < rows * c; ++i) {
    const size_t j = i % c;
    const double n = static_cast<double>(rows);
    const double xhat =
        (static_cast<double>(in.layer.x[i]) - in.layer.mean[j]) * in.layer.inv_std[j];
    g.dx[i] = static_cast<double>(in.layer.gamma[j]) * in.layer.inv_std[j] * g.dshortcut[i];
    if (k.mode == BatchNormMode::kBatchStatistics) {
      g.dx[i] -= in.layer.gamma[j] * static_cast<double>(in.layer.inv_std[j]) / n *
                 (g.dbeta[j] + xhat * g.dgamma[j]);
    }
  }
  return g;
}

using BackwardOp = std::function<void(const Exec&, const BatchNormBackward&)>;

void require_gradient(Verdict& v, const std::string& what, GradMode mode, const Guarded<float>& got,
                      const Floats& old, const Doubles& sums, const test::Tolerance& tolerance) {
  if (mode == GradMode::kSkip) {
    v.require(what + " skipped", test::compare_bits(got, old));
    return;
  }
  Doubles want = sums;
  for (size_t j = 0; j < want.size(); ++j) {
    if (mode == GradMode::kAccumulate) want[j] += old[j];
  }
  v.require(what, test::compare(got.span(), want, tolerance));
}

Verdict check_backward(const BackwardOp& op, const Exec& exec, const BackwardCase& k) {
  const BackwardInputs in(k.shape);
  const Layer& layer = in.layer;
  const int64_t count = k.shape.count();
  const int64_t scratch_size = batch_norm_backward_scratch(k.shape.rows, k.shape.c);
  Guarded<float> dy(in.dy), dy2(in.dy2), y(in.y), x(layer.x), dx_fresh(count, kNan),
      ds_fresh(count, kNan);
  Guarded<float> dgamma(in.old_dgamma), dbeta(in.old_dbeta), scratch(scratch_size, kNan);
  const auto aliased = [&](Alias alias, Guarded<float>& fresh) -> Guarded<float>& {
    return alias == Alias::kDy ? dy : alias == Alias::kDy2 ? dy2 : fresh;
  };
  Guarded<float>&dx = aliased(k.dx_alias, dx_fresh),
  &dshortcut = aliased(k.dshortcut_alias, ds_fresh);
  op(exec, {.rows = k.shape.rows,
            .c = k.shape.c,
            .mode = k.mode,
            .dy = dy.data(),
            .dy2 = k.fork ? dy2.data() : nullptr,
            .y = k.mask ? y.data() : nullptr,
            .x = x.data(),
            .mean = layer.mean.data(),
            .inv_std = layer.inv_std.data(),
            .gamma = layer.gamma.data(),
            .dgamma = k.dgamma_mode == GradMode::kSkip ? nullptr : dgamma.data(),
            .dbeta = k.dbeta_mode == GradMode::kSkip ? nullptr : dbeta.data(),
            .dgamma_mode = k.dgamma_mode,
            .dbeta_mode = k.dbeta_mode,
            .dx = k.dx ? dx.data() : nullptr,
            .dshortcut = k.dshortcut ? dshortcut.data() : nullptr,
            .scratch = scratch.data()});

  const Gradients want = oracle(in, k);
  const auto sums = test::tolerance(OpClass::kReduction, std::min<int64_t>(k.shape.rows, 64), 4.0);
  const auto elements =
      test::tolerance(OpClass::kNormalisation, std::min<int64_t>(k.shape.rows, 64), 2.0);
  Verdict v;
  require_gradient(v, "dgamma", k.dgamma_mode, dgamma, in.old_dgamma, want.dgamma, sums);
  require_gradient(v, "dbeta", k.dbeta_mode, dbeta, in.old_dbeta, want.dbeta, sums);
  const double zeros = k.mask ? 0.9 : 0.0;
  const bool one_row = k.shape.rows == 1 && k.mode == BatchNormMode::kBatchStatistics;
  if (k.dx && !one_row) v.require("dx", test::compare(dx.span(), want.dx, elements, zeros));
  if (k.dshortcut)
    v.require("dshortcut", test::compare(dshortcut.span(), want.dshortcut, elements, zeros));
  v.require("canaries", dy.intact() && dy2.intact() && y.intact() && x.intact() &&
                            dx_fresh.intact() && ds_fresh.intact() && dgamma.intact() &&
                            dbeta.intact() && scratch.intact());
  v.require("x untouched", test::compare_bits(x, layer.x));
  v.require("y untouched", test::compare_bits(y, in.y));
  return v;
}

void expect_backward(const Exec& exec, const BackwardCase& k) {
  test::expect_ok(k.text(), check_backward(batch_norm_backward, exec, k));
}

constexpr BatchNormMode kModes[] = {BatchNormMode::kBatchStatistics,
                                    BatchNormMode::kRunningStatistics};
constexpr GradMode kGradModes[] = {GradMode::kSkip, GradMode::kOverwrite, GradMode::kAccumulate};

TEST_CASE("backward agrees with the oracle for all shapes") {
  test::for_each_device([](const Exec& exec) {
    for (const Shape& shape : kShapes) {
      for (const BatchNormMode mode : kModes) {
        if (shape.rows > 1) expect_backward(exec, {.shape = shape, .mode = mode});
        BackwardCase block{.shape = shape, .mode = mode, .fork = true, .mask = shape.rows > 2};
        block.dshortcut = true;
        expect_backward(exec, block);
      }
    }
  });
}

TEST_CASE("backward agrees with the oracle in all combinations of its options") {
  test::for_each_device([](const Exec& exec) {
    for (const Shape& shape : {Shape{7, 5}, Shape{67, 33}}) {
      for (const BatchNormMode mode : kModes) {
        for (int bits = 0; bits < 16; ++bits) {
          for (const GradMode dgamma_mode : kGradModes) {
            for (const GradMode dbeta_mode : kGradModes) {
              expect_backward(exec, {.shape = shape,
                                     .mode = mode,
                                     .fork = (bits & 1) != 0,
                                     .mask = (bits & 2) != 0,
                                     .dx = (bits & 4) != 0,
                                     .dshortcut = (bits & 8) != 0,
                                     .dgamma_mode = dgamma_mode,
                                     .dbeta_mode = dbeta_mode});
            }
          }
        }
      }
    }
  });
}

TEST_CASE("backward may write over its incoming gradients") {
  test::for_each_device([](const Exec& exec) {
    for (const BatchNormMode mode : kModes) {
      for (const GradMode gradients : {GradMode::kSkip, GradMode::kOverwrite}) {
        for (const bool mask : {false, true}) {
          for (const auto dx_alias : {Alias::kNone, Alias::kDy, Alias::kDy2}) {
            for (const auto dshortcut_alias : {Alias::kNone, Alias::kDy, Alias::kDy2}) {
              BackwardCase k{.shape = {131, 37}, .mode = mode, .fork = true, .mask = mask};
              k.dgamma_mode = k.dbeta_mode = gradients;
              k.dx_alias = dx_alias;
              k.dshortcut_alias = dshortcut_alias;
              // Both results in one place is what the contract excludes.
              k.dshortcut = dshortcut_alias == Alias::kNone || dshortcut_alias != dx_alias;
              expect_backward(exec, k);
              k.dx = false;
              k.dshortcut = true;
              expect_backward(exec, k);
            }
          }
        }
      }
    }
  });
}

TEST_CASE("with one row and batch statistics nothing flows back to x") {
  test::for_each_device([](const Exec& exec) {
    // xhat is 0 where the row is its own mean: dx = gamma * inv_std * (dz - dz).
    const Floats x = test::uniform(20, 1), inv_std(20, 2.0f), gamma(20, 1.5f),
                 dy = test::uniform(20, 2);
    Floats dx(20, kNan), scratch(static_cast<size_t>(batch_norm_backward_scratch(1, 20)));
    batch_norm_backward(exec, {.rows = 1,
                               .c = 20,
                               .dy = dy.data(),
                               .x = x.data(),
                               .mean = x.data(),
                               .inv_std = inv_std.data(),
                               .gamma = gamma.data(),
                               .dgamma_mode = GradMode::kSkip,
                               .dbeta_mode = GradMode::kSkip,
                               .dx = dx.data(),
                               .scratch = scratch.data()});
    for (const float v : dx) CHECK(v == 0.0f);
  });
}

TEST_CASE("planted faults in backward are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  BackwardCase k{.shape = {33, 17}, .fork = true, .mask = true, .dshortcut = true};
  k.dgamma_mode = k.dbeta_mode = GradMode::kAccumulate;
  test::expect_ok(k.text(), check_backward(batch_norm_backward, exec, k));
  const auto before = [&](const std::string& fault, void (*change)(BatchNormBackward&)) {
    const auto op = [change](const Exec& e, BatchNormBackward args) {
      change(args);
      batch_norm_backward(e, args);
    };
    test::expect_caught(fault, check_backward(op, exec, k));
  };
  before("mask ignored", [](BatchNormBackward& a) { a.y = nullptr; });
  before("dy2 ignored", [](BatchNormBackward& a) { a.dy2 = nullptr; });
  before("dgamma overwritten instead of accumulated",
         [](BatchNormBackward& a) { a.dgamma_mode = GradMode::kOverwrite; });
  before("dbeta overwritten instead of accumulated",
         [](BatchNormBackward& a) { a.dbeta_mode = GradMode::kOverwrite; });
  before("dbeta skipped", [](BatchNormBackward& a) { a.dbeta_mode = GradMode::kSkip; });
  before("running instead of batch statistics",
         [](BatchNormBackward& a) { a.mode = BatchNormMode::kRunningStatistics; });
  before("dgamma and dbeta swapped", [](BatchNormBackward& a) { std::swap(a.dgamma, a.dbeta); });
  before("dx and dshortcut swapped", [](BatchNormBackward& a) { std::swap(a.dx, a.dshortcut); });
  before("dshortcut forgotten", [](BatchNormBackward& a) { a.dshortcut = nullptr; });
  before("dx forgotten", [](BatchNormBackward& a) { a.dx = nullptr; });
  before("gamma ignored", [](BatchNormBackward& a) { a.gamma = a.inv_std; });
  before("last row left out", [](BatchNormBackward& a) { --a.rows; });
  before("written beyond the end", [](BatchNormBackward& a) { a.dx += 1; });

  const auto after = [&](const std::string& fault, void (*change)(const BatchNormBackward&)) {
    const auto op = [change](const Exec& e, const BatchNormBackward& args) {
      batch_norm_backward(e, args);
      change(args);
    };
    test::expect_caught(fault, check_backward(op, exec, k));
  };
  after("dx scaled by 1.001", [](const BatchNormBackward& a) {
    for (int64_t i = 0; i < a.rows * a.c; ++i) a.dx[i] *= 1.001f;
  });
  after("dgamma scaled by 1.001", [](const BatchNormBackward& a) {
    for (int64_t j = 0; j < a.c; ++j) a.dgamma[j] *= 1.001f;
  });
  after("one NaN in dx", [](const BatchNormBackward& a) { a.dx[a.c] = kNan; });
  after("zeros in dx", [](const BatchNormBackward& a) { std::fill_n(a.dx, a.rows * a.c, 0.0f); });
  after("the shortcut's gradient is not masked", [](const BatchNormBackward& a) {
    for (int64_t i = 0; i < a.rows * a.c; ++i) a.dshortcut[i] = a.dy[i] + a.dy2[i];
  });
}

// --- gradients by finite differences

// sum of w * relu(gamma * xhat + beta + shortcut) in double, with the batch's own or fixed
// statistics.
struct Function {
  int64_t rows, c;
  bool batch;
  double epsilon = 1e-3;
  Doubles x, gamma, beta, shortcut, mean, variance, weight;

  explicit Function(bool batch_statistics) : rows(6), c(4), batch(batch_statistics) {
    x = test::uniform_double(rows * c, 70);
    gamma = test::uniform_double(c, 71, 0.5, 1.5);
    beta = test::uniform_double(c, 72, -0.5, 0.5);
    shortcut = test::uniform_double(rows * c, 73);
    mean = test::uniform_double(c, 74);
    variance = test::uniform_double(c, 75, 0.5, 1.5);
    weight = test::uniform_double(rows * c, 76);
    for (Doubles* values : {&x, &gamma, &beta, &shortcut, &mean, &variance, &weight}) {
      *values = test::widen(test::narrow(*values));  // the kernel must see the same numbers
    }
  }

  void statistics(size_t j, double& m, double& v) const {
    const size_t n = static_cast<size_t>(rows), stride = static_cast<size_t>(c);
    m = mean[j];
    v = variance[j];
    if (!batch) return;
    m = v = 0.0;
    for (size_t r = 0; r < n; ++r) m += x[r * stride + j] / static_cast<double>(n);
    for (size_t r = 0; r < n; ++r) v += std::pow(x[r * stride + j] - m, 2) / static_cast<double>(n);
  }

  Doubles pre_activation() const {
    Doubles z(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t j = i % gamma.size();
      double m, v;
      statistics(j, m, v);
      z[i] = gamma[j] * (x[i] - m) / std::sqrt(v + epsilon) + beta[j] + shortcut[i];
    }
    return z;
  }

  double value() const {
    const Doubles z = pre_activation();
    double sum = 0.0;
    for (size_t i = 0; i < z.size(); ++i) sum += weight[i] * std::max(z[i], 0.0);
    return sum;
  }
};

TEST_CASE("backward agrees with finite differences of the whole operation") {
  test::for_each_device([](const Exec& exec) {
    for (const bool batch : {true, false}) {
      CAPTURE(batch);
      const Function f(batch);
      const Floats x = test::narrow(f.x), gamma = test::narrow(f.gamma),
                   beta = test::narrow(f.beta);
      const Floats shortcut = test::narrow(f.shortcut), dy = test::narrow(f.weight);
      Floats mean = test::narrow(f.mean), inv_std(4), y(24), dx(24), dshortcut(24), dgamma(4),
             dbeta(4);
      const Floats variance = test::narrow(f.variance);
      if (batch) {
        batch_norm_statistics(exec, {.rows = 6,
                                     .c = 4,
                                     .x = x.data(),
                                     .epsilon = f.epsilon,
                                     .mean = mean.data(),
                                     .inv_std = inv_std.data()});
      } else {
        inverse_std(exec, {4, variance.data(), f.epsilon, inv_std.data()});
      }
      batch_norm_apply(exec, {6, 4, x.data(), mean.data(), inv_std.data(), gamma.data(),
                              beta.data(), shortcut.data(), true, y.data()});
      Floats scratch(static_cast<size_t>(batch_norm_backward_scratch(6, 4)));
      batch_norm_backward(exec, {.rows = 6,
                                 .c = 4,
                                 .mode = batch ? BatchNormMode::kBatchStatistics
                                               : BatchNormMode::kRunningStatistics,
                                 .dy = dy.data(),
                                 .y = y.data(),
                                 .x = x.data(),
                                 .mean = mean.data(),
                                 .inv_std = inv_std.data(),
                                 .gamma = gamma.data(),
                                 .dgamma = dgamma.data(),
                                 .dbeta = dbeta.data(),
                                 .dx = dx.data(),
                                 .dshortcut = dshortcut.data(),
                                 .scratch = scratch.data()});

      const Doubles z = f.pre_activation();
      const auto kink_in_channel = [&](int64_t i) {
        for (size_t r = 0; r < 6; ++r) {
          if (std::abs(z[r * 4 + static_cast<size_t>(i % 4)]) < 5e-3) return true;
        }
        return false;
      };
      test::GradientOptions options;
      options.tolerance = test::tolerance(OpClass::kFiniteDifference, 6);
      options.expected_zero_share = 0.6;
      const auto check = [&](const char* what, Doubles Function::*member, const Floats& analytic) {
        const auto value = [&](const Doubles& at) {
          Function moved = f;
          moved.*member = at;
          return moved.value();
        };
        test::expect_ok(what,
                        test::check_gradient(value, f.*member, analytic, options, kink_in_channel));
        Floats scaled = analytic;
        for (float& g : scaled) g *= 1.01f;
        test::expect_caught("scaled gradient", test::check_gradient(value, f.*member, scaled,
                                                                    options, kink_in_channel));
      };
      check("dx", &Function::x, dx);
      check("dgamma", &Function::gamma, dgamma);
      check("dbeta", &Function::beta, dbeta);
      check("dshortcut", &Function::shortcut, dshortcut);
    }
  });
}

// --- threads, folding

// All results of one forward and backward pass, one after the other.
Floats everything(const Exec& exec, const Shape& shape) {
  const BackwardInputs in(shape);
  const size_t n = in.dy.size(), c = in.layer.mean.size();
  Floats mean(c), inv_std(c), running_mean(c), running_var(c), y(n), dx(n), ds(n), dgamma(c),
      dbeta(c);
  Floats scratch(static_cast<size_t>(batch_norm_backward_scratch(shape.rows, shape.c)));
  const Layer& l = in.layer;
  batch_norm_statistics(exec, {shape.rows, shape.c, l.x.data(), 1e-5, mean.data(), inv_std.data(),
                               running_mean.data(), running_var.data()});
  batch_norm_apply(exec, {shape.rows, shape.c, l.x.data(), mean.data(), inv_std.data(),
                          l.gamma.data(), l.beta.data(), l.shortcut.data(), true, y.data()});
  batch_norm_backward(exec, {.rows = shape.rows,
                             .c = shape.c,
                             .dy = in.dy.data(),
                             .dy2 = in.dy2.data(),
                             .y = y.data(),
                             .x = l.x.data(),
                             .mean = mean.data(),
                             .inv_std = inv_std.data(),
                             .gamma = l.gamma.data(),
                             .dgamma = dgamma.data(),
                             .dbeta = dbeta.data(),
                             .dx = dx.data(),
                             .dshortcut = ds.data(),
                             .scratch = scratch.data()});
  Floats all;
  for (const Floats* part :
       {&mean, &inv_std, &running_mean, &running_var, &y, &dx, &ds, &dgamma, &dbeta}) {
    all.insert(all.end(), part->begin(), part->end());
  }
  return all;
}

TEST_CASE("no bit depends on the number of threads") {
  for (const Shape& shape : {Shape{5003, 19}, Shape{131, 130}, Shape{70, 1030}, Shape{2, 3}}) {
    const Floats one = everything({DeviceKind::kCpu, 1}, shape);
    for (const int threads : {2, 3, 5}) {
      test::expect_ok(name(shape),
                      test::compare_bits(everything({DeviceKind::kCpu, threads}, shape), one));
    }
  }
}

using FoldOp = std::function<void(const Exec&, const FoldBatchNorm&)>;

Verdict check_fold(const FoldOp& op, const Exec& exec, int64_t k, int64_t fan_in, bool in_place) {
  const Floats w = test::uniform(k * fan_in, 80), gamma = test::uniform(k, 81),
               beta = test::uniform(k, 82);
  const Floats mean = test::uniform(k, 83), variance = test::uniform(k, 84, 0.1f, 2.0f);
  Guarded<float> source(w), fresh(k * fan_in, kNan), bias(k, kNan);
  Guarded<float>& out = in_place ? source : fresh;
  op(exec, {k, fan_in, source.data(), gamma.data(), beta.data(), mean.data(), variance.data(), 1e-3,
            out.data(), bias.data()});
  Doubles want_w, want_bias;
  for (size_t row = 0; row < gamma.size(); ++row) {
    const double scale = gamma[row] / std::sqrt(static_cast<double>(variance[row]) + 1e-3);
    for (size_t i = 0; i < static_cast<size_t>(fan_in); ++i) {
      want_w.push_back(w[row * static_cast<size_t>(fan_in) + i] * scale);
    }
    want_bias.push_back(beta[row] - mean[row] * scale);
  }
  Verdict v;
  const auto tolerance = test::tolerance(OpClass::kElementwise, 1);
  v.require("w", test::compare(out.span(), want_w, tolerance));
  v.require("bias", test::compare(bias.span(), want_bias, tolerance));
  v.require("canaries", source.intact() && fresh.intact() && bias.intact());
  return v;
}

TEST_CASE("folding agrees with the oracle, also in place") {
  test::for_each_device([](const Exec& exec) {
    for (const bool in_place : {false, true}) {
      test::expect_ok("5x27", check_fold(fold_batch_norm, exec, 5, 27, in_place));
      test::expect_ok("64x1", check_fold(fold_batch_norm, exec, 64, 1, in_place));
      test::expect_ok("33x147", check_fold(fold_batch_norm, exec, 33, 147, in_place));
    }
  });
}

TEST_CASE("planted faults in folding are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, void (*change)(FoldBatchNorm&)) {
    const auto op = [change](const Exec& e, FoldBatchNorm args) {
      change(args);
      fold_batch_norm(e, args);
    };
    test::expect_caught(fault, check_fold(op, exec, 5, 27, false));
  };
  caught("mean and beta swapped", [](FoldBatchNorm& a) { std::swap(a.mean, a.beta); });
  caught("another epsilon", [](FoldBatchNorm& a) { a.epsilon = 1e-5; });
  caught("gamma ignored", [](FoldBatchNorm& a) { a.gamma = a.variance; });
  caught("k and fan_in swapped", [](FoldBatchNorm& a) {
    a.k = 1;  // one scale for everything
    a.fan_in = 5 * 27;
  });
}

}  // namespace
}  // namespace verace::kernels

// Batch norm as a whole: gradients by finite differences, with plain and with normalised shortcut;
// bits that depend on nothing but the input.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/batch_norm.h"
#include "tests/kernels/batch_norm_cases.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/gradient_check.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/tolerances.h"

namespace verace::kernels::batch_norm_gradient_test {
namespace {

using namespace batch_norm_test;
using test::Guarded;
using test::OpClass;

constexpr int64_t kRows = 6, kChannels = 4;
constexpr double kEpsilon = 1e-3;

// One normalisation in double, with the batch's own or fixed statistics.
struct Branch {
  bool batch;
  Doubles x, gamma, beta, mean, variance;

  Branch(bool batch_statistics, uint64_t seed) : batch(batch_statistics) {
    x = test::uniform_double(kRows * kChannels, seed);
    gamma = test::uniform_double(kChannels, seed + 1, 0.5, 1.5);
    beta = test::uniform_double(kChannels, seed + 2, -0.5, 0.5);
    mean = test::uniform_double(kChannels, seed + 4);
    variance = test::uniform_double(kChannels, seed + 5, 0.5, 1.5);
    for (Doubles* values : {&x, &gamma, &beta, &mean, &variance}) {
      *values = test::widen(test::narrow(*values));  // the kernel must see the same numbers
    }
  }

  Doubles normalised() const {
    Doubles z(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t j = i % gamma.size();
      double m = mean[j], v = variance[j];
      if (batch) {
        m = v = 0.0;
        const double n = static_cast<double>(kRows);
        for (size_t r = j; r < x.size(); r += gamma.size()) m += x[r] / n;
        for (size_t r = j; r < x.size(); r += gamma.size()) v += std::pow(x[r] - m, 2) / n;
      }
      z[i] = gamma[j] * (x[i] - m) / std::sqrt(v + kEpsilon) + beta[j];
    }
    return z;
  }
};

enum class Shortcut { kPlain, kNormalised };

// sum of weight * relu(main + shortcut) where the shortcut is a tensor or a branch of its own.
struct Function {
  Shortcut kind;
  Branch main, side;
  Doubles shortcut, weight;

  Function(Shortcut shortcut_kind, bool batch)
      : kind(shortcut_kind), main(batch, 70), side(batch, 90) {
    shortcut = test::widen(test::narrow(test::uniform_double(kRows * kChannels, 73)));
    weight = test::widen(test::narrow(test::uniform_double(kRows * kChannels, 76)));
  }

  Doubles pre_activation() const {
    Doubles z = main.normalised();
    const Doubles second = kind == Shortcut::kPlain ? shortcut : side.normalised();
    for (size_t i = 0; i < z.size(); ++i) z[i] += second[i];
    return z;
  }
  double value() const {
    const Doubles z = pre_activation();
    double sum = 0.0;
    for (size_t i = 0; i < z.size(); ++i) sum += weight[i] * std::max(z[i], 0.0);
    return sum;
  }
};

// The tensors of one branch and its gradients.
struct BranchBuffers {
  Guarded<float> x, gamma, beta, mean, inv_std, dx, dgamma, dbeta, scratch;

  BranchBuffers(const Exec& exec, const Branch& b)
      : x(test::narrow(b.x)),
        gamma(test::narrow(b.gamma)),
        beta(test::narrow(b.beta)),
        mean(test::narrow(b.mean)),
        inv_std(kChannels),
        dx(kRows * kChannels, kNan),
        dgamma(kChannels, kNan),
        dbeta(kChannels, kNan),
        scratch(batch_norm_backward_scratch(kRows, kChannels)) {
    Guarded<float> partial = statistics_scratch({kRows, kChannels});
    if (b.batch) {
      batch_norm_statistics(exec, {.rows = kRows,
                                   .c = kChannels,
                                   .x = x.data(),
                                   .epsilon = kEpsilon,
                                   .mean = mean.data(),
                                   .inv_std = inv_std.data(),
                                   .scratch = partial.data()});
    } else {
      const Guarded<float> variance(test::narrow(b.variance));
      inverse_std(exec, {kChannels, variance.data(), kEpsilon, inv_std.data()});
    }
  }

  // All but where dz comes from.
  BatchNormBackward backward(const Branch& b) {
    return {.rows = kRows,
            .c = kChannels,
            .mode = b.batch ? BatchNormMode::kBatchStatistics : BatchNormMode::kRunningStatistics,
            .x = x.data(),
            .mean = mean.data(),
            .inv_std = inv_std.data(),
            .gamma = gamma.data(),
            .dgamma = dgamma.data(),
            .dbeta = dbeta.data(),
            .dx = dx.data(),
            .scratch = scratch.data()};
  }
};

// Forward and backward pass of f on a device; the gradients stay in `main`, `side`, `dshortcut`.
struct Pass {
  BranchBuffers main, side;
  Guarded<float> shortcut, y, dy, dshortcut;
  Guarded<uint32_t> mask;

  Pass(const Exec& exec, const Function& f)
      : main(exec, f.main),
        side(exec, f.side),
        shortcut(test::narrow(f.shortcut)),
        y(kRows * kChannels),
        dy(test::narrow(f.weight)),
        dshortcut(kRows * kChannels, kNan),
        mask(mask_words(kRows * kChannels)) {
    BatchNormApply apply{.rows = kRows, .c = kChannels, .x = main.x.data()};
    apply.mean = main.mean.data();
    apply.inv_std = main.inv_std.data();
    apply.gamma = main.gamma.data();
    apply.beta = main.beta.data();
    apply.relu = true;
    apply.y = y.data();
    apply.mask = mask.data();
    BatchNormBackward backward = main.backward(f.main);
    backward.dy = dy.data();
    backward.dshortcut = dshortcut.data();
    if (f.kind == Shortcut::kPlain) {
      apply.shortcut = shortcut.data();
      batch_norm_apply(exec, apply);
      backward.y = y.data();
      batch_norm_backward(exec, backward);
      return;
    }
    apply.shortcut = side.x.data();
    apply.shortcut_mean = side.mean.data();
    apply.shortcut_inv_std = side.inv_std.data();
    apply.shortcut_gamma = side.gamma.data();
    apply.shortcut_beta = side.beta.data();
    batch_norm_apply(exec, apply);
    backward.mask = mask.data();
    batch_norm_backward(exec, backward);
    BatchNormBackward second = side.backward(f.side);
    second.dy = dshortcut.data();
    batch_norm_backward(exec, second);
  }
};

// `gradient` against differences of f at what `of` chooses; also that a false gradient is seen.
void check_differences(const Function& f, const char* what,
                       const std::function<Doubles&(Function&)>& of, const Floats& gradient) {
  CAPTURE(what);
  const Doubles z = f.pre_activation();
  const auto kink_in_channel = [&](int64_t i) {
    for (size_t r = static_cast<size_t>(i % kChannels); r < z.size(); r += kChannels) {
      if (std::abs(z[r]) < 5e-3) return true;
    }
    return false;
  };
  test::GradientOptions options;
  options.tolerance = test::tolerance(OpClass::kFiniteDifference, kRows);
  options.expected_zero_share = 0.6;
  const auto value = [&](const Doubles& at) {
    Function moved = f;
    of(moved) = at;
    return moved.value();
  };
  Function start = f;
  const Doubles at = of(start);
  test::expect_ok(what, test::check_gradient(value, at, gradient, options, kink_in_channel));
  Floats scaled = gradient;
  for (float& g : scaled) g *= 1.01f;
  test::expect_caught("scaled gradient",
                      test::check_gradient(value, at, scaled, options, kink_in_channel));
}

TEST_CASE("backward agrees with finite differences of the whole operation") {
  test::for_each_device([](const Exec& exec) {
    for (const Shortcut kind : {Shortcut::kPlain, Shortcut::kNormalised}) {
      for (const bool batch : {true, false}) {
        CAPTURE(batch);
        const Function f(kind, batch);
        Pass pass(exec, f);
        const auto check = [&](const char* what, const auto& of, const Guarded<float>& gradient) {
          check_differences(f, what, of, gradient.copy());
        };
        check(
            "dx", [](Function& g) -> Doubles& { return g.main.x; }, pass.main.dx);
        check(
            "dgamma", [](Function& g) -> Doubles& { return g.main.gamma; }, pass.main.dgamma);
        check(
            "dbeta", [](Function& g) -> Doubles& { return g.main.beta; }, pass.main.dbeta);
        if (kind == Shortcut::kPlain) {
          check(
              "dshortcut", [](Function& g) -> Doubles& { return g.shortcut; }, pass.dshortcut);
          continue;
        }
        check(
            "dx 2", [](Function& g) -> Doubles& { return g.side.x; }, pass.side.dx);
        check(
            "dgamma 2", [](Function& g) -> Doubles& { return g.side.gamma; }, pass.side.dgamma);
        check(
            "dbeta 2", [](Function& g) -> Doubles& { return g.side.beta; }, pass.side.dbeta);
      }
    }
  });
}

// --- what no bit may depend on

// All results of one forward and backward pass, one after the other; tensors `shift` elements out
// of alignment.
template <class T>
Floats everything(const Exec& exec, const Shape& shape, int64_t shift) {
  const Layer layer = Layer::rounded_to<T>(shape, 40);
  const int64_t n = shape.count(), c = shape.c;
  test::Shifted<T> x(layer.x, shift), shortcut(layer.shortcut, shift),
      dy(test::uniform(n, 50), shift), dy2(test::uniform(n, 51), shift), y(n, kNan, shift),
      dx(n, kNan, shift), dshortcut(n, kNan, shift);
  const Guarded<float> gamma(layer.gamma), beta(layer.beta);
  Guarded<float> mean(c), inv_std(c), dgamma(c), dbeta(c);
  Guarded<float> running_mean(c, 0.0f), running_var(c, 0.0f);
  Guarded<float> scratch(batch_norm_backward_scratch(shape.rows, c)),
      partial = statistics_scratch(shape);
  Guarded<uint32_t> mask(mask_words(n));
  batch_norm_statistics(exec, BatchNormStatisticsOf<T>{.rows = shape.rows,
                                                       .c = c,
                                                       .x = x.data(),
                                                       .mean = mean.data(),
                                                       .inv_std = inv_std.data(),
                                                       .running_mean = running_mean.data(),
                                                       .running_var = running_var.data(),
                                                       .scratch = partial.data()});
  BatchNormApplyOf<T> apply{.rows = shape.rows, .c = c, .x = x.data()};
  apply.mean = mean.data();
  apply.inv_std = inv_std.data();
  apply.gamma = gamma.data();
  apply.beta = beta.data();
  apply.shortcut = shortcut.data();
  apply.relu = true;
  apply.y = y.data();
  apply.mask = mask.data();
  batch_norm_apply(exec, apply);
  batch_norm_backward(exec, BatchNormBackwardOf<T>{.rows = shape.rows,
                                                   .c = c,
                                                   .dy = dy.data(),
                                                   .dy2 = dy2.data(),
                                                   .x = x.data(),
                                                   .mean = mean.data(),
                                                   .inv_std = inv_std.data(),
                                                   .gamma = gamma.data(),
                                                   .dgamma = dgamma.data(),
                                                   .dbeta = dbeta.data(),
                                                   .dx = dx.data(),
                                                   .dshortcut = dshortcut.data(),
                                                   .scratch = scratch.data(),
                                                   .mask = mask.data()});
  Floats all;
  for (const Guarded<float>* part :
       {&mean, &inv_std, &running_mean, &running_var, &dgamma, &dbeta}) {
    all.insert(all.end(), part->span().begin(), part->span().end());
  }
  for (const test::Shifted<T>* part : {&y, &dx, &dshortcut}) {
    const Floats values = part->floats();
    all.insert(all.end(), values.begin(), values.end());
  }
  for (const uint32_t word : mask.span()) {
    all.push_back(static_cast<float>(word & 0xffffu));
    all.push_back(static_cast<float>(word >> 16));
  }
  return all;
}

TEST_CASE("no bit depends on the number of threads") {
  for (const Shape& shape : {Shape{5003, 19}, Shape{131, 130}, Shape{70, 1030}, Shape{2, 3}}) {
    const Floats one = everything<float>({DeviceKind::kCpu, 1}, shape, 0);
    for (const int threads : {2, 3, 5}) {
      test::expect_ok(
          name(shape),
          test::compare_bits(everything<float>({DeviceKind::kCpu, threads}, shape, 0), one));
    }
  }
}

TEST_CASE("no bit depends on the alignment, nor on chance") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    for (const Shape& shape : {Shape{531, 72}, Shape{67, 264}, Shape{131, 33}}) {
      const Floats aligned = everything<T>(exec, shape, 0);
      test::expect_ok("again", test::compare_bits(everything<T>(exec, shape, 0), aligned));
      test::expect_ok("shifted", test::compare_bits(everything<T>(exec, shape, 1), aligned));
    }
  });
}

}  // namespace
}  // namespace verace::kernels::batch_norm_gradient_test

// Folding batch norm into a filter, against an independent oracle and planted faults.
#include "kernels/batch_norm.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "tests/kernels/batch_norm_cases.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/tolerances.h"

namespace verace::kernels::batch_norm_fold_test {
namespace {

using namespace batch_norm_test;
using test::Guarded;
using test::OpClass;
using test::Verdict;

using FoldOp = std::function<void(const Exec&, const FoldBatchNorm&)>;

Verdict check_fold(const FoldOp& op, const Exec& exec, int64_t k, int64_t fan_in, bool in_place) {
  const Floats w = test::uniform(k * fan_in, 80);
  const Guarded<float> gamma(test::uniform(k, 81)), beta(test::uniform(k, 82)),
      mean(test::uniform(k, 83)), variance(test::uniform(k, 84, 0.1f, 2.0f));
  Guarded<float> source(w), fresh(k * fan_in, kNan), bias(k, kNan);
  Guarded<float>& out = in_place ? source : fresh;
  op(exec, {k, fan_in, source.data(), gamma.data(), beta.data(), mean.data(), variance.data(), 1e-3,
            out.data(), bias.data()});
  Doubles want_w, want_bias;
  for (int64_t row = 0; row < k; ++row) {
    const double scale = gamma[row] / std::sqrt(static_cast<double>(variance[row]) + 1e-3);
    for (int64_t i = 0; i < fan_in; ++i) {
      want_w.push_back(w[static_cast<size_t>(row * fan_in + i)] * scale);
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
      test::expect_ok("3x300", check_fold(fold_batch_norm, exec, 3, 300, in_place));
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
}  // namespace verace::kernels::batch_norm_fold_test

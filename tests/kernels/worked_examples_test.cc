// The main numbers of docs/learn's worked examples, on each device of the CPU.
#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "kernels/adam.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/perturb.h"
#include "kernels/softmax_cross_entropy.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"

namespace verace::test::worked_examples_test {
namespace {

using namespace verace::kernels;

using Floats = std::vector<float>;

// Half a unit of the last digit that the chapter prints (and float's own error).
Comparison as_printed(const Floats& got, const std::vector<double>& printed, int digits) {
  const Tolerance tolerance{0.5000001 * std::pow(10.0, -digits), 1e-6,
                            "as many digits as the chapter prints"};
  return compare(std::span<const float>(got), std::span<const double>(printed), tolerance, 0.5);
}

void expect_printed(const Floats& got, const std::vector<double>& printed, int digits) {
  const Comparison comparison = as_printed(got, printed, digits);
  CHECK_MESSAGE(comparison.ok, comparison.message);
  // The same numbers with one of them off by two units must not pass.
  for (size_t i = 0; i < printed.size(); ++i) {
    std::vector<double> wrong = printed;
    wrong[i] += 2 * std::pow(10.0, -digits);
    CHECK_FALSE(as_printed(got, wrong, digits).ok);
  }
}

template <typename Plan>
Floats packed(const Plan& plan, const Floats& w) {
  Floats result(static_cast<size_t>(plan.packed_count()));
  plan.pack(w.data(), result.data());
  return result;
}

TEST_CASE("convolution.md") {
  const ConvGeometry g{{1, 3, 3, 1}, 1, 2, 2, 1, 1, 0, 0};
  const Floats x = {1, 2, 0, 0, 1, 3, 2, 1, 1}, w = {1, -1, 2, 0}, dy = {1, 0, 2, 1};
  for_each_host_device([&](const Exec& exec) {
    const auto forward = plan_conv_forward(exec, g);
    std::vector<std::byte> scratch(static_cast<size_t>(forward->scratch_bytes()));
    Floats y(4), dw(4), dx(9);
    const Floats filter = packed(*forward, w);
    forward->run(
        {.x = x.data(), .packed = filter.data(), .y = y.data(), .scratch = scratch.data()});
    expect_printed(y, {-1, 4, 3, 0}, 0);
    const auto backward_filter = plan_conv_backward_filter(exec, g);
    scratch.resize(static_cast<size_t>(backward_filter->scratch_bytes()));
    backward_filter->run({x.data(), dy.data(), dw.data(), GradMode::kOverwrite, scratch.data()});
    expect_printed(dw, {2, 7, 5, 4}, 0);
    const auto backward_data = plan_conv_backward_data(exec, g);
    scratch.resize(static_cast<size_t>(backward_data->scratch_bytes()));
    const Floats turned = packed(*backward_data, w);
    backward_data->run({dy.data(), turned.data(), dx.data(), scratch.data()});
    expect_printed(dx, {1, -1, 0, 4, -1, -1, 4, 2, 0}, 0);
  });
}

TEST_CASE("batch_norm.md") {
  const Floats x = {1, 7, 9, 15}, gamma = {2}, beta = {1}, dy = {1, 0, 0, 0};
  for_each_host_device([&](const Exec& exec) {
    Floats mean(1), inv_std(1), y(4), dx(4), dgamma(1), dbeta(1);
    Floats running_mean = {10}, running_var = {4};
    const auto statistics = [&](RunningVariance convention) {
      running_mean = {10};
      running_var = {4};
      batch_norm_statistics(exec, {.rows = 4,
                                   .c = 1,
                                   .x = x.data(),
                                   .epsilon = 1e-12,  // the chapter leaves it out
                                   .mean = mean.data(),
                                   .inv_std = inv_std.data(),
                                   .running_mean = running_mean.data(),
                                   .running_var = running_var.data(),
                                   .momentum = 0.1,
                                   .convention = convention});
    };
    const auto apply = [&] {
      batch_norm_apply(exec, {.rows = 4,
                              .c = 1,
                              .x = x.data(),
                              .mean = mean.data(),
                              .inv_std = inv_std.data(),
                              .gamma = gamma.data(),
                              .beta = beta.data(),
                              .y = y.data()});
    };
    Floats scratch(static_cast<size_t>(batch_norm_backward_scratch(4, 1)));
    const auto backward = [&](BatchNormMode mode) {
      batch_norm_backward(exec, {.rows = 4,
                                 .c = 1,
                                 .mode = mode,
                                 .dy = dy.data(),
                                 .x = x.data(),
                                 .mean = mean.data(),
                                 .inv_std = inv_std.data(),
                                 .gamma = gamma.data(),
                                 .dgamma = dgamma.data(),
                                 .dbeta = dbeta.data(),
                                 .dx = dx.data(),
                                 .scratch = scratch.data()});
    };
    // Batch statistics.
    statistics(RunningVariance::kBiased);
    expect_printed(running_var, {6.1}, 1);
    statistics(RunningVariance::kUnbiased);
    expect_printed(running_var, {6.933}, 3);
    expect_printed(running_mean, {9.8}, 1);
    expect_printed(mean, {8}, 0);
    expect_printed(inv_std, {0.2}, 1);
    apply();
    expect_printed(y, {-1.8, 0.6, 1.4, 3.8}, 1);
    backward(BatchNormMode::kBatchStatistics);
    expect_printed(dbeta, {1}, 0);
    expect_printed(dgamma, {-1.4}, 1);
    expect_printed(dx, {0.104, -0.128, -0.072, 0.096}, 3);
    // Running statistics 10 and 4.
    mean = {10};
    inv_std = {0.5};
    apply();
    expect_printed(y, {-8, -2, 0, 6}, 0);
    backward(BatchNormMode::kRunningStatistics);
    CHECK(dx == Floats{1, 0, 0, 0});
  });
}

TEST_CASE("softmax.md") {
  const auto judged = [](const Exec& exec, const Floats& logits, int32_t label,
                         CrossEntropyForm form = CrossEntropyForm::kLogits) {
    struct {
      Floats p, loss, dlogits;
    } r{Floats(logits.size()), Floats(1), Floats(logits.size())};
    softmax_cross_entropy(exec, {.n = 1,
                                 .classes = static_cast<int64_t>(logits.size()),
                                 .logits = logits.data(),
                                 .labels = &label,
                                 .form = form,
                                 .probabilities = r.p.data(),
                                 .loss = r.loss.data(),
                                 .dlogits = r.dlogits.data()});
    return r;
  };
  for_each_host_device([&](const Exec& exec) {
    const auto three = judged(exec, {1, 2, -1}, 0);
    expect_printed(three.p, {0.2595, 0.7054, 0.0351}, 4);
    expect_printed(three.loss, {1.3490}, 4);
    expect_printed(three.dlogits, {-0.7405, 0.7054, 0.0351}, 4);
    const auto sure = judged(exec, {20, 0}, 0);
    CHECK(sure.dlogits[1] == doctest::Approx(2.0612e-9).epsilon(1e-4));
    CHECK(sure.dlogits[0] == -sure.dlogits[1]);
    const auto wrong = judged(exec, {0, 165.2f}, 0);
    expect_printed(wrong.loss, {165.2}, 1);
    const auto clipped = judged(exec, {0, 165.2f}, 0, CrossEntropyForm::kClippedProbability);
    expect_printed(clipped.loss, {16.118}, 3);
    CHECK(clipped.dlogits == Floats{0, 0});
    CHECK(wrong.dlogits == Floats{-1, 1});
  });
}

TEST_CASE("adam.md") {
  for_each_host_device([](const Exec& exec) {
    Floats w = {1}, m = {0}, v = {0}, moved;
    long t = 0;
    for (const float gradient : {0.1f, -0.05f, 0.1f}) {
      const Floats g = {gradient};
      const float before = w[0];
      const AdamTensor tensor{w.data(), g.data(), m.data(), v.data(), 1};
      adam_step(exec, {std::span(&tensor, 1),
                       adam_factors(AdamEpsilon::kPyTorch, 1e-3, 0.9, 0.999, 1e-8, ++t)});
      moved.push_back(1e3f * (before - w[0]));
      if (t == 1) expect_printed({m[0], v[0] * 1e3f}, {0.01, 0.01}, 4);
      if (t == 2) expect_printed({m[0], v[0] * 1e3f}, {0.004, 0.01249}, 5);
    }
    CHECK(moved[0] == doctest::Approx(1.0).epsilon(1e-4));  // of the rounding of w near 1
    CHECK(moved[1] == doctest::Approx(0.2663).epsilon(4e-4));
    CHECK(moved[2] == doctest::Approx(0.5795).epsilon(2e-4));
    // The first step for gradients of any size, as a share of the learning rate.
    const auto first = [&](AdamEpsilon placement, double epsilon, float gradient) {
      Floats weight = {0}, mm = {0}, vv = {0};
      const Floats g = {gradient};
      const AdamTensor tensor{weight.data(), g.data(), mm.data(), vv.data(), 1};
      adam_step(exec, {std::span(&tensor, 1), adam_factors(placement, 1, 0.9, 0.999, epsilon, 1)});
      return -weight[0];
    };
    const auto keras = [&](float g) { return first(AdamEpsilon::kKeras, 1e-7, g); };
    const auto torch = [&](float g) { return first(AdamEpsilon::kPyTorch, 1e-8, g); };
    expect_printed({keras(1e-3f), keras(1e-6f), keras(1e-8f)}, {0.9968, 0.2403, 0.0032}, 4);
    expect_printed({torch(1e-3f), torch(1e-6f), torch(1e-8f)}, {1.0000, 0.9901, 0.5}, 4);
  });
}

TEST_CASE("attack.md") {
  const Floats x = {0.2f, 0.995f, 0, 0.5f}, gradient = {3, 1e-6f, -2, 0};
  for_each_host_device([&](const Exec& exec) {
    Floats adversarial(4);
    fgsm_step(exec, {4, x.data(), gradient.data(), 0.01f, 0, 1, adversarial.data()});
    expect_printed(adversarial, {0.21, 1.0, 0, 0.5}, 4);
    double squares = 0;
    for (size_t i = 0; i < 4; ++i) {
      const double d = static_cast<double>(adversarial[i]) - static_cast<double>(x[i]);
      squares += d * d / 4;
    }
    CHECK(squares == doctest::Approx(3.125e-5).epsilon(1e-4));
  });
}

}  // namespace
}  // namespace verace::test::worked_examples_test

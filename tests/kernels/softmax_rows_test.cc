// Softmax and cross-entropy of single rows: values by hand, rows that overflow, labels and logits
// that are none.
#include "kernels/softmax_cross_entropy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/check.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/tolerances.h"

namespace verace::test::softmax_rows_test {
namespace {

using kernels::CrossEntropyForm;
using kernels::CrossEntropyReduction;
using kernels::Exec;
using kernels::SoftmaxCrossEntropy;

constexpr auto kLogits = CrossEntropyForm::kLogits;
constexpr auto kClipped = CrossEntropyForm::kClippedProbability;
constexpr auto kMean = CrossEntropyReduction::kMean;
constexpr auto kSum = CrossEntropyReduction::kSum;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// One row through the operation.
struct Row {
  std::vector<float> probabilities, dlogits;
  float loss = 0.0f;
};

Row run_row(const Exec& exec, std::vector<float> x, int32_t label, CrossEntropyForm form) {
  const auto classes = static_cast<int64_t>(x.size());
  const Guarded<float> logits(x);
  const Guarded<int32_t> labels(1, label);
  Guarded<float> p(classes), dx(classes), loss(1);
  kernels::softmax_cross_entropy(exec, {1, classes, logits.data(), labels.data(), nullptr, form,
                                        kSum, p.data(), loss.data(), dx.data()});
  return {p.copy(), dx.copy(), loss[0]};
}

TEST_CASE("a single class is certain") {
  for_each_device([](const Exec& exec) {
    const Guarded<float> logits(std::vector<float>{-3.0f, 50.0f});
    const Guarded<int32_t> labels(2, 0);
    Guarded<float> p(2, kNan), loss(2, kNan), dx(2, kNan);
    kernels::softmax_cross_entropy(exec, {2, 1, logits.data(), labels.data(), nullptr, kLogits,
                                          kMean, p.data(), loss.data(), dx.data()});
    CHECK(p.copy() == std::vector<float>{1.0f, 1.0f});
    CHECK(loss.copy() == std::vector<float>{0.0f, 0.0f});
    CHECK(dx.copy() == std::vector<float>{0.0f, 0.0f});
  });
}

// Whatever is subtracted before exp, the quotient is the same: only a row whose sum would overflow
// without the true maximum tells whether all threads have looked for it.
TEST_CASE("softmax cross-entropy: a large logit anywhere in the row") {
  for_each_device([](const Exec& exec) {
    for (const int64_t classes : {5, 40, 1003}) {
      for (int64_t at = 0; at < classes; at += classes < 64 ? 1 : 31) {
        INFO("classes ", classes, ", at ", at);
        std::vector<float> x(static_cast<size_t>(classes), 0.0f);
        x[static_cast<size_t>(at)] = 200.0f;  // exp(200) is infinite in float
        const Row row = run_row(exec, x, static_cast<int32_t>(at), kLogits);
        CHECK(row.loss == 0.0f);
        CHECK(row.probabilities[static_cast<size_t>(at)] == 1.0f);
        CHECK(row.dlogits[static_cast<size_t>(at)] == 0.0f);
      }
    }
  });
}

TEST_CASE("softmax cross-entropy: values computed by hand") {
  for_each_device([](const Exec& exec) {
    const Row even = run_row(exec, {0.0f, 0.0f}, 1, kLogits);
    CHECK(even.loss == doctest::Approx(0.6931471805599453).epsilon(1e-6));  // ln 2
    CHECK(even.dlogits == std::vector<float>{0.5f, -0.5f});
    CHECK(even.probabilities == std::vector<float>{0.5f, 0.5f});

    const Row far = run_row(exec, {1e4f, -1e4f}, 1, kLogits);
    CHECK(far.loss == 2e4f);
    CHECK(far.dlogits == std::vector<float>{1.0f, -1.0f});
    CHECK(run_row(exec, {0.0f, 150.0f}, 0, kLogits).loss == 150.0f);
    CHECK(run_row(exec, {1e4f, -1e4f}, 0, kLogits).loss == 0.0f);

    // Keras' loss is never above -ln 1e-7 = 16.118; at both ends its gradient is gone.
    const Row low = run_row(exec, {0.0f, 150.0f}, 0, kClipped);
    CHECK(low.loss == doctest::Approx(16.11809565095832).epsilon(1e-6));
    CHECK(low.dlogits == std::vector<float>{0.0f, 0.0f});
    CHECK(low.probabilities == std::vector<float>{0.0f, 1.0f});  // themselves not clipped
    const Row high = run_row(exec, {150.0f, 0.0f}, 0, kClipped);
    CHECK(high.loss == doctest::Approx(1.00000005e-7).epsilon(1e-6));
    CHECK(high.dlogits == std::vector<float>{0.0f, 0.0f});
    // 16 is just inside: p = e^-16 = 1.125e-7.
    CHECK(run_row(exec, {0.0f, 16.0f}, 0, kClipped).dlogits[1] > 0.999f);
    CHECK(run_row(exec, {0.0f, 16.2f}, 0, kClipped).dlogits[1] == 0.0f);
  });
}

TEST_CASE("the gradient keeps its sign and digits where the label's probability rounds to 1") {
  // FGSM moves every pixel by the sign of a gradient that goes through these numbers.
  for_each_device([](const Exec& exec) {
    for (const float gap : {17.0f, 20.0f, 40.0f, 80.0f}) {
      const Row row = run_row(exec, {gap, 0.0f, -1.0f}, 0, kLogits);
      const double b = std::exp(-static_cast<double>(gap));
      const double c = std::exp(-1.0 - static_cast<double>(gap));
      const std::vector<double> want{-(b + c) / (1 + b + c), b / (1 + b + c), c / (1 + b + c)};
      // Relative only, since the values are tiny.
      expect_ok("gradient", compare(row.dlogits, want, tolerance(OpClass::kElementwise, 1, 0.0)));
    }
    const Row confident = run_row(exec, {20.0f, 0.0f}, 0, kLogits);
    CHECK(confident.loss == doctest::Approx(std::exp(-20.0)).epsilon(1e-4));
  });
}

// Classes for a warp and for a block per row.
TEST_CASE("CUDA answers a label outside the classes with NaN in its row, and in no other") {
  for_each_cuda_device([](const Exec& exec) {
    for (const auto form : {kLogits, kClipped}) {
      for (const int64_t classes : {3, 300}) {
        for (const int32_t bad : {-1, static_cast<int32_t>(classes), 1000000, -1000000}) {
          const Guarded<float> logits(uniform(2 * classes, 5)), weight(classes, 1.0f);
          const Guarded<int32_t> labels(std::vector<int32_t>{bad, 1});
          Guarded<float> p(2 * classes), loss(2), dx(2 * classes);
          kernels::softmax_cross_entropy(
              exec, {2, classes, logits.data(), labels.data(), weight.data(), form, kMean, p.data(),
                     loss.data(), dx.data()});
          CHECK(std::isnan(loss[0]));
          CHECK(std::isfinite(loss[1]));
          for (int64_t j = 0; j < classes; ++j) {
            CHECK(std::isfinite(p[j]));  // probabilities need no label
            CHECK(std::isnan(dx[j]));
            CHECK(std::isfinite(dx[classes + j]));
          }
          CHECK(p.intact());
          CHECK(loss.intact());
          CHECK(dx.intact());
        }
      }
    }
  });
}

TEST_CASE("a label outside the classes is refused on the host") {
  for_each_host_device([](const Exec& exec) {
    const std::vector<float> logits(6, 0.0f);
    std::vector<float> loss(2, 7.0f);
    for (const int32_t bad : {-1, 3, 1000000}) {
      const std::vector<int32_t> labels{0, bad};
      SoftmaxCrossEntropy args{2, 3, logits.data(), labels.data()};
      args.loss = loss.data();
      bool internal = false;
      try {
        kernels::softmax_cross_entropy(exec, args);
      } catch (const Error& error) {
        internal = error.kind() == ErrorKind::kInternal;
      }
      CHECK(internal);
      CHECK(loss == std::vector<float>{7.0f, 7.0f});
    }
  });
}

TEST_CASE("a loss without labels is refused; empty is nothing") {
  for_each_device([](const Exec& exec) {
    const Guarded<float> logits(6, 0.0f);
    Guarded<float> loss(2, 7.0f);
    SoftmaxCrossEntropy args{2, 3, logits.data(), nullptr};
    args.loss = loss.data();
    CHECK_THROWS_AS(kernels::softmax_cross_entropy(exec, args), Error);
    kernels::softmax_cross_entropy(exec, {0, 3, nullptr, nullptr});
  });
}

TEST_CASE("a NaN logit makes its own row NaN, in both forms, and no other row") {
  for_each_device([](const Exec& exec) {
    for (const auto form : {kLogits, kClipped}) {
      for (size_t at = 0; at < 3; ++at) {
        Guarded<float> logits(std::vector<float>{1.0f, 2.0f, 3.0f, 1.0f, 2.0f, 3.0f});
        logits.write()[at] = kNan;
        const Guarded<int32_t> labels(2, 1);
        Guarded<float> p(6), loss(2), dx(6);
        kernels::softmax_cross_entropy(exec, {2, 3, logits.data(), labels.data(), nullptr, form,
                                              kSum, p.data(), loss.data(), dx.data()});
        CHECK(std::isnan(loss[0]));
        CHECK(std::isfinite(loss[1]));
        for (size_t j = 0; j < 3; ++j) {
          CHECK(std::isnan(p[j]));
          CHECK(std::isnan(dx[j]));
          CHECK(std::isfinite(p[3 + j]));
          CHECK(std::isfinite(dx[3 + j]));
        }
      }
    }
  });
}

}  // namespace
}  // namespace verace::test::softmax_rows_test

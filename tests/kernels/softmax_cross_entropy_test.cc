// Softmax and cross-entropy against an oracle in long double, finite differences and planted
// faults.
#include "kernels/softmax_cross_entropy.h"

#include <doctest/doctest.h>

#include <algorithm>
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
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::test::softmax_cross_entropy_test {
namespace {

using kernels::CrossEntropyForm;
using kernels::CrossEntropyReduction;
using kernels::Exec;
using kernels::SoftmaxCrossEntropy;
template <typename T>
using OperationOf = std::function<void(const Exec&, const kernels::SoftmaxCrossEntropyOf<T>&)>;
using Operation = OperationOf<float>;

constexpr auto kLogits = CrossEntropyForm::kLogits;
constexpr auto kClipped = CrossEntropyForm::kClippedProbability;
constexpr auto kMean = CrossEntropyReduction::kMean;
constexpr auto kSum = CrossEntropyReduction::kSum;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Case {
  int64_t n = 0, classes = 0;
  float range = 1.0f;  // logits in [-range, range]
  bool weighted = false;
  CrossEntropyForm form = kLogits;
  CrossEntropyReduction reduction = kMean;
  double zero_share = 0.0;  // of the gradient: rows that are clipped or saturated
  int64_t shift = 0;        // elements that the tensors lie behind an aligned address
};

struct Input {
  std::vector<float> logits, class_weight;
  std::vector<int32_t> labels;
};

Input make_input(const Case& c) {
  Input in;
  in.logits = uniform(c.n * c.classes, 11, -c.range, c.range);
  for (int64_t i = 0; i < c.n; ++i) {
    const uint64_t choice = random_bits(12, static_cast<uint64_t>(i));
    in.labels.push_back(static_cast<int32_t>(choice % static_cast<uint64_t>(c.classes)));
  }
  if (c.weighted) in.class_weight = uniform(c.classes, 13, 0.25f, 4.0f);
  return in;
}

struct Output {
  std::vector<double> probabilities, loss, dlogits;
};

// Written apart from the kernels: exponentials as they are, in long double, which holds them up to
// logits of 1e4 and thus needs no maximum.
Output oracle(const Case& c, const Input& in) {
  Output out;
  for (int64_t i = 0; i < c.n; ++i) {
    const float* x = &in.logits[static_cast<size_t>(i * c.classes)];
    const int32_t t = in.labels[static_cast<size_t>(i)];
    long double total = 0;
    for (int64_t k = 0; k < c.classes; ++k) total += std::exp(static_cast<long double>(x[k]));
    std::vector<long double> p;
    for (int64_t j = 0; j < c.classes; ++j) {
      p.push_back(std::exp(static_cast<long double>(x[j])) / total);
    }
    long double odds_against = 0;  // (1 - p[t]) / p[t]
    for (int64_t k = 0; k < c.classes; ++k) {
      if (k != t) odds_against += std::exp(static_cast<long double>(x[k]) - x[t]);
    }
    long double loss = std::log1p(odds_against);
    const auto label = static_cast<size_t>(t);
    const bool clipped = c.form == kClipped && (p[label] < 1e-7L || p[label] > 1 - 1e-7L);
    if (c.form == kClipped) loss = -std::log(std::min(std::max(p[label], 1e-7L), 1 - 1e-7L));
    const double weight = in.class_weight.empty() ? 1.0 : in.class_weight[label];
    out.loss.push_back(weight * static_cast<double>(loss));
    long double others = 0;
    for (size_t j = 0; j < p.size(); ++j) others += j == label ? 0 : p[j];
    for (size_t j = 0; j < p.size(); ++j) {
      out.probabilities.push_back(static_cast<double>(p[j]));
      const long double slope = clipped ? 0 : (j == label ? -others : p[j]);
      const double divisor = c.reduction == kMean ? static_cast<double>(c.n) : 1.0;
      out.dlogits.push_back(weight * static_cast<double>(slope) / divisor);
    }
  }
  return out;
}

// The one check that the operation and every planted fault go through.
template <typename T>
Comparison check_storage(const OperationOf<T>& op, const Exec& exec, const Case& c) {
  Input in = make_input(c);
  in.logits = rounded<T>(in.logits);
  const Output want = oracle(c, in);
  const Shifted<T> logits(in.logits, c.shift);
  const Guarded<float> weight(in.class_weight);
  const Guarded<int32_t> labels(in.labels);
  Shifted<float> probabilities(c.n * c.classes, kNan, c.shift);
  Guarded<float> loss(c.n, kNan);
  Shifted<T> dlogits(c.n * c.classes, kNan, c.shift);
  op(exec, {c.n, c.classes, logits.data(), labels.data(), c.weighted ? weight.data() : nullptr,
            c.form, c.reduction, probabilities.data(), loss.data(), dlogits.data()});
  if (!probabilities.intact() || !loss.intact() || !dlogits.intact()) {
    return detail::failed("wrote outside its output");
  }
  if (!compare_bits(logits.floats(), in.logits) || !compare_bits(labels, in.labels)) {
    return detail::failed("changed its input");
  }
  const double largest = c.weighted ? 4.0 : 1.0;
  const Tolerance t = tolerance(OpClass::kSoftmax, c.classes, 1.0);
  const double share = c.reduction == kMean ? 1.0 / static_cast<double>(c.n) : 1.0;
  Tolerance gradient = tolerance(OpClass::kSoftmax, c.classes, 1.0);
  gradient.absolute *= largest * share;  // the terms that cancel are at most this large
  Comparison result = compare(probabilities.span(), want.probabilities, t, c.zero_share);
  if (result) result = compare(loss.span(), want.loss, t, c.zero_share);
  if (result) {
    result = compare(dlogits.floats(), want.dlogits, stored_as<T>(gradient), c.zero_share);
  }
  return result;
}

Comparison check(const Operation& op, const Exec& exec, const Case& c) {
  return check_storage<float>(op, exec, c);
}

std::vector<Case> cases() {
  std::vector<Case> result;
  for (const auto form : {kLogits, kClipped}) {
    for (const auto reduction : {kMean, kSum}) {
      for (const bool weighted : {false, true}) {
        for (const auto& [n, classes] : std::vector<std::pair<int64_t, int64_t>>{
                 {7, 2}, {64, 2}, {5, 3}, {257, 10}, {3, 400}, {1, 1200}, {16385, 2}}) {
          result.push_back({n, classes, 4.0f, weighted, form, reduction});
        }
        // p of the label falls below 1e-7 and above 1 - 1e-7 in many rows.
        result.push_back({200, 3, 40.0f, weighted, form, reduction, form == kClipped ? 0.9 : 0.0});
      }
    }
  }
  // On a GPU: more rows than its largest grid takes at once, a warp or a block for each.
  result.push_back({16901, 2, 4.0f, true});
  result.push_back({4231, 257, 4.0f, true});
  // The report's losses are in the hundreds; nothing may overflow far beyond that either.
  result.push_back({64, 2, 300.0f, false, kLogits, kMean, 0.5});
  result.push_back({64, 10, 5e3f, true, kLogits, kSum, 0.9});
  result.push_back({64, 2, 1e4f, false, kClipped, kMean, 1.0});
  return result;
}

TEST_CASE("softmax cross-entropy agrees with the oracle in both forms and reductions") {
  for_each_device([](const Exec& exec) {
    for (Case c : cases()) {
      // Emulated threads are slow, and their grids small: row 16384 would show nothing new.
      if (is_slow(exec)) c.n = std::min<int64_t>(c.n, 67);
      INFO("n ", c.n, ", classes ", c.classes, ", range ", c.range, ", weighted ", c.weighted,
           ", clipped ", c.form == kClipped, ", sum ", c.reduction == kSum);
      expect_ok("softmax_cross_entropy", check(kernels::softmax_cross_entropy<>, exec, c));
    }
  });
}

TEST_CASE("softmax cross-entropy in every storage type, for a warp and for a block per row") {
  for_each_device_and_storage([]<typename T>(const Exec& exec, T) {
    for (const auto& [n, classes] : std::vector<std::pair<int64_t, int64_t>>{
             {9, 2}, {33, 31}, {5, 33}, {3, 256}, {11, 257}, {2, 1000}, {1, 1003}, {1, 3000}}) {
      for (const int64_t shift : {0, 1}) {
        for (const auto form : {kLogits, kClipped}) {
          INFO("n ", n, ", classes ", classes, ", shift ", shift, ", clipped ", form == kClipped);
          const Case c{n, classes, 4.0f, true, form, kMean, 0.0, shift};
          expect_ok("softmax", check_storage<T>(kernels::softmax_cross_entropy<T>, exec, c));
        }
      }
    }
  });
}

TEST_CASE("softmax cross-entropy on CUDA: no bit depends on the schedule") {
  for_each_cuda_device([](const Exec& exec) {
    for (const int64_t classes : {3, 1000}) {
      expect_ok("bits", always_same_bits(exec, [classes](const Exec& e) {
                  const Input in = make_input({5, classes, 6.0f});
                  const Guarded<float> logits(in.logits);
                  const Guarded<int32_t> labels(in.labels);
                  Guarded<float> dx(5 * classes);
                  kernels::softmax_cross_entropy(
                      e, {5, classes, logits.data(), labels.data(), nullptr, kLogits, kMean,
                          nullptr, nullptr, dx.data()});
                  return dx.copy();
                }));
    }
  });
}

// dlogits of the sum of `form`, multiplied by a scale that lies in memory of the device.
template <typename T>
std::vector<float> scaled_gradient(const OperationOf<T>& op, const Exec& exec, const Case& c,
                                   float scale, std::vector<float>* loss = nullptr) {
  const Input in = make_input(c);
  const Shifted<T> logits(in.logits, 0);
  const Guarded<int32_t> labels(in.labels);
  const Guarded<float> factor(1, scale);
  Guarded<float> losses(c.n);
  Shifted<T> dlogits(c.n * c.classes, kNan, 0);
  kernels::SoftmaxCrossEntropyOf<T> args{.n = c.n,
                                         .classes = c.classes,
                                         .logits = logits.data(),
                                         .labels = labels.data(),
                                         .form = c.form,
                                         .reduction = c.reduction,
                                         .loss = losses.data(),
                                         .dlogits = dlogits.data()};
  if (scale != 1.0f) args.gradient_scale = factor.data();
  op(exec, args);
  if (loss) *loss = losses.copy();
  return dlogits.floats();
}

TEST_CASE("softmax cross-entropy: a gradient scale multiplies dlogits and nothing else") {
  for_each_device_and_storage([]<typename T>(const Exec& exec, T) {
    for (const int64_t classes : {2, 1000}) {
      for (const auto form : {kLogits, kClipped}) {
        for (const auto reduction : {kMean, kSum}) {
          const Case c{5, classes, 6.0f, false, form, reduction};
          INFO("classes ", classes, ", clipped ", form == kClipped, ", sum ", reduction == kSum);
          const OperationOf<T> op = kernels::softmax_cross_entropy<T>;
          std::vector<float> loss, loss_scaled;
          std::vector<float> want = scaled_gradient<T>(op, exec, c, 1.0f, &loss);
          for (float& value : want) value *= 64.0f;
          const std::vector<float> got = scaled_gradient<T>(op, exec, c, 64.0f, &loss_scaled);
          // A power of two changes no digit; fp16's smallest numbers gain some.
          const Tolerance same = tolerance(OpClass::kElementwise, 1, 0.0);
          const Tolerance t = stored_as<T>({same.absolute + 64 * 0x1p-25, same.relative, "scaled"});
          expect_ok("dlogits", compare(got, want, t, 0.2));
          expect_ok("loss", compare_bits(loss_scaled, loss));
          const OperationOf<T> forgetful = [](const Exec& e, auto args) {
            args.gradient_scale = nullptr;
            kernels::softmax_cross_entropy<T>(e, args);
          };
          expect_caught("no scale",
                        compare(scaled_gradient<T>(forgetful, exec, c, 64.0f), want, t, 0.2));
        }
      }
    }
  });
}

TEST_CASE("softmax cross-entropy: finite differences in both forms") {
  // Class weights are the random output weights: each row counts differently.
  const int64_t n = 6, classes = 5;
  for (const auto form : {kLogits, kClipped}) {
    for (const auto reduction : {kMean, kSum}) {
      Case c{n, classes, 3.0f, true, form, reduction};
      Input in = make_input(c);
      in.labels = {0, 1, 2, 3, 4, 2};
      // Row 5 lies deep in the clipped region (p about 1e-11).
      in.logits[5 * 5 + 2] = -25.0f;
      const auto f = [&](const std::vector<double>& x) {
        double total = 0.0;
        for (size_t i = 0; i < 6; ++i) {
          double sum = 0.0;
          for (size_t j = 0; j < 5; ++j) sum += std::exp(x[i * 5 + j]);
          const auto t = static_cast<size_t>(in.labels[i]);
          double p = std::exp(x[i * 5 + t]) / sum;
          if (form == kClipped) p = std::min(std::max(p, 1e-7), 1.0 - 1e-7);
          total += in.class_weight[t] * -std::log(p);
        }
        return reduction == kMean ? total / 6.0 : total;
      };
      for_each_device([&](const Exec& exec) {
        const Guarded<float> logits(in.logits), weight(in.class_weight);
        const Guarded<int32_t> labels(in.labels);
        Guarded<float> gradient(30);
        kernels::softmax_cross_entropy(
            exec, {n, classes, logits.data(), labels.data(), weight.data(), form, reduction,
                   nullptr, nullptr, gradient.data()});
        std::vector<float> dlogits = gradient.copy();
        GradientOptions options;
        options.tolerance = tolerance(OpClass::kFiniteDifference, classes, 1.0);
        expect_ok("gradient", check_gradient(f, widen(in.logits), dlogits, options));
        for (float& value : dlogits) value *= 1.01f;
        expect_caught("gradient scaled by 1.01",
                      check_gradient(f, widen(in.logits), dlogits, options));
      });
    }
  }
}

TEST_CASE("the gradient may overwrite the logits; unwanted outputs may be missing") {
  for_each_device([](const Exec& exec) {
    const Case c{300, 5, 6.0f, true};
    const Input in = make_input(c);
    const Guarded<float> logits(in.logits), weight(in.class_weight);
    const Guarded<int32_t> labels(in.labels);
    Guarded<float> probabilities(1500), loss(300), dlogits(1500);
    SoftmaxCrossEntropy args{300,     5,     logits.data(),        labels.data(), weight.data(),
                             kLogits, kMean, probabilities.data(), loss.data(),   dlogits.data()};
    kernels::softmax_cross_entropy(exec, args);

    Guarded<float> in_place(in.logits), probabilities2(1500), loss2(300), dlogits2(1500);
    SoftmaxCrossEntropy aliased = args;
    aliased.logits = aliased.dlogits = in_place.data();
    aliased.probabilities = probabilities2.data();
    aliased.loss = loss2.data();
    kernels::softmax_cross_entropy(exec, aliased);
    expect_ok("in place", compare_bits(in_place, dlogits));
    expect_ok("in place", compare_bits(probabilities2, probabilities));
    expect_ok("in place", compare_bits(loss2, loss));

    std::fill_n(loss2.data(), 300, kNan);
    SoftmaxCrossEntropy only = args;
    only.probabilities = nullptr, only.dlogits = nullptr, only.loss = loss2.data();
    kernels::softmax_cross_entropy(exec, only);
    expect_ok("only the loss", compare_bits(loss2, loss));
    only.loss = nullptr, only.dlogits = dlogits2.data();
    kernels::softmax_cross_entropy(exec, only);
    expect_ok("only the gradient", compare_bits(dlogits2, dlogits));
    only.dlogits = nullptr, only.labels = nullptr, only.class_weight = nullptr;
    std::fill_n(probabilities2.data(), 1500, kNan);
    only.probabilities = probabilities2.data();
    kernels::softmax_cross_entropy(exec, only);
    // Without a label the sum has one order of terms more than with it: last bits may differ.
    expect_ok("only probabilities", compare(probabilities2.copy(), probabilities.copy(),
                                            tolerance(OpClass::kElementwise, 1, 0.0)));
  });
}

TEST_CASE("the gradient may overwrite the logits in every storage type, whatever takes a row") {
  for_each_device_and_storage([]<typename T>(const Exec& exec, T) {
    for (const int64_t classes : {5, 1000, 1003}) {
      const int64_t n = 4, count = n * classes;
      const Input in = make_input({n, classes, 6.0f});
      Shifted<T> logits(in.logits, 0), dlogits(count, kNan, 0), in_place(in.logits, 0);
      const Guarded<int32_t> labels(in.labels);
      Guarded<float> probabilities(count), loss(n), probabilities2(count), loss2(n);
      const auto run = [&](const T* from, T* to, Guarded<float>& p, Guarded<float>& l) {
        kernels::softmax_cross_entropy<T>(exec, {n, classes, from, labels.data(), nullptr, kLogits,
                                                 kMean, p.data(), l.data(), to});
      };
      run(logits.data(), dlogits.data(), probabilities, loss);
      run(in_place.data(), in_place.data(), probabilities2, loss2);
      INFO("classes ", classes);
      expect_ok("gradient", compare_bits(in_place.floats(), dlogits.floats()));
      expect_ok("probabilities", compare_bits(probabilities2, probabilities));
      expect_ok("loss", compare_bits(loss2, loss));
      CHECK(in_place.intact());
    }
  });
}

TEST_CASE("softmax cross-entropy does not depend on the number of threads") {
  for (const auto& [n, classes] :
       std::vector<std::pair<int64_t, int64_t>>{{3000, 2}, {257, 10}, {9, 1001}}) {
    const Case c{n, classes, 10.0f, true};
    const Input in = make_input(c);
    std::vector<std::vector<float>> results;
    for (const int threads : {1, 2, 3}) {
      const auto size = static_cast<size_t>(n * classes);
      std::vector<float> p(size), loss(static_cast<size_t>(n)), dx(size);
      const Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, threads);
      kernels::softmax_cross_entropy(
          exec, {n, classes, in.logits.data(), in.labels.data(), in.class_weight.data(), kLogits,
                 kMean, p.data(), loss.data(), dx.data()});
      p.insert(p.end(), loss.begin(), loss.end());
      p.insert(p.end(), dx.begin(), dx.end());
      results.push_back(p);
    }
    expect_ok("2 threads", compare_bits(results[1], results[0]));
    expect_ok("3 threads", compare_bits(results[2], results[0]));
  }
}

// Runs the correct operation, then spoils its arguments or its results.
Operation spoiled(std::function<void(SoftmaxCrossEntropy&)> before,
                  std::function<void(const SoftmaxCrossEntropy&)> after = {}) {
  return [=](const Exec& exec, const SoftmaxCrossEntropy& args) {
    SoftmaxCrossEntropy changed = args;
    if (before) before(changed);
    kernels::softmax_cross_entropy(exec, changed);
    if (after) after(args);
  };
}

// exp without subtracting the maximum, in float: right for small logits only.
void naive_softmax(const Exec&, const SoftmaxCrossEntropy& a) {
  for (int64_t i = 0; i < a.n; ++i) {
    float sum = 0.0f;
    for (int64_t j = 0; j < a.classes; ++j) sum += std::exp(a.logits[i * a.classes + j]);
    for (int64_t j = 0; j < a.classes; ++j) {
      const float p = std::exp(a.logits[i * a.classes + j]) / sum;
      a.probabilities[i * a.classes + j] = p;
      const float target = j == a.labels[i] ? 1.0f : 0.0f;
      a.dlogits[i * a.classes + j] = (p - target) / static_cast<float>(a.n);
      if (j == a.labels[i]) a.loss[i] = -std::log(p);
    }
  }
}

TEST_CASE("softmax cross-entropy: planted faults are caught") {
  const Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  const Case plain{37, 3, 3.0f}, weighted{37, 3, 3.0f, true};
  const Case clipped{200, 3, 40.0f, false, kClipped, kMean, 0.9},
      wide{64, 2, 300.0f, false, kLogits, kMean, 0.5};
  const auto each = [](const SoftmaxCrossEntropy& a, const std::function<void(float&)>& f) {
    for (int64_t i = 0; i < a.n * a.classes; ++i) f(a.dlogits[i]);
  };
  expect_caught("gradient scaled by 1.0001",
                check(spoiled({}, [&](const auto& a) { each(a, [](float& v) { v *= 1.0001f; }); }),
                      exec, plain));
  expect_caught("sum instead of mean",
                check(spoiled([](auto& a) { a.reduction = kSum; }), exec, plain));
  expect_caught(
      "divided by n - 1",
      check(spoiled({}, [&](const auto& a) { each(a, [](float& v) { v *= 37.0f / 36.0f; }); }),
            exec, plain));
  expect_caught("label off by one", check(
                                        [](const Exec& e, SoftmaxCrossEntropy a) {
                                          std::vector<int32_t> labels(a.labels, a.labels + a.n);
                                          for (int32_t& t : labels) t = (t + 1) % 3;
                                          a.labels = labels.data();
                                          kernels::softmax_cross_entropy(e, a);
                                        },
                                        exec, plain));
  expect_caught("labels of the next sample",
                check(
                    [](const Exec& e, SoftmaxCrossEntropy a) {
                      std::vector<int32_t> labels(a.labels, a.labels + a.n);
                      std::rotate(labels.begin(), labels.begin() + 1, labels.end());
                      a.labels = labels.data();
                      kernels::softmax_cross_entropy(e, a);
                    },
                    exec, plain));
  expect_caught("class weights ignored",
                check(spoiled([](auto& a) { a.class_weight = nullptr; }), exec, weighted));
  expect_caught("no clipping", check(spoiled([](auto& a) { a.form = kLogits; }), exec, clipped));
  expect_caught("clipping in the logits form",
                check(spoiled([](auto& a) { a.form = kClipped; }), exec, wide));
  expect_caught("loss clipped, gradient not",
                check(spoiled({},
                              [&](const auto& a) {
                                auto again = a;
                                again.form = kLogits, again.loss = nullptr;
                                kernels::softmax_cross_entropy({}, again);
                              }),
                      exec, clipped));
  CHECK(check(naive_softmax, exec, plain).ok);  // right where nothing overflows ...
  expect_caught("no maximum subtracted", check(naive_softmax, exec, wide));  // ... and only there
  expect_caught("p without the one-hot label",
                check(spoiled({},
                              [](const auto& a) {
                                std::copy(a.probabilities, a.probabilities + a.n * a.classes,
                                          a.dlogits);
                              }),
                      exec, plain));
  expect_caught("one NaN",
                check(spoiled({}, [](const auto& a) { a.loss[a.n - 1] = kNan; }), exec, plain));
  expect_caught(
      "zeros",
      check(spoiled({}, [&](const auto& a) { each(a, [](float& v) { v = 0.0f; }); }), exec, plain));
  expect_caught("last row left out", check(spoiled([](auto& a) { a.n -= 1; }), exec,
                                           {37, 3, 3.0f, false, kLogits, kSum}));
  expect_caught(
      "one element too many",
      check(spoiled({}, [](const auto& a) { a.dlogits[a.n * a.classes] = 0.0f; }), exec, plain));
  expect_caught("base-2 logarithm", check(spoiled({},
                                                  [](const auto& a) {
                                                    for (int64_t i = 0; i < a.n; ++i)
                                                      a.loss[i] *= 1.442695f;
                                                  }),
                                          exec, plain));
}

}  // namespace
}  // namespace verace::test::softmax_cross_entropy_test

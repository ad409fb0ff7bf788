// The laboratory's problems that end in few numbers: sums, counts, the loss.
#include <cmath>

#include "bench/kernels/laboratory/operations.h"
#include "kernels/classification.h"
#include "kernels/reduce.h"
#include "kernels/softmax_cross_entropy.h"

namespace verace::laboratory {
namespace {

using namespace kernels;  // NOLINT: the laboratory speaks of nothing else
template <class M, class T>
using Element = typename M::template Element<T>;

// Accumulated in double: 2^-53 per addition at worst.
test::Tolerance double_sum(int64_t length) {
  const double u = 0x1p-53 * static_cast<double>(length);
  return {4 * u, 4 * u, "double accumulation in another order"};
}

void float_problems(int64_t count, Problems& all) {
  const double n = static_cast<double>(count);
  const std::string shape = std::to_string(count);
  add_problem<Sum>(
      all, {"sum", "fp32", shape, 4 * n, n},
      [=](auto& m) -> Sum {
        return {count, input<float>(m, "x", count, uniform(90)),
                output<double>(m, "result", 1, double_sum(count)),
                scratch<double>(m, kReductionScratch)};
      },
      [](const Exec& e, const auto& a) { sum(e, a); });
  add_problem<MeanSquaredError>(
      all, {"mean_squared_error", "fp32", shape, 8 * n, 3 * n},
      [=](auto& m) -> MeanSquaredError {
        return {count, input<float>(m, "a", count, uniform(91)),
                input<float>(m, "b", count, uniform(92)),
                output<double>(m, "result", 1, double_sum(count)),
                scratch<double>(m, kReductionScratch)};
      },
      [](const Exec& e, const auto& a) { mean_squared_error(e, a); });
}

// Some elements are infinite.
template <class T>
void non_finite_problem(int64_t count, Problems& all) {
  const double n = static_cast<double>(count);
  add_problem<CountNonFiniteOf<T>>(
      all, {"count_non_finite", type_name<T>(), std::to_string(count), n * sizeof(T), n},
      [=]<class M>(M& m) -> CountNonFiniteOf<Element<M, T>> {
        const auto values = [](int64_t i) {
          return i % 1000 == 6 ? static_cast<float>(INFINITY) : static_cast<float>(i % 100);
        };
        return {count, input<T>(m, "x", count, values), output<int64_t>(m, "result", 1, exact()),
                scratch<int64_t>(m, kReductionScratch)};
      },
      [](const Exec& e, const auto& a) { count_non_finite(e, a); });
}

struct Scores {
  int64_t n, classes;
};

std::vector<Scores> scores(const Shapes& shapes) {
  if (shapes.scale == Scale::kProof) return {{1, 2}, {7, 2}, {9, 33}, {33, 130}, {5, 1000}};
  if (shapes.scale == Scale::kTiny) return {{5, 33}};
  return {{1, 1000}, {shapes.batch, 2}, {shapes.batch, 1000}, {256, 1000}};
}

std::string text_of(const Scores& s) {
  return std::to_string(s.n) + "x" + std::to_string(s.classes);
}

template <class T>
void softmax_problem(const Scores& s, Problems& all) {
  const double n = static_cast<double>(s.n * s.classes);
  add_problem<SoftmaxCrossEntropyOf<T>>(
      all,
      {"softmax_cross_entropy", type_name<T>(), text_of(s),
       n * (2 * sizeof(T) + 4) + 8 * static_cast<double>(s.n), 8 * n},
      [=]<class M>(M& m) -> SoftmaxCrossEntropyOf<Element<M, T>> {
        SoftmaxCrossEntropyOf<Element<M, T>> a{s.n, s.classes};
        const auto softmax = test::tolerance(test::OpClass::kSoftmax, s.classes, 8);
        a.logits = input<T>(m, "logits", s.n * s.classes, uniform(93, -8.0f, 8.0f));
        a.labels = input<int32_t>(m, "labels", s.n, whole(94, static_cast<uint64_t>(s.classes)));
        a.probabilities = output<float>(m, "probabilities", s.n * s.classes, softmax);
        a.loss = output<float>(m, "loss", s.n, softmax);
        a.dlogits = output<T>(m, "dlogits", s.n * s.classes, softmax);
        return a;
      },
      [](const Exec& e, const auto& a) { softmax_cross_entropy(e, a); });
}

void classification_problem(const Scores& s, Problems& all) {
  const double n = static_cast<double>(s.n * s.classes);
  add_problem<ClassificationCounts>(
      all, {"classification_counts", "fp32", text_of(s), 4 * n + 4 * static_cast<double>(s.n), n},
      [=](auto& m) -> ClassificationCounts {
        ClassificationCounts a{s.n, s.classes};
        a.scores = input<float>(m, "scores", s.n * s.classes, uniform(95));
        a.labels = input<int32_t>(m, "labels", s.n, whole(96, static_cast<uint64_t>(s.classes)));
        a.correct = output<int64_t>(m, "correct", 1, exact());
        if (s.classes == 2) a.confusion = output<int64_t>(m, "confusion", 4, exact());
        return a;
      },
      [](const Exec& e, const auto& a) { classification_counts(e, a); });
}

}  // namespace

void add_reductions(const Shapes& shapes, Problems& all) {
  for (const int64_t count : shapes.counts()) float_problems(count, all);
  for_each_storage([&]<class T>(T) {
    for (const int64_t count : shapes.counts()) non_finite_problem<T>(count, all);
    for (const Scores& s : scores(shapes)) softmax_problem<T>(s, all);
  });
  for (const Scores& s : scores(shapes)) classification_problem(s, all);
}

}  // namespace verace::laboratory

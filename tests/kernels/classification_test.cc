// Counts of a classifier's results against counting by hand, and planted faults.
#include "kernels/classification.h"

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
#include "tests/support/guarded.h"
#include "tests/support/random.h"

namespace verace::kernels::classification_test {
namespace {

using test::Guarded;
using Counts = std::vector<int64_t>;  // correct, then the four cells if there are two classes
using Operation = std::function<void(const Exec&, const ClassificationCounts&)>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Counts run(const Operation& op, const Exec& exec, int64_t classes, const std::vector<float>& scores,
           const std::vector<int32_t>& labels) {
  const Guarded<float> s(scores);
  const Guarded<int32_t> l(labels);
  Guarded<int64_t> correct(1, -7), confusion(4, -7);
  op(exec, {static_cast<int64_t>(labels.size()), classes, s.data(), l.data(), correct.data(),
            classes == 2 ? confusion.data() : nullptr});
  CHECK(correct.intact());
  CHECK(confusion.intact());
  Counts all = correct.copy();
  const Counts cells = confusion.copy();
  if (classes == 2) all.insert(all.end(), cells.begin(), cells.end());
  return all;
}

TEST_CASE("two classes by hand: ties, infinities, NaN, labels that do not exist") {
  test::for_each_device([](const Exec& exec) {
    const std::vector<float> scores{1, 0,    0,    1, 2,         3,          5, 5, -kInfinity, 0,
                                    0, kNan, kNan, 1, kInfinity, -kInfinity, 1, 0, 0,          1};
    const std::vector<int32_t> labels{0, 1, 0, 1, 1, 0, 1, 0, 2, -1};
    // Predictions: 0 1 1 0(tie) 1 NaN NaN 0 0 1; the last two labels do not exist.
    CHECK(run(classification_counts, exec, 2, scores, labels) == Counts{4, 2, 1, 1, 2});
    CHECK(run(classification_counts, exec, 2, {}, {}) == Counts{0, 0, 0, 0, 0});
  });
}

struct Input {
  std::vector<float> scores;
  std::vector<int32_t> labels;
};
Input make_input(int64_t n, int64_t classes) {
  Input in;
  for (int64_t i = 0; i < n * classes; ++i) {  // few values, so that there are ties
    in.scores.push_back(static_cast<float>(test::random_bits(1, static_cast<uint64_t>(i)) % 50));
  }
  for (int64_t i = 0; i < n; ++i) {
    in.labels.push_back(static_cast<int32_t>(test::random_bits(2, static_cast<uint64_t>(i)) %
                                             static_cast<uint64_t>(classes)));
  }
  return in;
}

Counts expected(const Input& in, int64_t classes) {
  Counts want(classes == 2 ? 5 : 1);
  for (size_t i = 0; i < in.labels.size(); ++i) {
    int64_t best = classes - 1;  // from behind: of equals the first remains
    for (int64_t j = classes - 1; j >= 0; --j) {
      const size_t row = i * static_cast<size_t>(classes);
      if (in.scores[row + static_cast<size_t>(j)] >= in.scores[row + static_cast<size_t>(best)]) {
        best = j;
      }
    }
    if (best == in.labels[i]) ++want[0];
    if (classes == 2) ++want[static_cast<size_t>(1 + 2 * in.labels[i] + best)];
  }
  return want;
}

bool check(const Operation& op, const Exec& exec, int64_t n, int64_t classes) {
  const Input in = make_input(n, classes);
  return run(op, exec, classes, in.scores, in.labels) == expected(in, classes);
}

TEST_CASE("counts agree with counting by hand for all shapes") {
  test::for_each_device([](const Exec& exec) {
    for (const int64_t n : {1, 7, 15, 16, 17, 31, 33, 300}) {
      for (const int64_t classes : {1, 2, 3, 31, 32, 33, 130}) {
        INFO("n ", n, ", classes ", classes);
        CHECK(check(classification_counts, exec, n, classes));
      }
    }
    Guarded<int64_t> result(1), cells(4);
    CHECK_THROWS_AS(classification_counts(exec, {0, 0, nullptr, nullptr, result.data()}), Error);
    CHECK_THROWS_AS(
        classification_counts(exec, {0, 3, nullptr, nullptr, result.data(), cells.data()}), Error);
  });
}

TEST_CASE("planted faults in the counts are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, const Operation& op) {
    test::expect_caught(fault, check(op, exec, 300, 2));
  };
  caught("last sample left out", [](const Exec& e, ClassificationCounts a) {
    --a.n;
    classification_counts(e, a);
  });
  caught("cells transposed", [](const Exec& e, const ClassificationCounts& a) {
    classification_counts(e, a);
    std::swap(a.confusion[1], a.confusion[2]);
  });
  caught("labels of the next sample", [](const Exec& e, ClassificationCounts a) {
    std::vector<int32_t> labels(a.labels, a.labels + a.n);
    std::rotate(labels.begin(), labels.begin() + 1, labels.end());
    a.labels = labels.data();
    classification_counts(e, a);
  });
  caught("the last of equals wins", [](const Exec& e, ClassificationCounts a) {
    std::vector<float> scores(a.scores, a.scores + 2 * a.n);
    for (size_t i = 0; i < scores.size(); i += 2) {
      if (scores[i] == scores[i + 1]) scores[i + 1] += 1;
    }
    a.scores = scores.data();
    classification_counts(e, a);
  });
  caught("added to what was there", [](const Exec& e, const ClassificationCounts& a) {
    const int64_t before = *a.correct;
    classification_counts(e, a);
    *a.correct += before;
  });
}

}  // namespace
}  // namespace verace::kernels::classification_test

// Reductions against an independent oracle in long double, and planted faults.
#include "kernels/reduce.h"

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
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::kernels::reduce_test {
namespace {

using test::Guarded;
using test::Shifted;
using test::Verdict;
using Floats = std::vector<float>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Tails of lanes (32) and of pieces (16384).
const std::vector<int64_t> kCounts = {1, 2, 31, 32, 33, 100, 16383, 16384, 16385, 50021};

// Double accumulation of n terms of size 1 rounds by at most 2^-53 of the sum each time; exact
// enough to see a single lost term.
test::Tolerance double_sum(int64_t count) {
  const double n = static_cast<double>(count + 4);
  return {2e-16 * n, 2e-16 * n, "double accumulation of L terms"};
}

using SumOp = std::function<void(const Exec&, const Sum&)>;

Verdict check_sum(const SumOp& op, const Exec& exec, int64_t count, int64_t shift = 0) {
  const Floats in = test::uniform(count, 1, -0.5f, 1.0f);
  const Shifted<float> x(in, shift);
  Guarded<double> result(1, std::nan("")), scratch(kReductionScratch, std::nan(""));
  op(exec, {count, x.data(), result.data(), scratch.data()});
  long double want = 0;
  for (const float v : in) want += v;
  Verdict v;
  v.require("sum", test::compare(result.span(), std::vector<double>{static_cast<double>(want)},
                                 double_sum(count)));
  v.require("canaries", x.intact() && result.intact() && scratch.intact());
  return v;
}

TEST_CASE("sum") {
  test::for_each_device([](const Exec& exec) {
    for (const int64_t count : kCounts) {
      test::expect_ok(std::to_string(count), check_sum(sum, exec, count));
      test::expect_ok("unaligned", check_sum(sum, exec, count, 1));
    }
    Guarded<double> result(1, 1.0), scratch(kReductionScratch);
    sum(exec, {0, nullptr, result.data(), scratch.data()});
    CHECK(result[0] == 0.0);
  });
}

TEST_CASE("sum accumulates in double") {
  test::for_each_device([](const Exec& exec) {
    Guarded<float> x(100000, 1e-4f);
    x.write()[0] = 1e6f;
    Guarded<double> result(1), scratch(kReductionScratch);
    sum(exec, {100000, x.data(), result.data(), scratch.data()});
    CHECK(result[0] == doctest::Approx(1e6 + 99999 * static_cast<double>(1e-4f)).epsilon(1e-11));
    x.write()[77] = kNan;
    sum(exec, {100000, x.data(), result.data(), scratch.data()});
    CHECK(std::isnan(result[0]));
  });
}

TEST_CASE("planted faults in the sum are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, const SumOp& op) {
    test::expect_caught(fault, check_sum(op, exec, 16385));
  };
  caught("last element left out", [](const Exec& e, Sum a) {
    --a.count;
    sum(e, a);
  });
  caught("accumulated in float", [](const Exec&, const Sum& a) {
    float total = 0.0f;
    for (int64_t i = 0; i < a.count; ++i) total += a.x[i];
    *a.result = static_cast<double>(total);
  });
  caught("zero", [](const Exec&, const Sum& a) { *a.result = 0.0; });
  caught("NaN", [](const Exec&, const Sum& a) { *a.result = std::nan(""); });
}

using ErrorOp = std::function<void(const Exec&, const MeanSquaredError&)>;

Verdict check_error(const ErrorOp& op, const Exec& exec, int64_t count, int64_t shift = 0) {
  const Floats in = test::uniform(count, 2), in2 = test::uniform(count, 3);
  const Shifted<float> a(in, shift), b(in2, shift);
  Guarded<double> result(1, std::nan("")), scratch(kReductionScratch, std::nan(""));
  op(exec, {count, a.data(), b.data(), result.data(), scratch.data()});
  long double want = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const float d = in[i] - in2[i];  // the contract: the difference in float
    want += static_cast<long double>(d) * d;
  }
  want /= static_cast<long double>(count);
  Verdict v;
  v.require("error", test::compare(result.span(), std::vector<double>{static_cast<double>(want)},
                                   double_sum(count)));
  v.require("canaries", a.intact() && b.intact() && result.intact() && scratch.intact());
  return v;
}

TEST_CASE("mean squared error") {
  test::for_each_device([](const Exec& exec) {
    for (const int64_t count : kCounts) {
      test::expect_ok(std::to_string(count), check_error(mean_squared_error, exec, count));
      test::expect_ok("unaligned", check_error(mean_squared_error, exec, count, 1));
    }
    Guarded<double> result(1, 1.0), scratch(kReductionScratch);
    CHECK_THROWS_AS(mean_squared_error(exec, {0, nullptr, nullptr, result.data(), scratch.data()}),
                    Error);
  });
}

TEST_CASE("planted faults in the mean squared error are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, const ErrorOp& op) {
    test::expect_caught(fault, check_error(op, exec, 16385));
  };
  caught("sum instead of mean", [](const Exec& e, const MeanSquaredError& a) {
    mean_squared_error(e, a);
    *a.result *= static_cast<double>(a.count);
  });
  caught("last element left out", [](const Exec& e, MeanSquaredError a) {
    --a.count;
    mean_squared_error(e, a);
  });
  caught("difference in double", [](const Exec&, const MeanSquaredError& a) {
    double total = 0.0;
    for (int64_t i = 0; i < a.count; ++i) {
      total += std::pow(static_cast<double>(a.a[i]) - static_cast<double>(a.b[i]), 2);
    }
    *a.result = total / static_cast<double>(a.count);
  });
  caught("square root taken", [](const Exec& e, const MeanSquaredError& a) {
    mean_squared_error(e, a);
    *a.result = std::sqrt(*a.result);
  });
}

template <typename T>
int64_t count_of(const Exec& exec, const Shifted<T>& x) {
  Guarded<int64_t> result(1, -1), scratch(kReductionScratch, -1);
  count_non_finite<T>(exec, {x.size(), x.data(), result.data(), scratch.data()});
  CHECK(x.intact());
  CHECK(result.intact());
  CHECK(scratch.intact());
  return result[0];
}

template <typename T>
void check_count(const Exec& exec, int64_t count, int64_t shift) {
  const float inf = std::numeric_limits<float>::infinity();
  Floats values = test::uniform(count, 4, -6e4f, 6e4f);
  CHECK(count_of(exec, Shifted<T>(values, shift)) == 0);
  int64_t planted = 0;
  for (size_t i = 0; i < values.size(); i += 5) {
    const float bad[] = {kNan, inf, -inf, -kNan};
    values[i] = bad[i / 5 % 4];
    ++planted;
  }
  CHECK(count_of(exec, Shifted<T>(values, shift)) == planted);
  values.assign(values.size(), 0.0f);
  values.back() = kNan;
  CHECK(count_of(exec, Shifted<T>(values, shift)) == 1);
}

TEST_CASE("count_non_finite sees every NaN and infinity at every place") {
  test::for_each_device_and_storage([]<typename T>(const Exec& exec, T) {
    for (const int64_t count : kCounts) {
      check_count<T>(exec, count, 0);
      check_count<T>(exec, count, 1);
    }
    CHECK(count_of(exec, Shifted<T>(Floats{}, 0)) == 0);
  });
  test::for_each_device([](const Exec& exec) {
    const Floats extremes = {std::numeric_limits<float>::max(), -std::numeric_limits<float>::max(),
                             std::numeric_limits<float>::denorm_min(), -0.0f};
    CHECK(count_of(exec, Shifted<float>(extremes, 0)) == 0);
  });
}

TEST_CASE("the sums' bits depend neither on the schedule nor on the alignment") {
  test::for_each_cuda_device([](const Exec& exec) {
    const auto produce = [](int64_t shift) {
      return [shift](const Exec& e) {
        const Shifted<float> a(test::uniform(50021, 5), shift), b(test::uniform(50021, 6), shift);
        Guarded<double> results(2), scratch(kReductionScratch);
        sum(e, {50021, a.data(), results.data(), scratch.data()});
        mean_squared_error(e, {50021, a.data(), b.data(), results.data() + 1, scratch.data()});
        return results.copy();
      };
    };
    test::expect_ok("schedules", test::always_same_bits(exec, produce(0)));
    test::expect_ok("alignment", test::compare_bits(produce(1)(exec), produce(0)(exec)));
  });
}

TEST_CASE("no bit depends on the number of threads") {
  const Floats a = test::uniform(50021, 5), b = test::uniform(50021, 6);
  const auto all = [&](int threads) {
    const Exec exec{DeviceKind::kCpu, threads};
    std::vector<double> results(2);
    sum(exec, {50021, a.data(), &results[0]});
    mean_squared_error(exec, {50021, a.data(), b.data(), &results[1]});
    return results;
  };
  test::expect_ok("2 threads", test::compare_bits(all(2), all(1)));
  test::expect_ok("3 threads", test::compare_bits(all(3), all(1)));
}

}  // namespace
}  // namespace verace::kernels::reduce_test

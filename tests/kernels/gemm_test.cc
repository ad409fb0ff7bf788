// Matrix product on every device against an independent oracle.
#include "kernels/gemm.h"

#include <doctest/doctest.h>

#include <array>
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
#include "tests/support/tolerances.h"

namespace verace::test {
namespace {

using namespace verace::kernels;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Case {
  Gemm shape;  // sizes, transpositions, accumulate; pointers are filled in by run()
  bool bias = false;
  bool integers = false;
  std::vector<float> a, b, bias_values, c;  // c: what stands there before
};

Case make_case(int64_t m, int64_t n, int64_t k, int flags, bool integers) {
  uint64_t seed = static_cast<uint64_t>(m * 1000 + n * 100 + k);
  const auto data = [&](int64_t count) {
    ++seed;
    return integers ? small_integers(count, seed, 5) : uniform(count, seed);
  };
  Case c;
  c.shape = {.m = m, .n = n, .k = k};
  c.shape.transpose_a = (flags & 1) != 0;
  c.shape.transpose_b = (flags & 2) != 0;
  c.shape.accumulate = (flags & 4) != 0;
  c.bias = (flags & 8) != 0;
  c.integers = integers;
  c.a = data(m * k);
  c.b = data(k * n);
  c.bias_values = data(n);
  c.c = data(m * n);
  return c;
}

// Outer products added up: one column of op(A) times one row of op(B) after the other.
std::vector<double> oracle(const Case& c) {
  const auto [m, n, k] = std::array{c.shape.m, c.shape.n, c.shape.k};
  std::vector<double> want(static_cast<size_t>(m * n), 0.0);
  const auto at = [&](int64_t i, int64_t j) -> double& {
    return want[static_cast<size_t>(i * n + j)];
  };
  for (int64_t i = 0; i < m * n; ++i) {
    if (c.shape.accumulate) at(0, i) = c.c[static_cast<size_t>(i)];
    if (c.bias) at(0, i) += c.bias_values[static_cast<size_t>(i % n)];
  }
  const int64_t a_row = c.shape.transpose_a ? 1 : k, a_col = c.shape.transpose_a ? m : 1;
  const int64_t b_row = c.shape.transpose_b ? 1 : n, b_col = c.shape.transpose_b ? k : 1;
  for (int64_t l = 0; l < k; ++l) {
    for (int64_t i = 0; i < m; ++i) {
      const double a = c.a[static_cast<size_t>(i * a_row + l * a_col)];
      for (int64_t j = 0; j < n; ++j)
        at(i, j) += a * c.b[static_cast<size_t>(l * b_row + j * b_col)];
    }
  }
  return want;
}

using Op = std::function<std::vector<float>(const Exec&, const Case&)>;

std::vector<float> run(const Exec& exec, const Case& c) {
  const Guarded<float> a(c.a), b(c.b), bias(c.bias_values);
  Guarded<float> out(c.shape.m * c.shape.n, kNan);  // must not be read unless accumulating
  if (c.shape.accumulate) std::copy(c.c.begin(), c.c.end(), out.data());
  Gemm args = c.shape;
  args.a = a.data();
  args.b = b.data();
  args.bias = c.bias ? bias.data() : nullptr;
  args.c = out.data();
  gemm(exec, args);
  CHECK(out.intact());
  return out.copy();
}

Comparison check(const Exec& exec, const Case& c, const Op& op) {
  const OpClass kind = c.integers ? OpClass::kExact : OpClass::kMatrixProduct;
  return compare(op(exec, c), oracle(c), tolerance(kind, c.shape.k + 1));
}

TEST_CASE("agrees with the oracle for every transposition, bias and accumulation") {
  const std::vector<std::array<int64_t, 3>> sizes = {
      {1, 1, 1}, {3, 5, 7}, {1, 10, 300}, {16, 64, 33}, {129, 17, 64}, {31, 2, 65}, {2, 200, 1}};
  for_each_host_device([&](const Exec& exec) {
    for (const auto& [m, n, k] : sizes) {
      for (int flags = 0; flags < 12; ++flags) {  // bias and accumulate exclude each other
        for (const bool integers : {false, true}) {
          INFO("m ", m, ", n ", n, ", k ", k, ", flags ", flags, ", integers ", integers);
          Case c = make_case(m, n, k, flags, integers);
          // A product of single numbers may be zero by chance, which proves nothing.
          if (m * n == 1) c.a[0] = c.b[0] = 2.0f;
          expect_ok("gemm", check(exec, c, run));
        }
      }
    }
  });
}

TEST_CASE("an empty inner dimension leaves the bias, what stood there, or zeros") {
  for_each_host_device([](const Exec& exec) {
    Case c = make_case(3, 4, 0, 8, true);
    c.a = c.b = {0.0f};
    expect_ok("bias", check(exec, c, run));
    c.bias = false;
    c.shape.accumulate = true;
    expect_ok("accumulate", check(exec, c, run));
    c.shape.accumulate = false;
    const std::vector<float> zeros(12, 0.0f);
    expect_ok("zeros", compare_bits(run(exec, c), zeros));
  });
}

TEST_CASE("broken promises are refused, empty results are not") {
  for_each_host_device([](const Exec& exec) {
    CHECK_THROWS_AS(gemm(exec, {.m = -1, .n = 1, .k = 1}), Error);
    float value = 1.0f;
    Gemm both{.m = 1, .n = 1, .k = 1, .a = &value, .b = &value, .bias = &value, .c = &value};
    both.accumulate = true;
    CHECK_THROWS_AS(gemm(exec, both), Error);
    CHECK_NOTHROW(gemm(exec, {.m = 0, .n = 4, .k = 4}));
    CHECK_NOTHROW(gemm(exec, {.m = 4, .n = 0, .k = 4}));
  });
}

TEST_CASE("planted faults are caught") {
  const Exec exec = make_exec(DeviceKind::kCpu, 1);
  const auto on = [](const std::function<void(Case&)>& change) -> Op {
    return [change](const Exec& e, Case c) {
      change(c);
      return run(e, c);
    };
  };
  const auto after = [](const std::function<void(std::vector<float>&)>& spoil) -> Op {
    return [spoil](const Exec& e, const Case& c) {
      std::vector<float> result = run(e, c);
      spoil(result);
      return result;
    };
  };
  for (const bool integers : {false, true}) {
    const Case plain = make_case(9, 9, 9, 0, integers);
    expect_caught("A transposed",
                  check(exec, plain, on([](Case& c) { c.shape.transpose_a = true; })));
    expect_caught("B transposed",
                  check(exec, plain, on([](Case& c) { c.shape.transpose_b = true; })));
    expect_caught("A and B exchanged",
                  check(exec, plain, on([](Case& c) { std::swap(c.a, c.b); })));
    expect_caught("added", check(exec, plain, on([](Case& c) { c.shape.accumulate = true; })));
    expect_caught("bias invented", check(exec, plain, on([](Case& c) { c.bias = true; })));
    expect_caught("last term missing", check(exec, plain, on([](Case& c) { c.b[80] = 0.0f; })));
    expect_caught("scaled", check(exec, plain, after([](auto& v) {
                                    for (float& f : v) f *= 1.001f;
                                  })));
    expect_caught("zeros", check(exec, plain, after([](auto& v) { v.assign(v.size(), 0.0f); })));
    expect_caught("NaN", check(exec, plain, after([](auto& v) { v[40] = kNan; })));
    expect_caught("short", check(exec, plain, after([](auto& v) { v.pop_back(); })));
    const Case adding = make_case(9, 9, 9, 4, integers);
    expect_caught("overwritten",
                  check(exec, adding, on([](Case& c) { c.shape.accumulate = false; })));
    const Case biased = make_case(9, 9, 9, 8, integers);
    expect_caught("bias missing", check(exec, biased, on([](Case& c) { c.bias = false; })));
    expect_caught("bias shifted", check(exec, biased, on([](Case& c) {
                                          std::rotate(c.bias_values.begin(),
                                                      c.bias_values.begin() + 1,
                                                      c.bias_values.end());
                                        })));
  }
}

}  // namespace
}  // namespace verace::test

// Matrix product on every device against an independent oracle.
#include "kernels/gemm.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tests/kernels/gemm_cases.h"
#include "tests/support/cublas.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"

namespace verace::test::gemm_test {
namespace {

using namespace verace::kernels;

// Every combination that the contract allows.
std::vector<GemmSpec> forms(int64_t m, int64_t n, int64_t k) {
  std::vector<GemmSpec> all;
  for (int transposed = 0; transposed < 4; ++transposed) {
    GemmSpec s{.m = m, .n = n, .k = k};
    s.transpose_a = (transposed & 1) != 0;
    s.transpose_b = (transposed & 2) != 0;
    for (int after = 0; after < 4; ++after) {
      s.bias = (after & 1) != 0;
      s.relu = (after & 2) != 0;
      all.push_back(s);
    }
    s.bias = s.relu = false;
    s.accumulate = true;
    all.push_back(s);
  }
  return all;
}

TEST_CASE("agrees with the oracle for every transposition, bias, ReLU and accumulation") {
  const std::vector<std::array<int64_t, 3>> sizes = {
      {1, 1, 1}, {3, 5, 7}, {1, 10, 300}, {16, 64, 33}, {129, 17, 64}, {31, 2, 65}, {2, 200, 1}};
  for_each_gemm_device([&](const Exec& exec) {
    for (const auto& [m, n, k] : sizes) {
      for (const GemmSpec& spec : forms(m, n, k)) {
        for (const bool integers : {false, true}) {
          INFO(to_string(spec), ", integers ", integers);
          GemmCase c = make_gemm_case(spec, integers);
          // A product of single numbers may be zero by chance, which proves nothing.
          if (m * n == 1) {
            c.a[0] = c.b[0] = 2.0f;
            c.bias[0] = 1.0f;
          }
          expect_ok("gemm", check_gemm(exec, c, run_gemm));
        }
      }
    }
  });
}

TEST_CASE(
    "a plan has a name, and serves changing buffers with the same bits for the same numbers") {
  for_each_gemm_device([](const Exec& exec) {
    const GemmCase c =
        make_gemm_case({.m = 5, .n = 9, .k = 31, .transpose_b = true, .bias = true}, false);
    const auto plan = plan_gemm(exec, c.spec);
    CHECK(!std::string(plan->implementation()).empty());
    Guarded<std::byte> scratch(plan->scratch_bytes());
    const Guarded<float> b(c.b), bias(c.bias);
    std::vector<float> first;
    for (int i = 0; i < 3; ++i) {
      const Guarded<float> a(c.a);
      Guarded<float> out(45, kGemmNan);
      plan->run({a.data(), b.data(), bias.data(), out.data(), scratch.data()});
      if (first.empty()) first = out.copy();
      expect_ok("same bits", compare_bits(out.copy(), first));
    }
    CHECK(scratch.intact());
    expect_ok("first", compare(first, gemm_oracle(c), tolerance(OpClass::kMatrixProduct, 32)));
  });
}

TEST_CASE("a NaN in an operand reaches its row, its column or what was added up before") {
  for_each_gemm_device([](const Exec& exec) {
    const auto nans = [&](const GemmCase& c) {
      std::vector<int> at;
      const std::vector<float> result = run_gemm(exec, c);
      for (size_t i = 0; i < result.size(); ++i) {
        if (std::isnan(result[i])) at.push_back(static_cast<int>(i));
      }
      return at;
    };
    GemmCase c = make_gemm_case({.m = 3, .n = 4, .k = 5}, true);
    c.a[1 * 5 + 2] = kGemmNan;
    CHECK(nans(c) == std::vector{4, 5, 6, 7});
    c = make_gemm_case({.m = 3, .n = 4, .k = 5}, true);
    c.b[2 * 4 + 3] = kGemmNan;
    CHECK(nans(c) == std::vector{3, 7, 11});
    c = make_gemm_case({.m = 3, .n = 4, .k = 5, .bias = true}, true);
    c.bias[1] = kGemmNan;
    CHECK(nans(c) == std::vector{1, 5, 9});
    c = make_gemm_case({.m = 3, .n = 4, .k = 5, .accumulate = true}, true);
    c.c[6] = kGemmNan;
    CHECK(nans(c) == std::vector{6});
  });
}

TEST_CASE("broken promises are refused") {
  for_each_gemm_device([](const Exec& exec) {
    CHECK_THROWS_AS(plan_gemm(exec, {.m = -1, .n = 1, .k = 1}), Error);
    CHECK_THROWS_AS(plan_gemm(exec, {.m = 0, .n = 1, .k = 1}), Error);
    CHECK_THROWS_AS(plan_gemm(exec, {.m = 1, .n = 0, .k = 1}), Error);
    CHECK_THROWS_AS(plan_gemm(exec, {.m = 1, .n = 1, .k = 0}), Error);
    GemmSpec both{.m = 1, .n = 1, .k = 1, .bias = true, .accumulate = true};
    CHECK_THROWS_AS(plan_gemm(exec, both), Error);
    both.bias = false;
    both.relu = true;
    CHECK_THROWS_AS(plan_gemm(exec, both), Error);

    Guarded<float> a(4, 1.0f), b(4, 1.0f), bias(4, 1.0f), c(4, 0.0f);
    const auto plan = plan_gemm(exec, {.m = 2, .n = 2, .k = 2});
    Guarded<std::byte> scratch(plan->scratch_bytes());
    const GemmArgs good{a.data(), b.data(), nullptr, c.data(), scratch.data()};
    CHECK_NOTHROW(plan->run(good));
    const auto refused = [&](auto GemmArgs::*member, auto value) {
      GemmArgs bad = good;
      bad.*member = value;
      CHECK_THROWS_AS(plan->run(bad), Error);
    };
    refused(&GemmArgs::a, nullptr);
    refused(&GemmArgs::b, nullptr);
    refused(&GemmArgs::c, nullptr);
    refused(&GemmArgs::c, a.data());
    refused(&GemmArgs::c, b.data());
    refused(&GemmArgs::bias, bias.data());
    CHECK_THROWS_AS(plan_gemm(exec, {.m = 2, .n = 2, .k = 2, .bias = true})->run(good), Error);
  });
}

TEST_CASE("planted faults are caught") {
  const Exec exec = make_exec(DeviceKind::kCpu, 1);
  const auto on = [](const std::function<void(GemmCase&)>& change) -> GemmOp {
    return [change](const Exec& e, GemmCase c) {
      change(c);
      return run_gemm(e, c);
    };
  };
  const auto after = [](const std::function<void(std::vector<float>&)>& spoil) -> GemmOp {
    return [spoil](const Exec& e, const GemmCase& c) {
      std::vector<float> result = run_gemm(e, c);
      spoil(result);
      return result;
    };
  };
  const auto caught = [&](const std::string& name, const GemmCase& c, const GemmOp& op) {
    expect_caught(name, check_gemm(exec, c, op));
  };
  using Case = GemmCase;
  for (const bool integers : {false, true}) {
    GemmSpec spec{.m = 9, .n = 9, .k = 9};
    const Case plain = make_gemm_case(spec, integers);
    caught("A transposed", plain, on([](Case& c) { c.spec.transpose_a = true; }));
    caught("B transposed", plain, on([](Case& c) { c.spec.transpose_b = true; }));
    caught("A and B exchanged", plain, on([](Case& c) { std::swap(c.a, c.b); }));
    caught("added", plain, on([](Case& c) { c.spec.accumulate = true; }));
    caught("bias invented", plain, on([](Case& c) { c.spec.bias = true; }));
    caught("ReLU invented", plain, on([](Case& c) { c.spec.relu = true; }));
    caught("last term missing", plain, on([](Case& c) { c.b[80] = 0.0f; }));
    caught("scaled", plain, after([](auto& v) {
             for (float& f : v) f *= 1.001f;
           }));
    caught("zeros", plain, after([](auto& v) { v.assign(v.size(), 0.0f); }));
    caught("NaN", plain, after([](auto& v) { v[40] = kGemmNan; }));
    caught("short", plain, after([](auto& v) { v.pop_back(); }));
    caught("m and n exchanged", make_gemm_case({.m = 4, .n = 9, .k = 5}, integers),
           on([](Case& c) { std::swap(c.spec.m, c.spec.n); }));
    spec.accumulate = true;
    caught("overwritten", make_gemm_case(spec, integers),
           on([](Case& c) { c.spec.accumulate = false; }));
    spec = {.m = 9, .n = 9, .k = 9, .bias = true};
    const Case biased = make_gemm_case(spec, integers);
    caught("bias missing", biased, on([](Case& c) { c.spec.bias = false; }));
    caught("bias shifted", biased,
           on([](Case& c) { std::rotate(c.bias.begin(), c.bias.begin() + 1, c.bias.end()); }));
    spec.relu = true;
    const Case closed = make_gemm_case(spec, integers);
    caught("ReLU missing", closed, on([](Case& c) { c.spec.relu = false; }));
    caught("bias behind the ReLU", closed, [](const Exec& e, Case c) {
      c.spec.bias = false;
      std::vector<float> result = run_gemm(e, c);
      for (size_t i = 0; i < result.size(); ++i) result[i] += c.bias[i % 9];
      return result;
    });
  }
}

}  // namespace
}  // namespace verace::test::gemm_test

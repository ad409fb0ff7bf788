// Convolutions of 16-bit tensors, and of fp32 ones by TF32, on CUDA devices: with small integers,
// for which every sum is exact and every result one rounding.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/storage.h"
#include "tests/kernels/conv2d_cases.h"
#include "tests/kernels/conv2d_runs.h"
#include "tests/support/compare.h"
#include "tests/support/faults.h"

namespace verace::test::conv2d_storage_test {
namespace {

using namespace verace::kernels;

// `values` as T stores them.
template <typename T>
std::vector<float> once_rounded(const Doubles& values) {
  std::vector<float> result;
  for (const double v : values) result.push_back(to_float(from_float<T>(static_cast<float>(v))));
  return result;
}

template <typename T>
std::vector<float> want_forward(const Case& c) {
  Doubles y = oracle_product(c.g, c.g, widen(c.x), widen(c.w));
  for (size_t i = 0; i < y.size(); ++i) {
    if (c.post.bias) y[i] += c.bias[i % static_cast<size_t>(c.g.k)];
    if (c.post.add) y[i] += c.add[i];
    if (c.post.relu) y[i] = std::fmax(y[i], 0.0);
  }
  return once_rounded<T>(y);
}

template <typename T>
std::vector<float> want_backward_filter(const Case& c) {
  std::vector<float> dw = once_rounded<T>(oracle_filter(c.g, c.g, widen(c.x), widen(c.dy)));
  if (c.mode == GradMode::kOverwrite) return dw;
  for (size_t i = 0; i < dw.size(); ++i) dw[i] = to_float(from_float<T>(dw[i] + c.dw[i]));
  return dw;
}

// Calls body(exec, T{}, case) for each CUDA device, precision and geometry; fp32 there by TF32.
template <typename Body>
void for_each_case(const Body& body) {
  for_each_cuda_convolution_device([&](const Exec& exec) {
    Exec tf32 = exec;
    tf32.tf32 = true;
    uint64_t seed = 300;
    for (const ConvGeometry& g : geometries_by_eights()) {
      INFO(describe(g));
      const Case c = make_case(g, true, seed += 10);
      body(tf32, float{}, c);
      body(exec, Half{}, c);
      body(exec, BFloat16{}, c);
    }
  });
}

// Equal numbers; the sign of a zero may differ.
bool equal(const std::vector<float>& got, const std::vector<float>& want) { return got == want; }

TEST_CASE("forward, every combination of post-ops: exact up to one rounding") {
  for_each_case([]<typename T>(const Exec& exec, T, Case c) {
    for (int bits = 0; bits < 16; ++bits) {
      c.post = {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
      c.add_is_y = (bits & 8) != 0;
      if (c.add_is_y && !c.post.add) continue;
      if (is_slow(exec) && bits != 0 && bits != 5 && bits != 15) continue;
      INFO("bias ", c.post.bias, ", add ", c.post.add, ", relu ", c.post.relu);
      CHECK(equal(run_forward<T>(exec, c), want_forward<T>(c)));
    }
  });
}

TEST_CASE("backward data and filter: exact up to one rounding") {
  for_each_case([]<typename T>(const Exec& exec, T, Case c) {
    const auto dx = once_rounded<T>(oracle_data(c.g, c.g, widen(c.dy), widen(c.w)));
    CHECK(equal(run_backward_data<T>(exec, c), dx));
    for (const GradMode mode : {GradMode::kOverwrite, GradMode::kAccumulate}) {
      c.mode = mode;
      CHECK(equal(run_backward_filter<T>(exec, c), want_backward_filter<T>(c)));
    }
  });
}

TEST_CASE("results that fp16 and bf16 cannot hold are rounded once, not cut") {
  for_each_cuda_convolution_device([](const Exec& exec) {
    // 8 products of 129 * 3: 3096 lies between two numbers of bf16.
    const ConvGeometry g = geometry({1, 2, 2, 8}, 8, 1, 1, 1, 1, 0, 0);
    Case c = make_case(g, true, 5);
    std::ranges::fill(c.x, 129.0f);
    std::ranges::fill(c.w, 3.0f);
    CHECK(run_forward<BFloat16>(exec, c).front() == 3104.0f);
    CHECK(run_forward<Half>(exec, c).front() == 3096.0f);
    std::ranges::fill(c.x, 8200.0f);  // 196800: beyond fp16
    CHECK(run_forward<Half>(exec, c).front() == std::numeric_limits<float>::infinity());
  });
}

TEST_CASE("planted faults are caught") {
  for_each_cuda_convolution_device([](const Exec& exec) {
    Case c = make_case(geometry({1, 9, 7, 16}, 8, 3, 3, 1, 2, 1, 1), true, 77);
    c.post = {true, true, true};
    const auto caught = [&](const std::string& fault, const std::function<void(Case&)>& change) {
      Case changed = c;
      change(changed);
      expect_caught(fault, equal(run_forward<Half>(exec, changed), want_forward<Half>(c)));
      expect_caught(fault, equal(run_forward<BFloat16>(exec, changed), want_forward<BFloat16>(c)));
    };
    CHECK(equal(run_forward<Half>(exec, c), want_forward<Half>(c)));
    caught("one input off by one", [](Case& d) { d.x[100] += 1.0f; });
    caught("one weight off by one", [](Case& d) { d.w[17] += 1.0f; });
    caught("bias missing", [](Case& d) { d.post.bias = false; });
    caught("addition missing", [](Case& d) { d.post.add = false; });
    caught("relu missing", [](Case& d) { d.post.relu = false; });
    caught("bias shifted",
           [](Case& d) { std::rotate(d.bias.begin(), d.bias.begin() + 1, d.bias.end()); });
    Case overwritten = c;
    c.mode = GradMode::kAccumulate;
    expect_caught("gradient not added", equal(run_backward_filter<Half>(exec, overwritten),
                                              want_backward_filter<Half>(c)));
  });
}

}  // namespace
}  // namespace verace::test::conv2d_storage_test

// A convolution's data, and the three operations run on it between canaries, in any storage type.
#pragma once

#include <doctest/doctest.h>
#include <errno.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/storage.h"
#include "tests/kernels/conv2d_cases.h"
#include "tests/support/compare.h"
#include "tests/support/cudnn.h"
#include "tests/support/devices.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"

namespace verace::test {

// ---- Devices ---------------------------------------------------------------------------------

// Whether convolutions can run on CUDA here: not on a GPU without cuDNN, which is told once.
inline bool have_cuda_convolutions() {
  static const bool have = [] {
    if (!cuda_is_present()) return false;
    const std::string reason = why_no_cudnn();
    if (reason.empty()) return true;
    skip_without_cudnn(std::string(program_invocation_short_name) + " [cuda]", reason);
    return false;
  }();
  return have;
}

// As for_each_device.
template <typename Body>
void for_each_convolution_device(Body&& body) {
  std::vector<kernels::Exec> all = devices();
  std::erase_if(all, [](const kernels::Exec& exec) {
    return exec.device == kernels::DeviceKind::kCuda && !have_cuda_convolutions();
  });
  for_each_device_of(all, body);
}

// As for_each_cuda_device.
template <typename Body>
void for_each_cuda_convolution_device(Body&& body) {
  std::vector<kernels::Exec> all;
  if (have_cuda_convolutions()) all.push_back({kernels::DeviceKind::kCuda, 1});
  for_each_device_of(all, body);
}

// ---- Data ------------------------------------------------------------------------------------

struct Case {
  ConvGeometry g;
  kernels::ConvPostOps post;
  bool integers = false;
  bool add_is_y = false;
  kernels::GradMode mode = kernels::GradMode::kOverwrite;
  std::vector<float> x, w, bias, add, dy, dw;  // dw: what stands there before
};

inline Case make_case(const ConvGeometry& g, bool integers, uint64_t seed) {
  const auto data = [&](int64_t count) {
    ++seed;
    return integers ? small_integers(count, seed, 4) : uniform(count, seed);
  };
  Case c;
  c.g = g;
  c.integers = integers;
  c.x = data(g.x.count());
  c.w = data(g.filter_count());
  c.bias = data(g.k);
  c.add = data(g.y().count());
  c.dy = data(g.y().count());
  c.dw = data(g.filter_count());
  return c;
}

// ---- The operations under test ---------------------------------------------------------------

// Weights packed, scratch of ones in every bit, everything between canaries.
template <typename T>
struct Prepared {
  template <typename Plan>
  Prepared(const Plan& plan, const Case& c)
      : packed(plan.packed_count()), scratch(plan.scratch_bytes(), std::byte{0xFF}) {
    const Guarded<float> w(c.w);
    plan.pack(w.data(), packed.data());
    wait_for_device();
    before = widened(packed);
  }
  // Packed weights stay as they are, and nothing writes outside.
  void check() const {
    CHECK(packed.intact());
    CHECK(scratch.intact());
    CHECK(compare_bits(widened(packed), before).ok);
  }
  Guarded<T> packed;
  Guarded<std::byte> scratch;
  std::vector<float> before;
};

template <typename T>
std::vector<float> run_forward(const kernels::Exec& exec, const Case& c) {
  const auto plan = kernels::plan_conv_forward<T>(exec, c.g, c.post);
  CHECK(std::string(plan->implementation()).size() > 0);
  Prepared<T> prepared(*plan, c);
  const Guarded<T> x(stored<T>(c.x)), add(stored<T>(c.add));
  const Guarded<float> bias(c.bias);
  Guarded<T> y(c.g.y().count());
  if (c.add_is_y) std::ranges::copy(stored<T>(c.add), y.write().begin());
  plan->run({.x = x.data(),
             .packed = prepared.packed.data(),
             .bias = c.post.bias ? bias.data() : nullptr,
             .add = !c.post.add ? nullptr : (c.add_is_y ? y.data() : add.data()),
             .y = y.data(),
             .scratch = prepared.scratch.data()});
  prepared.check();
  CHECK(y.intact());
  return widened(y);
}

template <typename T>
std::vector<float> run_backward_data(const kernels::Exec& exec, const Case& c) {
  const auto plan = kernels::plan_conv_backward_data<T>(exec, c.g);
  Prepared<T> prepared(*plan, c);
  const Guarded<T> dy(stored<T>(c.dy));
  Guarded<T> dx(c.g.x.count());
  plan->run({dy.data(), prepared.packed.data(), dx.data(), prepared.scratch.data()});
  prepared.check();
  CHECK(dx.intact());
  return widened(dx);
}

template <typename T>
std::vector<float> run_backward_filter(const kernels::Exec& exec, const Case& c) {
  const auto plan = kernels::plan_conv_backward_filter<T>(exec, c.g);
  const Guarded<T> x(stored<T>(c.x)), dy(stored<T>(c.dy));
  Guarded<T> dw(c.g.filter_count());
  if (c.mode == kernels::GradMode::kAccumulate) {
    std::ranges::copy(stored<T>(c.dw), dw.write().begin());
  }
  Guarded<std::byte> scratch(plan->scratch_bytes(), std::byte{0xFF});
  plan->run({x.data(), dy.data(), dw.data(), c.mode, scratch.data()});
  CHECK(scratch.intact());
  CHECK(dw.intact());
  return widened(dw);
}

}  // namespace verace::test
